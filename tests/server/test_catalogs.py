"""The catalog as the settings want it."""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.archive.catalog.quotas import Quota
from logferry.errors import BadConfig
from logferry.server.catalogs import open_catalog
from logferry.server.config import load_config
from logferry.server.secret import secret_in


def test_quotas_and_zone_of_the_settings_hold_for_agents_without_their_own(tmp_path: Path) -> None:
    values = {"archive": {"root": str(tmp_path), "zone": "Asia/Tokyo"}, "quota": {"bytes": "1 GB", "files": 7}}
    with open_catalog(load_config(None, {}, values)) as catalog:
        for name in ("web-01", "db-01"):
            catalog.agents.add(name)
        catalog.agents.change("db-01", zone="Europe/Berlin", quota_files=0)
        one, other = catalog.agents.list()
        assert (one.zone, one.own_zone, one.quota_files, one.own_quota_files) == (
            "Europe/Berlin",
            "Europe/Berlin",
            0,
            0,
        )
        assert (other.zone, other.own_zone, other.quota_files, other.own_quota_files) == ("Asia/Tokyo", None, 7, None)
        assert [catalog.zones.of(name) for name in ("db-01", "web-01", "nobody")] == [
            "Europe/Berlin", "Asia/Tokyo", "Asia/Tokyo",
        ]  # fmt: skip
        assert catalog.zones.own() == {"db-01": "Europe/Berlin"}
        assert catalog.quotas.default == Quota(1_000_000_000, 7)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"secret\n", "secret"), (b"secret\r\nmore", "secret"), (b" with space \n", " with space "), (b"\n", None),
        (b"", None), (b"  \n", None), (b"\xff\xfe\n", None), ("gehäßig".encode(), "gehäßig"),
    ],
)  # fmt: skip
def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path, content: bytes, line: str | None) -> None:
    """Where there is none, the error names file and setting, and nothing of what is in it."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    if line is not None:
        assert secret_in(str(file), "catalog.password_file", "the password") == line
        return
    with pytest.raises(BadConfig, match=r"catalog\.password_file .*secret") as caught:
        secret_in(str(file), "catalog.password_file", "the password")
    assert "the password" in caught.value.hint
    file.unlink()
    with pytest.raises(BadConfig, match="No such file"):
        secret_in(str(file), "catalog.password_file", "the password")
