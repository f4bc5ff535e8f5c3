"""The bounds stand in one place and fit one another."""

from __future__ import annotations

from logferry import limits


def test_every_bound_is_a_positive_number() -> None:
    """No bound is left out by being zero or negative."""
    bounds = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert bounds
    assert all(isinstance(value, (int, float)) and value > 0 for value in bounds.values())
