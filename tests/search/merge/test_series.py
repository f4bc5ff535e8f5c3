"""Pieces of one log by their names."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.search.merge.series import series_of, stem_of

SERIES = (
    ("app.log.2.gz", "app.log.1", "app.log"),
    ("app.log.12.gz", "app.log.11.gz", "app.log.2.gz", "app.log.1", "app.log"),
    ("messages-20261101", "messages-20261108.xz", "messages-20261115", "messages"),
    ("app-2026-11-21.log.gz", "app-2026-11-22.log", "app.log"),
    ("app.2.log", "app.1.log", "app.log"),
    ("catalina.2026-11-22.log", "catalina.2026-11-23.log"),
    ("error.log-20261121", "error.log-20261122.gz", "error.log"),
    ("app.log.2026-11-22.1.gz", "app.log.2026-11-22.2", "app.log.2026-11-23", "app.log"),
    ("server.log.20261123_081500", "server.log.20261123_091500", "server.log"),
    ("syslog.2.gz", "syslog.1", "syslog"),
    ("db.log.3.zst", "db.log.2.bz2", "db.log.1.xz", "db.log"),
)
OTHERS = (
    "app.log.bak",
    "application.log",
    "app.logx",
    "app",
    "other.log.1",
    "README",
    "x.gz",
    ".hidden",
    "app.log.1.2.3",
)


@pytest.mark.parametrize("series", SERIES)
def test_rotated_pieces_are_one_log_the_oldest_first(series: tuple[str, ...]) -> None:
    """Whichever of them is asked about, in whatever order they lie there, and nothing else."""
    names = [*series, *OTHERS]
    for name in series:
        random.Random(name).shuffle(names)
        assert series_of(name, names) == list(series)


@pytest.mark.parametrize("series", SERIES)
def test_all_pieces_begin_with_the_stem(series: tuple[str, ...]) -> None:
    """So they are found without looking through the whole folder."""
    stems = {stem_of(name) for name in series}
    assert len(stems) == 1
    assert all(name.startswith(stems.copy().pop()) for name in series)


def test_what_is_packed_and_plain_is_there_once() -> None:
    """In the middle of being compressed."""
    assert series_of("app.log", ["app.log", "app.log.1", "app.log.1.gz"]) == ["app.log.1", "app.log"]


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=20))
def test_any_name_is_in_its_own_series(names: list[str]) -> None:
    """Whatever it is made of; each at most once."""
    for name in names:
        found = series_of(name, names)
        assert len(found) == len(set(found))
        assert set(found) <= set(names)
        assert name in found or any(name.startswith(other) for other in found)
