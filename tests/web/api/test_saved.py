"""Saved pages over the API: one's own, what others share, what cannot be kept, export and import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive.catalog import saving
from logferry.web.saving import checked_address, kind_of, words_of
from tests.browser.fleet import Fleet
from tests.web.api.driven import Driven, driven


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """An archive with nothing in it."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("saved")) / "data")
    with driven(fleet) as site:
        yield site
    fleet.close()


def names(of: Driven) -> list[str]:
    """Names in the list, those of others with their owner."""
    return [one["name"] if one["mine"] else f"{one['owner']}: {one['name']}" for one in of.get("/saved")["items"]]


def test_one_keeps_renames_shares_and_removes_ones_own(site: Driven) -> None:
    """Nobody else sees it before it is shared, or may change it then; operators may take it away."""
    vera, otto, olga = site.as_("vera"), site.as_("otto", role="operator"), site.as_("olga", role="operator")
    made = otto.post("/saved", {"name": "  web   errors ", "address": "/search?q=error"}, status=201)
    assert (made["name"], made["kind"], made["mine"], made["shared"]) == ("web errors", "search", True, False)
    assert names(vera) == []
    vera.patch(f"/saved/{made['id']}", {"name": "mine"}, status=404)
    vera.delete(f"/saved/{made['id']}", status=404)
    assert otto.patch(f"/saved/{made['id']}", {"shared": True, "name": "errors"})["shared"]
    assert names(vera) == names(site) == ["otto: errors"]
    vera.patch(f"/saved/{made['id']}", {"name": "mine"}, status=403)
    vera.delete(f"/saved/{made['id']}", status=403)
    olga.patch(f"/saved/{made['id']}", {"name": "mine"}, status=403)
    olga.delete(f"/saved/{made['id']}")
    assert names(otto) == []


def test_sharing_takes_an_operator(site: Driven) -> None:
    """Neither at once nor later by a viewer."""
    vera = site.as_("vera")
    item = {"name": "a", "address": "/tail?q=x", "shared": True}
    assert "operator" in vera.post("/saved", item, status=403)["detail"]
    made = vera.post("/saved", item | {"shared": False}, status=201)
    vera.patch(f"/saved/{made['id']}", {"shared": True}, status=403)
    vera.patch(f"/saved/{made['id']}", {"shared": False, "address": "/tail?q=y"})
    vera.delete(f"/saved/{made['id']}")


def test_a_name_stands_for_one_thing(site: Driven) -> None:
    """Of one person; others may use it too."""
    vera, otto = site.as_("vera"), site.as_("otto", role="operator")
    one = vera.post("/saved", {"name": "same", "address": "/files?q=a"}, status=201)
    two = vera.post("/saved", {"name": "other", "address": "/files?q=b"}, status=201)
    vera.post("/saved", {"name": "same", "address": "/files?q=c"}, status=409)
    vera.patch(f"/saved/{two['id']}", {"name": "same"}, status=409)
    vera.patch(f"/saved/{one['id']}", {"name": "same"})
    mine = otto.post("/saved", {"name": "same", "address": "/files?q=a"}, status=201)
    for who, item in ((vera, one), (vera, two), (otto, mine)):
        who.delete(f"/saved/{item['id']}")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "search?q=a",
        "https://evil.example/",
        "/admin/users",
        "/logout",
        "/searching?q=a",
        "/search/x",
        "/view/",
        "/view",
        "javascript:alert(1)",
        "/\\evil.example/search",
        "/search?q=" + "a" * 4000,
        "/api/v1/me",
    ],
)
def test_only_pages_of_this_program_that_show_something_can_be_kept(site: Driven, address: str) -> None:
    """Other sites, scripts, forms, managing: refused."""
    assert "can be saved" in site.post("/saved", {"name": "x", "address": address}, status=400)["detail"]


def test_addresses_say_what_they_are() -> None:
    """The kind, the words, and what is left of a whole URL below a path."""
    assert [kind_of(a) for a in ("/search?q=a", "/files", "/tail?f=1", "/view/a/b#L3", "/browse/a")] == [
        "search", "files", "tail", "file", "folder",
    ]  # fmt: skip
    assert words_of("/search?q=level%3Aerror&from=now-24h") == "level:error  since now-24h"
    assert words_of("/search?q=a&from=08:00&to=09:00") == "a  08:00 – 09:00"
    assert words_of("/tail?f=1&f=2") == "2 files"
    assert words_of("/view/web-01/var/a%20b.log?gen=2#L7") == "web-01/var/a b.log"
    assert words_of("/files") == "everything"
    assert checked_address("//evil.example/search") == "/search"
    assert checked_address("/search?q=a\nb") == "/search?q=ab"
    assert checked_address("https://logs.example/sub/search?q=a#x", "/sub") == "/search?q=a#x"


def test_an_export_is_an_import_elsewhere(site: Driven) -> None:
    """What is there already, or cannot be kept, is named and left out; a viewer's stay unshared."""
    otto, nora = site.as_("otto", role="operator"), site.as_("nora")
    for name, shared in (("one", False), ("two", True)):
        otto.post("/saved", {"name": name, "address": f"/search?q={name}", "shared": shared}, status=201)
    told = otto.get("/saved/export")
    assert told["items"] == [
        {"name": "one", "address": "/search?q=one", "shared": False},
        {"name": "two", "address": "/search?q=two", "shared": True},
    ]
    told["items"].append({"name": "bad", "address": "https://evil.example/", "shared": False})
    assert [one["name"] for one in otto.post("/saved/import", told)["left_out"]] == ["one", "two", "bad"]
    assert nora.post("/saved/import", told)["added"] == 2
    assert {one["name"]: one["shared"] for one in nora.get("/saved")["items"] if one["mine"]} == {
        "one": False, "two": False,
    }  # fmt: skip
    nora.post("/saved/import", {"items": [{}]}, status=400)
    for one in otto.get("/saved")["items"]:
        if one["mine"]:
            otto.delete(f"/saved/{one['id']}")


def test_a_person_who_goes_takes_their_own_along(site: Driven) -> None:
    """Also what was shared."""
    gone = site.as_("gone", role="operator")
    gone.post("/saved", {"name": "left behind", "address": "/files", "shared": True}, status=201)
    assert "gone: left behind" in names(site)
    fleet = site.fleet
    fleet.catalog.people.remove_user(fleet.people.get("gone").id)
    assert "gone: left behind" not in names(site)


def test_there_is_an_end_to_what_one_person_keeps(site: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in the same transaction."""
    monkeypatch.setattr(saving, "SAVED_MAX", 3)
    many = site.as_("many")
    items = [{"name": f"n{number}", "address": "/files"} for number in range(4)]
    told = many.post("/saved/import", {"items": items})
    assert (told["added"], [one["name"] for one in told["left_out"]]) == (3, ["n3"])
    many.post("/saved", {"name": "one more", "address": "/files"}, status=413)
