"""The fsspec file system against a real server: exact bytes, and the programs people use it from."""

from __future__ import annotations

import pickle
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import pytest

from logferry.errors import NotSignedIn
from logferry.fs import LogferryFileSystem
from tests.web.served import Served, served

RNG = random.Random(9)
NOISE = RNG.randbytes(5_000_000)
CSV = b"n,word\n" + b"".join(b"%d,word%d\n" % (i, i % 7) for i in range(50_000))
JSON = b"".join(b'{"n": %d, "level": "%s"}\n' % (i, b"error" if i % 5 == 0 else b"info") for i in range(10_000))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with files and an older generation."""
    with served(tmp_path_factory.mktemp("fs") / "data") as running:
        running.put("web-01", "noise.bin", NOISE)
        running.put("web-01", "csv/one.csv", CSV)
        running.put("web-01", "csv/two.csv", CSV)
        running.put("web-01", "json/app.log", JSON)
        running.put("web-01", "empty.log", b"")
        running.put("web-01", "odd/a b%0Ac#d.log", b"odd\n")
        running.put("web-01", "gen.log", b"first life\n")
        running.put("web-01", "gen.log", b"second\n")
        running.put("web-01", "tilde.log~1", b"really its name\n")
        running.put("db-01", "pg/pg.log", b"pg\n")
        yield running


def token_of(site: Served) -> str:
    return site.client.headers["Authorization"].removeprefix("Bearer ")


def options(site: Served) -> dict[str, object]:
    return {"token": token_of(site), "secure": False}


def url(site: Served, path: str) -> str:
    return site.url.replace("http://", "logferry://") + path


@pytest.fixture
def fs(site: Served) -> LogferryFileSystem:
    """The file system of the administrator."""
    return LogferryFileSystem(site.url.removeprefix("http://"), token_of(site), secure=False)


def test_it_is_found_by_its_protocol(site: Served) -> None:
    """fsspec knows it from the entry point of the package, host and port from the address."""
    with fsspec.open(url(site, "/web-01/noise.bin"), **options(site)) as file:
        assert file.read() == NOISE


def test_listings_facts_and_walks(fs: LogferryFileSystem) -> None:
    """ls, info, exists, glob, find and walk, as fsspec has them."""
    assert sorted(fs.ls("/", detail=False)) == ["/db-01", "/web-01"]
    assert set(fs.ls("/web-01/csv", detail=False)) == {"/web-01/csv/one.csv", "/web-01/csv/two.csv"}
    facts = fs.info("/web-01/csv/one.csv")
    assert (facts["type"], facts["size"], facts["generation"]) == ("file", len(CSV), 1)
    assert fs.info("/web-01/csv")["type"] == "directory"
    assert fs.isdir("/web-01/csv")
    assert fs.isfile("/web-01/empty.log")
    assert not fs.exists("/web-01/nothing")
    assert not fs.exists("/nobody")
    assert fs.glob("/web-01/**/*.csv") == ["/web-01/csv/one.csv", "/web-01/csv/two.csv"]
    assert fs.glob("/*/pg/*") == ["/db-01/pg/pg.log"]
    assert len([name for name in fs.find("/") if "/grow/" not in name]) == 9
    assert [name for _, _, files in fs.walk("/db-01") for name in files] == ["pg.log"]
    with pytest.raises(FileNotFoundError):
        fs.ls("/web-01/nothing")
    with pytest.raises(FileNotFoundError):
        fs.open("/web-01/nothing")
    with pytest.raises(IsADirectoryError):
        fs.open("/web-01/csv")


def test_any_range_has_the_exact_bytes(fs: LogferryFileSystem) -> None:
    """Random seeks through the block cache, and cat_file, from several threads at once."""

    def look(seed: int) -> None:
        rng = random.Random(seed)
        with fs.open("/web-01/noise.bin", block_size=64 * 1024) as file:
            for _ in range(20):
                start, count = rng.randrange(len(NOISE)), rng.choice([0, 1, 1000, 200_000])
                file.seek(start)
                assert file.read(count) == NOISE[start : start + count]
                assert fs.cat_file("/web-01/noise.bin", start, start + count) == NOISE[start : start + count]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))
    assert fs.cat("/web-01/empty.log") == b""
    assert fs.open("/web-01/empty.log").read() == b""
    assert fs.cat_file("/web-01/noise.bin", -10) == NOISE[-10:]
    assert fs.cat("/web-01/odd/a b%0Ac#d.log") == b"odd\n"


def test_older_generations_are_read_by_number(fs: LogferryFileSystem, site: Served) -> None:
    """By ?generation=, by ~, or for a whole file system; a real name with ~ comes first."""
    assert fs.cat("/web-01/gen.log") == b"second\n"
    assert fs.cat("/web-01/gen.log?generation=1") == b"first life\n"
    assert fs.cat("/web-01/gen.log~1") == b"first life\n"
    assert fs.cat("/web-01/gen.log~2") == b"second\n"
    assert fs.info("/web-01/gen.log~1")["size"] == 11
    assert fs.cat("/web-01/tilde.log~1") == b"really its name\n"
    with fsspec.open(url(site, "/web-01/gen.log~1"), **options(site)) as file:
        assert file.read() == b"first life\n"
    with pytest.raises(FileNotFoundError):
        fs.cat("/web-01/gen.log~9")
    older = LogferryFileSystem(site.url.removeprefix("http://"), token_of(site), secure=False, generation=1)
    assert older.cat("/web-01/gen.log") == b"first life\n"


def test_an_open_file_stays_as_long_as_it_was(site: Served, fs: LogferryFileSystem) -> None:
    """What arrives meanwhile is not seen, and does not shift anything."""
    site.put("web-01", "grow/x.log", b"one\n")
    with fs.open("/web-01/grow/x.log") as file:
        site.append("web-01", "grow/x.log", b"two\n")
        assert file.read() == b"one\n"
    assert fs.cat("/web-01/grow/x.log") == b"one\ntwo\n"


def test_nothing_is_written(fs: LogferryFileSystem) -> None:
    """Every change is refused."""
    changes: list[Callable[[], object]] = [
        lambda: fs.open("/web-01/new", "wb"),
        lambda: fs.rm("/web-01/noise.bin"),
        lambda: fs.mkdir("/web-01/new"),
        lambda: fs.pipe("/web-01/new", b""),
        lambda: fs.mv("/web-01/noise.bin", "/web-01/x"),
        lambda: fs.touch("/web-01/new"),
    ]
    for change in changes:
        with pytest.raises(PermissionError):
            change()


def test_a_scope_holds_here_too(site: Served) -> None:
    """What a token may not see is not there; a wrong token is told as such."""
    narrow = site.as_("narrow", scope=("db-*/**",))
    fs = LogferryFileSystem(
        site.url.removeprefix("http://"), narrow.headers["Authorization"].removeprefix("Bearer "), secure=False
    )
    assert fs.ls("/", detail=False) == ["/db-01"]
    assert not fs.exists("/web-01/noise.bin")
    with pytest.raises(NotSignedIn):
        LogferryFileSystem(site.url.removeprefix("http://"), "wrong", secure=False).ls("/")


def test_it_travels_to_other_processes(fs: LogferryFileSystem) -> None:
    """As Dask sends it to its workers."""
    again = pickle.loads(pickle.dumps(fs))
    assert again.cat("/db-01/pg/pg.log") == b"pg\n"


def test_pandas_reads_it(site: Served) -> None:
    """read_csv and read_json with an address."""
    table = pd.read_csv(url(site, "/web-01/csv/one.csv"), storage_options=options(site))
    assert (len(table), table["n"].sum()) == (50_000, sum(range(50_000)))
    lines = pd.read_json(url(site, "/web-01/json/app.log"), lines=True, storage_options=options(site))
    assert (lines["level"] == "error").sum() == 2_000


def test_duckdb_reads_it(site: Served, fs: LogferryFileSystem) -> None:
    """A registered file system answers SQL, wildcards included."""
    with duckdb.connect() as db:
        db.register_filesystem(fs)
        total = db.execute("select count(*), sum(n) from read_csv('logferry:///web-01/csv/*.csv')").fetchone()
        assert total == (100_000, 2 * sum(range(50_000)))
        errors = db.execute(
            f"select count(*) from read_json('{url(site, '/web-01/json/app.log')}', format='newline_delimited')"
            " where level = 'error'"
        ).fetchone()
        assert errors == (2_000,)


def test_dask_reads_it_in_pieces(site: Served) -> None:
    """A bag cut into blocks: every line once."""
    import dask
    import dask.bag

    bag = dask.bag.read_text(url(site, "/web-01/json/*.log"), blocksize=50_000, storage_options=options(site))  # type: ignore[no-untyped-call]
    assert bag.npartitions > 1
    with dask.config.set(scheduler="threads"):
        assert b"".join(line.encode() for line in bag.compute()) == JSON


def test_the_example_of_the_page_runs(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/taking-out.md shows under "From Python" works as it stands."""
    page = (Path(__file__).parent.parent.parent / "docs" / "taking-out.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert examples
    monkeypatch.setenv("LOGFERRY_URL", site.url)
    monkeypatch.setenv("LOGFERRY_TOKEN", token_of(site))
    LogferryFileSystem.clear_instance_cache()
    for example in examples:
        exec(compile(example, "taking-out.md", "exec"), {})
