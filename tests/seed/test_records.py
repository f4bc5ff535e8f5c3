"""The older agent's record of uploads."""

from __future__ import annotations

import pytest

from logferry.errors import BadConfig
from logferry.seed.records import below, recorded


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("c:\\Works\\x\\AgentLogs\\Logs\\a.txt", "Logs/a.txt"),
        ("c:\\works\\agentlogs\\a.txt", "a.txt"),
        ("/opt/AgentLogs/Logs//a.txt", "Logs/a.txt"),
        ("/opt/Other/a.txt", None),
        ("/opt/AgentLogs", None),
        ("/opt/AgentLogs/../a.txt", None),
        ("", None),
    ],
)
def test_a_path_counts_from_the_folder_of_logs_wherever_that_was(path: str, inner: str | None) -> None:
    """Windows paths too, in any case."""
    assert below(path, "./AgentLogs") == inner


@pytest.mark.parametrize("raw", [b"", b"{}", b'["a"', b"[" * 100_000])
def test_a_damaged_record_is_named(raw: bytes) -> None:
    """It was often cut by a crash; then the older agent did not start."""
    with pytest.raises(BadConfig, match=r"uploadRcd\.json"):
        recorded(raw, "uploadRcd.json")


def test_only_texts_count() -> None:
    """Anything else in the list is no path."""
    assert recorded(b'["a", 1, null, "b"]', "r") == ["a", "b"]
