"""A folder ``a.log.~1~`` on the node used to clash with the place of the first generation of ``a.log``, for good."""

from __future__ import annotations

from pathlib import Path

from tests.archive.conftest import Shelf


def test_a_generation_is_kept_where_a_folder_is_called_like_another_kept_one(tmp_path: Path) -> None:
    """It gets the place that nothing else can have."""
    shelf = Shelf(tmp_path)
    for data in (b"one\n", b"two\n"):
        shelf.put("a.log", data)
    for data in (b"three\n", b"four\n"):
        shelf.put("a.log.~1~/x.log", data)
    assert shelf.history("a.log") == [b"one\n", b"two\n"]
    assert shelf.history("a.log.~1~/x.log") == [b"three\n", b"four\n"]
    assert not list(shelf.archive.check())
    shelf.close()
