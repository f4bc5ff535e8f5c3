"""``logferry backup``: whole copies of a running archive, each costing what is new; listed, verified, thinned out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_server
from logferry.cli.premises import as_plain, config_option, premises
from logferry.cli.serve import need_server
from logferry.clock import rfc3339
from logferry.limits import MIB

if TYPE_CHECKING:
    from logferry.archive.backup import Backup, Repository, Taking

_TELL_BYTES = 16 * MIB


@click.group()
def backup() -> None:
    """Back up the archive beside the running server. Places: a folder on another disk, or s3://bucket/prefix.

    Without a place that of the settings is taken ([backup] to). logferry restore brings a backup back.
    """


_JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
_FORCE = click.option(
    "--force", is_flag=True, help="Take the place over from another machine that died while it was writing there."
)
_PLACE = click.argument("place", required=False)


@backup.command()
@_PLACE
@config_option
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Afterwards remove all but the newest N backups.")
@_FORCE
@click.option("--without-keys", is_flag=True, help="Leave out the server's TLS key and certificate.")
@_JSON
def make(place: str | None, file: str | None, keep: int | None, force: bool, without_keys: bool, as_json: bool) -> int:
    """Take a backup: catalog, segments, what is not sealed yet, certificate and key, settings.

    Only what is new is copied. Uploads, sealing and searches go on. Exit code 4: something of the archive, or of an
    older backup, is damaged already (it is named; everything else is in the backup).
    """
    bar = text.Progress()
    with premises(file) as here:
        from logferry.server.backing import extras, repository
        from logferry.server.config import load_config_with_origins

        path = load_config_with_origins(file, for_server()).path
        with repository(here.config, place, make=True) as backups:
            taker = here.archive.taker(backups, tell=_teller(bar))
            done = taker.take(extras(here.config, path, secrets=not without_keys), keep=keep, force=force)
            bar.clear()
            removed, notes = taker.taking.removed, taker.taking.notes
    if as_json:
        text.out_json(as_plain(done) | {"removed": removed, "notes": notes})
    else:
        for problem in done.problems:
            text.out(text.line(f"damaged  {problem}"))
        for note in notes:
            text.out(text.line(f"note  {note}"))
        text.note(
            f"backup {done.name}: {done.files:,} files of {done.agents:,} agents, {text.size(done.bytes)}; "
            f"{text.size(done.new_bytes)} new of {text.size(done.object_bytes)} in segments"
            + (f"; {len(removed):,} older things removed" if removed else "")
        )
    return failures.PARTIAL if done.problems or notes else failures.OK


def _teller(bar: text.Progress) -> Callable[[Taking], None]:
    last = ("", -1)

    def tell(taking: Taking) -> None:
        nonlocal last
        now = (taking.phase, taking.bytes // _TELL_BYTES)
        if now != last:
            last = now
            total = f" of {text.size(taking.total_bytes)}" if taking.total_bytes else ""
            bar.show(f"{taking.phase}: {text.size(taking.bytes)}{total}")

    return tell


@contextmanager
def _backups(file: str | None, place: str | None) -> Iterator[Repository]:
    need_server()
    from logferry.server.backing import repository
    from logferry.server.config import load_config

    with repository(load_config(file, for_server()), place, make=False) as backups:
        yield backups


@backup.command("list")
@_PLACE
@config_option
@_JSON
def show(place: str | None, file: str | None, as_json: bool) -> int:
    """The backups there, the oldest first. Exit code 1: there is no whole one."""
    with _backups(file, place) as backups:
        listing = backups.listing()
    if as_json:
        for one in listing.whole:
            text.out_json(as_plain(one) | {"whole": True})
        for name in listing.unfinished:
            text.out_json({"name": name, "whole": False})
        for name in listing.unreadable:
            text.out_json({"name": name, "whole": False, "unreadable": True})
    elif listing.whole:
        head = ("BACKUP", "TAKEN", "AGENTS", "FILES", "CONTENT", "SEGMENTS", "ADDED", "NOTE")
        text.out(text.table(head, map(_cells, listing.whole), right="AGENTS FILES CONTENT SEGMENTS ADDED"))
    for name in listing.unfinished if not as_json else ():
        text.note(f"{name} was never finished, or is being written; the next backup removes what is left of it")
    for name in listing.unreadable if not as_json else ():
        text.note(f"{name} cannot be read (logferry backup verify tells why); nothing is removed while it is there")
    return failures.OK if listing.whole else failures.NOTHING


def _cells(one: Backup) -> tuple[str, ...]:
    damaged = len(one.problems) + one.more_problems
    return (
        one.name,
        text.minute(rfc3339(one.taken_ns)),
        f"{one.agents:,}",
        f"{one.files:,}",
        text.size(one.bytes),
        text.size(one.object_bytes),
        text.size(one.new_bytes),
        f"{damaged:,} damaged already" if damaged else "",
    )


@backup.command()
@_PLACE
@config_option
@click.option("--backup", "name", metavar="NAME", help="Only this one; default: all of them.")
@click.option("--quick", is_flag=True, help="Only look whether everything is there and as long as it should be.")
@_JSON
def verify(place: str | None, file: str | None, name: str | None, quick: bool, as_json: bool) -> int:
    """Read backups and compare every byte with its checksum. Exit code 4: something is damaged."""
    from logferry.archive.backup.repository import Checked, Listing

    bar = text.Progress()
    checked = Checked()
    damaged = read = 0

    def tell(count: int) -> None:
        nonlocal read
        if read // _TELL_BYTES != (read + count) // _TELL_BYTES:
            bar.show(f"{text.size(read + count)} read")
        read += count

    with _backups(file, place) as backups:
        listing = Listing([backups.get(name)]) if name else backups.listing()
        wanted = backups.verify(listing.whole, checked, deep=not quick, pace=tell)
        for flaw in chain(backups.unreadable(listing.unreadable), wanted):
            damaged += flaw.is_damage
            bar.clear()
            word = "damaged" if flaw.is_damage else "note"
            names = ", ".join(flaw.backups)
            text.out_json(as_plain(flaw)) if as_json else text.out(
                text.line(f"{word}  {flaw.place} {flaw.what}  [{names}]")
            )
        bar.clear()
    if as_json:
        text.out_json(as_plain(checked) | {"damaged": damaged})
    else:
        how = "looked at" if quick else f"read, {text.size(checked.bytes)}"
        text.note(
            f"{checked.backups:,} backups, {checked.objects:,} objects {how}: "
            + (f"{damaged:,} damaged" if damaged else "nothing damaged")
        )
    return failures.PARTIAL if damaged else failures.OK if listing.whole else failures.NOTHING


@backup.command()
@_PLACE
@config_option
@click.option("--keep", type=click.IntRange(1), metavar="N", required=True, help="How many of the newest stay.")
@_FORCE
def prune(place: str | None, file: str | None, keep: int, force: bool) -> int:
    """Remove all but the newest backups, and the segments that no other one needs."""
    with premises(file) as here:
        from logferry.archive.locks import backing_up
        from logferry.server.backing import repository

        with (
            backing_up(here.config.data_dir) as slip,
            repository(here.config, place, make=False) as backups,
            backups.locked(slip, here.catalog.clock.now_ns(), force=force),
        ):
            removed = list(backups.prune(keep))
    text.note(f"{len(removed):,} segments and backups removed" if removed else "nothing to remove")
    return failures.OK
