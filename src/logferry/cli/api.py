"""The API as the commands use it: rows, pages, streams. Shapes are those of ``/api/v1`` (docs/reference/api.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from logferry.cli.connection import Connection, find
from logferry.cli.http import Answer, Http, problem_error
from logferry.cli.place import Place
from logferry.errors import NotFound, NotSignedIn, Refused
from logferry.names import checked_path

Row = dict[str, Any]
ROOT = "/api/v1"
PAGE_ITEMS = 1000
_LOOK = "see what there is: logferry ls {agent}:"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    kind: str
    data: Row
    id: str


class Api:
    """Calls of the API over one connection. Use it in one thread; ``another`` gives the next thread its own."""

    def __init__(self, connection: Connection | None = None, *, timeout_s: float = 60.0) -> None:
        self._found = connection is None
        self._timeout_s = timeout_s
        self.connection = connection or find()
        self._http = Http(self.connection, timeout_s=timeout_s)

    def another(self) -> Api:
        """The same server over a connection of its own."""
        made = Api(self.connection, timeout_s=self._timeout_s)
        made._found = self._found
        return made

    def refresh(self) -> bool:
        """Hang up and look again where the server is: one that was started anew lets this machine in by a new key.

        Returns whether anything changed.
        """
        self.close()
        try:
            now = find() if self._found else self.connection
        except NotSignedIn:  # its file is gone while it is down
            return False
        changed = now != self.connection
        self.connection, self._http = now, Http(now, timeout_s=self._timeout_s)
        return changed

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def get(self, path: str, /, **query: Any) -> Row:
        """The JSON object at ``/api/v1`` + ``path``."""
        with self._http.request("GET", ROOT + path, query=query) as answer:
            return _row(answer.json())

    def post(self, path: str, body: Row) -> Row:
        """Send a JSON object, return the one that comes back (empty for 204)."""
        with self._http.request("POST", ROOT + path, body=body) as answer:
            return {} if answer.status == 204 else _row(answer.json())

    def patch(self, path: str, body: Row) -> Row:
        """Change what is at ``path`` by a JSON object, return it as it is then."""
        with self._http.request("PATCH", ROOT + path, body=body) as answer:
            return _row(answer.json())

    def delete(self, path: str) -> None:
        """Remove what is at ``path``."""
        with self._http.request("DELETE", ROOT + path) as answer:
            answer.read()

    def sign_in(self, name: str, password: str, code: str = "") -> str:
        """Sign in. Returns the session cookie as a ``Cookie`` header carries it (``name=value``).

        Raises:
            SecondFactorNeeded: the person has a second factor, and there is no ``code``.
        """
        body = {"name": name, "password": password, **({"code": code} if code else {})}
        with self._http.request("POST", f"{ROOT}/sessions", body=body) as answer:
            cookie = str(answer.headers.get("Set-Cookie", "")).partition(";")[0]
            answer.read()
        if not cookie:
            raise Refused(f"{self.connection.url} gave no session", hint="is this the address of a Logferry server?")
        return cookie

    def items(self, path: str, /, **query: Any) -> Iterator[Row]:
        """All rows of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, **query, limit=PAGE_ITEMS, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def agents(self, **query: Any) -> Iterator[Row]:
        """All agents that may be seen, or those asked for."""
        return self.items("/agents", **query)

    def folder(self, place: Place) -> Iterator[tuple[str, Row]]:
        """``("folder", row)`` and ``("file", row)`` of a folder, in the server's order."""
        cursor = None
        while True:
            try:
                page = self.get("/tree", agent=place.agent, path=place.path, limit=PAGE_ITEMS, cursor=cursor)
            except NotFound as error:
                raise NotFound(f"there is nothing at {place}", hint=_LOOK.format(agent=place.agent)) from error
            yield from (("folder", _checked(row)) for row in page.get("folders", ()))
            yield from (("file", _checked(row)) for row in page["items"])
            cursor = page.get("next")
            if not cursor:
                return

    def file(self, place: Place) -> Row:
        """The file at a place. Raises NotFound, Refused for a folder."""
        try:
            return _checked(self.get("/file", agent=place.agent, path=place.path))
        except NotFound as error:
            if self._is_folder(place):
                hint = f"name a file in it: logferry ls {place}"
                raise Refused(f"{place} is a folder", hint=hint) from error
            raise NotFound(f"there is no file {place}", hint=_LOOK.format(agent=place.agent)) from error

    def _is_folder(self, place: Place) -> bool:
        try:
            self.get("/tree", agent=place.agent, path=place.path, limit=1)
        except NotFound:
            return False
        return True

    def file_or_none(self, place: Place) -> Row | None:
        """The file at a place, or None when there is none (it may be a folder)."""
        if not place.path:
            return None
        try:
            return _checked(self.get("/file", agent=place.agent, path=place.path))
        except NotFound:
            return None

    def files(self, query: str) -> Iterator[Row]:
        """Files that a query of the file search finds."""
        return (_checked(row) for row in self.items("/files", q=query))

    def under(self, place: Place) -> Iterator[Row]:
        """All files below a folder, however deep. Raises NotFound for a folder that is not there."""
        waiting = [place.path]
        while waiting:
            for kind, row in self.folder(Place(place.agent, waiting.pop())):
                if kind == "folder":
                    waiting.append(row["path"])
                else:
                    yield row

    def raw(
        self, fid: int, *, gen: int | None = None, first: int = 0, last: int | None = None, text: bool = False
    ) -> Answer:
        """Bytes ``first`` to ``last`` (inclusive; None: the end) of a generation, as a stream."""
        ranged = {"Range": f"bytes={first}-{'' if last is None else last}"} if first or last is not None else {}
        return self._http.request(
            "GET", f"{ROOT}/files/{fid}/raw", query={"gen": gen, "text": text or None}, headers=ranged
        )

    def archive(self, form: str, place: Place) -> Answer:
        """A folder with all below it, or one file, as a zip or tar that is made while it is read."""
        query = {"agent": place.agent, "path": place.path}
        return self._http.request("GET", f"{ROOT}/archive.{form}", query=query, headers={"Accept": "*/*"})

    def export(self, *, place: Place | None = None, query: str = "", unpack: bool = False) -> Answer:
        """The lines of files as NDJSON: those at or below a place, or those of the files that a query finds."""
        picked = {"agent": place.agent, "path": place.path} if place else {"q": query}
        return self._http.request(
            "GET", f"{ROOT}/export", query={**picked, "text": unpack or None}, headers={"Accept": _NDJSON}
        )

    def lines(self, fid: int, **query: Any) -> Row:
        """One page of lines."""
        return self.get(f"/files/{fid}/lines", **query)

    def search(self, **query: Any) -> Iterator[Row]:
        """Events of a search as they come: ``hit``, ``progress``, at last ``done``. Raises what ended it midway."""
        with self._http.request("GET", f"{ROOT}/search", query=query, headers={"Accept": _NDJSON}) as answer:
            for line in answer.lines():
                if line:
                    yield _unless_problem(_row(json.loads(line)))

    def tally(self, kind: str, **query: Any) -> Iterator[Row]:
        """``progress`` and ``tally`` of ``/search/<kind>``: ``count``, ``histogram`` or ``facets``; the last counts."""
        headers = {"Accept": "text/event-stream"}
        with self._http.request("GET", f"{ROOT}/search/{kind}", query=query, headers=headers) as answer:
            for event in events(answer.lines()):
                yield _unless_problem({"type": event.kind, **event.data})

    def follow(self, fid: int, *, resume: str = "", **query: Any) -> Iterator[ServerEvent]:
        """Events of a file that is followed; ``resume`` is the id of the last one that was seen."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": resume} if resume else {})
        with self._http.request("GET", f"{ROOT}/tail", query={"f": fid, **query}, headers=headers) as answer:
            yield from events(answer.lines())

    def web_link(self, place: Place, *, gen: int | None = None, line: int | None = None) -> str:
        """The address of a file, or a line of it, in the browser."""
        path = quote(f"{place.agent}/{place.path}")
        return f"{self.connection.url}/view/{path}{f'?gen={gen}' if gen else ''}{f'#L{line}' if line else ''}"


_NDJSON = "application/x-ndjson"


def events(lines: Iterator[bytes]) -> Iterator[ServerEvent]:
    """Server-sent events from their lines (WHATWG "event stream"); comments and unknown fields are passed over."""
    kind, last_id = "message", ""
    data: list[bytes] = []
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(kind, _row(json.loads(b"\n".join(data))), last_id)
            kind, data = "message", []
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            kind = value.decode()
        elif name == b"data":
            data.append(value)
        elif name == b"id":
            last_id = value.decode()


def _unless_problem(row: Row) -> Row:
    if row["type"] == "problem":
        raise problem_error(int(row.get("status", 500)), None, row)
    return row


def _row(value: Any) -> Row:
    if not isinstance(value, dict):
        raise Refused("the server's answer is not what the API promises", hint="compare: logferry version")
    return value


def _checked(row: Mapping[str, Any]) -> Row:
    """A row whose path may become a local path: never absolute, never upwards."""
    checked_path(str(row["path"]))
    return dict(row)
