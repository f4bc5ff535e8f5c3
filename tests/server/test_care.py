"""The care part: files at rest are sealed beside a running server, and nobody who reads or sends notices."""

from __future__ import annotations

import dataclasses
import ftplib
import io
import os
import random
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.measuring import Measures
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.index.version import VERSION
from logferry.archive.index_making import MakerHere
from logferry.archive.locks import backing_up
from logferry.archive.store import CachedStore
from logferry.clock import SYSTEM, ManualClock
from logferry.errors import BadConfig, Conflict
from logferry.limits import COMPACT_LEVEL, INDEX_AGAIN_S_MAX, SEAL_WAIT_S, SEGMENT_GRACE_S, SWEEP_EVERY_S
from logferry.server.care import Care
from logferry.server.catalogs import catalog_url
from logferry.server.config import RetentionConfig, ServerConfig, StoreConfig, config_from_json
from logferry.server.first_run import prepare
from logferry.server.parts import FtpPart
from logferry.server.rebuilding import rebuilt
from logferry.server.store import store_of
from tests.archive.segment.making import log_text
from tests.archive.test_indexes import Failing
from tests.server.site import PASSWORD, Site, fetched, store


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.make(tmp_path / "data")


def later(site: Site, seconds: float) -> Care:
    """The care part of a moment in the future."""
    clock = ManualClock()
    clock.advance(SYSTEM.now_ns() / 1e9 - clock.now_ns() / 1e9 + seconds)
    archive = Archive(site.config.data_dir, site.catalog, clock=clock)
    return Care(site.config, archive, clock=clock, maker=MakerHere())


def test_sealed_files_are_downloaded_from_any_byte_and_appended_to(site: Site) -> None:
    joined = site.join("web-01")
    site.people.create("reader", PASSWORD)
    whole = log_text(300_000)
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/app.log", whole[:200_000])
        assert site.live("web-01", "app.log").exists()
        later(site, SEAL_WAIT_S + 10).turn()
        assert not site.live("web-01", "app.log").exists()
        assert agent.size("/app.log") == 200_000
        store(agent, "/app.log", whole[190_000:], rest=190_000)
        assert agent.size("/app.log") == len(whole)
        reader = site.ftp("reader", PASSWORD)
        assert fetched(reader, "/web-01/app.log") == whole
        dice = random.Random(3)
        for _ in range(20):
            rest = dice.randrange(len(whole))
            got = io.BytesIO()
            reader.retrbinary("RETR /web-01/app.log", got.write, rest=rest)
            assert got.getvalue() == whole[rest:]
        reader.close()
        agent.close()
    site.catalog.close()


def test_little_waits_for_more_unless_it_has_waited_long(site: Site) -> None:
    joined = site.join("web-01")
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/small.log", b"one line\n")
        later(site, site.config.archive.seal_after + 10).turn()
        assert site.live("web-01", "small.log").exists()
        store(agent, "/large.log", log_text(9_000_000))
        later(site, site.config.archive.seal_after / 2).turn()
        assert site.live("web-01", "large.log").exists()
        later(site, site.config.archive.seal_after + 10).turn()
        assert not site.live("web-01", "large.log").exists()
        assert not site.live("web-01", "small.log").exists()
        agent.close()
    site.catalog.close()


def test_nothing_is_sealed_where_the_settings_say_so(site: Site) -> None:
    joined = site.join("web-01")
    site.config = dataclasses.replace(site.config, archive=dataclasses.replace(site.config.archive, seal_after=0.0))
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/a.log", b"line\n")
        later(site, 10 * SEAL_WAIT_S).turn()
        assert site.live("web-01", "a.log").exists()
        agent.close()
    site.catalog.close()


def counting(site: Site) -> list[SegmentRecord]:
    """Segments to which something refers."""
    return [record for record in site.catalog.sealing.segments(limit=9) if record.gone_ns is None]


def sealed(site: Site) -> None:
    """One file of half a megabyte was delivered and is sealed; there is nothing to compact."""
    tight = dataclasses.replace(site.config.archive, seal_level=COMPACT_LEVEL)
    site.config = dataclasses.replace(site.config, archive=tight)
    joined = site.join("web-01")
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/a.log", log_text(500_000))
        agent.close()
    later(site, SEAL_WAIT_S + 10).turn()


