"""Pages of compressed files: what they are a copy of, and that they are shown unpacked and not followed."""

from __future__ import annotations

import gzip

import pytest
from starlette.testclient import TestClient

from logferry.limits import COPIES_QUIET_S
from tests.browser.fleet import Fleet
from tests.web.pages.conftest import as_person

LOG = b"".join(b"%05d some text\n" % i for i in range(500))


@pytest.fixture(scope="module")
def with_copies(fleet: Fleet) -> Fleet:
    """The fleet with a log, its compressed copy, and a copy whose original has grown."""
    context = fleet.context
    fleet.catalog.agents.add("db-07")
    for path, data in (
        ("zip/<b>.log.1", LOG), ("zip/<b>.log.1.gz", gzip.compress(LOG)),
        ("zip/grown.log", LOG[:70]), ("zip/grown.log.gz", gzip.compress(LOG[:70])),
    ):  # fmt: skip
        incoming = context.archive.begin("db-07", path)
        incoming.write(data)
        incoming.commit()
    for seen in context.catalog.copies.due(context.clock.now_ns() + int(COPIES_QUIET_S * 1e9)):
        context.archive.siblings(lambda count: None).look_into(seen)
    incoming = context.archive.begin("db-07", "zip/grown.log", append=True)
    incoming.write(b"late\n")
    incoming.commit()
    return fleet


def test_a_folder_marks_copies(admin: TestClient, with_copies: Fleet) -> None:
    """With the original's name, escaped like all names."""
    text = admin.get("/browse/db-07/zip").text
    assert "copy of &lt;b&gt;.log.1<" in text
    assert text.count("copy of ") == 2
    assert "<b>.log" not in text


def test_the_viewer_names_the_original_and_does_not_follow(admin: TestClient, with_copies: Fleet) -> None:
    """Raw text is the unpacked one, the download the file as it is."""
    text = admin.get("/view/db-07/zip/%3Cb%3E.log.1.gz").text
    assert "Same content as" in text
    assert 'href="/view/db-07/zip/%3Cb%3E.log.1?gen=1"' in text
    assert 'data-still="compressed, shown unpacked"' in text
    assert "data-live" not in text
    assert "raw?gen=1&amp;text=1" in text
    assert "raw?gen=1&amp;download=1" in text
    assert "The beginning of" in admin.get("/view/db-07/zip/grown.log.gz").text
    assert "data-live" in admin.get("/view/db-07/zip/grown.log").text


def test_an_original_out_of_sight_is_not_named(stranger: TestClient, with_copies: Fleet) -> None:
    """Neither in the folder nor in the viewer."""
    with_copies.people.create("only-zips", "a calm harbour", scope=["db-07/**", "!db-07/zip/*.log*", "db-07/zip/*.gz"])
    as_person(stranger, with_copies, "only-zips")
    for address in ("/browse/db-07/zip", "/view/db-07/zip/grown.log.gz"):
        text = stranger.get(address).text
        assert "grown.log.gz" not in text or "The beginning of" not in text
        assert "copy of" not in text
