"""``logferry serve``: the server, its parts as child processes, and what to do first on the screen."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from logferry.cli import failures, text
from logferry.cli.environment import for_server
from logferry.errors import Refused

if TYPE_CHECKING:
    from logferry.server.first_run import Banner
    from logferry.server.supervisor import Notice

_NEEDED = ("argon2", "fastapi", "obstore", "re2", "segno", "sqlalchemy", "structlog", "uvicorn", "zstandard")


def need_server() -> None:
    """Raise Refused when only the base install is there, which has the agent and the FTP library alone."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f"the server's packages are missing: {', '.join(missing)}", hint="pip install 'logferry[server]'")


def overrides(**given: str | None) -> dict[str, Any]:
    """Nested settings from flags named ``table__setting``; those that are None were not given."""
    nested: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None:
            table, _, key = name.partition("__")
            nested.setdefault(table, {})[key] = value
    return nested


def banner_lines(banner: Banner, version: str) -> list[str]:
    """The first screen: where everything is, then what to do next."""
    new = " (new)" if banner.is_new else ""
    tls = {"off": "without TLS", "explicit": "TLS when asked for", "required": "TLS"}[banner.ftp_tls]
    certificate = "" if banner.ftp_tls == "off" else f" (certificate {banner.pin})"
    lines = [
        f"logferry {version}  archive {banner.archive}{new}  FTP {banner.ftp_address} {tls}{certificate}"
        f"  web {banner.web_url}"
    ]
    if banner.setup_link:
        lines.append(f"▸ Make the first admin (works once, 30 min):  {banner.setup_link}")
    if banner.join_command:
        lines.append(f"▸ Add an agent (token: 24 h, {banner.join_uses} uses):  {banner.join_command}")
    return lines


@click.command()
@click.option("--config", "file", type=click.Path(dir_okay=False), help="Settings; default: server.toml, if there.")
@click.option("--data", help="Folder of the archive (archive.root).")
@click.option("--listen", help="Address of web and API (web.listen); HTTPS unless loopback.")
@click.option("--ftp-listen", help="Address of FTP (ftp.listen).")
@click.option("--tls", type=click.Choice(("required", "explicit", "off")), help="TLS of FTP (ftp.tls).")
def serve(file: str | None, data: str | None, listen: str | None, ftp_listen: str | None, tls: str | None) -> int:
    """Run the server: FTP(S) ingest, archive, API and pages. Ctrl-C or SIGTERM stops all of it."""
    need_server()
    from logferry import __version__
    from logferry.agent.journal import Journal
    from logferry.agent.notify import Notifier
    from logferry.server import first_run
    from logferry.server.config import load_config_with_origins
    from logferry.server.crew import check_crew
    from logferry.server.supervisor import Part, Supervisor

    service_manager = Notifier(os.environ, Journal())
    flags = overrides(archive__root=data, web__listen=listen, ftp__listen=ftp_listen, ftp__tls=tls)
    loaded = load_config_with_origins(file, for_server(), flags)
    config = loaded.config
    check_crew(config)
    prepared = first_run.prepare(config, loaded=loaded)

    def ready(parts: dict[str, dict[str, Any]]) -> None:
        first_run.write_local(prepared, parts["web"])
        banner = first_run.banner(prepared, parts)
        for line in banner_lines(banner, __version__):
            text.out(text.line(line))
        for warning in banner.warnings:
            text.note(f"warning: {warning}")
        sys.stdout.flush()
        service_manager.ready()

    def told(notice: Notice) -> None:
        if notice.kind == "ended":
            text.note(f"the {notice.part} part {notice.detail}")

    try:
        parts = [
            Part(name, (sys.executable, "-P", "-m", f"logferry.{module}", prepared.config_path))
            for name, module in (("ftp", "server"), ("web", "web"), ("care", "server.care"))
        ]
        Supervisor(parts, on_notice=told).run(ready)
    finally:
        prepared.close()
    return failures.OK
