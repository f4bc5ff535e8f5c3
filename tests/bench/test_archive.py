"""The archive's benchmark measures what it says: tried with a few files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from bench.archive import ours, peers, reads, repair, trees
from bench.archive.spent import Spent, told
from bench.figures import Options

from bench import archive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trees.Part:
    """Two megabytes of logs of every kind, by seed, and no corpus."""
    monkeypatch.delenv(trees.CORPUS, raising=False)
    (part,) = trees.parts(tmp_path / "trees", 2_000_000)
    return part


def test_generated_logs_are_the_same_each_time(tree: trees.Part, tmp_path: Path) -> None:
    """Every kind for every agent, by seed."""
    assert tree.kind == "generated"
    again = trees.generate(tmp_path / "again", 2_000_000)
    files = {(agent, path): file.read_bytes() for agent, path, file in tree.files()}
    assert 2_000_000 <= tree.bytes == sum(map(len, files.values())) <= 2_200_000
    assert files == {
        (path.relative_to(again).parts[0], str(path.relative_to(again / path.relative_to(again).parts[0]))): (
            path.read_bytes()
        )
        for path in again.rglob("*.log.*")
    }


def test_the_parts_of_a_corpus_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents whose names begin with node- are the real part; what else lies there is none."""
    for agent in ("agent01", "agent02", "node-a"):
        (tmp_path / "corpus" / agent / "sys").mkdir(parents=True)
        (tmp_path / "corpus" / agent / "sys" / "a.log").write_text(agent)
    (tmp_path / "corpus" / "MANIFEST.tsv").write_text("no log")
    monkeypatch.setenv(trees.CORPUS, str(tmp_path / "corpus"))
    found = {part.kind: part for part in trees.parts(tmp_path / "parts", 0)}
    assert [agent for agent, _, _ in found["grown"].files()] == ["agent01", "agent02"]
    assert [(agent, path) for agent, path, _ in found["real"].files()] == [("node-a", "sys/a.log")]
    assert found["real"].bytes == len("node-a")


def test_an_archive_is_sealed_verified_and_compacted_in_processes_of_their_own(
    tree: trees.Part, tmp_path: Path
) -> None:
    """All bytes are in segments, with an index; random reads give what the files hold."""
    data = tmp_path / "data"
    ours.fill(data, tree)
    sealed = told("bench.archive.ours", "seal", data)
    assert (sealed["raw_bytes"], sealed["segments"]) == (tree.bytes, 4)
    assert 0 < sealed["index_bytes"] < sealed["bytes"] < tree.bytes / 3
    assert sealed["cpu_s"] > 0
    assert sealed["peak_mb"] > 20
    assert told("bench.archive.ours", "verify", data)["wall_s"] > 0
    compacted = told("bench.archive.ours", "compact", data)
    assert compacted["raw_bytes"] == tree.bytes
    assert compacted["bytes"] < sealed["bytes"]
    found = reads.random_reads(data, 20) | reads.cold_reads(data, 3) | reads.seeks(data, 3)
    assert all(value > 0 for value in found.values())


def test_damage_ends_the_run(tree: trees.Part, tmp_path: Path) -> None:
    """There is no figure of verifying for an archive that is damaged."""
    data = tmp_path / "data"
    ours.fill(data, tree)
    ours.seal(data)
    segment = next((data / "store").rglob("*.zst"))
    content = bytearray(segment.read_bytes())
    content[1000] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(content)
    with pytest.raises(SystemExit, match="store/"):
        ours.verify(data)


def test_peers_hold_every_line(tree: trees.Part, tmp_path: Path) -> None:
    """zstd gives the bytes back, DuckDB and chdb (where it is installed) have as many lines as there are."""
    lines = sum(file.read_bytes().count(b"\n") for _, _, file in tree.files())
    for name in peers.here():
        out = tmp_path / name
        out.mkdir()
        found = told("bench.archive.peers", name, tree.root, out)
        assert 0 < found["bytes"] < tree.bytes
        if name == "zstd":
            assert len(list(out.rglob("*.zst"))) == len(list(tree.files()))
            assert reads.zstd_reads(out, 2)["read_p50_ms"] > 0
        else:
            assert abs(found["lines"] - lines) <= len(list(tree.files()))  # a last line may have no end


def test_a_catalog_that_is_built_anew_is_compared(tmp_path: Path) -> None:
    """What was there must be there again; else there is no figure."""
    data = tmp_path / "data"
    known = repair.prepare(data, 5)
    assert repair.rebuild(data, known)["wall_s"] > 0
    (path, told_of), *_ = known.items()
    with pytest.raises(SystemExit, match="differs"):
        repair.rebuild(data, known | {path: (told_of[0] + 1, told_of[1])})


def test_a_program_that_fails_says_why() -> None:
    """Its last words are in the error."""
    with pytest.raises(SystemExit, match="no_such_module"):
        told("bench.no_such_module")


def test_spent_counts_from_its_making_on() -> None:
    """And carries what else there is to say."""
    result = Spent().result(bytes=7.0)
    assert result["bytes"] == 7.0
    assert 0 <= result["cpu_s"] < 60
    assert json.loads(json.dumps(result)) == result


def test_the_whole_benchmark_gives_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, small: disk, sealing, reading, verifying, repair."""
    monkeypatch.delenv(trees.CORPUS, raising=False)
    monkeypatch.setattr(archive, "QUICK_BYTES", 1_000_000)
    monkeypatch.setattr(peers, "here", lambda: ["zstd"] if shutil.which("zstd") else [])
    found, raw = archive.measure(tmp_path, Options(quick=True))
    names = {figure.id for figure in found}
    assert {"archive-disk-generated", "archive-seal-generated", "archive-seal-memory-generated"} <= names
    assert {"archive-read-p50", "archive-read-p99", "archive-cold-p99", "archive-seek-p50", "archive-open-p50"} <= names
    assert {"archive-verify-generated", "archive-repair-1000", "archive-read-cpu-p99"} <= names
    if peers.here():
        shares = {figure.id: figure for figure in found if "-share-" in figure.id}
        assert {name: round(figure.target, 3) for name, figure in shares.items()} == {
            "archive-disk-sealed-share-generated": 1.245,
            "archive-disk-share-generated": 1.137,
        }
    assert raw["parts"]["generated"]["bytes"] >= 1_000_000
