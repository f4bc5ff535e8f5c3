"""``logferry cat``: bytes of a file as they are."""

from __future__ import annotations

import re
import sys

import click

from logferry.cli import failures, text
from logferry.cli.api import Api
from logferry.cli.http import Answer
from logferry.cli.place import Place, parse
from logferry.errors import NotFound, Refused
from logferry.limits import COPY_BYTES

_RANGE = re.compile(r"([1-9][0-9]*)(?:-([1-9][0-9]*)?)?")


def line_range(typed: str) -> tuple[int, int | None]:
    """``100-140`` -> (100, 140); ``100`` -> (100, 100); ``100-`` -> (100, None). Raises Refused."""
    found = _RANGE.fullmatch(typed)
    if not found:
        raise Refused(f"{typed!r} is no range of lines", hint="write 100-140, 100 or 100-; lines count from 1")
    first = int(found[1])
    last = first if "-" not in typed else int(found[2]) if found[2] else None
    if last is not None and last < first:
        raise Refused(f"the range {typed} ends before it begins", hint=f"write {last}-{first}")
    return first, last


def byte_of_line(api: Api, fid: int, gen: int, number: int) -> int | None:
    """Where a line begins, None when there are fewer lines."""
    rows = api.lines(fid, gen=gen, from_line=number, count=1)["rows"]
    return int(rows[0]["b"]) if rows else None


def open_lines(api: Api, fid: int, gen: int, first: int, last: int | None) -> Answer | None:
    """The exact bytes of lines ``first`` to ``last``, line ends included; None when the file is shorter."""
    start = byte_of_line(api, fid, gen, first)
    if start is None:
        return None
    end = None if last is None else byte_of_line(api, fid, gen, last + 1)
    return api.raw(fid, gen=gen, first=start, last=None if end is None else end - 1, text=True)


def copy_out(answer: Answer, *, as_text: bool) -> None:
    """Write a body to standard output: exactly, or (for a terminal) with control characters drawn as marks."""
    if not as_text:
        while block := answer.read(COPY_BYTES):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return
    for raw in answer.lines():
        text.out(text.line(raw.decode("utf-8", "surrogateescape")))


@click.command()
@click.argument("place", type=parse, metavar="AGENT:/PATH")
@click.option("--lines", "wanted", metavar="A-B", help="Only these lines, from 1; A- to the end.")
@click.option("--gen", type=click.IntRange(min=1), help="An older generation.")
@click.option("--raw", is_flag=True, help="The exact bytes on a terminal too (they may steer it).")
@click.option("-z", "--unpack", is_flag=True, help="The text of a compressed file; without it only with --lines.")
def cat(place: Place, wanted: str | None, gen: int | None, raw: bool, unpack: bool) -> int:
    """Write a file, or some of its lines: byte for byte into a pipe or file, made harmless on a terminal.

    Lines of a compressed file (.gz .xz .bz2 .zst) are those of its text.
    """
    first, last = line_range(wanted) if wanted else (1, None)
    with Api() as api:
        file = api.file(place)
        generation = gen or file["generation"]
        if first == 1 and last is None:
            answer: Answer | None = api.raw(file["fid"], gen=generation, text=unpack)
        else:
            answer = open_lines(api, file["fid"], generation, first, last)
        if answer is None:
            raise NotFound(f"{place} has no line {first}", hint=f"it is {text.size(file['size'])} long")
        with answer:
            copy_out(answer, as_text=sys.stdout.isatty() and not raw)
    return failures.OK
