"""``logferry backup`` and ``logferry restore``, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.archive.conftest import Shelf
from tests.cli.test_care import Logferry, logferry, root, segment

__all__ = ["logferry", "root"]


def listed(call: Logferry) -> list[dict[str, object]]:
    """What ``list --json`` says."""
    return [json.loads(line) for line in call("backup", "list", "--json")[1].splitlines()]


def test_a_backup_is_taken_listed_verified_and_restored(logferry: Logferry, root: Path) -> None:
    settings = root.parent / "server.toml"
    settings.write_text(settings.read_text() + f'[backup]\nto = "{root.parent / "backups"}"\n')
    (root / "tls").mkdir()
    (root / "tls" / "key.pem").write_bytes(b"key\n")
    shelf = Shelf(root)
    whole = shelf.everything()
    shelf.close()
    code, out, err = logferry("backup", "make")
    assert (code, out) == (0, "")
    assert "3 files of 1 agents" in err
    assert logferry("backup", "make")[0] == 0
    code, out, err = logferry("backup", "list")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 3
    first, second = listed(logferry)
    assert (first["whole"], first["files"], second["new_objects"]) == (True, 3, 0)
    code, out, err = logferry("backup", "verify")
    assert (code, out) == (0, "")
    assert "2 backups" in err
    assert "nothing damaged" in err
    settings.write_text(settings.read_text().replace(str(root) + '"', str(root) + '-restored"'))
    code, out, err = logferry("restore")
    assert (code, out) == (0, "")
    assert "3 files" in err
    there = root.parent / "data-restored"
    assert (there / "tls/key.pem").read_bytes() == b"key\n"
    assert "[backup]" in (there / "server.toml.backup").read_text()
    code, out, err = logferry("verify")
    assert (code, out) == (0, "")
    other = Shelf(there)
    assert other.everything() == whole
    other.close()
    code, _, err = logferry("restore")
    assert code == 2
    assert "already" in err


def test_what_is_damaged_is_named_with_exit_code_4(logferry: Logferry, root: Path) -> None:
    place = str(root.parent / "backups")
    segment(root).write_bytes(segment(root).read_bytes()[:-1] + b"?")
    code, out, _ = logferry("backup", "make", place)
    assert code == 4
    assert str(segment(root).relative_to(root)) in out
    code, out, _ = logferry("backup", "verify", place)
    assert code == 4
    assert "store/" in out
    assert logferry("backup", "verify", place, "--quick")[0] == 0


def test_older_backups_are_thinned_out(logferry: Logferry, root: Path) -> None:
    place = str(root.parent / "backups")
    for _ in range(3):
        assert logferry("backup", "make", place, "--keep", "2", "--without-keys")[0] == 0
    whole = [one["name"] for one in map(json.loads, logferry("backup", "list", place, "--json")[1].splitlines())]
    assert len(whole) == 2
    assert logferry("backup", "prune", place, "--keep", "1")[0] == 0
    (left,) = map(json.loads, logferry("backup", "list", place, "--json")[1].splitlines())
    assert left["name"] == whole[1]


def test_a_backup_that_cannot_be_read_any_more_is_named(logferry: Logferry, root: Path) -> None:
    place = str(root.parent / "backups")
    for _ in range(2):
        assert logferry("backup", "make", place)[0] == 0
    (note, _) = sorted((root.parent / "backups").rglob("backup.json"))
    note.write_bytes(b"{")
    name = note.parent.name
    _, out, err = logferry("backup", "list", place)
    assert f"{name} " not in out
    assert f"{name} cannot be read" in err
    assert json.loads(logferry("backup", "list", place, "--json")[1].splitlines()[1])["name"] == name
    code, out, err = logferry("backup", "verify", place)
    assert code == 4
    assert f"backups/{name}/backup.json" in out
    assert "1 damaged" in err
    code, _, err = logferry("backup", "prune", place, "--keep", "1")
    assert code == 4
    assert name in err
    assert note.exists()


@pytest.mark.parametrize("command", [("repair",), ("repair", "--rebuild"), ("retention", "run"), ("reindex",)])
def test_nothing_works_on_an_archive_that_is_being_restored(
    logferry: Logferry, root: Path, command: tuple[str, ...]
) -> None:
    (root / "restore.json").write_text("{}")
    code, _, err = logferry(*command)
    assert code == 2
    assert "logferry restore" in err


@pytest.mark.parametrize("command", [("make",), ("list",), ("verify",), ("prune", "--keep", "1")])
def test_without_a_place_it_says_how_to_name_one(logferry: Logferry, command: tuple[str, ...]) -> None:
    code, _, err = logferry("backup", *command)
    assert code == 2
    assert "[backup]" in err


@pytest.mark.parametrize("command", [("backup", "list"), ("backup", "verify"), ("restore",)])
def test_a_place_without_backups_is_said(logferry: Logferry, root: Path, command: tuple[str, ...]) -> None:
    (root.parent / "empty").mkdir()
    code, _, err = logferry(*command, str(root.parent / "empty"))
    assert code == 1
    assert "no backups" in err
    code, _, err = logferry(*command, str(root.parent / "nowhere"))
    assert code == 2
    assert "no folder" in err


def test_damage_is_told_by_every_backup_with_exit_code_4(logferry: Logferry, root: Path) -> None:
    place = str(root.parent / "backups")
    whole = segment(root).read_bytes()
    segment(root).write_bytes(whole[:-1] + b"?")
    for _ in range(2):
        code, out, _ = logferry("backup", "make", place)
        assert code == 4
        assert out.startswith("damaged  ")
    segment(root).write_bytes(whole)
    assert logferry("backup", "make", place)[0] == 0
    assert logferry("backup", "verify", place)[0] == 0


def test_a_place_that_a_dead_machine_holds_is_taken_over_with_force(logferry: Logferry, root: Path) -> None:
    place = root.parent / "backups"
    assert logferry("backup", "make", str(place))[0] == 0
    lock = place / "lock.json"
    for command in (("make",), ("prune", "--keep", "1")):
        lock.write_text('{"key": "0", "owner": "process 7 on db\\u001b[2J-07", "since_ns": 1760000000000000000}')
        code, _, err = logferry("backup", *command, str(place))
        assert code == 2
        assert "db" in err
        assert "\x1b" not in err
        assert "2025-10-09" in err
        assert logferry("backup", *command, str(place), "--force")[0] == 0
        assert not lock.exists()


def test_what_is_wrong_with_older_backups_is_a_note_and_not_damage_of_the_archive(
    logferry: Logferry, root: Path
) -> None:
    place = root.parent / "backups"
    for _ in range(2):
        assert logferry("backup", "make", str(place))[0] == 0
    (first, _) = sorted(place.rglob("objects.zst"))
    first.unlink()
    (place / "backups/20000101T000000Z").mkdir()
    (place / "backups/20000101T000000Z/begun.json").write_text("{}")
    code, out, _ = logferry("backup", "make", str(place))
    assert code == 4
    assert out.startswith("note  ")
    assert "damaged" not in logferry("backup", "list", str(place))[1].splitlines()[-1]
