"""``logferry ftp ls``: what is in a folder of an FTP server."""

from __future__ import annotations

import os
from typing import Any

import click

from logferry.cli import failures, text
from logferry.cli.ftp_account import server_answers
from logferry.cli.ftp_address import FtpAddress, How, options
from logferry.clock import rfc3339
from logferry.errors import NotFound
from logferry.ftp import FtpClient, Listed

_MARKS = {"folder": "d", "file": "-", "link": "l", "other": "?"}


@click.command()
@click.argument("address", metavar="ftp[s]://USER@HOST[:PORT]/PATH")
@click.option("-l", "long", is_flag=True, help="Kind, size and time of each.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@options
def ls(address: str, long: bool, as_json: bool, **connecting: Any) -> int:
    """List a folder; of a file, the file."""
    there = FtpAddress.parse(address)
    with server_answers(), How(**connecting).connected(there) as client:
        entries = sorted(_entries(client, there.path), key=lambda entry: os.fsencode(entry.name))
    for entry in [] if long and not as_json else entries:
        if as_json:
            text.out_json(_json(entry))
        else:
            name = text.line(entry.name)
            text.out(text.paint(name + "/", fg="blue", bold=True) if entry.kind == "folder" else name)
    if long and not as_json and entries:
        text.out(text.table(("", "SIZE", "MODIFIED (UTC)", "NAME"), [_cells(entry) for entry in entries], right="SIZE"))
    if not entries:
        text.note(f"{there.at(there.path)} is empty")
    return failures.OK if entries else failures.NOTHING


def _entries(client: FtpClient, path: str) -> list[Listed]:
    if client.is_folder(path):
        return client.entries(path)
    entry = client.stat(path)
    if entry is None:
        raise NotFound(f"there is nothing at {path} on {client.where}", hint="check the path")
    return [entry]


def _cells(entry: Listed) -> tuple[str, ...]:
    size = "-" if entry.size is None else text.size(entry.size)
    modified = text.minute(rfc3339(entry.modified_ns)) if entry.modified_ns is not None else "-"
    arrow = f" -> {entry.target}" if entry.target else ""
    return _MARKS[entry.kind], size, modified, entry.name + "/" * (entry.kind == "folder") + arrow


def _json(entry: Listed) -> dict[str, object]:
    return {
        "name": entry.name,
        "type": entry.kind,
        "size": entry.size,
        "modified_at": None if entry.modified_ns is None else rfc3339(entry.modified_ns),
        "target": entry.target or None,
    }
