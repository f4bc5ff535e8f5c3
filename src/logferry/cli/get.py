"""``logferry get``: files or whole folders, several at a time, each checked before it gets its name."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from itertools import islice

import click

from logferry.cli import failures, text
from logferry.cli.api import Api, Row
from logferry.cli.get_archive import fetch_archive, told_of_archive
from logferry.cli.place import Place, parse
from logferry.errors import Conflict, Damaged, Later, LogferryError, Refused, Unreachable
from logferry.limits import COPY_BYTES
from logferry.names import split, temporary_name
from logferry.takeout import form_by_output

TRIES = 5
"""Times one file is continued after a broken connection."""
WINDOW = 64
"""Files handed to the workers ahead of time; a folder of a million stays a small list."""


@dataclass(slots=True)
class Tally:
    """What a download has done so far."""

    files: int = 0
    bytes: int = 0
    digests: int = 0
    """Files whose SHA-256 the server knew and that had it."""
    failed: list[str] = field(default_factory=list)


class Fetcher:
    """Fetches single files; every worker thread has a connection of its own."""

    def __init__(self, api: Api, *, verify: bool, force: bool = False) -> None:
        self._api = api
        self._verify = verify
        self._force = force
        self._local = threading.local()
        self._opened: list[Api] = []

    def fetch(self, row: Row, target: str, gen: int | None = None) -> tuple[int, bool]:
        """Download one file to ``target``. Returns its bytes and whether a digest was compared.

        The file lies under a temporary name beside ``target`` until size and digest are right.

        Raises:
            Damaged: the bytes do not have the server's digest.
            Conflict: ``target`` exists with other content, and replacing was not asked for.
            LogferryError: the server refused, or could not be reached after several tries.
        """
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        beside = os.path.join(os.path.dirname(target), temporary_name(f"{os.getpid()}/{target}"))
        try:
            size, digest = self._download(row, beside, gen or row["generation"])
            expected = self._digest_of(row, size, gen)
            if expected and expected != digest:
                raise Damaged(
                    f"{Place(row['agent'], row['path'])} arrived with other bytes than the server has",
                    where=target,
                    expected=expected,
                    found=digest,
                    hint="fetch it again; if it happens twice, ask for a scrub of the archive",
                )
            if row.get("modified_at"):
                moment = datetime.fromisoformat(row["modified_at"]).timestamp()
                os.utime(beside, (moment, moment))
            if not self._force and os.path.lexists(target) and not _begins(beside, target):
                raise Conflict(f"{target} exists here with other content", hint="choose another -o, or --force")
            os.replace(beside, target)
        except (LogferryError, OSError):
            _remove(beside)
            raise
        return size, bool(expected)

    def close(self) -> None:
        """Hang up all connections."""
        for api in self._opened:
            api.close()

    def _mine(self) -> Api:
        api: Api | None = getattr(self._local, "api", None)
        if api is None:
            api = self._local.api = self._api.another()
            self._opened.append(api)
        return api

    def _download(self, row: Row, beside: str, gen: int) -> tuple[int, str]:
        """Write the generation into ``beside``, continuing after a cut. Returns size and SHA-256."""
        digest, size = hashlib.sha256(), 0
        with open(beside, "wb") as out:
            for attempt in range(TRIES):
                try:
                    with self._mine().raw(row["fid"], gen=gen, first=size) as answer:
                        if size and answer.status != HTTPStatus.PARTIAL_CONTENT:
                            raise Refused("the server does not continue downloads", hint="is a proxy in between?")
                        whole = None if answer.length is None else size + answer.length
                        while block := answer.read(COPY_BYTES):
                            out.write(block)
                            digest.update(block)
                            size += len(block)
                except Later:
                    self._mine().close()
                    if attempt + 1 == TRIES:
                        raise
                    continue
                if whole is None or size == whole:
                    return size, digest.hexdigest()
        raise Unreachable(f"{Place(row['agent'], row['path'])} broke off at byte {size}", hint="fetch it again")

    def _digest_of(self, row: Row, size: int, gen: int | None) -> str:
        """What the server says the digest of these ``size`` bytes is; empty when it has none for that length."""
        if gen is None and row.get("sha256") and row["size"] == size:
            return str(row["sha256"])
        if not self._verify:
            return ""
        number = gen or row["generation"]
        rows = self._mine().get(f"/files/{row['fid']}/generations", sha256=number)["items"]
        found = next((g for g in rows if g["number"] == number and g["size"] == size), None)
        return str(found["sha256"]) if found and found.get("sha256") else ""


def _begins(longer: str, shorter: str) -> bool:
    """Whether the file ``longer`` begins with all bytes of the file ``shorter``: then replacing it loses nothing."""
    if not os.path.isfile(shorter) or os.path.islink(shorter):
        return False
    with open(longer, "rb") as new, open(shorter, "rb") as old:
        while block := old.read(COPY_BYTES):
            if new.read(len(block)) != block:
                return False
    return True


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def fetch_all(fetcher: Fetcher, jobs: Iterator[tuple[Row, str]], *, streams: int) -> Tally:
    """Fetch every (file, target); one that fails is noted and the others go on."""
    tally, line = Tally(), text.Progress()
    running: dict[Future[tuple[int, bool]], Row] = {}
    with ThreadPoolExecutor(streams) as pool:
        while True:
            for row, target in islice(jobs, WINDOW - len(running)):
                running[pool.submit(fetcher.fetch, row, target)] = row
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                _count(tally, running.pop(done), done)
            line.show(f"{tally.files:,} files, {text.size(tally.bytes)}")
    line.clear()
    return tally


def _count(tally: Tally, row: Row, done: Future[tuple[int, bool]]) -> None:
    try:
        size, compared = done.result()
    except (LogferryError, OSError) as error:
        tally.failed.append(f"{Place(row['agent'], row['path'])}: {error}")
        return
    tally.files += 1
    tally.bytes += size
    tally.digests += compared


def targets(rows: Iterator[Row], folder: str, destination: str) -> Iterator[tuple[Row, str]]:
    """Where each file of ``folder`` goes below ``destination``; names stay as the archive shows them."""
    cut = len(folder) + 1 if folder else 0
    for row in rows:
        if folder and not row["path"].startswith(folder + "/"):
            raise Refused(f"the server listed {row['path']!r} under {folder!r}", hint="compare: logferry version")
        yield row, os.path.join(destination, *row["path"][cut:].split("/"))


def file_target(row: Row, output: str | None) -> str:
    """Where a single file goes: into ``output`` when that is a folder, else exactly there; without it, here."""
    if output is None:
        return str(row["name"])
    return os.path.join(output, row["name"]) if os.path.isdir(output) or output.endswith("/") else output


def told(tally: Tally) -> str:
    """``got 14 files, 3.2 GB, sha256 of every file matches the server``."""
    counted = f"got {tally.files:,} file{'s' * (tally.files != 1)}, {text.size(tally.bytes)}"
    if tally.digests == tally.files:
        return f"{counted}, sha256 of every file matches the server"
    return f"{counted}; sha256 of {tally.digests:,} compared, size of the others (they are still growing)"


@click.command()
@click.argument("place", type=parse, metavar="AGENT:/PATH")
@click.option(
    "-o",
    "--output",
    help="What to write; without it, the same name here. A folder also into x.zip, x.tar, x.tar.gz, x.tar.zst.",
)
@click.option("-r", "--recursive", is_flag=True, help="Into a zip or tar (-o) even when it is one file.")
@click.option("--gen", type=click.IntRange(min=1), help="An older generation (of one file).")
@click.option("--verify", is_flag=True, help="Ask the server for the digest of each file, even while it grows.")
@click.option("-f", "--force", is_flag=True, help="Replace files here that have other content.")
@click.option("--streams", type=click.IntRange(1, 16), default=4, show_default=True, help="Files at the same time.")
@click.option("--json", "as_json", is_flag=True, help="The account as JSON.")
def get(
    place: Place,
    output: str | None,
    recursive: bool,
    gen: int | None,
    verify: bool,
    force: bool,
    streams: int,
    as_json: bool,
) -> int:
    """Download a file or a folder with everything below it; size and SHA-256 are checked.

    A file that is here already is replaced only by the same content or more of it. A folder may be written into one zip
    or tar: every member is compared with the manifest in it, and what could not be read is named.
    """
    form = form_by_output(output or "")
    with Api() as api:
        file = api.file_or_none(place)
        if output and form and (recursive or not file):
            if gen:
                raise Refused("--gen goes with one file as it is", hint="leave out --gen, or name the file alone")
            return told_of_archive(fetch_archive(api, place, output, form, force=force), as_json=as_json)
        if recursive and file:
            raise Refused(f"{place} is a file", hint="leave out -r, or write it into a zip or tar: -o x.zip")
        fetcher = Fetcher(api, verify=verify, force=force)
        try:
            if file:
                size, compared = fetcher.fetch(file, file_target(file, output), gen)
                tally = Tally(1, size, int(compared))
            elif gen:
                raise Refused("--gen goes with one file", hint=f"{place} is a folder")
            else:
                destination = output or split(place.path)[1] or place.agent
                tally = fetch_all(fetcher, targets(api.under(place), place.path, destination), streams=streams)
        finally:
            fetcher.close()
    for failure in tally.failed:
        failures.say(failure)
    if as_json:
        text.out_json(
            {"files": tally.files, "bytes": tally.bytes, "sha256_compared": tally.digests, "failed": tally.failed}
        )
    else:
        text.note(told(tally))
    return failures.PARTIAL if tally.failed else failures.OK if tally.files else failures.NOTHING
