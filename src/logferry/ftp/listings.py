"""Listings: which entries LIST, NLST, MLSD and STAT show, in which order, and the lines for them.

All work is bounded: entries looked at, depth of ``-R``, entries held for sorting. A listing that reaches a bound ends
there and says so (``Listing.cut``), so nobody takes it for whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice

from logferry.errors import NotFound, NotPermitted, Refused
from logferry.ftp.filesystem import Entry, Filesystem
from logferry.ftp.protocol import listing, paths
from logferry.ftp.protocol.globs import Pattern, is_pattern
from logferry.ftp.protocol.list_options import NO_OPTIONS, ListOptions
from logferry.ftp.protocol.state import State
from logferry.limits import (
    FTP_LIST_DEPTH_MAX,
    FTP_LIST_ENTRIES_MAX,
    FTP_LIST_RECURSIVE_ENTRIES_MAX,
    FTP_LIST_SORTED_ENTRIES_MAX,
    FTP_LIST_TIDY_ENTRIES_MAX,
)


class NotAFolder(Refused):
    """MLSD of a file: RFC 3659 7.2.1 wants 501. Use MLST."""

    ftp_reply = 501


class Listing:
    """Lines, made while they are sent. ``cut`` tells afterwards why there are not all; empty: there are."""

    __slots__ = ("_left", "_lines", "cut")

    def __init__(self, entries_max: int) -> None:
        self._left = entries_max
        self._lines: Iterator[str] = iter(())
        self.cut = ""

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def take(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """``entries`` as far as the bound allows. Each one looked at counts, those that are not shown as well."""
        for entry in entries:
            if self._left <= 0:
                self.cut = "The listing ends here: too many entries; list folders one by one."
                return
            self._left -= 1
            yield entry

    def fill(self, lines: Iterator[str]) -> Listing:
        """Give it its lines."""
        self._lines = lines
        return self

    def close(self) -> None:
        """Let go of the lines that nobody asked for, and with them of the folders they come from.

        They know this listing, and it knows them: without this a folder stays open until the next garbage collection.
        """
        self._lines = iter(())


def rows(
    verb: str,
    path: str,
    prefix: str,
    options: ListOptions,
    files: Filesystem,
    state: State,
    now_ns: Callable[[], int],
) -> Listing:
    """The lines of LIST, NLST or MLSD for ``path``. ``prefix`` is the argument as it was sent.

    Raises:
        NotFound: there is nothing at ``path``; raised here, not while iterating.
        Refused: MLSD of a file; too many entries to sort.
    """
    if verb == "MLSD":
        return _facts(path, files, state)
    made = Listing(FTP_LIST_RECURSIVE_ENTRIES_MAX if options.recursive else FTP_LIST_ENTRIES_MAX)
    # The clock is looked at once: a listing shows one moment.
    now = now_ns() if verb == "LIST" or options.long else 0

    def line(entry: Entry, name: str) -> str:
        name += "/" * (options.marks and entry.is_folder)
        if not now:
            return name
        return listing.list_line(_named(entry, name), now)

    here = _stat(path, files)
    if here is not None and here.is_folder and options.recursive and not options.itself:
        tree = _Tree(made, files, state, options, line, headed=bool(now))
        before = _with_slash(prefix)
        return made.fill(tree.lines(path, here, before, before))
    found, before = _found(path, prefix, here, options, files, state, made)
    if now:
        before = ""
    return made.fill(line(entry, before + entry.name) for entry in _ordered(found, options))


def _facts(path: str, files: Filesystem, state: State) -> Listing:
    entry = files.stat(path)
    if not entry.is_folder:
        raise NotAFolder(f"{path} is no folder", hint="use MLST")
    made = Listing(FTP_LIST_ENTRIES_MAX)
    entries = made.take(files.entries(path))
    here = listing.facts(_named(entry, "."), state.facts, state.letters(path), kind="cdir")
    return made.fill(chain((here,), _rows(path, listing.printable(entries), state)))


def _rows(folder: str, entries: Iterable[Entry], state: State) -> Iterator[str]:
    """The lines of MLSD for the entries of ``folder``."""
    if state.folders is None:
        return (listing.facts(one, state.facts, state.permissions) for one in entries)
    return (listing.facts(one, state.facts, state.letters(paths.join(folder, one.name))) for one in entries)


def _named(entry: Entry, name: str) -> Entry:
    return Entry(name, entry.is_folder, entry.size, entry.modified_ns, entry.mode, entry.unique)


# What is shown ------------------------------------------------------------------------------------------------------


def _stat(path: str, files: Filesystem) -> Entry | None:
    """The entry at ``path``, or None when there is none but a pattern may still mean something."""
    try:
        return files.stat(path)
    except NotFound:
        if not is_pattern(path):
            raise
        return None


def _found(
    path: str,
    argument: str,
    here: Entry | None,
    options: ListOptions,
    files: Filesystem,
    state: State,
    made: Listing,
) -> tuple[Iterator[Entry], str]:
    """A folder's entries, the file itself, or what fits a pattern; a file of exactly that name comes first.

    And what stands before bare names (NLST), so that the client can send them back: the folder as it was written.
    Folders may be patterns too; then names come with the folders in front, from the first pattern on.

    Raises:
        NotFound: the folder in which a pattern is looked for is missing.
    """
    if here is None:
        parts = path.split("/")[1:]
        first = _first_pattern(parts, files)
        folder = "/" + "/".join(parts[:first])
        if "l" not in state.letters(folder):
            raise NotPermitted("Permission denied")
        found = _matches(folder, files.entries(folder), parts[first:], "", files, state, made)
        written = argument.rstrip("/").split("/")[: first - len(parts)]
        return listing.printable(found), "".join(f"{part}/" for part in written)
    if here.is_folder and not options.itself:
        return listing.printable(made.take(files.entries(path))), _with_slash(argument)
    before, slash, _ = argument.rstrip("/").rpartition("/")
    return iter([_named(here, paths.split(path)[1] or ".")]), before + slash


def _first_pattern(parts: list[str], files: Filesystem) -> int:
    """The index of the first component that is not simply there and may be a pattern. Raises NotFound."""
    for index, part in enumerate(parts):
        if is_pattern(part) and _stat("/" + "/".join(parts[: index + 1]), files) is None:
            return index
    raise NotFound(f"no such file or folder: /{'/'.join(parts)}")


def _matches(
    folder: str,
    entries: Iterator[Entry],
    parts: list[str],
    shown: str,
    files: Filesystem,
    state: State,
    made: Listing,
) -> Iterator[Entry]:
    pattern = Pattern(parts[0])
    fitting = (entry for entry in made.take(entries) if pattern.fits(entry.name))
    for entry in fitting:
        name = shown + entry.name
        if len(parts) == 1:
            yield _named(entry, name)
        elif entry.is_folder:
            below = paths.join(folder, entry.name)
            # What vanishes meanwhile, or may not be seen, has no matches.
            with suppress(NotFound, NotPermitted, PermissionError):
                yield from _below(below, parts[1:], f"{name}/", files, state, made)


def _below(
    folder: str, parts: list[str], shown: str, files: Filesystem, state: State, made: Listing
) -> Iterator[Entry]:
    if "l" not in state.letters(folder):
        return
    if is_pattern(parts[0]):
        yield from _matches(folder, files.entries(folder), parts, shown, files, state, made)
        return
    path = paths.join(folder, parts[0])
    name = shown + parts[0]
    for entry in made.take([files.stat(path)]):
        if len(parts) == 1:
            yield _named(entry, name)
        elif entry.is_folder:
            yield from _below(path, parts[1:], f"{name}/", files, state, made)


def _with_slash(argument: str) -> str:
    return argument if not argument or argument.endswith("/") else f"{argument}/"


# In which order ---------------------------------------------------------------------------------------------------


def _ordered(entries: Iterator[Entry], options: ListOptions) -> Iterator[Entry]:
    """Sorted as ``options`` want, else by name; a folder too large to be tidied comes as it is.

    Raises:
        Refused: an order was asked for and there are too many entries to sort; raised here.
    """
    if not (options.newest_first or options.largest_first or options.reverse):
        return _tidied(entries)
    held = list(islice(entries, FTP_LIST_SORTED_ENTRIES_MAX + 1))
    if len(held) > FTP_LIST_SORTED_ENTRIES_MAX:
        raise Refused(f"more than {FTP_LIST_SORTED_ENTRIES_MAX} entries to sort", hint="list without -t, -S and -r")
    return iter(_sorted(held, options))


def _tidied(entries: Iterator[Entry]) -> Iterator[Entry]:
    held = list(islice(entries, FTP_LIST_TIDY_ENTRIES_MAX))
    if len(held) < FTP_LIST_TIDY_ENTRIES_MAX:
        held.sort(key=_by_name)
    yield from held
    yield from entries


def _sorted(entries: list[Entry], options: ListOptions) -> list[Entry]:
    entries.sort(key=_by_name)
    if options.newest_first:
        entries.sort(key=_by_age)
    elif options.largest_first:
        entries.sort(key=_by_size)
    if options.reverse:
        entries.reverse()
    return entries


def _by_name(entry: Entry) -> str:
    return entry.name


def _by_age(entry: Entry) -> int:
    return -entry.modified_ns


def _by_size(entry: Entry) -> int:
    return -entry.size


# Whole trees (-R) ---------------------------------------------------------------------------------------------------


class _Tree:
    """``ls -lR``: a folder's lines, then for each folder in it an empty line, ``folder:`` and its lines."""

    __slots__ = ("_files", "_headed", "_line", "_made", "_options", "_state")

    def __init__(
        self,
        made: Listing,
        files: Filesystem,
        state: State,
        options: ListOptions,
        line: Callable[[Entry, str], str],
        *,
        headed: bool,
    ) -> None:
        self._made = made
        self._files = files
        self._state = state
        self._options = options
        self._line = line
        self._headed = headed

    def lines(self, path: str, here: Entry, shown: str, before: str) -> Iterator[str]:
        """``shown`` is the folder as it is written above its entries, ``before`` what stands before bare names."""
        return self._lines(path, self._files.entries(path), shown, before, (here.unique,))

    def _lines(
        self, path: str, found: Iterator[Entry], shown: str, before: str, trail: tuple[str, ...]
    ) -> Iterator[str]:
        entries = _sorted(list(listing.printable(self._made.take(found))), self._options)
        for entry in entries:
            yield self._line(entry, entry.name if self._headed else before + entry.name)
        for entry in entries:
            # A link may lead to a folder we are in.
            if not entry.is_folder or (entry.unique and entry.unique in trail):
                continue
            if len(trail) > FTP_LIST_DEPTH_MAX:
                self._made.cut = self._made.cut or "The listing ends here: folders too deep; list them one by one."
                return
            if self._made.cut:
                return
            yield from self._folder(paths.join(path, entry.name), entry, f"{shown}{entry.name}", trail)

    def _folder(self, path: str, entry: Entry, shown: str, trail: tuple[str, ...]) -> Iterator[str]:
        if "l" not in self._state.letters(path):
            return
        with suppress(NotFound, NotPermitted, PermissionError):
            found = self._files.entries(path)
            if self._headed:
                yield ""
                yield f"{shown}:"
            yield from self._lines(path, found, f"{shown}/", f"{shown}/", (*trail, entry.unique))


def status_rows(
    path: str, options: ListOptions, files: Filesystem, state: State, now_ns: Callable[[], int], lines_max: int
) -> list[str]:
    """The lines of STAT for ``path``: those of LIST. Raises NotFound; Refused for more than ``lines_max``."""
    made = rows("LIST", path, "", options, files, state, now_ns)
    try:
        found = list(islice(made, lines_max + 1))
    finally:
        made.close()
    if len(found) > lines_max or made.cut:
        raise Refused(f"{path} has more than {lines_max} entries", hint="use LIST or MLSD")
    return found


__all__ = ["NO_OPTIONS", "Listing", "NotAFolder", "rows", "status_rows"]
