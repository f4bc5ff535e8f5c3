"""A whole round trip, small; `make roundtrip` makes it with 2 GB."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bench.archive.trees import Part, generate

from tests.voyage.roundtrip import restore, run


@pytest.mark.slow
def test_every_file_comes_back_from_sealed_and_from_compacted_segments(tmp_path: Path) -> None:
    """By the reader, by ``zstd -d`` and the manifest, over FTP with REST, over HTTP in ranges: the same SHA-256."""
    root = generate(tmp_path / "tree", 3_000_000)
    for agent in ("gen-02", "gen-03"):  # two are enough here
        shutil.rmtree(root / agent)
    (root / "gen-00" / "odd").mkdir()
    (root / "gen-00" / "odd" / "empty.log").touch()
    (root / "gen-00" / "odd" / "binär.log").write_bytes(bytes(range(256)) * 50)
    (tmp_path / "server").mkdir()
    said: list[str] = []
    found = run(tmp_path / "server", Part("generated", root, 0), 7, said.append)
    assert len(found) == 10, said
    assert all(told.right == told.wanted > 10 for told in found), said


@pytest.mark.skipif(not shutil.which("zstd"), reason="needs the zstd program")
def test_restoring_without_logferry_does_not_hide_damage(tmp_path: Path) -> None:
    """A segment that zstd refuses ends the restoring."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "bad.zst").write_bytes(b"no frame")
    with pytest.raises(Exception, match="zstd"):
        restore(tmp_path / "store", tmp_path / "out")
