"""``logferry ftp put``, ``get`` and ``mirror``: files and trees to any FTP server and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from logferry.cli import text
from logferry.cli.ftp_account import Account, server_answers
from logferry.cli.ftp_address import FtpAddress, How, is_address, options
from logferry.cli.ftp_bar import Bar
from logferry.errors import BadConfig, NotFound, Refused
from logferry.ftp import FtpClient, Listed, Mirrored, download_many, mirror_down, mirror_up, upload_many
from logferry.ftp.selection import Selection
from logferry.ftp.tree import check_name
from logferry.limits import FTP_CONNECTIONS_DEFAULT


def _copying(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that copies."""
    for option in reversed(
        (
            click.option(
                "--connections", type=click.IntRange(1, 64), default=FTP_CONNECTIONS_DEFAULT, show_default=True,
                help="Files at the same time.",
            ),
            click.option("--verify/--no-verify", default=True, help="Compare digests where the server computes them."),
            click.option("--json", "as_json", is_flag=True, help="The account as JSON."),
        )
    ):  # fmt: skip
        command = option(command)
    return options(command)


_RESUME = click.option("--resume/--no-resume", default=True, help="Go on where an earlier try broke off (default).")


# put -----------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("local", nargs=-1, required=True)
@click.argument("address", metavar="ftp[s]://USER@HOST[:PORT]/PATH")
@click.option("-r", "--recursive", is_flag=True, help="Folders too, with everything below them.")
@_RESUME
@_copying
def put(
    local: tuple[str, ...],
    address: str,
    recursive: bool,
    resume: bool,
    connections: int,
    verify: bool,
    as_json: bool,
    **connecting: Any,
) -> int:
    """Upload files: each whole and checked, under a temporary name until then.

    The path is a folder when it ends with / or there are several files, else the file's new name or an existing folder.
    """
    there = FtpAddress.parse(address)
    folders = [path for path in local if os.path.isdir(path)]
    if folders and not recursive:
        raise Refused(f"{folders[0]} is a folder", hint="-r uploads it with all below it, or use: logferry ftp mirror")
    missing = [path for path in local if not os.path.exists(path)]
    if missing:
        raise NotFound(f"there is no file {missing[0]}", hint="check the path; nothing was uploaded")
    account, bar = Account("put"), Bar()
    with server_answers():
        client = How(**connecting).connected(there)
        with client:
            into = len(local) > 1 or there.path.endswith("/") or client.is_folder(there.path)
            pairs = [
                (path, _below(there.path, os.path.basename(path)) if into else there.path)
                for path in local
                if path not in folders
            ]
            try:
                account.add(
                    upload_many(client, pairs, connections=connections, resume=resume, verify=verify, progress=bar)
                )
                for folder in folders:
                    name = os.path.basename(os.path.abspath(folder))
                    target = _below(there.path, name) if into else there.path
                    account.add_mirror(
                        mirror_up(client, folder, target, connections=connections, verify=verify, progress=bar)
                    )
            finally:
                bar.clear()
    return account.tell(as_json=as_json)


