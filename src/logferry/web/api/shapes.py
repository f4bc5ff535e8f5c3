"""The JSON of the API: one model per shape, and how records become it. Times are RFC 3339 in UTC, sizes bytes."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from logferry import names
from logferry.archive.catalog.measuring import Measures
from logferry.archive.records import AgentRecord, CopyRecord, FileRecord, FolderRecord, GenerationRecord
from logferry.clock import rfc3339
from logferry.limits import EXPECT_EVERY_S_MAX, FILE_GROWING_S, GROUP_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX
from logferry.server.health import State, agent_state, heard_of

_INT64_MAX = (1 << 63) - 1
FileState = Literal["growing", "quiet", "ended"]


class Shape(BaseModel):
    """Base of all: no unknown keys."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class Agent(Shape):
    """One agent; ``state`` is computed from what the server heard, ``reason`` says why in words.

    ``held_files`` and ``held_bytes`` count all generations; ``quota_files`` and ``quota_bytes`` bound them, 0: nothing
    does. ``zone``: of times in its logs that name none. ``own_…``: what was set for this agent, ``null``: what the
    server's settings say holds. ``upload_rate``: its own limit, a rate or a timetable, empty: none. ``expect_every_s``:
    how often it is to be heard, ``null``: as usual. ``paused``: its uploads are refused, and it waits. ``revoked``: it
    cannot log in.
    """

    id: str
    group: str
    state: State
    reason: str
    heard_at: str | None
    uploaded_at: str | None
    last_file: str
    files: int
    bytes: int
    held_files: int
    held_bytes: int
    quota_files: int
    quota_bytes: int
    own_quota_files: int | None
    own_quota_bytes: int | None
    zone: str
    own_zone: str | None
    version: str
    address: str
    tags: list[str]
    upload_rate: str
    expect_every_s: float | None
    paused: bool
    revoked: bool


class AgentChange(Shape):
    """What is to be changed of an agent; what is left out stays. ``null``: what the server's settings say holds again.

    Of quotas 0 is: nothing bounds it.
    """

    quota_files: int | None = Field(None, ge=0, le=_INT64_MAX)
    quota_bytes: int | None = Field(None, ge=0, le=_INT64_MAX)
    zone: str | None = Field(None, max_length=64, description="A name such as Europe/Berlin, or UTC.")
    group: str = Field("", max_length=GROUP_CHARS_MAX, description="empty: none")
    tags: list[Annotated[str, Field(max_length=TAG_CHARS_MAX)]] = Field([], max_length=TAGS_MAX)
    upload_rate: str = Field("", max_length=200, description="5 MiB/s, or a timetable; empty: no limit of its own")
    expect_every_s: float | None = Field(None, ge=1, le=EXPECT_EVERY_S_MAX, description="null: as usual")
    paused: bool = Field(False, description="uploads are refused with 450; the agent waits, and nothing is lost")
    revoked: bool = Field(False, description="it cannot log in; its files stay")


class AgentPassword(Shape):
    """A new password of an agent, shown this once."""

    agent: str
    password: str


class AgentList(Shape):
    """Agents by id."""

    items: list[Agent]
    next: str | None


class OwnWords(Shape):
    """What an agent said of itself in its last heartbeat; ``clock_skew_s``: how far its clock is ahead of ours."""

    received_at: str
    started_at: str
    version: str
    clock_skew_s: float
    link: str
    files: int
    waiting: int
    lag_bytes: int
    lag_s: float
    held: int
    sent_bytes: int
    generations: int
    renames: int
    differences: int
    looks: int
    overflows: int
    watcher: str
    errors: dict[str, int]
    sources: list[str]
    problems: list[str]


class AgentHealth(Shape):
    """An agent as the server heard it, the last failed upload, and its own words where it sends heartbeats."""

    agent: Agent
    error: str
    error_at: str | None
    own_words: OwnWords | None


class HeartbeatTaken(Shape):
    """The server's clock when a heartbeat arrived, nanoseconds since 1970."""

    time_ns: int


class Folder(Shape):
    """One folder with the sums of everything below it."""

    name: str
    path: str
    files: int
    bytes: int
    changed_at: str


class Original(Shape):
    """The file whose content a compressed one holds. ``whole`` is false when it has grown since: then its beginning."""

    fid: int
    path: str
    generation: int
    whole: bool


