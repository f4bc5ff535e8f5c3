"""docs/reference/timestamps.md says what is recognised."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

from logferry.archive.timestamps import Evidence, Reading, Zone
from logferry.archive.timestamps.formats import FORMATS, KEYS
from logferry.archive.timestamps.reference import JSON_REACH, REACH, times_of
from tests.archive.timestamps.test_reference import NOON, ns

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "timestamps.md").read_text()


def test_the_table_is_the_table_of_formats() -> None:
    """Row by row, with every example and what it means (which test_reference.py shows)."""
    rows = re.findall(
        r"^\| ([^|`]*) \| `([^`]+)` \| `([^`]+)` \| ([^|]*) \|$", PAGE.replace("|  |", "|   |"), re.MULTILINE
    )
    wanted = [
        (form.name if number == 0 else "", text, time, form.place.value if number == 0 else "")
        for form in FORMATS
        for number, (text, time) in enumerate(form.examples)
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == wanted


def test_keys_and_reaches_are_those_of_the_code() -> None:
    assert ", ".join(f"`{key.decode()}`" for key in KEYS) + "." in PAGE
    assert f"first {REACH} bytes" in PAGE
    assert f"{JSON_REACH:,} bytes" in PAGE


def test_changes_of_the_clock_are_told_as_said() -> None:
    berlin = Reading(NOON.arrival_ns, Zone.of(ZoneInfo("Europe/Berlin")))
    rows = re.findall(r"\| `([^`]+)` is `([^`]+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) == 2
    for text, wanted in rows:
        assert times_of([text.encode()], berlin, Evidence.none())[0][0] == ns(wanted)
