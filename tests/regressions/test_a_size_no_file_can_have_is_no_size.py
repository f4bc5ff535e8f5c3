"""A server that claims a size of thousands of digits made the client raise ValueError instead of reading on."""

from __future__ import annotations

import pytest

from logferry.ftp.client_store import read_size
from logferry.ftp.protocol.listing_reader import read_facts, read_list_line
from logferry.ftp.protocol.replies import Reply

LONG = "9" * 5000


@pytest.mark.parametrize("size", [LONG, str(2**63), "9" * 19])
def test_a_size_beyond_any_file_is_unknown(size: str) -> None:
    """In facts, in both styles of LIST and in a reply to SIZE: None, and the rest of the line is read."""
    for entry in (
        read_facts(f"type=file;size={size}; name"),
        read_list_line(f"-rw-r--r-- 1 a b {size} Nov 23 08:14 name", now_ns=0),
        read_list_line(f"01-31-26  10:15PM  {size} name", now_ns=0),
    ):
        assert entry is not None
        assert (entry.name, entry.kind, entry.size) == ("name", "file", None)
    assert read_size(Reply(213, (size,))) is None


def test_the_largest_file_has_its_size() -> None:
    """One byte less than that is a size."""
    entry = read_facts(f"type=file;size={2**63 - 1}; name")
    assert entry is not None
    assert entry.size == 2**63 - 1
    assert read_size(Reply(213, (str(2**63 - 1),))) == 2**63 - 1
