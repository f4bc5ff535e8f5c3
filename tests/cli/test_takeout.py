"""``logferry get -o x.zip`` and ``logferry export`` as a person calls them."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from logferry.takeout import LineRow, from_ndjson
from tests.cli.conftest import ESCAPES, LINES, Shipped
from tests.takeout.packs import contents

WHOLE = ("\n".join(LINES) + "\n").encode()


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.zst"])
def test_a_folder_comes_as_one_archive(shipped: Shipped, tmp_path: Path, form: str) -> None:
    """Every file is in it, the account says so, and no temporary file is left."""
    target = tmp_path / "out" / f"x.{form}"
    done = shipped.site.logferry("get", f"web-01:/{shipped.home}", "-o", str(target), "--json")
    assert done.code == 0, done.err
    account = json.loads(done.out)
    found = contents(form, target.read_bytes())  # type: ignore[arg-type]
    assert found[f"web-01/{shipped.home}/app.log"] == WHOLE
    assert found[f"web-01/{shipped.home}/escapes.log"] == ESCAPES
    assert found[f"web-01/{shipped.home}/empty.log"] == b""
    assert account["files"] == account["sha256_compared"] == len(found) - 1
    assert [p.name for p in target.parent.iterdir()] == [target.name]


def test_an_archive_that_is_here_is_not_replaced_unasked(shipped: Shipped, tmp_path: Path) -> None:
    """--force does."""
    target = tmp_path / "x.zip"
    target.write_bytes(b"mine")
    place = f"web-01:/{shipped.home}"
    done = shipped.site.logferry("get", place, "-o", str(target))
    assert (done.code, target.read_bytes()) == (2, b"mine")
    assert shipped.site.logferry("get", place, "-o", str(target), "--force").code == 0
    assert zipfile.is_zipfile(target)


def test_one_file_goes_into_a_zip_only_when_asked(shipped: Shipped, tmp_path: Path) -> None:
    """Else a file named x.zip is the file itself."""
    target = tmp_path / "x.zip"
    assert shipped.site.logferry("get", shipped.place("app.log"), "-o", str(target)).code == 0
    assert target.read_bytes() == WHOLE
    assert shipped.site.logferry("get", "-r", "-f", shipped.place("app.log"), "-o", str(target)).code == 0
    assert contents("zip", target.read_bytes())[f"web-01/{shipped.home}/app.log"] == WHOLE


@pytest.mark.parametrize("place", ["web-01:/nothing", "nobody:/"])
def test_nothing_there_is_said(shipped: Shipped, tmp_path: Path, place: str) -> None:
    """Exit code 1, and no file."""
    for command in (["get", place, "-o", str(tmp_path / "x.zip")], ["export", place, "-o", str(tmp_path / "x")]):
        done = shipped.site.logferry(*command)
        assert (done.code, list(tmp_path.iterdir())) == (1, []), done.err


def test_export_gives_back_the_bytes(shipped: Shipped, tmp_path: Path) -> None:
    """NDJSON and Parquet of a folder: the rows of a file, joined, are the file."""
    ndjson, parquet = tmp_path / "x.ndjson", tmp_path / "x.parquet"
    place = f"web-01:/{shipped.home}"
    assert shipped.site.logferry("export", place, "-o", str(ndjson)).code == 0
    assert shipped.site.logferry("export", place, "--format", "parquet", "-o", str(parquet)).code == 0
    rows = [row for row in from_ndjson(ndjson.read_bytes().split(b"\n")) if isinstance(row, LineRow)]
    table = pq.read_table(parquet)
    for name, data in (("app.log", WHOLE), ("escapes.log", ESCAPES)):
        path = f"{shipped.home}/{name}"
        assert b"".join(row.raw for row in rows if row.path == path) == data
        pairs = zip(table["path"].to_pylist(), table["raw"].to_pylist(), strict=True)
        assert b"".join(raw for p, raw in pairs if p == path) == data
    assert shipped.site.logferry("export", place, "-o", str(ndjson)).code == 2


def test_export_takes_a_query_and_writes_to_a_pipe(shipped: Shipped) -> None:
    """What `find` finds, line by line, to standard output."""
    done = shipped.site.logferry("export", "file:app.log")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["line"] for row in rows] == list(range(1, 501))
    assert rows[120]["text"] == LINES[120] + "\n"
    assert rows[120]["time"] == "2026-11-23T08:02:01Z"
    assert shipped.site.logferry("export", "level:error").code == 2


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    """A clear error before anything is written."""
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from logferry.takeout.parquet import to_parquet\n"
        "from logferry.errors import Refused\n"
        "try: to_parquet([])\n"
        "except Refused as error: print(error)\n"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "logferry[analytics]" in done.stdout
