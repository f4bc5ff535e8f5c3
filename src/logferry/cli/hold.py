"""``logferry hold``: what retention may not delete, whatever its rules say."""

from __future__ import annotations

import click

from logferry.cli import failures, text
from logferry.cli.premises import config_option, premises
from logferry.clock import rfc3339


@click.group()
def hold() -> None:
    """Stops on deletion. A hold wins over every rule, also for files that have been renamed since."""


@hold.command()
@config_option
@click.argument("glob")
@click.option("--reason", required=True, help="Why; shown to whoever wonders.")
def add(file: str | None, glob: str, reason: str) -> int:
    """Keep everything that GLOB takes in, over agent/path: * within a name, ** across; a bare agent is all of it."""
    with premises(file) as place:
        made = place.catalog.retaining.add_hold(glob, reason)
        place.note("hold.add", made.glob, hold=made.id, reason=made.reason)
    text.note(f"hold {made.id}: nothing that {glob} takes in is deleted")
    return failures.OK


@hold.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(file: str | None, as_json: bool) -> int:
    """All holds. Exit code 1: there are none."""
    with premises(file) as place:
        rows = place.catalog.retaining.holds()
    if as_json:
        for row in rows:
            text.out_json(row._asdict() | {"created_at": rfc3339(row.created_ns)})
    elif rows:
        cells = ((str(row.id), row.glob, rfc3339(row.created_ns)[:10], row.reason) for row in rows)
        text.out(text.table(("HOLD", "GLOB", "SINCE", "REASON"), cells))
    else:
        text.note("nothing is held: retention goes by its rules alone")
    return failures.OK if rows else failures.NOTHING


@hold.command()
@config_option
@click.argument("number", type=int)
def remove(file: str | None, number: int) -> int:
    """End hold NUMBER; what it kept may go with the next run."""
    with premises(file) as place:
        ended = place.catalog.retaining.remove_hold(number)
        place.note("hold.end", ended.glob, hold=ended.id, reason=ended.reason)
    text.note(f"hold {number} has ended")
    return failures.OK
