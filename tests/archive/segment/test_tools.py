"""Others read a segment without Logferry: the zstd program, and readers of the seekable format."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import indexed_zstd
import pytest
import pyzstd

from tests.archive.segment.making import Made, log_text, make


@pytest.fixture(scope="module")
def made() -> Made:
    return make([log_text(300_000), log_text(5_000, 2), b"no line end", b"\x00" * 70_000], frame_bytes=20_000)


@pytest.fixture(scope="module")
def file(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segment") / "one.zst"
    path.write_bytes(made.data)
    return path


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
def test_the_zstd_program_restores_the_content(made: Made, file: Path) -> None:
    done = subprocess.run(["zstd", "-dc", str(file)], capture_output=True, check=True)
    assert done.stdout == made.content
    assert subprocess.run(["zstd", "-tq", str(file)], check=False).returncode == 0


def test_readers_of_the_seekable_format_jump_in_a_segment(made: Made, file: Path) -> None:
    dice = random.Random(8)
    with pyzstd.SeekableZstdFile(file, "r") as reference:
        other = indexed_zstd.IndexedZstdFile(str(file))
        for _ in range(100):
            start, count = dice.randrange(len(made.content)), dice.randrange(1, 50_000)
            for reader in (reference, other):
                reader.seek(start)
                assert reader.read(count) == made.content[start : start + count]
        other.close()


def test_segments_behind_each_other_are_a_zstd_file_too(made: Made, tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("the zstd program is not installed")
    both = tmp_path / "both.zst"
    both.write_bytes(made.data * 2)
    assert subprocess.run(["zstd", "-dc", str(both)], capture_output=True, check=True).stdout == made.content * 2
