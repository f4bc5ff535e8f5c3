"""``logferry service``: the server's systemd unit."""

from __future__ import annotations

import os
import sys

import click

from logferry.cli import failures, text
from logferry.cli.agent_service import program, write
from logferry.cli.environment import for_server
from logferry.cli.serve import need_server

_PLACE = "/etc/systemd/system/logferry.service"


@click.group()
def service() -> None:
    """Run the server as a service."""


@service.command()
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there.")
@click.option("--print", "only_print", is_flag=True, help="Write the unit to standard output, change nothing.")
@click.option("--user", default="logferry", show_default=True, help="Who it runs as.")
def install(file: str | None, only_print: bool, user: str) -> int:
    """Write a hardened systemd unit for the server with these settings, and say what starts it."""
    need_server()
    from logferry.server.config import load_config_with_origins
    from logferry.server.service import NAME, ServerService, systemd

    loaded = load_config_with_origins(file, for_server())
    config = loaded.config
    unit = systemd(
        ServerService(
            program=program(),
            config_path=os.path.abspath(loaded.path) if loaded.path else "",
            data_dir=config.data_dir,
            user=user,
            ports=(config.ftp.address[1], config.web.address[1]),
        )
    )
    if only_print:
        click.echo(unit, nl=False)
        return failures.OK
    write(_PLACE, unit)
    text.note(f"wrote {_PLACE}; now:")
    if not _is_user(user):
        text.note(f"  useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin {user}")
    if not config.data_dir.startswith("/var/lib/"):
        text.note(f"  install -d -o {user} -m 0750 {config.data_dir}")
    for step in ("systemctl daemon-reload", f"systemctl enable --now {NAME}", f"journalctl -u {NAME}"):
        text.note(f"  {step}")
    return failures.OK


def _is_user(name: str) -> bool:
    if sys.platform == "win32":
        return True
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