def test_lines_are_measured_before_and_after_they_are_sealed(site: Site) -> None:
    """Turn by turn, beside the other duties."""
    joined = site.join("web-01")
    data = log_text(500_000)
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/a.log", data)
        agent.close()
    lines = data.count(b"\n") + (not data.endswith(b"\n"))

    def known() -> Measures | None:
        file = site.catalog.files.at("web-01", "a.log")
        assert file is not None
        return site.catalog.measuring.of([(file.generation_id, file.size)]).get(file.generation_id)

    assert known() is None
    later(site, 1).turn()
    live = known()
    assert live is not None
    assert (live.lines, live.exact) == (lines, True)
    assert site.live("web-01", "a.log").exists()
    later(site, SEAL_WAIT_S + 10).turn()
    assert not site.live("web-01", "a.log").exists()
    assert known() == live
    assert site.catalog.measuring.due(VERSION) == []
    stopping = later(site, SEAL_WAIT_S + 10)
    stopping.stop()
    stopping._measure()
    site.catalog.close()


def test_the_scrub_reads_everything_once_in_its_time_and_remembers_damage(site: Site) -> None:
    sealed(site)
    (record,) = counting(site)
    later(site, 2 * SEAL_WAIT_S).turn()
    assert counting(site) == [record]
    scrubbing = later(site, SEAL_WAIT_S + 10 + site.config.archive.scrub_every + 10)
    scrubbing.turn()
    (verified,) = counting(site)
    assert verified.verified_ns > record.verified_ns
    path = Path(site.config.data_dir) / "store" / record.name
    data = bytearray(path.read_bytes())
    data[9_000] ^= 1
    path.write_bytes(data)
    later(site, 3 * site.config.archive.scrub_every).turn()
    (flaw,) = site.catalog.care.flaws()
    assert (flaw.agent, flaw.path, flaw.kind, flaw.place) == ("web-01", "a.log", "frame", f"store/{record.name}")
    later(site, 3 * site.config.archive.scrub_every + 20).turn()
    assert site.catalog.care.flaws() == [flaw], "it is not read again at once"
    data[9_000] ^= 1
    path.write_bytes(data)
    later(site, 3 * site.config.archive.scrub_every + 100_000).turn()
    assert site.catalog.care.flaws() == []
    site.catalog.close()


def test_segments_get_their_indexes_and_lost_ones_come_back(site: Site) -> None:
    sealed(site)
    assert site.catalog.indexing.sums(VERSION)[:2] == (1, 1)
    (index,) = (Path(site.config.data_dir) / "store").rglob("*.idx")
    index.write_bytes(index.read_bytes()[:-1])
    later(site, 3 * site.config.archive.scrub_every).turn()  # the scrub finds it
    assert site.catalog.indexing.sums(VERSION)[:2] == (1, 0)
    assert site.catalog.care.flaws() == []
    later(site, 3 * site.config.archive.scrub_every + 30).turn()
    assert site.catalog.indexing.sums(VERSION)[:2] == (1, 1)
    site.catalog.close()


def test_objects_that_nobody_needs_go_at_the_start_and_then_hourly(site: Site) -> None:
    """Looking for them lists the whole store."""
    sealed(site)
    (segment,) = (Path(site.config.data_dir) / "store").rglob("*.zst")
    care = later(site, 3 * SEGMENT_GRACE_S)
    clock = care._clock
    assert isinstance(clock, ManualClock)

    def orphan(digit: str) -> Path:
        path = segment.with_name(f"{digit * 32}.zst")
        shutil.copy(segment, path)
        return path

    one = orphan("1")
    care.turn()
    assert not one.exists()
    two = orphan("2")
    for _ in range(2):
        clock.advance(SWEEP_EVERY_S / 2 - 1)
        care.turn()
        assert two.exists()
    clock.advance(2)
    care.turn()
    assert not two.exists()
    site.catalog.close()


def test_an_index_that_is_not_built_is_named_once_for_each_reason(site: Site) -> None:
    sealed(site)
    with site.catalog._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM indexes")
    (record,) = counting(site)
    care = later(site, 2 * SEAL_WAIT_S)
    clock, maker = care._clock, Failing("add")
    assert isinstance(clock, ManualClock)
    care._reindexer = Archive(site.config.data_dir, site.catalog, clock=clock).reindexer(maker)
    said: list[str] = []
    for turn in range(8):
        with capture_logs() as entries:
            care.turn()
        said += [entry["why"] for entry in entries if entry.get("segment") == record.name]
        maker.at = "finish" if turn >= 3 else "add"
        clock.advance(INDEX_AGAIN_S_MAX)
    assert [word for why in said for word in why.split() if word in ("add", "finish")] == ["add", "finish"]
    assert "no finish today" in site.catalog.indexing.problems(9)[0]
    maker.at = ""
    with capture_logs() as entries:
        care.turn()
    assert [entry["event"] for entry in entries if entry["log_level"] == "warning"] == []
    site.catalog.close()


