"""What is kept for a while."""

from __future__ import annotations

import pytest

from logferry.web.keeping import Kept


def test_a_value_is_found_out_once_until_it_is_too_old() -> None:
    """Also one that is false; the oldest go where there are too many."""
    found: list[str] = []

    def find(key: str) -> bool:
        found.append(key)
        return False

    kept: Kept[bool] = Kept(seconds=10.0, most=2)
    for key, now_s in (
        ("a", 0.0),
        ("a", 9.9),
        ("b", 9.9),
        ("a", 10.0),
        ("b", 10.0),
        ("c", 11.0),
        ("a", 11.0),
        ("b", 11.0),
    ):
        assert kept.get(key, now_s, lambda key=key: find(key)) is False  # type: ignore[misc]
    assert found == ["a", "b", "a", "c", "b"]


def test_what_fails_is_not_kept() -> None:
    """The next one finds out again."""
    kept: Kept[int] = Kept(seconds=10.0, most=2)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", 0.0, lambda: 1 // 0)
    assert kept.get("a", 0.0, lambda: 7) == 7
