"""Delivering slices over one FTP connection, so that every step may be the last before a crash.

Per file: SIZE at first contact -> (temporary name) -> REST n + STOR -> 226 -> SIZE = n + length, and HASH of what was
sent where the server offers it -> registry -> (RNTO). A 226 alone proves nothing; the registry moves only after both
agreed. Many small new files go as one bundle, where the server unpacks bundles; then its report takes the place of
SIZE. Renames have their own part, ``Mover``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from logging import WARNING

from logferry.agent import identity
from logferry.agent.contact import Contact
from logferry.agent.files import OpenFile
from logferry.agent.journal import Journal
from logferry.agent.leftovers import FileKey, Leftovers
from logferry.agent.likeness import same_bytes
from logferry.agent.packing import Packing
from logferry.agent.registry import Registry
from logferry.agent.remote import ensure_parent, move_aside, whole_size, wire
from logferry.agent.rows import Row, State
from logferry.agent.slices import Disagrees, LookAgain, Slice, Task, Unreadable, confirmed, next_slice, opened
from logferry.clock import Clock
from logferry.compressed import zstd_library
from logferry.errors import BadName, Conflict, Damaged, Later, LogferryError, NotFound
from logferry.ftp.client import FtpClient
from logferry.ftp.client_store import CONNECTION_OVER, StoreItem, StoreResult
from logferry.ftp.sending import Shrank
from logferry.limits import FTP_BUNDLE_FILES_MIN, READ_WHOLE_BYTES, SLICE_BYTES
from logferry.names import plain_path, split, temporary_name

_TEMPORARY_TRIES = 3
"""So often a temporary name is tried on servers that let it be overwritten."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The slice is confirmed and recorded; ``left`` bytes were beyond it when the file was looked at."""

    task: Task
    row: Row
    sent: int
    left: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work this time. ``row`` is what is true now (SIZE may have moved it)."""

    task: Task
    row: Row
    error: LogferryError


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing was sent: another generation has to leave the file's name first. ``row`` is what is true now."""

    task: Task
    row: Row


Outcome = Sent | Failed | Disagrees | LookAgain | Waits


@dataclass(slots=True, eq=False)
class _Job:
    """A slice with the place it goes to. ``publish``: that place is a temporary name, left at ``target`` bytes."""

    piece: Slice
    row: Row
    path: str
    publish: bool
    target: int

    @property
    def task(self) -> Task:
        return self.piece.task

    @property
    def file(self) -> FileKey:
        return FileKey(self.piece.file.stat.inode, self.piece.file.inode_generation)


