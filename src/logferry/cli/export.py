"""``logferry export``: lines as rows, for programs that want a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import IO

import click

from logferry.cli import failures, text
from logferry.cli.api import Api
from logferry.cli.http import Answer
from logferry.cli.place import Place, parse
from logferry.errors import Conflict, NotFound
from logferry.limits import PIECE_BYTES
from logferry.names import temporary_name
from logferry.takeout import Fault, LineRow, from_ndjson, to_ndjson
from logferry.takeout.parquet import to_parquet

EXPORT_S_MAX = 600.0
"""Silence that is borne: before the first row, a compressed file may have to be unpacked."""


def place_of(what: str) -> Place | None:
    """``web-01:/var/log`` is a place; everything else (``ext:log size:>1M``) is a query."""
    agent, colon, path = what.partition(":")
    return parse(what) if colon and path.startswith("/") and agent and " " not in agent else None


class _Counted:
    """Rows on their way, counted; faults are kept back."""

    def __init__(self, answer: Answer) -> None:
        self.rows = self.bytes = 0
        self.faults: list[Fault] = []
        self._answer = answer

    def __iter__(self) -> Iterator[LineRow]:
        for row in from_ndjson(_lines(self._answer)):
            if isinstance(row, Fault):
                self.faults.append(row)
                continue
            self.rows += 1
            self.bytes += len(row.raw)
            yield row


def _lines(answer: Answer) -> Iterator[bytes]:
    """Lines of a body that must come to its end: one that breaks off raises Unreachable."""
    rest = b""
    while block := answer.read(PIECE_BYTES):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


@click.command()
@click.argument("what", metavar="AGENT:/PATH|QUERY")
@click.option("--format", "form", type=click.Choice(["ndjson", "parquet"]), default="ndjson", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="File to write; without it, standard output.")
@click.option("-z", "--unpack", is_flag=True, help="The text of compressed files.")
@click.option("-f", "--force", is_flag=True, help="Replace the file.")
def export(what: str, form: str, output: str | None, unpack: bool, force: bool) -> int:
    """Lines of a file, of all files below a folder, or of all files that a query finds (as logferry find has it).

    One row per line: agent, path, generation, line, offset, time (UTC, null where the line tells none) and the exact
    bytes with the line's end: joined, they are the file. NDJSON has them as text, or base64 where they are not UTF-8;
    Parquet (needs logferry[analytics]) in the binary column raw.
    """
    with Api(timeout_s=EXPORT_S_MAX) as api:
        place = place_of(what)
        try:
            answer = api.export(place=place, query="" if place else what, unpack=unpack)
        except NotFound as error:
            hint = "see what there is: logferry ls, logferry find"
            raise NotFound(
                f"there is nothing at {place}" if place else f"no file matches {what!r}", hint=hint
            ) from error
        with answer:
            rows = _Counted(answer)
            pieces = to_parquet(rows) if form == "parquet" else to_ndjson(rows)
            if output is None:
                _write(sys.stdout.buffer, pieces)
            else:
                _into(output, pieces, force=force)
    for fault in rows.faults:
        failures.say(f"{Place(fault.agent, fault.path)}: {fault.error}")
    text.note(f"{rows.rows:,} rows, {text.size(rows.bytes)}")
    return failures.PARTIAL if rows.faults else failures.OK


def _write(out: IO[bytes], pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        out.write(piece)
    out.flush()


def _into(output: str, pieces: Iterator[bytes], *, force: bool) -> None:
    """Write a file that gets its name when it is whole. Raises Conflict."""
    if os.path.lexists(output) and not force:
        raise Conflict(f"{output} exists here", hint="choose another -o, or --force")
    beside = os.path.join(os.path.dirname(output), temporary_name(f"{os.getpid()}/{output}"))
    try:
        with open(beside, "wb") as out:
            _write(out, pieces)
        os.replace(beside, output)
    except BaseException:  # Ctrl-C, too: nobody could go on with it
        if os.path.lexists(beside):
            os.unlink(beside)
        raise
