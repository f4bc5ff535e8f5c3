"""What the commands that search make of an answer's account."""

from __future__ import annotations

import pytest

from logferry.cli import failures
from logferry.cli.asking import code, tell_errors

DONE = {"reason": "complete", "errors": [], "remarks": []}


def test_what_was_not_searched_is_trouble_and_a_remark_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Both are told; a search that found everything ends as one without remarks."""
    remarked = DONE | {"remarks": ["segment 7.idx is damaged; searched without it"]}
    assert (code(remarked, 1), code(remarked, 0)) == (failures.OK, failures.NOTHING)
    assert code(DONE | {"errors": ["a/b.log: gone"]}, 1) == failures.PARTIAL
    tell_errors(remarked)
    told = capsys.readouterr().err
    assert "searched without it" in told
    assert "not searched" not in told
