"""What is left out unread never matches."""

from __future__ import annotations

import itertools

import numpy as np

from logferry.archive.timestamps import NO_TIME, LineTimes, Reading
from logferry.search.query import Filter, Literal, parse
from logferry.search.query.values import bounds
from logferry.search.scan import BytesSource, FileFacts, Scanner
from logferry.search.scan.filetimes import line_bounds
from logferry.search.scan.pruning import needed_texts, stretches_in_time
from tests.search import corpus, oracle, oracle_fields
from tests.search.draw import Drawer
from tests.search.oracle_files import File
from tests.security.amounts import amount, dice

DAY = 86_400 * 10**9
BEGIN = int(corpus.BEGIN.timestamp()) * 10**9
NOW = BEGIN + DAY
ONE_ORDER = [kind for kind in corpus.KINDS if kind not in (corpus.american, corpus.european)]


def test_a_line_with_a_field_has_the_texts_it_needs() -> None:
    """For every field and value of the tests, in any case and exactly; and most lines do not have them."""
    random_ = dice("needed texts")
    data = b"".join(corpus.text(kind, random_, 40, corpus.BEGIN) for kind in (corpus.nested, corpus.logfmt))
    file = File("a", "f", 1, data, len(data), NOW)
    drawer, held, ruled_out = Drawer(random_, [file]), 0, 0
    for _ in range(amount("needed_texts", 150, 5000)):
        wanted = drawer._field()
        assert isinstance(wanted, Filter)
        needed = needed_texts(wanted)
        assert needed is not None
        exact = random_.random() < 0.3
        for row in file.rows:
            has_them = oracle.matches(needed, row.data, exact_case=exact)
            if oracle_fields.holds(wanted, row.data, exact_case=exact):
                assert has_them, (wanted, row.data)
                held += 1
            ruled_out += not has_them
    assert held
    assert ruled_out
    assert needed_texts(Filter("level", "", Literal("error"))) is None


def test_a_stretch_that_is_left_out_holds_no_line_of_that_time() -> None:
    """Whatever the stretches, how long ago their times were told, and what the file's lines inherit."""
    random_ = dice("stretches in time")
    left_out = 0
    for _ in range(amount("stretches", 150, 5000)):
        later = random_.choice((0, 0, DAY, 30 * DAY, 400 * DAY))
        began = corpus.BEGIN
        data = b"".join(
            corpus.text(random_.choice(ONE_ORDER), random_, random_.randint(1, 30), began) for _ in range(3)
        )
        data += b"x" * random_.choice((0, 70_000)) + b"\n" + b"no time\n" * 3
        if random_.random() < 0.3:  # its clock is ahead
            data += b"2026-12-19 08:00:00 ahead\n" + b"still ahead\n"
        starts, ends = line_bounds(data, 0, len(data))
        told = LineTimes(Reading(NOW))(data, starts, ends).times
        cuts = sorted({0, *random_.choices(range(len(starts)), k=random_.randint(0, 8))})
        edges = [*cuts, len(starts)]
        parts = [told[a:b] for a, b in itertools.pairwise(edges)]
        timed = [part[part != NO_TIME] for part in parts]
        places = [int(starts[edge]) if edge < len(starts) else len(data) for edge in edges]
        moment = BEGIN + random_.randrange(-DAY, 40 * DAY)
        text = f"time:{random_.choice(('>=', '<', '<=', '>'))}now-{random_.choice(('30m', '2h', '1d'))}"
        if random_.random() < 0.3:
            text = f"time:now-{random_.randrange(1, 90)}m..now-{random_.randrange(1, 90)}m"
        wanted = parse(text).root
        assert isinstance(wanted, Filter)
        kept = stretches_in_time(
            wanted,
            moment,
            first_ns=np.array([part.min() if len(part) else NO_TIME for part in timed], np.int64),
            last_ns=np.array([part.max() if len(part) else NO_TIME for part in timed], np.int64),
            untimed=np.array([len(a) - len(b) for a, b in zip(parts, timed, strict=True)], np.int64),
            sizes=np.array([b - a for a, b in itertools.pairwise(places)], np.int64),
            told_ns=NOW,
            arrived_ns=NOW + later,
        )
        scanner = Scanner(wanted, exact_case=False, now_ns=moment)
        facts = _facts(data, NOW + later)
        for match in scanner.scan(BytesSource(data), 0, len(data), newest_first=False, check=lambda: None, facts=facts):
            place = int(np.searchsorted(np.array(places), match.start, side="right")) - 1
            assert kept[place], (text, match, bounds(wanted, moment))
        left_out += int((~kept).sum())
    assert left_out


def _facts(data: bytes, arrived_ns: int) -> FileFacts:
    return FileFacts(lambda: Reading(arrived_ns), lambda count: data[:count])
