"""``logferry tail``: the end of files, and with -f whatever is added, through rotation and broken connections."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from itertools import islice

import click

from logferry.cli import failures, text
from logferry.cli.api import Api, Row, ServerEvent
from logferry.cli.place import Place, parse
from logferry.clock import SYSTEM, Clock
from logferry.errors import Later, LogferryError, NotFound, NotSignedIn, Refused
from logferry.limits import BACKOFF_S_MIN, LINES_PER_REQUEST_MAX, TAIL_PING_S

FILES_MAX = 20
"""Files followed at once: one connection each."""
RETRY_S_MAX = 5.0
"""A person watches: longest pause between two tries."""


def chosen(api: Api, places: tuple[Place, ...]) -> list[Row]:
    """The files that places and patterns name. Raises NotFound for one that names none, Refused for too many."""
    found: list[Row] = []
    for place in places:
        if place.is_pattern:
            rows = list(islice(api.files(pattern_query(place)), FILES_MAX + 1))
        else:
            rows = [api.file(place)]
        if not rows:
            raise NotFound(f"no file matches {place}", hint="list them: logferry find")
        found += rows
    if len(found) > FILES_MAX:
        raise Refused(f"more than {FILES_MAX} files match", hint="name fewer; logferry grep searches all")
    return found


def pattern_query(place: Place) -> str:
    """The file query for a place with wildcards; what the query language would read as syntax is escaped."""
    agent, path = (re.sub(r"[\s\"'()\\]", r"\\\g<0>", part) for part in (place.agent, place.path))
    return f"agent:{agent} path:={agent}/{path}" if path else f"agent:{agent}"


class Follower:
    """Follows one file: resumes where it stopped, waits longer after each failure, ends when ``stop`` is set."""

    def __init__(
        self,
        api: Api,
        file: Row,
        write: Callable[[str], None],
        *,
        stop: threading.Event,
        clock: Clock = SYSTEM,
    ) -> None:
        self._api = api
        self._fid = int(file["fid"])
        self._place = Place(file["agent"], file["path"])
        self._write = write
        self._stop = stop
        self._clock = clock
        self._resume = ""

    def run(self, gen: int, start: int) -> None:
        """Write rows from byte ``start`` of generation ``gen`` on, until stopped.

        Raises:
            Refused: the server will not serve this file (any more).
        """
        self._resume = f"{gen}:{start}"
        wait_s = BACKOFF_S_MIN
        while not self._stop.is_set():
            try:
                for event in self._api.follow(self._fid, resume=self._resume):
                    wait_s = BACKOFF_S_MIN
                    self._take(event)
                    if self._stop.is_set():
                        return
            except Later as error:
                text.note(f"{self._place}: connection lost ({error.message}), resuming; no lines are lost")
                self._api.refresh()
            except NotSignedIn:
                if not self._api.refresh():
                    raise
            self._stop.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads clients, guards nothing
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    def _take(self, event: ServerEvent) -> None:
        if event.id:
            self._resume = event.id
        if event.kind == "lines":
            for row in event.data["rows"]:
                self._write(shown_row(row))
        elif event.kind == "gen":
            text.note(f"{self._place}: generation {event.data['gen']} begins")


def _print_rows(prefix: str, as_json: bool, file: Row) -> Callable[[str], None]:
    lock = _PRINTING

    def write(content: str) -> None:
        with lock:
            if as_json:
                text.out_json({"agent": file["agent"], "path": file["path"], "s": content})
            else:
                text.out(prefix + text.line(content))

    return write


_PRINTING = threading.Lock()


def last_lines(api: Api, fid: int, gen: int, count: int) -> tuple[list[Row], int]:
    """The last ``count`` rows of a generation and the byte behind them."""
    page = api.lines(fid, gen=gen, tail=max(count, 1))
    rows: list[Row] = page["rows"]
    return (rows if count else []), int(page["size"])


def shown_row(row: Row) -> str:
    """The text of a row; one that was too long to send whole says so, and how long it is."""
    return f"{row['s']}… [cut; the line has {text.size(row['len'])}]" if row.get("cut") else str(row["s"])


def follow_all(files: list[tuple[Row, int, Callable[[str], None]]], api: Api) -> int:
    """Follow each (file, first byte, writer) in a thread of its own until Ctrl-C or until all have failed."""
    stop = threading.Event()
    failed: list[LogferryError] = []

    def one(file: Row, start: int, write: Callable[[str], None]) -> None:
        try:
            with api.another() as own:
                Follower(own, file, write, stop=stop).run(int(file["generation"]), start)
        except LogferryError as error:
            failed.append(error)
            failures.say(error.message, error.hint)
        except BrokenPipeError:
            stop.set()

    threads = [threading.Thread(target=one, args=given, daemon=True) for given in files]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads) and not stop.is_set():
            for thread in threads:
                thread.join(0.2)
    except KeyboardInterrupt:
        stop.set()
    return failures.PARTIAL if failed else failures.OK


@click.command()
@click.argument("places", nargs=-1, required=True, type=parse, metavar="AGENT:/PATH...")
@click.option("-n", "--lines", "count", type=click.IntRange(0, LINES_PER_REQUEST_MAX), default=10, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added; resumes after a broken connection.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(places: tuple[Place, ...], count: int, follow: bool, as_json: bool) -> int:
    """The last lines of files; wildcards name several ('db-*:**/postgresql*.log')."""
    following: list[tuple[Row, int, Callable[[str], None]]] = []
    with Api(timeout_s=4 * TAIL_PING_S) as api:
        files = chosen(api, places)
        for file in files:
            prefix = f"{text.line(str(Place(file['agent'], file['path'])))}:" if len(files) > 1 else ""
            write = _print_rows(prefix, as_json, file)
            rows, end = last_lines(api, file["fid"], file["generation"], count)
            for row in rows:
                write(shown_row(row))
            following.append((file, end, write))
        return follow_all(following, api) if follow else failures.OK
