"""Names at which lost uploads may have left something: known until they are removed, also to the next agent."""

from __future__ import annotations

from pathlib import Path

from logferry.agent.leftovers import Leftovers
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.limits import LEFTOVERS_OF_A_FILE_MAX


def _registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry.db", 1)
    registry.apply([Row(7, b"/var/log/a", "var/log/a", "", State.NEW, 1, 0)], now_ns=1)
    return registry


def test_what_was_noted_is_known_to_the_next_agent_until_it_is_removed(tmp_path: Path) -> None:
    """One of which it is only known that it was begun counts as lost from then on."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    assert not left
    left.note(7, "logs/.~a", lost=True)
    left.note(7, "logs/.~b", lost=False)
    assert left.lost(7) == 1
    registry.close()
    registry = Registry(tmp_path / "registry.db", 2)
    left = Leftovers(registry)
    assert (left.rows(), sorted(left.of(7)), left.lost(7)) == ([7], ["logs/.~a", "logs/.~b"], 2)
    left.removed(7, "logs/.~a")
    assert left.of(7) == ["logs/.~b"]
    left.removed(7, "logs/.~b")
    assert not left
    assert not Leftovers(registry)
    registry.close()


def test_what_is_begun_again_and_then_lost_is_one_name(tmp_path: Path) -> None:
    """And stays lost, whatever is begun there afterwards."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    for lost in (False, True, False):
        left.note(7, "logs/.~a", lost=lost)
    assert (left.of(7), left.lost(7)) == (["logs/.~a"], 1)
    registry.close()


def test_a_row_that_is_gone_takes_its_names_with_it(tmp_path: Path) -> None:
    """What lies there may be all that is left of its file: it stays on the server."""
    registry = _registry(tmp_path)
    Leftovers(registry).note(7, "logs/.~a", lost=True)
    registry.apply(remove=[7], now_ns=2)
    assert not Leftovers(registry)
    left = Leftovers(registry)
    left.note(8, "logs/.~b", lost=True)
    left.forget(8)
    assert not left
    registry.close()


def test_a_file_whose_connections_are_lost_for_ever_takes_so_many_names(tmp_path: Path) -> None:
    """Then it takes the last one again."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    for number in range(2 * LEFTOVERS_OF_A_FILE_MAX):
        left.note(7, f"logs/.~{number}", lost=True)
    assert left.lost(7) == LEFTOVERS_OF_A_FILE_MAX
    registry.close()


def test_a_registry_that_cannot_be_written_knows_them_for_this_run(tmp_path: Path) -> None:
    """Sending goes on."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    with registry.using() as db:
        db.execute("PRAGMA query_only=1")
    left.note(7, "logs/.~a", lost=True)
    assert left.of(7) == ["logs/.~a"]
    with registry.using() as db:
        db.execute("PRAGMA query_only=0")
    registry.close()
