"""Places of a merged view: by time, and by the share of all bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from logferry.limits import MERGE_SAMPLES, MERGE_STEPS
from logferry.search.merge.source import START, Place, Source

_NEAR = 0.01


def at_time(sources: Sequence[Source], time_ns: int) -> list[Place]:
    """The places before everything of this time or later; files without times come last, so their beginning."""
    return [source.seek(time_ns) for source in sources]


def fraction_of(sources: Sequence[Source], places: Sequence[Place]) -> float:
    """Which share of all bytes lies before the places."""
    total = sum(source.size for source in sources)
    held = sum(source.bytes_before(place) for source, place in zip(sources, places, strict=True))
    return min(1.0, held / total) if total else 0.0


def at_fraction(sources: Sequence[Source], fraction: float) -> list[Place]:
    """Places that have about this share of all bytes before them, and lie together in time."""
    timed = [source for source in sources if source.timed]
    whole = sum(source.size for source in timed)
    wanted = fraction * sum(source.size for source in sources)
    if wanted > whole or not timed:
        return _among_untimed(sources, wanted - whole)
    curve = _curve(timed)
    places = [START] * len(timed)
    for _ in range(MERGE_STEPS):
        guess = int(np.interp(wanted, curve[1], curve[0]))
        places = at_time(timed, guess)
        held = sum(source.bytes_before(place) for source, place in zip(timed, places, strict=True))
        if abs(held - wanted) <= _NEAR * whole:
            break
        curve = _with(curve, guess, held)
    found = iter(places)
    return [next(found) if source.timed else START for source in sources]


def _among_untimed(sources: Sequence[Source], wanted: float) -> list[Place]:
    """Those with times are over; those without follow one another."""
    places = []
    for source in sources:
        if source.timed:
            places.append(source.end())
            continue
        places.append(source.place_at(int(max(0, min(wanted, source.size)))))
        wanted -= source.size
    return places


Curve = tuple[list[float], list[float]]
"""Times, and how many bytes of all sources lie before each; both never decrease."""


def _curve(sources: Sequence[Source]) -> Curve:
    samples = [_samples(source) for source in sources]
    times = sorted({time for each in samples for time, _ in each})
    sums = np.zeros(len(times))
    for each in samples:
        own = np.maximum.accumulate([time for time, _ in each])
        sums += np.interp(times, own, [byte for _, byte in each])
    return [float(time) for time in times], sums.tolist()


def _samples(source: Source) -> list[tuple[int, int]]:
    """Times at some bytes, from the first line to the last."""
    found = []
    size = source.size
    for step in range(MERGE_SAMPLES):
        byte = size * step // MERGE_SAMPLES
        place = source.place_at(byte)
        near = source.time_at(place)
        if near is not None:
            found.append((near[1], byte))
    last = next((item.time for item in source.backward(source.end()) if item.time is not None), None)
    found.append((last if last is not None else (found[-1][0] if found else 0), size))
    return found


def _with(curve: Curve, time: int, held: float) -> Curve:
    """One more point; what contradicts it is bent."""
    times, sums = curve
    at = int(np.searchsorted(times, time))
    lower, upper = [min(each, held) for each in sums[:at]], [max(each, held) for each in sums[at:]]
    return [*times[:at], float(time), *times[at:]], [*lower, held, *upper]