def test_a_scrub_that_is_stopped_goes_on_later(site: Site) -> None:
    sealed(site)
    (record,) = counting(site)
    stopped = later(site, 2 * site.config.archive.scrub_every)
    stopped.stop()
    stopped.turn()
    assert counting(site) == [record]
    assert site.catalog.care.flaws() == []
    site.catalog.close()


def test_retention_runs_by_the_rules_of_the_settings(site: Site) -> None:
    joined = site.join("web-01")
    rules = (RetentionConfig("web-*/old/**", 90 * 86400.0),)
    site.config = dataclasses.replace(site.config, retention=rules)
    assert config_from_json(site.config.to_json()).retention == rules
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        agent.mkd("/old")
        store(agent, "/old/a.log", b"old\n")
        store(agent, "/b.log", b"stays\n")
        later(site, 89 * 86400).turn()
        assert agent.size("/old/a.log") == 4
        later(site, 91 * 86400).turn()
        later(site, 92 * 86400).turn()
        assert [file.path for file in site.catalog.files.each()] == ["b.log"]
        with pytest.raises(ftplib.error_perm):
            agent.size("/old/a.log")
        store(agent, "/old/a.log", b"again\n")
        assert agent.size("/old/a.log") == 6
        agent.close()
    (gone,) = site.catalog.retaining.expired()
    assert (gone.path, gone.rule) == ("old/a.log", "web-*/old/** keep 90d")
    site.catalog.close()


def test_retention_that_waits_for_a_backup_says_so_once_and_runs_when_it_is_over(site: Site) -> None:
    joined = site.join("web-01")
    site.config = dataclasses.replace(site.config, retention=(RetentionConfig("**", 90 * 86400.0),))
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/a.log", b"old\n")
        agent.close()
    care = later(site, 91 * 86400)
    with capture_logs() as lines:
        with backing_up(site.config.data_dir):
            for _ in range(4):
                care.turn()
        assert [file.path for file in site.catalog.files.each()] == ["a.log"]
        care.turn()
        assert list(site.catalog.files.each()) == []
    told = [line for line in lines if "retain" in line["event"] and "failed" in line["event"]]
    assert ["backup" in line["why"] for line in told] == [True]
    site.catalog.close()


@pytest.mark.parametrize(("match", "keep"), [("", 1e9), (" / ", 1e9), ("**", 60.0)])
def test_rules_that_make_no_sense_are_refused(match: str, keep: float) -> None:
    with pytest.raises(BadConfig):
        RetentionConfig(match, keep)


def test_a_server_does_not_start_on_files_without_a_catalog(site: Site) -> None:
    """An empty catalog would show nothing of them; built anew it shows them all."""
    joined = site.join("web-01")
    with FtpPart(site.config) as part:
        site.address = part.address
        agent = site.agent(joined)
        store(agent, "/a.log", b"line\n")
        agent.close()
    site.catalog.close()
    for path in Path(site.config.data_dir).glob("catalog.db*"):
        path.unlink()
    with pytest.raises(Conflict, match="catalog is missing"):
        prepare(site.config)
    (found,) = rebuilt(site.config)
    assert (found.agent, found.files, found.problems) == ("web-01", 1, [])
    prepared = prepare(site.config)
    os.close(prepared.lock_fd)
    with Catalog.open(catalog_url(site.config.data_dir)) as catalog:
        assert [file.path for file in catalog.files.each()] == ["a.log"]


def test_the_store_is_what_the_settings_name(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden\n")
    plain = ServerConfig()
    assert store_of(plain, "web") is None
    url = "s3://bucket/prefix"
    remote = dataclasses.replace(plain, store=StoreConfig(url=url, key_id="id", secret_file=str(secret), cache=0))
    assert not isinstance(store_of(remote, "web"), CachedStore)
    config = dataclasses.replace(
        remote,
        store=dataclasses.replace(remote.store, cache=1 << 30),
        archive=dataclasses.replace(plain.archive, root=str(tmp_path / "data")),
    )
    assert isinstance(store_of(config, "web"), CachedStore)
    assert (tmp_path / "data" / "cache" / "web").is_dir()
    missing = dataclasses.replace(config, store=dataclasses.replace(config.store, secret_file=str(tmp_path / "no")))
    with pytest.raises(BadConfig, match="secret_file"):
        store_of(missing, "web")


@pytest.mark.parametrize(
    "wrong", [{"url": "ftp://x"}, {"endpoint": "host:9000"}, {"key_id": "only"}, {"secret_file": "only"}]
)
def test_store_settings_that_make_no_sense_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadConfig):
        StoreConfig(**wrong)  # type: ignore[arg-type]  # texts only
