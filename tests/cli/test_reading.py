"""The readers of the command line against a running server, as people and scripts use them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import AGENT, ESCAPES, LINES, Shipped

pytestmark = pytest.mark.slow  # a running server, real processes


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder, by relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_agents_are_listed_with_their_state(shipped: Shipped) -> None:
    """A table for people, JSON lines for programs."""
    done = shipped.site.logferry("agents")
    assert done.code == 0
    head, row = done.out.splitlines()
    assert head.split()[:3] == ["STATE", "AGENT", "GROUP"]
    state, agent, group = row.split()[:3]
    assert (agent, group) == (AGENT, "web")
    assert state in ("ok", "gone"), "it has said goodbye after `agent once`"
    found = json.loads(shipped.site.logferry("agents", "--json").out)
    assert found["id"] == AGENT
    assert found["files"] == len(files_of(shipped.folder))


def test_no_agent_in_a_state_is_exit_one(shipped: Shipped) -> None:
    """Scripts can ask "is any agent failing"."""
    assert shipped.site.logferry("agents", "--state", "failing").code == 1


def test_a_folder_is_listed(shipped: Shipped) -> None:
    """Folders first with a slash, files by name, odd names as the archive has them."""
    names = shipped.site.logferry("ls", f"{AGENT}:/{shipped.home}").out.splitlines()
    assert set(names) == {"grown/", "app.log", "cut.log", "empty.log", "escapes.log", "odd%0Aname.log"}
    assert shipped.site.logferry("ls").out.split() == [f"{AGENT}/"]


def test_a_long_listing_has_size_generations_and_state(shipped: Shipped) -> None:
    """What one needs to choose a file."""
    done = shipped.site.logferry("ls", "-l", shipped.place("cut.log"))
    assert re.search(r"6 B +\S+ +\S.* gen 2 \+1 older +20\d\d-\d\d-\d\d \d\d:\d\d +\w+ +cut\.log", done.out)
    row = json.loads(shipped.site.logferry("ls", "--json", shipped.place("cut.log")).out)
    assert (row["type"], row["size"], row["generation"], row["generations"]) == ("file", 6, 2, 2)


def test_what_is_not_there_is_exit_one_with_a_message(shipped: Shipped) -> None:
    """The name that was asked for stands in the message."""
    done = shipped.site.logferry("ls", f"{AGENT}:/no/such")
    assert done.code == 1
    assert "no/such" in done.err
    assert "Traceback" not in done.err
    assert shipped.site.logferry("cat", f"{AGENT}:/no/such").code == 1


def test_a_folder_in_a_files_place_is_named(shipped: Shipped) -> None:
    """Wrong use, with the command that lists it; a missing file gets the one that lists what there is."""
    done = shipped.site.logferry("cat", shipped.place("grown"))
    assert done.code == 2
    assert f"{shipped.place('grown')} is a folder" in done.err
    assert f"logferry ls {shipped.place('grown')}" in done.err
    done = shipped.site.logferry("get", shipped.place("nosuch"))
    assert done.code == 1
    assert f"there is nothing at {shipped.place('nosuch')}" in done.err
    assert f"logferry ls {AGENT}:" in done.err


def test_files_are_found_by_name(shipped: Shipped) -> None:
    """Places that other commands take, with the size behind."""
    done = shipped.site.logferry("find", "app.log")
    assert done.out.splitlines() == [f"{shipped.place('app.log')}   {len(chr(10).join(LINES)) / 1000:.0f} KB"]
    assert shipped.site.logferry("find", "nosuchname").code == 1
    assert len(shipped.site.logferry("find", "--limit", "2", "log").out.splitlines()) == 2


def test_cat_writes_the_exact_bytes_into_a_pipe(shipped: Shipped) -> None:
    """Escape sequences, bad bytes and CRLF arrive as they are."""
    assert shipped.site.logferry_bytes("cat", shipped.place("escapes.log")) == ESCAPES
    assert shipped.site.logferry("cat", shipped.place("empty.log")).out == ""


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("100-140", 100, 140), ("1-3", 1, 3), ("500", 500, 500), ("498-", 498, 500), ("499-900", 499, 500)],
)
def test_cat_writes_a_range_of_lines(shipped: Shipped, wanted: str, first: int, last: int) -> None:
    """Lines count from 1, both ends included; the end of the file ends the range."""
    done = shipped.site.logferry("cat", shipped.place("app.log"), "--lines", wanted)
    assert done.out.splitlines() == LINES[first - 1 : last]


def test_a_range_behind_the_end_finds_nothing(shipped: Shipped) -> None:
    """Exit 1, as for any other search that finds nothing; a wrong range is wrong use."""
    done = shipped.site.logferry("cat", shipped.place("app.log"), "--lines", "501-")
    assert done.code == 1
    assert "no line 501" in done.err
    assert shipped.site.logferry("cat", shipped.place("app.log"), "--lines", "9-3").code == 2


def test_an_older_generation_is_still_there(shipped: Shipped) -> None:
    """What the node has truncated is readable."""
    assert shipped.site.logferry("cat", shipped.place("cut.log")).out == "after\n"
    assert shipped.site.logferry("cat", "--gen", "1", shipped.place("cut.log")).out == "before one\nbefore two\n"


def test_grep_prints_place_line_and_text(shipped: Shipped) -> None:
    """As grep does, so that other programs understand it; the account goes to standard error."""
    done = shipped.site.logferry("grep", '"connection refused"')
    assert done.code == 0
    hits = sorted(done.out.splitlines(), key=lambda row: int(row.split(":")[2]))
    assert hits == [f"{shipped.place('app.log')}:{n}:{LINES[n - 1]}" for n in (121, 301)]
    assert re.search(r"^2 hits in 1 file, scanned .+ of .+, \d+\.\d s$", done.err, re.MULTILINE)


def test_grep_shows_context_like_grep(shipped: Shipped) -> None:
    """Context rows have dashes, gaps two."""
    rows = shipped.site.logferry("grep", "-C1", '"connection refused"', shipped.place("app.log")).out.splitlines()
    place = shipped.place("app.log")
    signs = {120: "-", 121: ":", 122: "-", 300: "-", 301: ":", 302: "-"}
    printed = [f"{place}{sign}{n}{sign}{LINES[n - 1]}" for n, sign in signs.items()]
    expected, later = printed[:3], printed[3:]
    assert rows in ([*expected, "--", *later], [*later, "--", *expected])


def test_grep_counts_names_and_cases(shipped: Shipped) -> None:
    """-c, -l and -s do what they do in grep."""
    assert shipped.site.logferry("grep", "-c", "ERROR connect").out == "2\n"
    assert shipped.site.logferry("grep", "-l", '"connection refused"').out == f"{shipped.place('app.log')}\n"
    assert shipped.site.logferry("grep", "-s", "-c", '"Connection refused"').out == "1\n"


def test_grep_without_a_hit_is_exit_one(shipped: Shipped) -> None:
    """And still says what was searched."""
    done = shipped.site.logferry("grep", "nosuchwordanywhere")
    assert (done.code, done.out) == (1, "")
    assert "0 hits" in done.err


def test_a_query_that_does_not_parse_is_wrong_use(shipped: Shipped) -> None:
    """With the column."""
    done = shipped.site.logferry("grep", "(error")
    assert done.code == 2
    assert "column 1" in done.err


def test_grep_gives_json_lines(shipped: Shipped) -> None:
    """Hits as they come, the account last."""
    rows = [json.loads(row) for row in shipped.site.logferry("grep", "--json", '"connection refused"').out.splitlines()]
    assert [row["type"] for row in rows] == ["hit", "hit", "done"]
    assert {row["n"] for row in rows[:2]} == {121, 301}
    assert rows[2]["reason"] == "complete"


def test_hostile_lines_cannot_steer_the_terminal(shipped: Shipped) -> None:
    """What somebody wrote into a log is drawn, not obeyed."""
    done = shipped.site.logferry("grep", "cleared")
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "\u241b[2Jcleared" in done.out


def test_tail_shows_the_last_lines(shipped: Shipped) -> None:
    """Ten, or as many as asked for."""
    assert shipped.site.logferry("tail", shipped.place("app.log")).out.splitlines() == LINES[-10:]
    assert shipped.site.logferry("tail", "-n", "3", shipped.place("app.log")).out.splitlines() == LINES[-3:]


def test_tail_names_the_files_of_a_pattern(shipped: Shipped) -> None:
    """Several files: each line says where it is from."""
    done = shipped.site.logferry("tail", "-n", "1", f"{AGENT}:/{shipped.home}/*.log")
    rows = done.out.splitlines()
    assert f"{shipped.place('app.log')}:{LINES[-1]}" in rows
    assert f"{shipped.place('cut.log')}:after" in rows
    assert shipped.site.logferry("tail", f"{AGENT}:/nothing*").code == 1


def test_get_fetches_a_folder_with_every_byte(shipped: Shipped, tmp_path: Path) -> None:
    """All files below it, under the archive's names, verified, nothing temporary left."""
    done = shipped.site.logferry("get", f"{AGENT}:/{shipped.home}", "-o", str(tmp_path / "out"), "--verify")
    assert done.code == 0, done.err
    sources = {name.replace("\n", "%0A"): content for name, content in files_of(shipped.folder).items()}
    assert files_of(tmp_path / "out") == sources
    assert f"got {len(sources)} files" in done.err


