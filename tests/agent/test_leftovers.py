"""Names at which lost uploads may have left something: known until they are removed, also to the next agent."""

from __future__ import annotations

from pathlib import Path

from logferry.agent.leftovers import FileKey, Leftovers
from logferry.agent.registry import Registry
from logferry.limits import LEFTOVERS_OF_A_FILE_MAX

_FILE = FileKey((1 << 64) - 1, 3)  # some file systems use all bits


def _registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry.db", 1)


def test_what_was_noted_is_known_to_the_next_agent_until_it_is_removed(tmp_path: Path) -> None:
    """One of which it is only known that it was begun counts as lost from then on."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    assert not left
    left.note(_FILE, "logs/.~a", lost=True)
    left.note(_FILE, "logs/.~b", lost=False)
    assert left.lost(_FILE) == 1
    registry.close()
    registry = Registry(tmp_path / "registry.db", 2)
    left = Leftovers(registry)
    assert (left.files(), sorted(left.of(_FILE)), left.lost(_FILE)) == ([_FILE], ["logs/.~a", "logs/.~b"], 2)
    left.removed(_FILE, "logs/.~a")
    assert left.of(_FILE) == ["logs/.~b"]
    left.removed(_FILE, "logs/.~b")
    assert not left
    assert not Leftovers(registry)
    registry.close()


def test_what_is_begun_again_and_then_lost_is_one_name(tmp_path: Path) -> None:
    """And stays lost, whatever is begun there afterwards."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    for lost in (False, True, False):
        left.note(_FILE, "logs/.~a", lost=lost)
    assert (left.of(_FILE), left.lost(_FILE)) == (["logs/.~a"], 1)
    registry.close()


def test_what_is_forgotten_is_forgotten_for_good(tmp_path: Path) -> None:
    """The file is gone; what lies there may be all that is left of it, and stays on the server."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    other = FileKey(2, 0)
    left.note(_FILE, "logs/.~a", lost=True)
    left.note(other, "logs/.~b", lost=True)
    left.forget(_FILE)
    assert left.files() == [other]
    assert Leftovers(registry).files() == [other]
    registry.close()


def test_a_file_whose_connections_are_lost_for_ever_takes_so_many_names(tmp_path: Path) -> None:
    """Then it takes the last one again."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    for number in range(2 * LEFTOVERS_OF_A_FILE_MAX):
        left.note(_FILE, f"logs/.~{number}", lost=True)
    assert left.lost(_FILE) == LEFTOVERS_OF_A_FILE_MAX
    registry.close()


def test_a_registry_that_cannot_be_written_knows_them_for_this_run(tmp_path: Path) -> None:
    """Sending goes on."""
    registry = _registry(tmp_path)
    left = Leftovers(registry)
    with registry.using() as db:
        db.execute("PRAGMA query_only=1")
    left.note(_FILE, "logs/.~a", lost=True)
    assert left.of(_FILE) == ["logs/.~a"]
    with registry.using() as db:
        db.execute("PRAGMA query_only=0")
    registry.close()
