"""What every store promises: the same tests for a directory, a bucket, and a bucket behind a cache."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.durable import Disk
from logferry.archive.index.version import VERSION
from logferry.archive.index_making import MakerHere
from logferry.archive.store import BucketSettings, BucketStore, CachedStore, LocalStore, Store, checked_object_name
from logferry.errors import BadConfig, BadName, Conflict, Full, NotFound, Unreachable
from logferry.limits import STORE_BLOCK_BYTES
from tests.archive.store import weed as weeds
from tests.archive.store.weed import Weed

DATA = bytes(range(256)) * 12_000  # three megabytes


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with weeds.running(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture(params=["local", "bucket", "cached"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "local":
        made = LocalStore(str(tmp_path / "store"))
    else:
        running: Weed = request.getfixturevalue("weed")
        made = BucketStore(running.settings(f"tests/{time.monotonic_ns()}"))
        if request.param == "cached":
            made = CachedStore(made, str(tmp_path / "cache"), 8 * STORE_BLOCK_BYTES)
    yield made
    made.close()


def _parts(data: bytes, step: int = 300_000) -> Iterator[bytes]:
    for at in range(0, len(data), step):
        yield data[at : at + step]


def test_an_object_is_read_back_by_any_range(store: Store) -> None:
    assert store.put("web-01/2026/a.zst", _parts(DATA)) == len(DATA)
    assert store.size("web-01/2026/a.zst") == len(DATA)
    for offset, count in [(0, 10), (0, len(DATA)), (5, 2_000_000), (len(DATA) - 3, 3), (1_048_570, 20)]:
        assert store.read("web-01/2026/a.zst", offset, count) == DATA[offset : offset + count]


def test_a_range_beyond_the_end_gives_what_there_is(store: Store) -> None:
    store.put("a", [b"0123456789"])
    assert store.read("a", 8, 100) == b"89"
    assert store.read("a", 10, 5) == b""
    assert store.read("a", 500, 5) == b""
    assert store.read("a", 3, 0) == b""


def test_an_empty_object_is_one(store: Store) -> None:
    assert store.put("empty", []) == 0
    assert store.size("empty") == 0
    assert store.read("empty", 0, 10) == b""


def test_an_object_is_never_written_twice(store: Store) -> None:
    store.put("once", [b"first"])
    with pytest.raises(Conflict):
        store.put("once", [b"second"])
    assert store.read("once", 0, 10) == b"first"


def test_what_is_not_there_is_not_found(store: Store) -> None:
    assert store.size("nothing/here") is None
    with pytest.raises(NotFound, match="nothing/here"):
        store.read("nothing/here", 0, 1)
    store.remove("nothing/here")


def test_a_removed_object_is_gone(store: Store) -> None:
    store.put("x/y", [b"data"])
    assert store.read("x/y", 0, 4) == b"data"
    store.remove("x/y")
    assert store.size("x/y") is None
    with pytest.raises(NotFound):
        store.read("x/y", 0, 4)
    store.put("x/y", [b"again"])
    assert store.read("x/y", 0, 9) == b"again"


def test_objects_are_listed_by_name_below_a_folder(store: Store) -> None:
    before_ns = time.time_ns() - 60 * 10**9
    names = ["b/2.zst", "a/1.zst", "a/b/3.zst", "ab/4.zst"]
    for name in names:
        store.put(name, [name.encode()])
    assert [o.name for o in store.objects()] == sorted(names)
    assert [(o.name, o.size) for o in store.objects("a")] == [("a/1.zst", 7), ("a/b/3.zst", 9)]
    assert list(store.objects("none")) == []
    assert all(before_ns < o.changed_ns < time.time_ns() + 60 * 10**9 for o in store.objects())


def test_a_writer_that_fails_half_way_leaves_nothing_under_the_name(store: Store) -> None:
    def failing(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"z" * 3_000_000
        raise RuntimeError("the sealer failed")

    for count in (0, 1, 8):
        with pytest.raises(RuntimeError, match="the sealer failed"):
            store.put("half", failing(count))
        assert store.size("half") is None
        assert list(store.objects()) == []
    assert store.put("half", [b"whole"]) == 5


def test_a_large_object_arrives_whole(store: Store) -> None:
    block = os.urandom(1 << 20)
    assert store.put("large", (block for _ in range(30))) == 30 << 20
    assert store.read("large", (17 << 20) + 5, 1000) == block[5:1005]
    assert store.size("large") == 30 << 20


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.hidden", "ä", "a b", "a\n", "x" * 901]
)
def test_a_name_that_could_lead_elsewhere_is_refused(store: Store, name: str) -> None:
    with pytest.raises(BadName):
        checked_object_name(name)
    with pytest.raises(BadName):
        store.put(name, [b""])
    with pytest.raises(BadName):
        store.read(name, 0, 1)


# A directory ------------------------------------------------------------------------------------------------------


def test_an_object_gets_its_name_after_its_bytes_are_on_disk(tmp_path: Path) -> None:
    steps: list[str] = []
    store = LocalStore(str(tmp_path / "store"), Disk(steps.append))
    store.put("a/b", [b"1", b"2"])
    assert steps == ["make_folder", "sync_folder", "write", "write", "sync_data", "rename", "sync_folder"]


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    def fail(step: str) -> None:
        if step == failing:
            raise OSError(28, "No space left on device")

    for failing in ("write", "sync_data", "rename"):
        store = LocalStore(str(tmp_path / failing), Disk(fail))
        with pytest.raises(Full, match="seg"):
            store.put("seg", [b"x"])
        assert list((tmp_path / failing).iterdir()) == []


def test_what_a_killed_writer_left_is_not_shown_and_swept(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.put("a/good", [b"1"])
    left = tmp_path / "a" / ".part-0011"
    left.write_bytes(b"half")
    assert [o.name for o in store.objects()] == ["a/good"]
    assert store.sweep(time.time_ns() - 3600 * 10**9) == 0
    assert store.sweep(time.time_ns() + 10**9) == 1
    assert not left.exists()
    assert store.size("a/good") == 1


def test_a_link_planted_in_the_store_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("no")
    store = LocalStore(str(tmp_path / "store"))
    (tmp_path / "store" / "link").symlink_to(secret)
    with pytest.raises(Exception, match="symbolic link"):
        store.read("link", 0, 2)


# A bucket ----------------------------------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there_or_refuses_is_said(weed: Weed) -> None:
    closed = BucketSettings("logs", "", "http://127.0.0.1:9", key_id="a", secret="b")
    for settings in (closed, BucketSettings("logs", "", weed.endpoint, key_id="wrong", secret="wrong")):
        store = BucketStore(settings)
        with pytest.raises(Unreachable, match="bucket logs"):
            store.put("a", [b"x"])


def test_a_store_url_is_read_or_refused() -> None:
    assert BucketSettings.of_url("s3://logs/a/b/") == BucketSettings("logs", "a/b")
    for url in ("s3:/logs", "http://logs", "s3://"):
        with pytest.raises(BadConfig):
            BucketSettings.of_url(url)


def test_a_cached_block_is_read_without_the_bucket(weed: Weed, tmp_path: Path) -> None:
    bucket = BucketStore(weed.settings("cache"))
    store = CachedStore(bucket, str(tmp_path), 2 * STORE_BLOCK_BYTES)
    store.put("big", [DATA])
    first = store.read("big", 10, 100)
    os.kill(weed.pid, signal.SIGSTOP)
    try:
        assert store.read("big", 10, 100) == first == DATA[10:110]
        again = CachedStore(bucket, str(tmp_path), 2 * STORE_BLOCK_BYTES)
        assert again.read("big", 0, STORE_BLOCK_BYTES) == DATA[:STORE_BLOCK_BYTES]
    finally:
        os.kill(weed.pid, signal.SIGCONT)
    assert store.read("big", 0, len(DATA)) == DATA
    assert store.cached_bytes <= 2 * STORE_BLOCK_BYTES
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) == store.cached_bytes


def test_a_block_that_rots_in_the_cache_can_be_fetched_again(weed: Weed, tmp_path: Path) -> None:
    store = CachedStore(BucketStore(weed.settings("rot")), str(tmp_path), 8 * STORE_BLOCK_BYTES)
    store.put("o", [b"right"])
    assert store.read("o", 0, 5) == b"right"
    for file in tmp_path.iterdir():
        file.write_bytes(b"wrong")
    assert store.read("o", 0, 5) == b"wrong"
    store.forget("o")
    assert store.read("o", 0, 5) == b"right"


def test_an_archive_keeps_its_indexes_there(store: Store, tmp_path: Path) -> None:
    """Beside the segments, by range; a copy that rots in a cache is fetched again and distrusted no more than that."""
    folder = tmp_path / "data"
    folder.mkdir()
    with (
        Catalog.open(f"sqlite:///{folder}/catalog.db") as catalog,
        Archive(str(folder), catalog, store=store) as archive,
    ):
        catalog.agents.add("web-01")
        incoming = archive.begin("web-01", "app.log")
        incoming.write(b"".join(b"line %d of it\n" % number for number in range(50_000)))
        incoming.commit()
        (done,) = archive.sealer(level=1, maker=MakerHere()).seal(time.time_ns() + 10**9)
        assert done.problems == ()
        assert sorted(one.name.rpartition(".")[2] for one in store.objects()) == ["idx", "zst"]
        (record,) = catalog.sealing.segments(limit=2)
        if isinstance(store, CachedStore):
            assert archive.indexed(record.id) is not None  # now it is in the cache
            for path in (tmp_path / "cache").iterdir():
                path.write_bytes(b"rotten" + path.read_bytes()[6:])
            archive._rooms.indexes.close()  # as after a restart
        indexed = archive.indexed(record.id)
        assert indexed is not None
        assert indexed.index.word(b"line").lines() == 50_000
        indexed.index.verify()
        with archive.lines(1) as lines:
            assert lines.total == 50_000
        assert catalog.indexing.sums(VERSION).indexed == 1