def test_get_fetches_a_file_to_where_it_is_told(shipped: Shipped, tmp_path: Path) -> None:
    """A name, a folder, or an older generation."""
    shipped.site.logferry("get", shipped.place("app.log"), "-o", str(tmp_path / "mine.log"))
    shipped.site.logferry("get", shipped.place("app.log"), "-o", f"{tmp_path}/")
    shipped.site.logferry("get", shipped.place("cut.log"), "--gen", "1", "-o", str(tmp_path / "old.log"))
    assert (tmp_path / "mine.log").read_bytes() == (tmp_path / "app.log").read_bytes()
    assert (tmp_path / "mine.log").read_text().splitlines() == LINES
    assert (tmp_path / "old.log").read_text() == "before one\nbefore two\n"
    assert {p.name for p in tmp_path.iterdir()} == {"mine.log", "app.log", "old.log"}


def test_get_keeps_the_time_of_the_node(shipped: Shipped, tmp_path: Path) -> None:
    """The copy has the modification time the file has there."""
    shipped.site.logferry("get", shipped.place("app.log"), "-o", str(tmp_path / "mine.log"))
    there, here = (shipped.folder / "app.log").stat().st_mtime, (tmp_path / "mine.log").stat().st_mtime
    assert abs(there - here) < 1.0