class File(Shape):
    """One path of an agent, with the facts of its current (or last) generation."""

    fid: int
    agent: str
    path: str
    name: str
    size: int
    generation: int
    generations: int
    modified_at: str
    received_at: str
    changed_at: str
    sha256: str | None = Field(description="null until it was asked for, or when bytes came since")
    state: FileState
    raw_name_b64: str = Field(
        default="", description="the name as the node has it, base64; absent when it is the one shown"
    )
    copy_of: Original | None = Field(
        default=None, description="what a compressed file holds, where that is archived too; absent for all others"
    )
    lines: int | None = Field(default=None, description="how many lines it has; absent where nobody knows yet")
    lines_exact: bool | None = Field(
        default=None,
        description="with `lines`: false where not all bytes were looked at yet: `lines` is an estimate then",
    )
    first_at: str | None = Field(
        default=None, description="time of the first line that shows one, to the second; absent where none is known"
    )
    last_at: str | None = Field(
        default=None, description="that of the last one; where `lines` is not exact, of those that were looked at"
    )


class Tree(Shape):
    """One page of a folder: folders first, then files. ``files`` and ``bytes`` are the sums of all below it."""

    agent: str
    path: str
    files: int
    bytes: int
    folders: list[Folder]
    items: list[File]
    next: str | None


class FileList(Shape):
    """Files found."""

    items: list[File]
    next: str | None
    matching: int | None = Field(default=None, description="with `sort`: of how many that match these are the first")
    complete: bool | None = Field(
        default=None, description="with `sort`: false where more match, which were not looked at"
    )


class Generation(Shape):
    """One life of a path's content."""

    number: int
    size: int
    current: bool
    started_at: str
    ended_at: str | None
    changed_at: str
    modified_at: str
    sha256: str | None


class GenerationList(Shape):
    """The generations of a file, oldest first."""

    items: list[Generation]


class Row(Shape):
    """A line. ``n`` is its number (1 for the first; null while not known), ``b`` its first byte, ``len`` its bytes with
    the line end; ``cut`` says that ``s`` holds only its beginning. Bytes that are not text are ``\\xNN``."""

    n: int | None
    b: int
    len: int
    s: str
    cut: bool
    shown: int | None = Field(default=None, description="of a cut line: `s` is the text of so many bytes of it")
    t: str | None = Field(default=None, description="its own time, where times were asked for and it shows one")


class LinePage(Shape):
    """Some lines of a generation. ``prev`` and ``next`` are bytes to ask for with ``at_byte``."""

    fid: int
    gen: int
    size: int
    lines_total: int | None
    exact: bool
    rows: list[Row]
    prev: int | None
    next: int | None
    end: bool
    encoding: str = Field(default="utf-8", description="what it is read as")
    looks_like: str | None = Field(
        default=None, description="what these lines look like instead, where they have bad bytes"
    )


class KeptRow(Row):
    """A line with how many ``more`` are folded under it, the bytes of all of them, and whether the query found it."""

    more: int
    span: int
    hit: bool


class KeptPage(Shape):
    """Some lines of a generation. ``prev`` and ``next`` are where to look on, with ``before`` and ``at_byte``."""

    fid: int
    gen: int
    size: int
    lines_total: int | None
    rows: list[KeptRow]
    prev: int | None
    next: int | None
    end: bool
    encoding: str
    looks_like: str | None


class TextPiece(Shape):
    """More of a line: ``s`` is the text of so many ``bytes``; none when there is no more."""

    s: str
    bytes: int


class MergedRow(Row):
    """A line of a merged view: ``f`` is the number of its source, ``t`` its own time, null where it shows none."""

    f: int
    fid: int
    gen: int


class MergedPart(Shape):
    """One generation of a source."""

    fid: int
    gen: int
    path: str
    size: int


class SourceProblem(Shape):
    """Why a source cannot be read, or not any further."""

    detail: str
    hint: str


class MergedSource(Shape):
    """A file, or a rotated log with its ``parts``, the oldest first. ``timed``: its lines have times; else they come
    last. ``names_year`` and ``names_zone`` say what its timestamps tell themselves; ``zone`` is what is taken
    otherwise, and years are told by when the lines arrived."""

    name: str
    series: bool
    agent: str
    path: str
    parts: list[MergedPart]
    size: int
    timed: bool | None
    zone: str
    names_year: bool | None
    names_zone: bool | None
    problem: SourceProblem | None


class MergedPage(Shape):
    """Some lines of several files in the order of their times. ``start`` and ``end`` are cursors to go on from, up with
    ``before`` and down with ``after``; ``fraction`` is the share of all bytes before the first line, ``fraction_end``
    that before the line behind the last."""

    sources: list[MergedSource]
    rows: list[MergedRow]
    start: str
    end: str
    at_start: bool
    at_end: bool
    fraction: float
    fraction_end: float


