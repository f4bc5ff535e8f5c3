"""Options of ls before a path."""

from __future__ import annotations

import pytest

from logferry.ftp.protocol.list_options import NO_OPTIONS, ListOptions, read_options

CASES: dict[str, tuple[ListOptions, str]] = {
    "": (NO_OPTIONS, ""),
    "path": (NO_OPTIONS, "path"),
    "a -l": (NO_OPTIONS, "a -l"),
    "-la": (ListOptions(long=True), ""),
    "-a -l my logs": (ListOptions(long=True), "my logs"),
    "-1AhFL  x": (ListOptions(marks=True), "x"),
    "-R": (ListOptions(recursive=True), ""),
    "-tr d": (ListOptions(newest_first=True, reverse=True), "d"),
    "-S -d .": (ListOptions(largest_first=True, itself=True), "."),
    "-- -l": (NO_OPTIONS, "-l"),
    "-t -- -l": (ListOptions(newest_first=True), "-l"),
    "-": (NO_OPTIONS, "-"),
    "-a/b": (NO_OPTIONS, "-a/b"),
    "-l-": (NO_OPTIONS, "-l-"),
    "--help": (NO_OPTIONS, "--help"),
}


@pytest.mark.parametrize("argument", CASES)
def test_options_and_path_are_told_apart(argument: str) -> None:
    """What has the form of options is taken for them; whatever else begins with a dash is a path."""
    assert read_options(argument) == CASES[argument]
