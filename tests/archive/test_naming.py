"""Finding files by parts of their names gives the same with blocks of names, without, and with some."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import delete, text, update

from logferry.archive.catalog import nameblocks
from logferry.archive.catalog.nameblocks import Named, folded, has_all, having_all, matches, may_hold, pack
from logferry.archive.catalog.tables import name_blocks
from logferry.errors import Damaged
from tests.archive.conftest import AGENT, Shelf

WORDS = [
    "nginx",
    "ACCESS",
    "error",
    "straße",
    "İstanbul",
    "ıssız",
    "ΣΑΣ",
    "K8s",
    "ſyslog",
    "日本語",
    "a b",
    "%_\\",
    "x",
]


def named(count: int, seed: int) -> list[Named]:
    """Files with hostile names, ids with gaps, nothing in order."""
    dice = random.Random(seed)
    ids = sorted(dice.sample(range(1, 20 * count), count))
    return [
        Named(f"web-{dice.randrange(20):02d}", "/".join(dice.choices(WORDS, k=dice.randrange(1, 5))) + f"-{id_:x}", id_)
        for id_ in ids
    ]


def test_whatever_two_texts_have_in_common_in_any_case_they_have_folded() -> None:
    """For every character and every way of the standard library to compare: never missed, whatever the name."""
    everything = (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF)
    cased = [c for c in everything if len({c, c.lower(), c.upper(), c.title(), c.casefold(), c.swapcase()}) > 1]
    assert len(cased) > 2500
    whole = "".join(cased) + "\u0131\u0307"
    for character in cased:
        for other in re.findall(re.escape(character), whole, re.IGNORECASE):
            assert folded(other) == folded(character), (character, other)
        assert folded(character) == folded(character.casefold())


@pytest.mark.parametrize("seed", range(5))
def test_a_block_gives_exactly_the_names_that_have_the_texts(seed: int) -> None:
    files = named(400, seed)
    block = pack(files)
    assert (block.first_id, block.last_id, block.files) == (files[0].id, files[-1].id, 400)
    dice = random.Random(seed)
    for _ in range(200):
        file = dice.choice(files)
        whole = folded(f"{file.agent}/{file.path}")
        start = dice.randrange(len(whole))
        literals = [whole[start : start + dice.randrange(1, 8)]]
        if dice.random() < 0.5:
            literals.append(dice.choice([whole[:3], folded(dice.choice(WORDS)), "not there"]))
        expected = sorted(one for one in files if all(text in folded(f"{one.agent}/{one.path}") for text in literals))
        assert list(matches(block.first_id, block.files, block.names, literals)) == expected
        after = dice.choice([("", ""), ("web-07", ""), ("web-07", "nginx"), ("zzz", ""), (file.agent, file.path)])
        later = [one for one in expected if one[:2] > after]
        assert list(matches(block.first_id, block.files, block.names, literals, after)) == later
        if expected:
            assert may_hold(nameblocks.gram_matrix([block.grams]), literals) == [0]


@pytest.mark.parametrize("plain", [True, False])
def test_names_are_told_apart_together_as_they_are_one_by_one(plain: bool) -> None:
    """Also where folding changes how long a name is, and where a name has a line end in it."""
    files = [one for one in named(300, 9) if not plain or one.path.isascii()]
    odd = [*files, Named("web-01", "two\nlines", 1), *files[:3]]
    asks = [
        ["x"],
        ["strasse"],
        ["web-0", "nginx"],
        ["e", "-", "access"],
        ["not there"],
        ["\n"],
        ["s\nl", "two"],
        ["o\nl"],
    ]
    for names in (files, odd, files[:1], []):
        for literals in asks:
            expected = [one for one in names if has_all(one.agent, one.path, literals)]
            assert having_all(names, literals) == expected, literals


def test_a_block_is_read_from_any_place_on() -> None:
    """Agents whose ids begin alike stand as they do in every list."""
    files = [Named(agent, path, 1) for agent in ("web", "web-1", "web.1", "web0") for path in ("-", "a", "b/c")]
    files = [Named(agent, path, number) for number, (agent, path, _) in enumerate(files, 5)]
    block = pack(files)
    places = [("", ""), *(one[:2] for one in files), ("web", "aa"), ("web-", ""), ("zzz", "z")]
    for after in places:
        found = list(matches(block.first_id, block.files, block.names, ["web"], after))
        assert found == sorted(one for one in files if one[:2] > after), after


def test_blocks_without_the_text_are_not_read() -> None:
    blocks = [pack([Named("web-01", f"{word}/{n}.log", n + 1) for n in range(100)]) for word in ("alpha", "omega")]
    matrix = nameblocks.gram_matrix([block.grams for block in blocks])
    assert may_hold(matrix, ["alph"]) == [0]
    assert may_hold(matrix, ["omega", "web-01"]) == [1]
    assert may_hold(matrix, ["qqqq"]) == []
    assert may_hold(matrix, ["a"]) == [0, 1]


@pytest.mark.parametrize(
    "broken",
    [
        lambda names: names[:-1],
        lambda names: bytes([*names[:20], names[20] ^ 1, *names[21:]]),
        lambda names: b"",
        lambda names: pack([Named("a", "b", 1)]).names,
        lambda names: b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + names[20:],
    ],
    ids=["cut", "flipped", "empty", "another", "bomb"],
)
def test_a_broken_block_is_damage(broken: Callable[[bytes], bytes]) -> None:
    block = pack(named(50, 1))
    with pytest.raises(Damaged):
        list(matches(block.first_id, block.files, broken(block.names), ["a"]))


@pytest.mark.databases
def test_finding_is_the_same_with_all_blocks_some_or_none(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page, in the same order; also of files that moved away or came since."""
    for module in ("naming", "nameblocks"):
        monkeypatch.setattr(f"logferry.archive.catalog.{module}.NAME_BLOCK_FILES", 7)
    monkeypatch.setattr("logferry.archive.catalog.naming.NAME_BLOCKS_READ", 2)
    shelf.catalog.agents.add("db-01")
    dice = random.Random(7)
    for file in named(60, 3):
        incoming = shelf.archive.begin(dice.choice([AGENT, "db-01"]), file.path)
        incoming.commit()

    def everything(limit: int, *asked: str, agents: list[str] | None = None) -> list[str]:
        cursor, found = None, []
        while True:
            page = shelf.catalog.files.find(cursor=cursor, limit=limit, needed=asked, agents=agents)
            found += [f"{file.agent}/{file.path}" for file in page.files]
            cursor = page.next
            if cursor is None:
                return found

    asks = [
        ("nginx",), ("STRASSE",), ("istanbul",), ("error", "-"), ("DB-", "k8S"), ("db-01/",), ("not there",), ("ſYS",),
        ("ISS",), ("e", "web-"), ("\n",), (),
    ]  # fmt: skip
    walked = [everything(5, *asked) for asked in asks]
    assert [len(found) > 0 for found in walked[:6]] == [True] * 6
    monkeypatch.setattr("logferry.archive.catalog.files.FIND_WALK_ROWS", 1)
    monkeypatch.setattr("logferry.archive.catalog.files.CATALOG_PAGE_ROWS", 3)
    assert [everything(5, *asked) for asked in asks] == walked
    made = 0
    while shelf.catalog.naming.make_block():
        made += 1
        if made in (1, 4):
            assert [everything(2, *asked) for asked in asks] == walked
    assert made == 8
    for few in (64, 0):  # agents gone through one by one, and not
        monkeypatch.setattr("logferry.archive.catalog.files.FIND_AGENTS_MAX", few)
        for agents in (["db-01"], ["db-01", AGENT], ["nobody"], []):
            mine = [[one for one in found if one.partition("/")[0] in agents] for found in walked]
            assert [everything(2, *asked, agents=agents) for asked in asks] == mine
    assert [everything(2, *asked) for asked in asks] == walked
    first = walked[0][0].partition("/")
    shelf.archive.rename(first[0], first[2], "new/NGINX-moved")
    now = everything(1, "nginx")
    assert walked[0][0] not in now
    assert f"{first[0]}/new/NGINX-moved" in now
    assert sorted(now) == sorted([*walked[0][1:], f"{first[0]}/new/NGINX-moved"])