class LineIndex(Shape):
    """How many line ends each step of ``step`` bytes holds; ``complete`` when the whole generation was counted."""

    size: int
    step: int
    counts: list[int]
    lines_total: int | None
    complete: bool


class Me(Shape):
    """Who asks. ``csrf`` is what changes under a cookie must send as ``X-CSRF-Token``; empty for tokens."""

    name: str
    role: str
    scope: list[str]
    csrf: str
    zone: str = Field(description="in which zone pages show times; `browser`: that of the browser")
    theme: str = Field(description="of pages: `auto` (as the system), `light` or `dark`")
    density: str = Field(description="of tables: `comfortable` or `compact`")
    keys: str = Field(description="whether letters are keys in logs: `on` or `off`")


class JoinToken(Shape):
    """A token for new agents, shown once, and the line to paste on a node."""

    token: str
    command: str
    uses: int
    expires_at: str


class FtpAccess(Shape):
    """Where and how an agent delivers."""

    host: str
    port: int
    tls: str
    pin: str


class Joined(Shape):
    """What a new agent needs; the password is shown once."""

    id: str
    user: str
    password: str
    ftp: FtpAccess
    heartbeat: str


class Version(Shape):
    """What runs here."""

    name: str
    version: str
    api: str


class Chip(Shape):
    """One term of a query, for people."""

    kind: str
    negated: bool
    label: str
    text: str
    field: str
    column: int


class QueryHint(Shape):
    """A remark on a valid query."""

    column: int
    text: str


class ParsedQuery(Shape):
    """A query in its canonical form."""

    canonical: str
    chips: list[Chip]
    hints: list[QueryHint]


class Bucket(Shape):
    """Lines of a stretch of time that begins at ``at``."""

    at: str
    count: int


class Buckets(Shape):
    """Matching lines by their time: no empty buckets; ``untimed`` lines tell no time, ``outside`` another one.

    ``from`` and ``to`` are what was asked for: ``from <= time < to``.
    """

    since: str | None = Field(alias="from")
    until: str | None = Field(alias="to")
    step_s: int
    buckets: list[Bucket]
    untimed: int
    outside: int


class FacetValue(Shape):
    """How many lines have a value."""

    value: str
    count: int


class FacetCounts(Shape):
    """Matching lines by a field: the values with the most, those of all ``other``, how many ``distinct`` ones."""

    field: str
    values: list[FacetValue]
    other: int
    distinct: int


class SearchTally(Shape):
    """How many lines match. If not ``exact`` at least so many do: ``reason`` and ``errors`` say why."""

    type: Literal["tally"]
    reason: Literal["running", "complete", "limit", "time", "cancelled"] = Field(
        description="`running`, in a stream: so far; another one follows"
    )
    total: int
    exact: bool
    histogram: Buckets | None
    facets: list[FacetCounts]
    scanned_bytes: int
    total_bytes: int
    files_done: int
    files_total: int
    seconds: float
    errors: list[str]
    copies: int
    remarks: list[str] = Field(description="what is wrong, though nothing was missed by it")
    whole_files: int | None = Field(description="in all that you may see; null for those who see a part")
    whole_bytes: int | None


