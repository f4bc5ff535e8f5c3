"""``logferry restore``: a backup becomes an archive again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_server
from logferry.cli.premises import as_plain, config_option
from logferry.cli.serve import need_server
from logferry.clock import rfc3339
from logferry.limits import MIB

if TYPE_CHECKING:
    from logferry.archive.backup.restoring import Restoring

_TELL_BYTES = 16 * MIB


@click.command()
@click.argument("place", required=False)
@config_option
@click.option("--backup", "name", metavar="NAME", help="Which one; default: the newest.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def restore(place: str | None, file: str | None, name: str | None, as_json: bool) -> int:
    """Restore a backup into the empty folder that the settings name (archive.root), and into their store.

    Cut off, it goes on where it was when it is called again. Exit code 4: something was damaged in the backup.
    """
    need_server()
    from logferry.archive.backup.records import SETTINGS
    from logferry.server.backing import repository, restore
    from logferry.server.config import load_config

    config = load_config(file, for_server())
    bar = text.Progress()
    last = -1

    def tell(restoring: Restoring) -> None:
        nonlocal last
        if restoring.bytes // _TELL_BYTES != last:
            last = restoring.bytes // _TELL_BYTES
            bar.show(f"{text.size(restoring.bytes)} of {text.size(restoring.total_bytes)}")

    with repository(config, place, make=False) as backups:
        backup = backups.get(name)
        done = restore(config, backups, backup, tell=tell)
    bar.clear()
    if as_json:
        text.out_json({"backup": backup.name, "root": config.data_dir} | as_plain(done))
    else:
        for problem in done.problems:
            text.out(text.line(f"damaged  {problem}"))
        text.note(
            f"restored {backup.name} (as of {text.minute(rfc3339(backup.taken_ns))}) to {config.data_dir}: "
            f"{backup.files:,} files of {backup.agents:,} agents, {text.size(backup.bytes)}"
        )
        if any(part.name.endswith(f"/{SETTINGS}") for part in backup.parts):
            text.note(f"the settings it ran with lie beside it: {SETTINGS}")
        text.note("next: logferry verify --quick, then logferry serve; agents send again what is missing")
    return failures.PARTIAL if done.problems else failures.OK