def _below(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


# get -----------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("address", metavar="ftp[s]://USER@HOST[:PORT]/PATH")
@click.option("-o", "--output", help="File or folder to write; without it, the same name here.")
@click.option("-r", "--recursive", is_flag=True, help="A folder, with everything below it.")
@click.option("-f", "--force", is_flag=True, help="Replace files that are here already.")
@_RESUME
@_copying
def get(
    address: str,
    output: str | None,
    recursive: bool,
    force: bool,
    resume: bool,
    connections: int,
    verify: bool,
    as_json: bool,
    **connecting: Any,
) -> int:
    """Download a file, the files that match the last part of a path (*.log), or with -r a folder.

    Each arrives whole and checked, under a temporary name until then, with the time it has on the server.
    """
    there = FtpAddress.parse(address)
    account, bar = Account("got"), Bar()
    with server_answers(), How(**connecting).connected(there) as client:
        entry = None if there.path.endswith("/") else client.stat(there.path) if there.path else None
        try:
            if (entry is None or entry.kind != "file") and client.is_folder(there.path):
                if not recursive:
                    raise BadConfig(f"{there.path or 'this'} is a folder", hint="-r fetches it with all below it")
                target = output or os.path.basename(there.path.rstrip("/")) or there.host
                account.add_mirror(
                    mirror_down(client, there.path, target, connections=connections, verify=verify, progress=bar)
                )
            else:
                pairs = _pairs(client, there.path, entry, output)
                _keep_what_is_here([target for _, target in pairs], force=force)
                results = download_many(
                    client, pairs, connections=connections, resume=resume, verify=verify, progress=bar
                )
                account.add(results, name_remote=True)
        finally:
            bar.clear()
    return account.tell(as_json=as_json)


def _pairs(client: FtpClient, path: str, entry: Listed | None, output: str | None) -> list[tuple[str, str]]:
    """What to fetch, and where to. A name with wildcards means the files of its folder that match."""
    folder, slash, name = path.rpartition("/")
    if entry is None and any(sign in name for sign in "*?["):
        selection = Selection.of([name])
        names = []
        for listed in client.entries(folder or slash):
            if listed.kind == "file" and selection.takes(listed.name):
                check_name(listed.name, windows=os.name == "nt")
                names.append(listed.name)
        if not names:
            raise NotFound(f"no file matches {path}", hint="look with: logferry ftp ls")
        if output:
            os.makedirs(output, exist_ok=True)
        return [(f"{folder}{slash}{each}", os.path.join(output or "", each)) for each in sorted(names)]
    if entry is None:
        raise NotFound(f"there is no file {path} on {client.where}", hint="look with: logferry ftp ls")
    if output is None:
        return [(path, name)]
    into = os.path.isdir(output) or output.endswith("/")
    if into:
        os.makedirs(output, exist_ok=True)
    return [(path, os.path.join(output, name) if into else output)]


def _keep_what_is_here(targets: list[str], *, force: bool) -> None:
    here = [target for target in targets if os.path.lexists(target)]
    if here and not force:
        # Not the server's fault, and nothing was fetched: wrong use.
        raise BadConfig(f"{here[0]} is here already", hint="choose another -o, or replace it with --force")


# mirror --------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files that match; may be repeated.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Not these files and folders; may be repeated.")
@click.option("--delete", is_flag=True, help="Remove from the target what the source does not have.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be done, change nothing.")
@_copying
def mirror(
    source: str,
    target: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    delete: bool,
    dry_run: bool,
    connections: int,
    verify: bool,
    as_json: bool,
    **connecting: Any,
) -> int:
    """Make the folder TARGET like SOURCE. One of both is here, the other an address (ftp[s]://USER@HOST/PATH).

    Only files whose size or time differ are copied. Patterns: *.log (any folder), nginx/*.log, **/old.
    """
    if is_address(source) == is_address(target):
        raise BadConfig("a mirror goes from here to a server or back", hint="give one folder and one ftp[s]:// address")
    there = FtpAddress.parse(source if is_address(source) else target)
    account, bar = Account("put" if is_address(target) else "got", dry_run), Bar()
    wish: dict[str, Any] = {
        "include": include,
        "exclude": exclude,
        "delete": delete,
        "dry_run": dry_run,
        "connections": connections,
        "verify": verify,
        "progress": bar,
    }
    with server_answers(), How(**connecting).connected(there) as client:
        try:
            if is_address(target):
                mirrored = mirror_up(client, source, there.path, **wish)
            else:
                mirrored = mirror_down(client, there.path, target, **wish)
        finally:
            bar.clear()
    if dry_run and not as_json:
        _print_plan(mirrored, to_server=is_address(target))
    account.add_mirror(mirrored)
    return account.tell(as_json=as_json)


def _print_plan(mirrored: Mirrored, *, to_server: bool) -> None:
    for folder in mirrored.folders:
        text.out(f"make    {text.line(folder)}/")
    for file in mirrored.files:
        text.out(f"copy    {text.line(file.remote if to_server else file.local)}  ({text.size(file.size)})")
    for path in mirrored.deleted:
        text.out(f"delete  {text.line(path)}")
