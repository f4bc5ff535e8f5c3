"""What FEAT announces."""

from __future__ import annotations

import pytest

from logferry.ftp.protocol.features import Features, read_features
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.reply_reader import ReplyReader

VSFTPD = b"211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End\r\n"
PROFTPD = b"211-Features:\r\n211-AUTH TLS\r\n211-HASH CRC32;MD5;SHA-1*;SHA-256\r\n211-LANG en-US.UTF-8*\r\n211 End\r\n"
LOGFERRY = (
    b"211-Extensions:\r\n AUTH TLS\r\n MLST type*;size*;modify*;perm;\r\n X-LOGFERRY atomic pipelining\r\n211 End\r\n"
)


def features_of(wire: bytes) -> Features:
    """Features as the wire brings them."""
    (reply,) = ReplyReader().feed(wire)
    return read_features(reply)


def test_names_are_found_in_any_case() -> None:
    """Both ways servers write the lines."""
    assert features_of(VSFTPD).has("size")
    assert features_of(VSFTPD).has("UTF8")
    assert not features_of(VSFTPD).has("MLST")
    assert features_of(PROFTPD).words("AUTH") == ("TLS",)


def test_hash_algorithms_begin_with_the_selected_one() -> None:
    """The star marks it."""
    assert features_of(PROFTPD).hash_algorithms == ("SHA-1", "CRC32", "MD5", "SHA-256")
    assert features_of(VSFTPD).hash_algorithms == ()


def test_logferry_announces_atomic_uploads_and_pipelining() -> None:
    """One line, two words."""
    found = features_of(LOGFERRY)
    assert found.atomic
    assert found.pipelining
    assert found.facts == ("type", "size", "modify", "perm")
    assert not features_of(VSFTPD).atomic
    assert found.mark == ""
    restored = features_of(LOGFERRY.replace(b"pipelining", b"pipelining mark=0a1b"))
    assert restored.mark == "0a1b"
    assert not features_of(VSFTPD).pipelining


@pytest.mark.parametrize(
    "reply", [Reply(500, ("what?",)), Reply(502, ("no",)), Reply(211, ("no features",)), Reply(530, ("log in",))]
)
def test_a_server_without_feat_has_no_features(reply: Reply) -> None:
    """Not an error: most things work without."""
    assert read_features(reply) == Features()
