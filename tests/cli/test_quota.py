"""``logferry admin quota`` and ``logferry agents set``: what agents hold and may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logferry.archive.catalog.quotas import Quota
from logferry.errors import OverQuota
from tests.archive.conftest import AGENT, Shelf
from tests.cli.conftest import Shipped
from tests.cli.test_care import Logferry, logferry, root

__all__ = ["logferry", "root"]


def test_quotas_are_listed_set_and_taken_back(logferry: Logferry, root: Path) -> None:
    settings = root.parent / "server.toml"
    settings.write_text(settings.read_text() + '[quota]\nbytes = "10 GB"\n')
    shelf = Shelf(root)
    held = shelf.catalog.quotas.usage(AGENT).bytes
    code, out, _ = logferry("admin", "quota")
    assert code == 0
    assert out.splitlines()[1].split() == [AGENT, f"{round(held / 1000)}", "KB", "10.0", "GB", "3", "-"]
    code, out, _ = logferry("admin", "quota", AGENT, "--bytes", "1000", "--files", "7", "--json")
    assert json.loads(out) == {"agent": AGENT, "bytes": held, "quota_bytes": 1000, "files": 3, "quota_files": 7}
    with pytest.raises(OverQuota):
        shelf.put("more.log", b"x" * 10)
    logferry("admin", "quota", AGENT, "--bytes", "none")
    shelf.clock.advance(2)
    shelf.put("more.log", b"x" * 10)
    out = logferry("admin", "quota", AGENT, "--bytes", "default", "--files", "none", "--json")[1]
    assert (json.loads(out)["quota_bytes"], json.loads(out)["quota_files"]) == (10_000_000_000, 0)
    assert shelf.catalog.quotas.usage(AGENT).quota == Quota()  # what the settings say is known to a server alone
    shelf.close()


@pytest.mark.parametrize("wrong", [("--bytes", "much"), ("--files", "few"), ("--files", "-1")])
def test_what_is_no_quota_is_refused(logferry: Logferry, wrong: tuple[str, str]) -> None:
    assert logferry("admin", "quota", AGENT, *wrong)[0] == 2
    assert logferry("admin", "quota", *wrong)[0] == 2
    assert logferry("admin", "quota", "nobody", "--files", "3")[0] == 1


def test_of_two_quotas_neither_is_set_when_one_is_wrong(logferry: Logferry) -> None:
    before = logferry("admin", "quota", AGENT, "--json")
    assert logferry("admin", "quota", AGENT, "--bytes", "1000", "--files", "few")[0] == 2
    assert logferry("admin", "quota", AGENT, "--json") == before


def test_an_agent_is_changed_through_the_server(shipped: Shipped) -> None:
    """From any machine that may; what is not named stays."""
    call = shipped.site.logferry
    done = call("agents", "set", AGENT, "--bytes", "5 GB", "--zone", "Europe/Berlin")
    assert done.code == 0, done.err
    assert "5.0 GB" in done.err
    assert "Europe/Berlin" in done.err
    row = json.loads(call("agents", "set", AGENT, "--files", "1,000,000", "--json").out)
    assert (row["quota_bytes"], row["quota_files"], row["zone"]) == (5_000_000_000, 1_000_000, "Europe/Berlin")
    assert "0 %" in call("agents").out
    row = json.loads(
        call("agents", "set", AGENT, "--files", "default", "--bytes", "none", "--zone", "default", "--json").out
    )
    assert (row["quota_bytes"], row["own_quota_files"], row["zone"], row["own_zone"]) == (0, None, "UTC", None)
    call("agents", "set", AGENT, "--bytes", "default")
    for wrong, said in (
        (("--zone", "Mars/Base"), "Mars/Base"), (("--bytes", "much"), "much"), ((), "nothing is to be changed"),
    ):  # fmt: skip
        done = call("agents", "set", AGENT, *wrong)
        assert done.code == 2
        assert said in done.err
    assert call("agents", "set", "nobody", "--files", "3").code == 1
