"""``logferry ls``: a folder of the archive."""

from __future__ import annotations

import click

from logferry.amounts import count_in_short
from logferry.cli import failures, text
from logferry.cli.api import Api, Row
from logferry.cli.place import Place, parse


def _file_cells(row: Row) -> tuple[str, ...]:
    older = (
        row["generations"] - 1
    )  # numbers are never used again, so the last one says nothing about how many there are
    generations = f"gen {row['generation']}" + (f" +{older} older" if older > 0 else "")
    original = row.get("copy_of")
    copy = ""
    if original:
        what = "same content as" if original["whole"] else "the beginning of"
        copy = f"  ({what} {_beside(row['path'], original['path'])}, compressed)"
    mark = "✓" if row.get("sha256") else "-"
    return (
        mark,
        text.size(row["size"]),
        _lines(row),
        text.minutes(row.get("first_at"), row.get("last_at")),
        generations,
        text.minute(row.get("modified_at")),
        row["state"],
        row["name"] + copy,
    )


def _lines(row: Row) -> str:
    """How many lines a file has, with ``≈`` where not all its bytes were looked at; ``-``: nobody knows."""
    if row.get("lines") is None:
        return "-"
    return ("" if row.get("lines_exact") else "≈") + count_in_short(row["lines"])


def _beside(path: str, other: str) -> str:
    """Another path as one says it beside ``path``: the name alone where it lies in the same folder."""
    folder, _, name = other.rpartition("/")
    return name if folder == path.rpartition("/")[0] else f"/{other}"


def _folder_cells(row: Row) -> tuple[str, ...]:
    changed = text.minute(row.get("changed_at"))
    return ("d", text.size(row["bytes"]), "", "", f"{row['files']:,} files", changed, "", row["name"] + "/")


HEAD = ("", "SIZE", "LINES", "FIRST – LAST (UTC)", "CONTENT", "MODIFIED (UTC)", "STATE", "NAME")


def rows_of(api: Api, place: Place) -> list[tuple[str, Row]]:
    """What ``place`` lists: a folder's content, or the file itself."""
    file = api.file_or_none(place)
    return [("file", file)] if file else list(api.folder(place))


def _agent_rows(api: Api) -> list[tuple[str, Row]]:
    return [
        (
            "folder",
            {"name": a["id"], "path": "", "files": a["files"], "bytes": a["bytes"], "changed_at": a["uploaded_at"]},
        )
        for a in api.agents()
    ]


@click.command()
@click.argument("place", required=False, type=parse, metavar="[AGENT:/PATH]")
@click.option(
    "-l", "long", is_flag=True, help="Size, lines (≈: about), times in them, generation, state of each; ✓ has a digest."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with its type.")
def ls(place: Place | None, long: bool, as_json: bool) -> int:
    """List a folder; without a place, the agents."""
    with Api() as api:
        rows = rows_of(api, place) if place else _agent_rows(api)
    if as_json:
        for kind, row in rows:
            text.out_json({"type": kind, **row})
    elif long and rows:
        cells = [_folder_cells(row) if kind == "folder" else _file_cells(row) for kind, row in rows]
        text.out(text.table(HEAD, cells, right="SIZE LINES"))
    else:
        for kind, row in rows:
            name = text.line(row["name"])
            text.out(text.paint(name + "/", fg="blue", bold=True) if kind == "folder" else name)
    if not rows:
        text.note(f"{place or 'the archive'} is empty")
    return failures.OK if rows else failures.NOTHING