class Search(Shape):
    """A search that runs by itself. `why` says in words why it is not all there is; `complete` when nothing is missing:
    it ended by itself and every file could be read. `hits` can be read page by page while it runs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "wpFO3fQzUl1nVx2A",
                    "state": "limit",
                    "why": "it stopped at the limit of 500 hits",
                    "complete": False,
                    "asked": {"q": 'agent:web* "connection refused"', "from": "now-24h", "limit": 500},
                    "limit": 500,
                    "started_at": "2026-11-23T08:14:01.882Z",
                    "ended_at": "2026-11-23T08:14:02.104Z",
                    "scanned_bytes": 12_400_000,
                    "total_bytes": 80_100_000,
                    "files_done": 3,
                    "files_total": 17,
                    "hits": 500,
                    "errors": [],
                    "copies": 0,
                    "remarks": [],
                }
            ]
        }
    )
    id: str
    state: Literal["running", "done", "limit", "time", "cancelled", "error"]
    why: str
    complete: bool
    asked: dict[str, Any] = Field(description="the question as it was asked")
    limit: int | None
    started_at: str
    ended_at: str | None
    scanned_bytes: int
    total_bytes: int
    files_done: int
    files_total: int
    hits: int
    errors: list[str] = Field(description="each file that could not be read, with the reason")
    copies: int = Field(description="compressed copies of files searched anyway, left out")
    remarks: list[str] = Field(description="what is wrong, though nothing was missed by it")


class SearchList(Shape):
    """Searches, the newest first."""

    items: list[Search]
    next: str | None


class Job(Shape):
    """A background job: how much it has to do in all, how much waits, what it found, what it could not do."""

    name: str
    about: str
    items: int
    waiting: int
    found: int
    failed: int
    problems: list[str] = Field(
        default_factory=list, description="some of what it could not do, in words, the newest first"
    )


class JobList(Shape):
    """The background jobs."""

    items: list[Job]


class Flaw(Shape):
    """Something that verifying found damaged: at ``place`` in the server's data, ``path`` is a file concerned.

    ``frame``: of a segment, null where it is not one frame.
    """

    place: str
    frame: int | None
    kind: str
    agent: str
    path: str
    what: str
    since: str
    seen: str


class FlawList(Shape):
    """What is known to be damaged; empty is good."""

    items: list[Flaw]


class Problem(BaseModel):
    """RFC 9457. ``column`` is there for query errors."""

    type: str
    title: str
    status: int
    detail: str
    hint: str
    instance: str
    request_id: str
    column: int | None = None


def agent_shape(record: AgentRecord, now_ns: int) -> Agent:
    """An agent as JSON has it."""
    health = agent_state(heard_of(record), now_ns)
    return Agent(
        id=record.id,
        group=record.group,
        state=health.state,
        reason=health.reason,
        heard_at=_time(record.heard_ns),
        uploaded_at=_time(record.uploaded_ns),
        last_file=record.last_path,
        files=record.files,
        bytes=record.bytes,
        held_files=record.held_files,
        held_bytes=record.held_bytes,
        quota_files=record.quota_files,
        quota_bytes=record.quota_bytes,
        own_quota_files=record.own_quota_files,
        own_quota_bytes=record.own_quota_bytes,
        zone=record.zone,
        own_zone=record.own_zone,
        version=record.version,
        address=record.address,
        tags=list(record.tags),
        upload_rate=record.upload_rate,
        expect_every_s=record.expect_every_s,
        paused=record.paused,
        revoked=record.revoked,
    )


def folder_shape(record: FolderRecord) -> Folder:
    """A folder as JSON has it."""
    return Folder(
        name=record.name,
        path=record.path,
        files=record.files,
        bytes=record.bytes,
        changed_at=rfc3339(record.changed_ns),
    )


def file_shape(
    record: FileRecord, now_ns: int, copy: CopyRecord | None = None, measures: Measures | None = None
) -> File:
    """A file as JSON has it; ``copy`` for one that is the compressed copy of another, ``measures`` where known."""
    raw = names.unescape(record.name)
    # Left unset, and so out of the JSON, for the many names that are shown as they are and that are no copies.
    other: dict[str, Any] = {}
    if raw != record.name.encode():
        other["raw_name_b64"] = base64.b64encode(raw).decode()
    if copy is not None:
        other["copy_of"] = Original(fid=copy.file_id, path=copy.path, generation=copy.number, whole=copy.is_whole)
    if measures is not None:
        other |= {"lines": measures.lines, "lines_exact": measures.exact}
        times = {"first_at": measures.first_ns, "last_at": measures.last_ns}
        other |= {name: rfc3339(ns) for name, ns in times.items() if ns is not None}
    return File(
        fid=record.id,
        agent=record.agent,
        path=record.path,
        name=record.name,
        size=record.size,
        generation=record.number,
        generations=record.generations,
        modified_at=rfc3339(record.modified_ns),
        received_at=rfc3339(record.received_ns),
        changed_at=rfc3339(record.changed_ns),
        sha256=record.sha256,
        state=file_state(record, now_ns),
        **other,
    )


def file_state(record: FileRecord, now_ns: int) -> FileState:
    """``growing``: bytes came lately; ``ended``: the node no longer has it; else ``quiet``."""
    if not record.has_current:
        return "ended"
    return "growing" if now_ns - record.changed_ns < FILE_GROWING_S * 1e9 else "quiet"


def generation_shape(record: GenerationRecord, sha256: str | None = None) -> Generation:
    """A generation as JSON has it."""
    return Generation(
        number=record.number,
        size=record.size,
        current=record.current,
        started_at=rfc3339(record.started_ns),
        ended_at=_time(record.ended_ns),
        changed_at=rfc3339(record.changed_ns),
        modified_at=rfc3339(record.modified_ns),
        sha256=sha256 or record.sha256,
    )


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
