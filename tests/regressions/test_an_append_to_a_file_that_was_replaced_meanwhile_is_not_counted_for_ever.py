"""A session appends to a file while another replaces it: the append lands in a file that has no name any more.

Its bytes stayed in the quota's count until the next recount, and took room that nobody used.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ftp.test_quota import held, quoted


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("before", [0, 3])
def test_bytes_of_a_lost_file_are_given_back(tmp_path: Path, whole: bool, before: int) -> None:
    """Whether the append ends well or not, and whether it had brought something before."""
    (tmp_path / "a").write_bytes(b"12345")
    files, ledger = quoted(tmp_path, size_bytes=100)
    ledger.wait()
    append = files.open_upload("/a", offset=0, append=True)
    append.write(b"x" * before)
    new = files.open_upload("/a", offset=0, append=False)
    new.write(b"new")
    new.commit()
    append.write(b"y" * 7)
    if whole:
        append.commit()
    else:
        append.abandon()
    assert ledger.usage == held(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"new"