@pytest.mark.databases
def test_two_processes_make_each_block_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logferry.archive.catalog.naming.NAME_BLOCK_FILES", 4)
    for number in range(9):
        shelf.put(f"{number}.log", b"x")
    other = Shelf(shelf.folder)
    run = shelf.catalog.writer.run

    def late(change: object) -> object:
        monkeypatch.setattr(shelf.catalog.writer, "run", run)
        assert other.catalog.naming.make_block()
        return run(change)  # type: ignore[arg-type]

    monkeypatch.setattr(shelf.catalog.writer, "run", late)
    assert shelf.catalog.naming.make_block()
    assert shelf.catalog.naming.make_block()
    assert not other.catalog.naming.make_block()
    with shelf.catalog._engine.connect() as connection:
        rows = connection.execute(text("SELECT first_id, last_id, files FROM name_blocks ORDER BY first_id")).all()
    assert [tuple(row) for row in rows] == [(1, 4, 4), (5, 8, 4)]
    assert [file.path for file in other.catalog.files.find(needed=[".LOG"]).files] == [f"{n}.log" for n in range(9)]
    other.close()


def test_a_damaged_block_is_told_not_left_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logferry.archive.catalog.naming.NAME_BLOCK_FILES", 4)
    monkeypatch.setattr("logferry.archive.catalog.files.FIND_WALK_ROWS", 1)
    for number in range(5):
        shelf.put(f"{number}.log", b"x")
    assert shelf.catalog.naming.make_block()
    with shelf.catalog._engine.begin() as connection:
        connection.execute(update(name_blocks).values(names=b"broken"))
    with pytest.raises(Damaged, match="name_blocks"):
        shelf.catalog.files.find(needed=["log"])
    with shelf.catalog._engine.begin() as connection:  # what the error advises
        connection.execute(delete(name_blocks))
    assert len(shelf.catalog.files.find(needed=["log"]).files) == 5
    assert shelf.catalog.naming.make_block()
    assert len(shelf.catalog.files.find(needed=["log"]).files) == 5
