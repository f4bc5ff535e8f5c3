"""``logferry retention``: what the rules of the settings delete, before and after."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.premises import Premises, config_option, premises
from logferry.clock import rfc3339

if TYPE_CHECKING:
    from logferry.archive.retention import Due, Retention


@click.group()
def retention() -> None:
    """What the rules under [[retention]] delete. Without rules nothing is ever deleted."""


_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object for each file.")


def _rules(place: Premises) -> Retention:
    from logferry.archive.retention import Rule

    return place.archive.retention([Rule(rule.match, rule.keep) for rule in place.config.retention])


@retention.command()
@config_option
@_JSON
def preview(file: str | None, as_json: bool) -> int:
    """What a run would delete now, exactly. Held files are left out. Exit code 1: nothing."""
    with premises(file) as place:
        return _told(place, _rules(place).due(), "would go", as_json=as_json)


@retention.command()
@config_option
@_JSON
def run(file: str | None, as_json: bool) -> int:
    """Delete now what is due; the server does the same once an hour. Bytes stay on the disk for another hour."""
    with premises(file) as place, closing(_run(place)) as dues:  # also where nobody reads what is printed any more
        return _told(place, dues, "are deleted", as_json=as_json)


def _run(place: Premises) -> Generator[Due]:
    """What a run deletes, as it does. It is noted also where it breaks off, with what has gone by then."""
    count = size = 0
    complete = False
    at_ns = place.catalog.clock.now_ns()
    try:
        for step in _rules(place).run():
            count, size = count + len(step), size + sum(due.generation.size for due in step)
            yield from step
        complete = True
    finally:
        place.note("retention.run", rfc3339(at_ns), generations=count, bytes=size, complete=complete)


def _told(place: Premises, dues: Iterable[Due], what: str, *, as_json: bool) -> int:
    count = size = 0
    for due in dues:
        one = due.generation
        count, size = count + 1, size + one.size
        if as_json:
            text.out_json(
                {"agent": one.agent, "path": one.path, "generation": one.number, "bytes": one.size,
                 "rule": due.rule, "reason": due.reason}
            )  # fmt: skip
        else:
            name = f"{one.agent}:/{one.path}  generation {one.number}"
            text.out(text.line(f"{text.size(one.size):>8}  {name}  ({due.rule}: {due.reason})"))
    if not place.config.retention:
        text.note("there are no rules: nothing is ever deleted")
    else:
        text.note(f"{count:,} generations, {text.size(size)}, {what}" if count else "nothing is due")
    return failures.OK if count else failures.NOTHING


@retention.command("log")
@config_option
@click.option("--since", metavar="DURATION", default="30d", show_default=True, help="How far to look back.")
@_JSON
def show_log(file: str | None, since: str, as_json: bool) -> int:
    """What was deleted, by which rule and why; the latest first. Exit code 1: nothing."""
    seconds = settings.duration_s(since)
    with premises(file) as place:
        since_ns = place.catalog.clock.now_ns() - int(seconds * 1e9)
        rows = place.catalog.retaining.expired(since_ns=since_ns)
    for row in rows:
        if as_json:
            values = row._asdict() | {"expired_at": rfc3339(row.expired_ns)}
            text.out_json(values)
        else:
            name = f"{row.agent}:/{row.path}  generation {row.number}"
            text.out(
                text.line(f"{rfc3339(row.expired_ns)}  {text.size(row.size):>8}  {name}  ({row.rule}: {row.reason})")
            )
    return failures.OK if rows else failures.NOTHING
