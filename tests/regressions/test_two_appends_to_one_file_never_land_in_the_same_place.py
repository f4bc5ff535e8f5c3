"""Two sessions that appended to one file at once wrote over each other, and both were told 226."""

from __future__ import annotations

from pathlib import Path

from tests.ftp.kit import finish, serving, until


def test_the_second_append_is_asked_to_wait(tmp_path: Path) -> None:
    """450 while the first is under way; afterwards it goes behind it."""
    with serving(tmp_path) as at, at.client() as first, at.client() as second:
        assert first.upload("STOR log", b"start ").startswith("226")
        under_way = first.data("APPE log")
        under_way.sendall(b"first ")
        until(lambda: (at.home / "log").stat().st_size == 12, "the bytes have not come")
        port = second.port()
        assert port
        assert second.command("APPE log").startswith("450")
        finish(under_way)
        assert first.code() == "226"
        assert second.upload("APPE log", b"second ").startswith("226")
        assert (at.home / "log").read_bytes() == b"start first second "
