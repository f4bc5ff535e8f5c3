"""``logferry repair``: a lost catalog is built anew, and what is damaged gives what is whole of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_server
from logferry.cli.premises import as_plain, config_option, premises
from logferry.cli.serve import need_server

if TYPE_CHECKING:
    from logferry.server.config import ServerConfig


@click.command()
@config_option
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--rebuild", is_flag=True, help="Build the catalog anew although there is one, which is kept aside.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each thing found.")
def repair(file: str | None, dry_run: bool, rebuild: bool, as_json: bool) -> int:
    """Mend the archive. Without a catalog: build it from segments and files alone. Exit code 4: something stays lost.

    Users and passwords are in no segment: after a rebuild, make them again, or restore a backup.
    """
    need_server()
    from logferry.server.catalogs import has_catalog
    from logferry.server.config import load_config

    config = load_config(file, for_server())
    if rebuild or not has_catalog(config):
        return _rebuild(config, write=not dry_run, as_json=as_json)
    damaged = 0
    from logferry.archive.index_making import MakerApart

    with premises(file) as place, contextlib.closing(MakerApart()) as maker:
        for mended in place.archive.mend(write=not dry_run, maker=maker):
            damaged += mended.is_damage
            word = "lost" if mended.is_damage else "mended" if mended.mended else "found"
            if as_json:
                text.out_json(as_plain(mended))
            else:
                text.out(text.line(f"{word}  {mended.kind}  {mended.place}: {mended.text}"))
    text.note(f"{damaged:,} places stay damaged" if damaged else "nothing stays damaged")
    return failures.PARTIAL if damaged else failures.OK


def _rebuild(config: ServerConfig, *, write: bool, as_json: bool) -> int:
    from logferry.server.rebuilding import rebuilt

    problems = 0
    for found in rebuilt(config, write=write):
        problems += len(found.problems)
        if as_json:
            text.out_json(as_plain(found))
            continue
        saved = f", {found.saved_frames:,} frames saved from damaged segments" if found.saved_frames else ""
        text.out(
            f"{found.agent}: {found.files:,} files, {found.generations:,} generations, {text.size(found.bytes)} "
            f"in {found.segments:,} segments and files{saved}"
        )
        for problem in found.problems:
            text.out(text.line(f"  {problem}"))
    if write:
        text.note("the catalog is built anew; make its users again (logferry admin), and let the agents join again")
    return failures.PARTIAL if problems else failures.OK
