"""The care part: files at rest are sealed beside a running server, and nobody who reads or sends notices."""

from __future__ import annotations

import dataclasses
import io
import random
from pathlib import Path

import pytest

from logferry.archive import Archive
from logferry.archive.store import CachedStore
from logferry.clock import SYSTEM, ManualClock
from logferry.errors import BadConfig
from logferry.limits import SEAL_WAIT_S
from logferry.server.care import Care
from logferry.server.config import ServerConfig, StoreConfig
from logferry.server.parts import FtpPart
from logferry.server.store import store_of
from tests.archive.segment.making import log_text
from tests.server.site import PASSWORD, Site, fetched, store


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.make(tmp_path / "data")


def later(site: Site, seconds: float) -> Care:
    """The care part of a moment in the future."""
    clock = ManualClock()
    clock.advance(SYSTEM.now_ns() / 1e9 - clock.now_ns() / 1e9 + seconds)
    return Care(site.config, Archive(site.config.data_dir, site.catalog, clock=clock), clock=clock)


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
