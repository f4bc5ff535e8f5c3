"""The time column, histograms, and timestamps whose words are not posted."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, datetime

import numpy as np

from logferry.archive.index import NO_TIME, Buckets, Stamps
from logferry.archive.index.lines import I32
from logferry.archive.index.words import U8
from tests.archive.index.making import Made, check, made

_STAMP = re.compile(rb"(\d{10})\.(\d{6})|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z|@(\d{13})")


def _find(_uid: str, data: U8, starts: I32, ends: I32) -> Stamps:
    """Recognises what ``_log`` writes."""
    raw = data.tobytes()
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        match = _STAMP.search(raw, start, end)
        if match is None:
            found.append((0, 0, NO_TIME))
            continue
        epoch, micros, iso, fraction, millis = match.groups()
        if millis:
            time = int(millis) * 1_000_000
        elif epoch:
            time = int(epoch) * 10**9 + int(micros) * 1000
        else:
            seconds = int(datetime.fromisoformat(iso.decode()).replace(tzinfo=UTC).timestamp())
            time = seconds * 10**9 + int(fraction) * 1000
        found.append((match.start(), match.end(), time))
    array = np.array(found, np.int64).reshape(-1, 3)
    return Stamps(array[:, 0].astype(np.int32), array[:, 1].astype(np.int32), array[:, 2])


def _log(lines: int, seed: int) -> tuple[bytes, list[tuple[int, bool]]]:
    """Lines with times in several spellings, and (time in s, whether the line says error) of those that have one."""
    dice = random.Random(seed)
    now_us = 1_790_000_000_000_000
    out: list[bytes] = []
    truth: list[tuple[int, bool]] = []
    for _ in range(lines):
        now_us += dice.randrange(3_000_000)
        says = dice.random() < 0.3
        text = b"error in part %d" % dice.randrange(9) if says else b"fine as ever %d" % dice.randrange(9)
        kind = dice.randrange(4)
        seconds, micros = divmod(now_us, 1_000_000)
        if kind == 0:
            out.append(b"%d.%06d %s" % (seconds, micros, text))
        elif kind == 1:
            iso = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
            out.append(b"%s.%06dZ %s" % (iso, micros, text))
        elif kind == 2:
            out.append(b"%s @%d" % (text, now_us // 1000))
        else:
            out.append(b"  " + text)
            continue
        truth.append((seconds, says))
    return b"\n".join(out) + b"\n", truth


def _there() -> tuple[Made, list[tuple[int, bool]]]:
    first, truth = _log(1_500, 1)
    second, more = _log(800, 2)
    return made([first, b"no time here\n" * 50, second], frame_bytes=8_192, granule_bytes=2_048, stamps=_find), [
        *truth,
        *more,
    ]


def test_a_histogram_counts_each_matching_line_in_its_second() -> None:
    there, truth = _there()
    error = there.index.word(b"error")
    assert error.is_exact
    for start, step, count in ((1_790_000_000, 60, 100), (1_790_000_500, 7, 30), (1_790_000_000, 100_000, 1)):
        wanted = Counter((second - start) // step for second, says in truth if says)
        found = there.index.histogram(error, Buckets(start, step, count)).tolist()
        assert found == [wanted[i] for i in range(count)]
    assert sum(found) > 400


def test_rows_have_their_times() -> None:
    there, truth = _there()
    index = there.index
    seconds = np.concatenate([index.row_seconds(g) for g in range(index.facts.granules)])
    assert len(seconds) == len(there.rows)
    assert seconds[seconds != NO_TIME].tolist() == [second for second, _ in truth]


def test_words_of_timestamps_are_found_though_they_are_not_posted() -> None:
    """Fractions, epochs and parts of them: the same answers as if they were posted, in fewer bytes."""
    there, _ = _there()
    plain = made(
        [there.segment.read(e.raw_offset, e.length) for g in there.segment.manifest.generations for e in g.extents],
        frame_bytes=8_192,
        granule_bytes=2_048,
    )
    assert len(there.data) < len(plain.data) + 8 * len(there.rows)
    assert there.index.runs.classes.any()
    lowered = [row.line.lower() for row in there.rows]
    words_in = [set(re.findall(rb"[0-9a-z]+", line)) for line in lowered]
    for row in random.Random(3).sample(range(len(lowered)), 25):
        for word in words_in[row]:
            check(there, there.index.word(word), [word in words for words in words_in], word)
            for part in (word, word[1:], word[:-1]):
                if part:
                    check(there, there.index.literal(part), [part in line for line in lowered], part)


def test_a_stamp_that_is_not_the_time_it_tells_is_posted() -> None:
    """An epoch is left out only if it is the line's time: else the granule's time range would not tell of it."""

    def wrong(uid: str, data: U8, starts: I32, ends: I32) -> Stamps:
        stamps = _find(uid, data, starts, ends)
        return Stamps(stamps.starts, stamps.ends, stamps.times + 5 * 10**9)

    there = made([_log(300, 4)[0]], frame_bytes=8_192, granule_bytes=2_048, stamps=wrong)
    for row in there.rows[::7]:
        for word in re.findall(rb"\d{10,13}", row.line):
            truth = [word in other.line for other in there.rows]
            check(there, there.index.literal(word), truth, word)