class Shipper:
    """Works through batches of tasks on one connection."""

    def __init__(
        self,
        client: FtpClient,
        registry: Registry,
        journal: Journal,
        clock: Clock,
        stamp: Callable[[], str],
        leftovers: Leftovers,
        *,
        verify: bool = True,
        packing: Packing | None = None,
        confirmed: Callable[[list[int]], None] | None = None,
    ) -> None:
        """``stamp`` makes stamps for ``names.aside_name``. ``verify``: compare digests where the server has them.

        ``packing`` is what is known about the link of this connection so far. ``confirmed`` hears of rows that were
        confirmed, behind the registry.
        """
        self._tell_confirmed = confirmed
        self._verify = verify
        self._packing = packing or Packing()
        self._client = client
        self._registry = registry
        self._journal = journal
        self._clock = clock
        self._stamp = stamp
        self._leftovers = leftovers
        self._keeps = client.features.keeps
        self._contact = Contact(client, registry, journal, stamp, verify=verify)

    def ship(self, tasks: Sequence[Task]) -> list[Outcome]:
        """One slice of every task. Every task has one outcome; its file stays open in ``task.file``.

        Errors of one file are in its outcome; those of the connection are in the outcomes of all it still concerned.
        """
        outcomes: list[Outcome] = []
        jobs: list[_Job] = []
        broken: LogferryError | None = None
        for task in tasks:
            try:
                if broken is not None:
                    raise broken
                made = self._prepare(task)
            except LogferryError as error:
                made = Failed(task, task.row, error)
                broken = error if isinstance(error, CONNECTION_OVER) else None
            if isinstance(made, _Job):
                jobs.append(made)
            else:
                outcomes.append(made)
        if firsts := [first for job in jobs if (first := _first_bytes(job))]:
            self._registry.apply(firsts, now_ns=self._clock.now_ns())
        done: list[tuple[_Job, Sent]] = []
        for job, outcome in self._send_all(jobs):
            if isinstance(outcome, Sent):
                done.append((job, outcome))
            else:
                outcomes.append(outcome)
        self._registry.apply([sent.row for _, sent in done], now_ns=self._clock.now_ns())
        if self._tell_confirmed is not None and done:
            self._tell_confirmed([sent.row.id for _, sent in done])
        outcomes += self._publish_all(done)
        if done and self._leftovers and not self._keeps and not any(_is_over(outcome) for outcome in outcomes):
            self._remove_leftovers()
        return [self._other_name(outcome) for outcome in outcomes]

    def _other_name(self, outcome: Outcome) -> Outcome:
        """Some servers refuse names that others take: the file is to stand there under a plainer one of that sense."""
        if not isinstance(outcome, Failed) or not isinstance(outcome.error, BadName):
            return outcome
        row = outcome.row
        plain = plain_path(row.want)
        if plain == row.want or row.state is State.ENDED:
            return outcome
        row = dataclasses.replace(row, want=plain, going="")
        self._journal.event("name refused", level=WARNING, path=outcome.row.want, instead=plain)
        self._registry.apply([row], now_ns=self._clock.now_ns())
        return dataclasses.replace(outcome, row=row)

    # Before sending ---------------------------------------------------------------------------------------------------

    def _prepare(self, task: Task) -> _Job | Outcome:
        file = opened(task)
        if isinstance(file, LookAgain):
            return file
        if isinstance(file, Unreadable):
            return Failed(task, task.row, file.error)
        prove = task.prove and bool(task.row.remote or task.row.going) and task.row.state is not State.ENDED
        if task.compare and not prove:
            return self._compare(task, file)
        at_least = 0
        if task.row.going:
            found = self._contact.prove(task, file) if prove else self._contact.resolve(task, file)
            if isinstance(found, Disagrees):
                return found
            at_least = found
            if not task.row.remote:
                # From here on it may be under ``want`` and nowhere else. Unless that is known, a crash and a rename
                # later nobody would look for it there.
                self._registry.apply([task.row], now_ns=self._clock.now_ns())
                if not task.may_publish:
                    return Waits(task, task.row)
        elif task.row.remote and (prove or not task.checked):
            found = self._contact.prove(task, file) if prove else self._contact.reconcile(task, file)
            if isinstance(found, Disagrees):
                return found
            at_least = found
        if not task.row.remote and (not self._keeps or file.stat.size > READ_WHOLE_BYTES):
            at_least = self._contact.adopt(task, file)
        piece = next_slice(task, file, at_least=at_least)
        if isinstance(piece, Disagrees):
            return piece
        if isinstance(piece, Unreadable):
            return Failed(task, task.row, piece.error)
        return self._job(task, piece)

    def _job(self, task: Task, piece: Slice) -> _Job:
        row = task.row
        if row.remote:
            return _Job(piece, row, row.remote, publish=row.state is State.NEW, target=row.target)
        if row.state is State.ENDED or (self._client.features.atomic and piece.end == piece.size):
            return _Job(piece, row, row.want, publish=False, target=piece.size)
        return _Job(piece, row, self._temporary(piece), publish=True, target=piece.size)

    def _temporary(self, piece: Slice) -> str:
        """The name under which a new file travels: that of its inode, so that one begun before a crash is used again.

        Where that did not work because a server that compares has other bytes there, the content decides. Elsewhere
        what is left of an upload that broke off is simply overwritten, unless that fails again and again. After a lost
        connection another name is taken there: the server may not know that it is lost. Such an upload keeps others
        out of its file for minutes (vsftpd), and one that waits for its turn would empty the file afterwards.
        """
        row, file = piece.task.row, piece.file
        key = FileKey(file.stat.inode, file.inode_generation)
        texts = [str(key)]
        if not self._keeps and (lost := self._leftovers.lost(key)):
            texts.insert(0, f"{texts[0]}#{row.id}#{lost}")
        if piece.task.failures > (0 if self._keeps else _TEMPORARY_TRIES):
            texts.insert(0, f"{texts[0]}#{piece.print.head.hex()}{piece.print.tail.hex()}")
        for text in (*texts, f"{texts[0]}#{row.id}"):
            path = _beside(row.want, temporary_name(text))
            if not self._contact.taken(row, path):
                break
        return path

    def _compare(self, task: Task, file: OpenFile) -> _Job | Outcome:
        """Something was written below the offset, but head and tail agree."""
        piece = next_slice(task, file)
        if isinstance(piece, Disagrees):
            return piece
        if isinstance(piece, Unreadable):
            return Failed(task, task.row, piece.error)
        row = task.row
        same = same_bytes(self._client, row.remote, file, row.offset) if row.remote and not row.base else None
        if same is not None:
            return self._job(task, piece) if same else Disagrees(task, file, "rewritten with the same size")
        if self._keeps and row.state is State.LIVE and piece.size <= SLICE_BYTES:
            # The server finds out by itself: the same bytes change nothing, others become the next generation.
            data = file.read(0, piece.size)
            prints = identity.take(lambda start, count: data[start : start + count], piece.size)
            if prints is None:
                return Disagrees(task, file, "shrank while it was read")
            whole = Slice(task, file, piece.size, 0, piece.size, data, prints)
            return _Job(whole, row, row.remote, publish=False, target=row.target)
        if task.if_unknown_same or piece.length:
            return self._job(task, piece)
        return Disagrees(task, file, "rewritten with the same size")

    # Sending ----------------------------------------------------------------------------------------------------------

    def _send_all(self, jobs: Sequence[_Job]) -> Iterator[tuple[_Job, Outcome]]:
        ready: list[_Job] = []
        bundled = self._bundled(jobs)
        elsewhere = set(bundled)
        for job in jobs:
            if job in elsewhere:
                continue
            if job.piece.length == 0 and job.row.remote:
                yield job, self._confirmed(job)  # nothing to send; perhaps still to be published
                continue
            try:
                ensure_parent(self._client, job.path)
            except LogferryError as error:
                yield job, Failed(job.task, job.row, error)
            else:
                if self._is_left(job) and self._leftovers.lost(job.file):
                    # Should the agent die now, the next one would not think of this name.
                    self._leftovers.note(job.file, job.path, lost=False)
                ready.append(job)
        # All of them first: judging one may ask the server something, whose answer would come behind those still due.
        results = list(self._client.store_many([_item(job, verify=self._verify) for job in ready]))
        for job, result in zip(ready, results, strict=True):
            yield job, self._judge(job, result)
        if bundled:
            yield from self._send_bundle(bundled)

    def _is_left(self, job: _Job) -> bool:
        """Whether what arrives of it, should nobody hear so, lies about under a name that no row knows."""
        return job.publish and not job.row.remote and not self._keeps

    def _bundled(self, jobs: Sequence[_Job]) -> list[_Job]:
        """Those that go as one bundle: small new files under their own names, where the server unpacks bundles.

        One that did not get through that way goes alone the next time.
        """
        if not self._client.features.bundle_folder:
            return []
        found = [
            job
            for job in jobs
            if not job.row.remote and not job.publish and job.piece.data is not None and not job.task.failures
        ]
        return found if len(found) >= FTP_BUNDLE_FILES_MIN else []

    def _send_bundle(self, jobs: Sequence[_Job]) -> Iterator[tuple[_Job, Outcome]]:
        """The server's report says of each file whether it is durable; there is no SIZE to ask for behind it."""
        items = [_item(job) for job in jobs]
        offered = self._client.features.bundle_formats
        form = self._packing.form(offered, lambda: zstd_library() is not None)
        begin_s = self._clock.monotonic_s()
        try:
            bundle = self._client.store_bundle(items, form=form.name, level=form.level, verify=self._verify)
            results = bundle.results
            if bundle.agrees is False:
                results = tuple(self._looked_at(result) for result in results)
            if bundle.error is None:
                self._packing.note(form.name, bundle.count, self._clock.monotonic_s() - begin_s)
        except LogferryError as error:
            results = tuple(StoreResult(item, error=error) for item in items)
        for job, result in zip(jobs, results, strict=True):
            yield job, self._judge(job, result)

    def _looked_at(self, result: StoreResult) -> StoreResult:
        """A member of a bundle that arrived damaged somewhere: is it this one?"""
        if result.error is not None or not result.item.length:
            return result
        try:
            return dataclasses.replace(result, agrees=bool(self._client.agrees(result.item)))
        except LogferryError as error:
            return StoreResult(result.item, error=error)

    def _judge(self, job: _Job, result: StoreResult) -> Outcome:
        task, piece = job.task, job.piece
        if result.error is not None:
            return self._judge_error(job, result.error)
        if result.size is None and self._client.features.has("SIZE"):
            return Failed(task, job.row, Later(f"the server has no {job.path} although it confirmed it"))
        end = piece.end - job.row.base
        if result.size is not None and result.size > end and piece.offset:
            # Bytes beyond ours, from a generation that was cut short.
            return Disagrees(task, piece.file, f"the server has {result.size} bytes, {end} were to be")
        if result.size is not None and result.size != end:
            why = f"the server has {result.size} bytes of {job.path}, {end} were sent"
            return Failed(task, self._begun(job, result.size), Later(why, hint="it is sent again"))
        try:
            true = piece.still_true()
        except Later as error:  # it cannot be read any more just now; what the server has of it is asked for again
            return Failed(task, job.row, error)
        if result.agrees is False and true:
            return self._arrived_damaged(job)
        return self._confirmed(job) if true else self._changed(job)

    def _changed(self, job: _Job) -> Disagrees:
        self._journal.event("changed while it was being sent", level=WARNING, path=job.path)
        return Disagrees(job.task, job.piece.file, "changed while it was sent")

    def _arrived_damaged(self, job: _Job) -> Failed:
        """The right number of bytes, but not those that were sent: what is there is put aside, and all is sent anew.

        To a fresh place, since what the server made of them may be its disk's doing.
        """
        row, digests = job.row, "the server's digest of the bytes just sent differs"
        error = Damaged(f"{job.path} arrived damaged: {digests}", where=job.path, hint="it is sent again")
        try:
            aside = move_aside(self._client, job.path, self._stamp())
        except LogferryError as other:
            return Failed(job.task, row, other)
        self._journal.event("arrived damaged", level=WARNING, path=job.path, aside=aside, offset=job.piece.offset)
        state = State.NEW if row.state is State.LIVE else row.state
        row = dataclasses.replace(
            row, remote="", going="", print=identity.EMPTY, seen=identity.UNSEEN, state=state, target=0, base=0
        )
        self._registry.apply([row], now_ns=self._clock.now_ns())
        return Failed(job.task, row, error)

    def _begun(self, job: _Job, size: int) -> Row:
        """A first upload that arrived in part: what is there is the beginning of it, and delivery goes on behind that.

        Sent from byte 0 once more and cut even shorter, it would look like other content to a server that keeps it.
        """
        piece, row = job.piece, job.row
        if row.remote or piece.offset or not 0 < size < piece.end:
            return row
        try:
            prints = identity.take(piece.file.read, size)
        except Later:
            prints = None
        if prints is None:
            return row
        state = State.NEW if job.publish else State.LIVE
        row = dataclasses.replace(row, remote=job.path, print=prints, state=state, target=job.target)
        self._registry.apply([row], now_ns=self._clock.now_ns())
        return row

    def _confirmed(self, job: _Job) -> Sent:
        row = confirmed(job.piece, job.row, job.path)
        state = row.state
        if state is State.NEW and not job.publish:
            state = State.LIVE
        publish = state is State.NEW and row.offset >= job.target and job.task.may_publish
        going = row.want if publish else ""
        row = dataclasses.replace(row, state=state, target=job.target, going=going)
        return Sent(job.task, row, job.piece.length, job.piece.size - job.piece.end)

    def _judge_error(self, job: _Job, error: LogferryError) -> Outcome:
        task, piece = job.task, job.piece
        if isinstance(error, CONNECTION_OVER):
            if self._is_left(job):
                self._leftovers.note(job.file, job.path, lost=True)
            return Failed(task, job.row, error)
        if isinstance(error, Shrank):
            again = opened(task)
            if isinstance(again, OpenFile):
                made = next_slice(task, again)
                return (
                    self._changed(job) if isinstance(made, Disagrees) else Failed(task, job.row, Later(error.message))
                )
            return again if isinstance(again, LookAgain) else Failed(task, job.row, again.error)
        # Only a server that compares can mean its bytes. Any other has perhaps just died in the middle of the slice.
        if isinstance(error, Conflict) and self._keeps and piece.offset:
            try:
                have = self._client.size(wire(job.path))
            except LogferryError as other:
                return Failed(task, job.row, other)
            if have is not None and have > piece.offset - job.row.base:
                self._journal.event("the server has other bytes", level=WARNING, path=job.path, offset=piece.offset)
                return Disagrees(task, piece.file, "the server has other bytes")
        return Failed(task, job.row, error)

    # Publishing -------------------------------------------------------------------------------------------------------

    def _publish_all(self, done: Sequence[tuple[_Job, Sent]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        published: list[Row] = []
        for job, sent in done:
            row = sent.row
            if row.state is not State.NEW or not row.going:
                outcomes.append(sent)
                continue
            try:
                row = self._publish(row)
            except LogferryError as error:
                outcomes.append(Failed(job.task, row, error))
                continue
            published.append(row)
            outcomes.append(dataclasses.replace(sent, row=row))
        self._registry.apply(published, now_ns=self._clock.now_ns())
        return outcomes

    def _publish(self, row: Row) -> Row:
        ensure_parent(self._client, row.want)
        if whole_size(self._client, row.want):
            if self._contact.taken(row, row.want):
                raise Conflict(f"{row.want} is still in use", hint="it is tried again after the next look")
            aside = move_aside(self._client, row.want, self._stamp())
            self._journal.event("unknown content moved aside", level=WARNING, path=row.want, aside=aside)
        self._client.rename(wire(row.remote), wire(row.want))
        return dataclasses.replace(row, remote=row.want, going="", state=State.LIVE)

    def _remove_leftovers(self) -> None:
        """Of files that are where they belong, remove what lost connections left: one that still writes then writes
        nowhere."""
        for file in self._leftovers.files():
            rows = [row for row in self._registry.by_inode(file.inode) if file.may_be(row.inode_generation)]
            if not rows:
                self._leftovers.forget(file)
            elif any(row.offset and row.state is not State.NEW for row in rows):
                for path in self._leftovers.of(file):
                    if not self._registry.by_place(path) and not self._removed(file, path):
                        return

    def _removed(self, file: FileKey, path: str) -> bool:
        """Remove a leftover; False: the connection is over, and it stays for another time."""
        try:
            self._client.remove(wire(path))
        except CONNECTION_OVER as error:
            self._journal.event("not removed", level=WARNING, path=path, why=str(error))
            return False
        except NotFound:  # mostly nothing came to lie there
            pass
        except LogferryError as error:
            self._journal.event("not removed", level=WARNING, path=path, why=str(error))
        self._leftovers.removed(file, path)
        return True


def _is_over(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and isinstance(outcome.error, CONNECTION_OVER)


def _beside(path: str, name: str) -> str:
    """``name`` in the folder of ``path``."""
    folder, _ = split(path)
    return f"{folder}/{name}" if folder else name


def _first_bytes(job: _Job) -> Row | None:
    """What is to be known while a file that was empty until now gets its first bytes on the server.

    With nothing confirmed, only the row of a first upload is followed when the file is renamed. Were it not one, an
    agent that is killed now would not find the beginning that it left under the old name.
    """
    row = job.row
    if row.state is not State.LIVE or row.offset or row.misplaced or not job.piece.length:
        return None
    return dataclasses.replace(row, state=State.NEW, remote="", target=0)


def _item(job: _Job, *, verify: bool = False) -> StoreItem:
    piece = job.piece
    return StoreItem(
        path=wire(job.path),
        content=piece.content,
        offset=piece.offset if piece.data is None else 0,
        length=piece.length,
        rest=piece.offset - job.row.base,
        modified_ns=piece.file.stat.mtime_ns if piece.end == piece.size else None,
        want_digest=verify,
    )
