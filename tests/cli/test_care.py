"""Verify, repair, retention and hold, on the archive itself: no server runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.cli.main import run
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_seal import seal

Logferry = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive of a year ago: two sealed files, one live."""
    folder = tmp_path / "data"
    folder.mkdir()
    shelf = Shelf(folder)
    shelf.put("var/log/a.log", log_text(400_000, 1))
    shelf.put("srv/b.log", log_text(400_000, 2))
    seal(shelf)
    shelf.put("var/log/live.log", b"live\n")
    shelf.close()
    return folder


@pytest.fixture
def logferry(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Logferry:
    """Run a command on that archive: (exit code, standard output, standard error)."""
    monkeypatch.chdir(root.parent)
    (root.parent / "server.toml").write_text(
        f'archive.root = "{root}"\n[[retention]]\nmatch = "*/var/log/**"\nkeep = "90d"\n'
    )

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def segment(root: Path) -> Path:
    """The only one."""
    (found,) = (root / "store").rglob("*.zst")
    return found


@pytest.mark.parametrize("how", [(), ("--all",), ("--quick",), ("--sample", "100%"), ("--time", "10m")])
def test_a_sound_archive_verifies(logferry: Logferry, how: tuple[str, ...]) -> None:
    code, out, err = logferry("verify", *how)
    assert (code, out) == (0, "")
    assert "nothing damaged" in err


def test_damage_is_told_with_its_place_and_paths_and_exit_code_4(logferry: Logferry, root: Path) -> None:
    data = bytearray(segment(root).read_bytes())
    data[20_000] ^= 1
    segment(root).write_bytes(data)
    code, out, err = logferry("verify")
    assert code == 4
    assert f"store/{segment(root).relative_to(root / 'store')} frame 0" in out
    assert f"{AGENT}:/" in out
    assert "1 damaged" in err
    code, out, _ = logferry("verify", "--json")
    *found, sums = map(json.loads, out.splitlines())
    assert (code, sums["damaged"], found[0]["kind"], found[0]["frame"]) == (4, 1, "frame", 0)
    code, out, err = logferry("verify", "--quick")  # which would not find it, and knows of it
    assert (code, "1 damaged" in err, "not well since" in out) == (4, True, True)


@pytest.mark.parametrize("wrong", [("--quick", "--all"), ("--sample", "0"), ("--sample", "x"), ("--time", "soon")])
def test_wrong_wishes_are_refused(logferry: Logferry, wrong: tuple[str, ...]) -> None:
    assert logferry("verify", *wrong)[0] == 2


def test_a_lost_catalog_is_repaired(logferry: Logferry, root: Path) -> None:
    before = Shelf(root)
    expected = before.everything()
    before.close()
    for path in root.glob("catalog.db*"):
        path.unlink()
    code, _, err = logferry("verify")
    assert code == 1
    assert "logferry repair" in err
    code, out, _ = logferry("repair", "--dry-run")
    assert (code, list(root.glob("catalog.db*"))) == (0, [])
    assert f"{AGENT}: 3 files, 3 generations" in out
    assert logferry("repair")[0] == 0
    after = Shelf(root)
    assert after.everything() == expected
    after.close()
    assert logferry("verify")[0] == 0
    assert logferry("repair")[:2] == (0, "")
    assert logferry("repair", "--rebuild")[0] == 0
    assert len(list(root.glob("catalog.db.old-*"))) >= 1
    assert logferry("verify")[0] == 0


def test_indexes_are_built_told_and_mended(logferry: Logferry, root: Path) -> None:
    code, out, err = logferry("reindex")
    assert (code, out) == (0, "")
    assert "1 indexes built" in err
    assert logferry("reindex")[0] == 0
    assert "every segment has its index" in logferry("reindex")[2]
    (index,) = (root / "store").rglob("*.idx")
    index.write_bytes(index.read_bytes()[:-1])
    code, out, err = logferry("verify")
    assert (code, out.startswith("note  index  store/")) == (0, True)
    assert "nothing damaged, 1 other findings" in err
    code, out, err = logferry("repair")
    assert (code, out.startswith("mended  index  store/")) == (0, True)
    assert "nothing stays damaged" in err
    assert logferry("verify")[:2] == (0, "")
    code, out, _ = logferry("reindex", "--all", "--json")
    one, sums = map(json.loads, out.splitlines())
    assert (code, one["problem"], one["agent"]) == (0, "", AGENT)
    assert (sums["built"], sums["failed"], sums["bytes"]) == (1, 0, one["bytes"])


def test_an_index_that_cannot_be_built_is_told_with_exit_code_4(logferry: Logferry, root: Path) -> None:
    data = bytearray(segment(root).read_bytes())
    data[20_000] ^= 1
    segment(root).write_bytes(data)
    code, out, err = logferry("reindex")
    assert code == 4
    assert out.startswith("failed  ")
    assert "frame 0" in out
    assert "1 could not be built" in err


def test_repair_tells_what_stays_lost(logferry: Logferry, root: Path) -> None:
    segment(root).unlink()
    code, out, _ = logferry("repair")
    assert code == 4
    assert "is missing" in out


def test_the_preview_is_what_the_run_deletes(logferry: Logferry, root: Path) -> None:
    code, preview, _ = logferry("retention", "preview", "--json")
    assert code == 0
    assert sorted(json.loads(line)["path"] for line in preview.splitlines()) == ["var/log/a.log", "var/log/live.log"]
    assert logferry("retention", "log")[0] == 1
    assert logferry("retention", "run", "--json")[:2] == (0, preview)
    assert logferry("retention", "run")[0] == 1
    code, out, _ = logferry("retention", "log")
    assert code == 0
    assert "*/var/log/** keep 90d" in out
    assert len(logferry("retention", "log", "--json")[1].splitlines()) == 2
    shelf = Shelf(root)
    assert sorted(shelf.everything()) == ["srv/b.log"]
    shelf.close()


def test_without_rules_nothing_is_deleted_and_that_is_said(logferry: Logferry, root: Path) -> None:
    (root.parent / "server.toml").write_text(f'archive.root = "{root}"\n')
    code, _, err = logferry("retention", "run")
    assert code == 1
    assert "nothing is ever deleted" in err


def test_holds_are_made_shown_and_ended(logferry: Logferry) -> None:
    assert logferry("hold", "list")[0] == 1
    assert logferry("hold", "add", "web-*/var/log/a.log", "--reason", "case 4711")[0] == 0
    assert "case 4711" in logferry("hold", "list")[1]
    assert json.loads(logferry("hold", "list", "--json")[1])["glob"] == "web-*/var/log/a.log"
    preview = logferry("retention", "preview", "--json")[1]
    assert [json.loads(line)["path"] for line in preview.splitlines()] == ["var/log/live.log"]
    assert logferry("hold", "remove", "1")[0] == 0
    assert logferry("hold", "remove", "1")[0] == 1
    assert len(logferry("retention", "preview", "--json")[1].splitlines()) == 2
    assert logferry("retention", "run")[0] == 0
    noted = [json.loads(line) for line in logferry("audit", "list", "--json")[1].splitlines()]
    assert [(row["action"], row["via"]) for row in noted] == [
        ("retention.run", "command line"), ("hold.end", "command line"), ("hold.add", "command line"),
    ]  # fmt: skip
    assert noted[1]["target"] == "web-*/var/log/a.log"
    assert noted[0]["detail"]["generations"] == 2
