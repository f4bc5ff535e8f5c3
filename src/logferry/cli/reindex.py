"""``logferry reindex``: build the indexes of segments that have none that can be used."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.premises import as_plain, config_option, premises
from logferry.limits import MIB

if TYPE_CHECKING:
    from logferry.archive.catalog.sealing import SegmentRecord
    from logferry.archive.index_making import MakerApart

_TELL_BYTES = 4 * MIB


@click.command()
@config_option
@click.option("--all", "all_of_them", is_flag=True, help="Build all indexes again, also those that are well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each segment, then one with the sums.")
def reindex(file: str | None, all_of_them: bool, as_json: bool) -> int:
    """Build the indexes that are missing, damaged or of another version. Exit code 4: some could not be built.

    The server does this by itself, bit by bit. Works beside a running server; the segments are only read. Until a
    segment has its new index, the old one serves, or its lines are searched and counted without one.
    """
    built = failed = size = raw = 0
    bar = text.Progress()
    number = read = 0
    due: list[SegmentRecord] = []

    def tell(count: int) -> None:
        nonlocal read
        if read // _TELL_BYTES != (read + count) // _TELL_BYTES:
            bar.show(f"{number:,} of {len(due):,} segments, {text.size(read + count)} read")
        read += count

    with premises(file) as place, contextlib.closing(_maker()) as maker:
        reindexer = place.archive.reindexer(maker, pace=tell)
        due = list(reindexer.due(at_once=True, all_of_them=all_of_them))
        for number, record in enumerate(due, 1):
            bar.show(f"{number:,} of {len(due):,} segments, {text.size(read)} read")
            done = reindexer.build(record)
            if not done.is_gone:
                raw += done.raw_bytes
                built, size, failed = built + (not done.problem), size + done.bytes, failed + bool(done.problem)
            bar.clear()
            if as_json:
                text.out_json(as_plain(done))
            elif done.problem:
                text.out(text.line(f"failed  {done.problem}"))
        bar.clear()
    if as_json:
        text.out_json({"built": built, "failed": failed, "bytes": size, "raw_bytes": raw})
    elif not due:
        text.note("every segment has its index")
    else:
        told = f", {failed:,} could not be built" if failed else ""
        text.note(f"{built:,} indexes built, {text.size(size)} for {text.size(raw)} of content{told}")
    return failures.PARTIAL if failed else failures.OK


def _maker() -> MakerApart:
    from logferry.archive.index_making import MakerApart  # only where there is a server

    return MakerApart()
