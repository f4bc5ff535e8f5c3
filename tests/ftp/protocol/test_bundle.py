"""Names of bundles and of their members, and the report in the final reply."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.errors import BadName, Busy, Conflict, NotPermitted
from logferry.ftp.protocol.bundle import Refusal, Report, bundle_format, member_path, read_report
from logferry.ftp.protocol.features import read_features
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.reply_reader import ReplyReader
from logferry.limits import BUNDLE_REFUSALS_SHOWN_MAX, FTP_REPLY_BYTES_MAX

ALL = ("tar", "tar.gz", "tar.zst")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/.bundles/x.tar", "tar"),
        ("/.bundles/x.TAR.GZ", "tar.gz"),
        ("/.bundles/a.tar.zst", "tar.zst"),
        ("/.bundles/.tar", "tar"),
        ("/.bundles/x.tar.zst.tar", "tar"),
        ("/.bundles/x.txt", None),
        ("/.bundles/deep/x.tar", None),
        ("/.bundles", None),
        ("/x.tar", None),
        ("/.bundles2/x.tar", None),
        ("/.bundles/tar", None),
    ],
)
def test_what_is_a_bundle(path: str, form: str | None) -> None:
    """The folder and the end of the name decide; anything else is an ordinary upload."""
    assert bundle_format(path, ALL) == form


def test_a_format_that_is_not_offered_is_no_bundle() -> None:
    """Without zstd such a file is a file."""
    assert bundle_format("/.bundles/x.tar.zst", ("tar", "tar.gz")) is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a", "/a"),
        (b"./a/b", "/a/b"),
        (b"a//b/.", "/a/b"),
        (b"./", "/"),
        (b"..a/b..", "/..a/b.."),
        (b"\xff", "/\udcff"),
    ],
)
def test_member_names(name: bytes, path: str) -> None:
    """As ``tar`` writes them, below the home."""
    assert member_path(name) == path


@pytest.mark.parametrize(
    "name",
    [b"", b"/etc/passwd", b"..", b"../x", b"a/../b", b"a/..", b"a\x00b", b"a\nb", b"a\rb", b"x" * 256, b"x/" * 3000,
     b"y" * 100_000, b"d/" * 200 + b"x"],
)  # fmt: skip
def test_hostile_member_names(name: bytes) -> None:
    """None of them gets as far as the file system."""
    with pytest.raises(BadName):
        member_path(name)


@given(st.lists(st.tuples(st.binary(max_size=40), st.text(max_size=40))), st.integers(0, 10**9))
@settings(deadline=None)
def test_the_report_comes_back(refused: list[tuple[bytes, str]], number: int) -> None:
    """What is rendered is read again, names byte for byte, over the wire."""
    report = Report(members=number, files=number // 2, folders=3, count=number * 7)
    for name, reason in refused:
        report.refuse(name, Conflict(reason))
    wire = report.reply().render()
    (reply,) = ReplyReader().feed(wire)
    found = read_report(reply)
    assert found is not None
    assert (found.members, found.files, found.folders, found.count) == (number, number // 2, 3, number * 7)
    assert found.refused == len(refused)
    assert [one.name for one in found.refusals] == [name for name, _ in refused]


def test_codes() -> None:
    """226 says that all content is stored; 450 that it may be another time; 550 that it will not be."""
    report = Report(members=1)
    assert report.reply().code == 226
    report.refuse(b"link", NotPermitted("symbolic link"), loses_bytes=False)
    assert report.reply().code == 226
    report.refuse(b"x", Conflict("there"))
    assert report.reply().code == 550
    report.refuse(b"y", Busy("in use"))
    assert report.reply().code == 450
    broken = report.reply(426, "cut\r\nhere")
    assert (broken.code, broken.lines[0]) == (426, "cut  here")


def test_a_long_report_is_bounded_and_says_so() -> None:
    """However many are refused, the reply is one that clients take."""
    report = Report()
    for number in range(BUNDLE_REFUSALS_SHOWN_MAX * 3):
        report.refuse(b"%d" % number + b"\x01" * 3000, Conflict("x" * 5000))
    reply = report.reply()
    assert len(reply.render()) < FTP_REPLY_BYTES_MAX
    found = read_report(reply)
    assert found is not None
    assert found.refused == BUNDLE_REFUSALS_SHOWN_MAX * 3 > len(found.refusals)
    assert reply.lines[-2].startswith("not named: ")


def test_other_replies_have_no_report() -> None:
    """A server that only stores the file says something else."""
    assert read_report(Reply(226, ("Transfer complete.",))) is None
    assert read_report(Reply(226, ("Bundle: members=x files=1",))) is None
    assert Refusal(b"a", 550, "b").code == 550


def test_features() -> None:
    """The announcement, and what is none."""
    said = read_features(Reply(211, ("Extensions:", " BUNDLE /.bundles tar;tar.GZ;tar.zst", "End")))
    assert (said.bundle_folder, said.bundle_formats) == ("/.bundles", ("tar", "tar.gz", "tar.zst"))
    for line in (" SIZE", " BUNDLE", " BUNDLE tar;tar.gz"):
        silent = read_features(Reply(211, ("Extensions:", line, "End")))
        assert (silent.bundle_folder, silent.bundle_formats) == ("", ())