def test_get_replaces_a_file_only_by_more_of_the_same(shipped: Shipped, tmp_path: Path) -> None:
    """Other content that is here already stays, unless --force."""
    mine = tmp_path / "app.log"
    mine.write_text("something else\n")
    refused = shipped.site.logferry("get", shipped.place("app.log"), "-o", str(mine))
    assert refused.code == 2, refused.err
    assert "--force" in refused.err
    assert mine.read_text() == "something else\n"
    assert shipped.site.logferry("get", shipped.place("app.log"), "-o", str(mine), "--force").code == 0
    whole = mine.read_bytes()
    mine.write_bytes(whole[:20])
    assert shipped.site.logferry("get", shipped.place("app.log"), "-o", str(mine)).code == 0
    assert mine.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [mine]


def test_get_of_nothing_is_exit_one_and_leaves_nothing(shipped: Shipped, tmp_path: Path) -> None:
    """No empty file under the wanted name."""
    assert shipped.site.logferry("get", f"{AGENT}:/no/such", "-o", str(tmp_path / "x")).code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_link_pins_generation_and_line(shipped: Shipped) -> None:
    """What grep prints can be pasted behind it."""
    done = shipped.site.logferry("link", shipped.place("app.log") + ":121")
    assert done.out.strip() == f"{shipped.site.url}/view/{AGENT}/{shipped.home}/app.log?gen=1#L121"


def test_a_wrong_token_is_refused(shipped: Shipped) -> None:
    """Exit 3, no traceback."""
    done = shipped.site.logferry("agents", LOGFERRY_URL=shipped.site.url, LOGFERRY_TOKEN="LT-wrong")
    assert done.code == 3
    assert "Traceback" not in done.err


def test_a_server_that_is_away_is_worth_another_try(shipped: Shipped, free_port: int) -> None:
    """Exit 4, with the address."""
    done = shipped.site.logferry("agents", LOGFERRY_URL=f"http://127.0.0.1:{free_port}")
    assert done.code == 4
    assert str(free_port) in done.err


def test_a_person_signs_in_and_out(shipped: Shipped, tmp_path: Path) -> None:
    """With name and password; the session is kept for the commands that follow."""
    (tmp_path / "password").write_text(shipped.site.password + "\n")
    away = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "LOGFERRY_ARCHIVE__ROOT": str(tmp_path / "nowhere")}
    assert shipped.site.logferry("agents", **away).code == 3
    login = ("login", shipped.site.url, "--name", "admin", "--password-file", str(tmp_path / "password"))
    assert shipped.site.logferry(*login, **away).code == 0
    assert AGENT in shipped.site.logferry("agents", **away).out
    assert shipped.site.logferry("logout", **away).code == 0
    assert shipped.site.logferry("agents", **away).code == 3


def test_a_wrong_password_is_exit_three(shipped: Shipped, tmp_path: Path) -> None:
    """And nothing is kept."""
    (tmp_path / "password").write_text("wrong-password\n")
    away = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "LOGFERRY_ARCHIVE__ROOT": str(tmp_path / "nowhere")}
    login = ("login", shipped.site.url, "--name", "admin", "--password-file", str(tmp_path / "password"))
    assert shipped.site.logferry(*login, **away).code == 3
    assert not (tmp_path / "config").exists()


def test_version_names_both_sides(shipped: Shipped) -> None:
    """This program and the server it talks to."""
    rows = shipped.site.logferry("version").out.splitlines()
    assert rows[0].startswith("logferry ")
    assert shipped.site.url in rows[1]


def test_grep_can_print_the_oldest_first(shipped: Shipped) -> None:
    """For reading what happened in the order in which it did."""
    newest = shipped.site.logferry("grep", '"connection refused"').out.splitlines()
    oldest = shipped.site.logferry("grep", "--oldest", '"connection refused"').out.splitlines()
    assert [row.split(":")[2] for row in oldest] == ["121", "301"]
    assert newest == oldest[::-1]
