"""Print docs/reference/ftp.md anew from the docstrings of ``logferry.ftp``. `make docs` writes it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import logferry.ftp as library
from logferry import errors
from logferry.ftp import (
    defender,
    events,
    filesystem,
    folders,
    hooks,
    passwords,
    permissions,
    selection,
    users_json,
)
from logferry.ftp.protocol.commands import ALIASES, RULES
from logferry.ftp.protocol.handlers import HANDLERS
from logferry.ftp.protocol.handlers.information import features
from logferry.ftp.protocol.refusals import failure
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State, Terms

HEAD = """# The FTP library: every name

Made from the docstrings by `make docs`. First steps are in the [tutorial](../ftp/tutorial.md), what replaces what in
[Coming from pyftpdlib, ftplib, ftpComm](../ftp/coming-from.md), attacks and faults in
[The FTP library under attack](../design/ftp-security.md).

Everything below is imported from `logferry.ftp`, errors from `logferry.errors`. Times named `_s` are seconds, `_ns`
nanoseconds since 1970 UTC, sizes bytes. Paths on a server are text with `/`; bytes in names that are no UTF-8 survive
as surrogate escapes (`os.fsencode` gives them back).
"""

GROUPS = {
    "Server": ("FtpServer", "ServerLimits", "SessionInfo", "WorkerParts"),
    "Users": (
        "User", "MemoryUsers", "JsonUsers", "UserStore", "Permissions", "FolderRules", "hash_password",
        "verify_password", "generate_password",
    ),
    "Hooks": ("LoginRequest", "UploadRequest"),
    "Events": (
        "EventStream", "Event", "Connected", "Introduced", "LoggedIn", "LoginFailed", "Banned", "Received", "Unpacked",
        "Incomplete", "Sent", "Deleted", "Renamed", "FolderMade", "TimeSet", "SessionEnded", "Missed",
    ),
    "Files": (
        "LocalFilesystem", "Filesystem", "Entry", "Download", "Upload", "SpaceFilesystem", "Usage", "HashFilesystem",
        "BundleFilesystem", "BundleMember", "Outcome",
    ),
    "Client": (
        "FtpClient", "Copied", "SendSource", "StoreItem", "StoreResult", "BundleResult", "Listed", "Digest", "Features",
        "Reply", "Aborted", "retrying", "Backoff",
    ),
    "Many files": (
        "upload_many", "download_many", "mirror_up", "mirror_down", "Clients", "FileResult", "ManyProgress", "Mirrored",
    ),
    "TLS": ("TlsIdentity",),
    "Limits": ("DefenderRules", "Ban", "Timetable", "TokenBucket"),
}  # fmt: skip

INTRO = {
    "Hooks": hooks,
    "Events": events,
    "Files": filesystem,
}
"""Modules whose docstring begins a group."""

NOTES = {
    "FolderRules": folders,
    "JsonUsers": users_json,
    "DefenderRules": defender,
    "hash_password": passwords,
    "mirror_up": selection,
}
"""Modules whose docstring belongs to a name."""

ALIAS_DOCS = {
    "Outcome": "`LogferryError | OSError | None`: what became of a member of a bundle; None when it is there, durably.",
    "Clients": "`FtpClient | Callable[[], FtpClient]`: a client, whose settings the other connections share, or what "
    "makes one for each connection.",
}
"""Names that are types only, which have no docstring of their own."""

FEATURES = {
    "AUTH": "TLS can be begun (explicit TLS)",
    "AVBL": "free bytes",
    "BUNDLE": "where archives are unpacked, and which ([bundles](bundle.md)); after login, to users who may write",
    "CLNT": "clients may say what they are",
    "EPRT": "active mode (`active=True`)",
    "EPSV": "passive mode, IPv4 and IPv6",
    "HASH": "algorithms, the selected one with `*`",
    "HOST": "virtual hosts",
    "MDTM": "modification times",
    "MFMT": "modification times can be set",
    "MLST": "facts of MLSD and MLST, those selected with `*`",
    "PBSZ": "goes before PROT",
    "PROT": "TLS on data connections",
    "RANG": "ranges of bytes",
    "REST": "uploads and downloads can be resumed",
    "SIZE": "sizes, in bytes as sent",
    "TVFS": "paths are `/a/b`",
    "UTF8": "names are UTF-8, always",
    "X-LOGFERRY": "how uploads are published: `atomic` (a name appears when its file is whole), `pipelining` (commands "
    "sent ahead wait their turn), `guards` (an upload that fails takes along its REST, and a MFMT for its path right "
    "behind it is refused once), `digests` (after `OPTS STOR SHA-256` the reply to a small STOR, or to a bundle, tells "
    "its digest), `keeps` (what is overwritten is kept), `mark=…` (what is there was restored from a copy; each time "
    "another mark); after login",
    "XCRC": "digests, as older clients ask for them",
    "XMD5": "the same",
    "XSHA1": "the same",
    "XSHA256": "the same",
}
"""What each name in the FEAT reply means."""

REPLIES = """
A reply is a code and one line; longer ones are `211-first`, lines that begin with a space, `211 last` (RFC 959 4.2).
One command gets one final reply, in the order of the commands, also when several came in one packet. 1yz: more follows;
2yz: done; 3yz: go on with the next command; 4yz: not now, the same may work later; 5yz: the same will fail again.

- `150` opens a transfer. `226` closes it and is a promise: an upload's bytes, its name and its folder are on disk.
  `426`: it did not arrive whole, nothing was published; REST goes on where it broke off.
- `421` ends the connection: idle for too long, too many connections, banned, the server stops.
- `450` somebody else is writing there; `451` the disk failed, or the program's hook did; `452` no room on the disk;
  `552` the quota is used up; `553` the name cannot be used; `550` everything else that is refused about a file.
- `530` not logged in, or the password was wrong; `521`, `534` TLS is required; `425` no data connection came, or one
  that is not the client's; `504` a parameter this server does not do; `501` the argument makes no sense.
"""


# Docstrings as Markdown ----------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A docstring (double backticks, ``::`` blocks, ``Raises:``, tables) as Markdown."""
    made = "\n\n".join(_block(block) for block in _blocks(text))
    made = re.sub(r"(?<!`)``(?!`)", "`", made)
    return made.replace("docs/reference/bundle.md", "[bundles](bundle.md)")


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs; blocks of code stay whole."""
    code: list[str] = []
    for part in inspect.cleandoc(text).split("\n\n"):
        if part.startswith("    "):
            code.append(part)
            continue
        if code:
            yield "\n\n".join(code)
            code = []
        yield part
    if code:
        yield "\n\n".join(code)


def _block(part: str) -> str:
    if part.startswith("    "):
        return f"```python\n{textwrap.dedent(part)}\n```"
    named = re.match(r"(Raises|Args):\n", part)
    if named:
        return f"{named[1]}:\n\n" + "\n".join(_definitions(part[named.end() :]))
    if part.startswith("==="):
        return _table([re.split(r"  +", line, maxsplit=1) for line in part.splitlines() if not line.startswith("===")])
    lines = part.splitlines()
    if lines[0].startswith("- "):
        return part
    joined = " ".join(lines)
    return joined.removesuffix("::") + ":" if joined.endswith("::") else joined


def _definitions(text: str) -> list[str]:
    """``Name: words`` lines as a list; longer words go on in deeper lines."""
    items: list[str] = []
    for line in textwrap.dedent(text).splitlines():
        if line.startswith(" "):
            items[-1] += f" {line.strip()}"
        else:
            items.append(re.sub(r"^([\w ]+):", r"- `\1`:", line))
    return items


def _table(rows: list[list[str]]) -> str:
    head, *body = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("``", "`")


# Names ---------------------------------------------------------------------------------------------------------------


def signature(name: str, function: Any, *, bound: bool) -> str:
    """``name(a: int, *, b: str = "x") -> T``, on several lines when it is long."""
    found = inspect.signature(function)
    parameters = list(found.parameters.values())[int(bound) :]
    parts: list[str] = []
    starred = False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        parts.append(_parameter(each))
    result = "" if found.return_annotation in (found.empty, "None", None) else f" -> {_type(found.return_annotation)}"
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= 110:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def code(text: str) -> str:
    """A block of Python."""
    return f"```python\n{text}\n```"


def _parameter(each: inspect.Parameter) -> str:
    stars = "*" * (each.kind is each.VAR_POSITIONAL) + "**" * (each.kind is each.VAR_KEYWORD)
    text = f"{stars}{each.name}: {_type(each.annotation)}"
    return text if each.default is each.empty else f"{text} = {value(each.default)}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def value(default: Any) -> str:
    """A default as somebody would write it."""
    if inspect.isfunction(default):
        return "lambda user: LocalFilesystem(user.home)" if default.__name__ == "_home" else default.__name__
    if inspect.isclass(default):
        return default.__name__
    if default is None or isinstance(default, bool | int | float | str | tuple):
        return json.dumps(default) if isinstance(default, str) else repr(default)
    name = type(default).__name__
    return "SYSTEM" if name == "SystemClock" else f"{name}()"


def fields(kind: type[Any]) -> str:
    """The fields of a dataclass or NamedTuple, as a table; those of ``Event`` are told once."""
    rows = [["field", "type", "default"]]
    bases = kind.__mro__[1:]
    if dataclasses.is_dataclass(kind):
        inherits = library.Event in bases
        inherited = {each.name for each in dataclasses.fields(library.Event)} if inherits else set()
        for each in dataclasses.fields(kind):
            if each.init and each.name not in inherited:
                rows.append([f"`{each.name}`", f"`{each.type}`", _default(each)])  # noqa: PERF401
    elif hasattr(kind, "_fields"):
        for name in kind._fields:
            default = kind._field_defaults
            hint = inspect.get_annotations(kind)[name]
            rows.append(
                [f"`{name}`", f"`{hint.__forward_arg__}`", f"`{value(default[name])}`" if name in default else ""]
            )
    if not any(row[2] for row in rows[1:]):
        rows = [row[:2] for row in rows]
    return _table(rows) if len(rows) > 1 else ""


def _default(each: dataclasses.Field[Any]) -> str:
    if each.default is not dataclasses.MISSING:
        return f"`{oct(each.default) if each.name == 'mode' else value(each.default)}`"
    return "empty" if each.default_factory is not dataclasses.MISSING else ""


def members(kind: Any) -> Iterator[str]:
    """Its properties and methods that are public, in the order of the code."""
    for name, raw in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(raw, property):
            assert raw.fget is not None
            result = _type(inspect.signature(raw.fget).return_annotation)
            yield f"#### `.{name}`: `{result}`\n\n{prose(raw.__doc__ or '')}"
        elif inspect.isfunction(raw) or isinstance(raw, classmethod):
            function = getattr(raw, "__func__", raw)
            shown = f"{kind.__name__}.{name}" if isinstance(raw, classmethod) else f".{name}"
            line = signature(shown, function, bound=True)
            head = f"#### `{line}`" if "\n" not in line else f"#### `{shown}`\n\n{code(line.lstrip('.'))}"
            yield f"{head}\n\n{prose(function.__doc__ or '')}"


def section(name: str) -> str:
    """Everything about one public name."""
    found = getattr(library, name)
    parts = [f"### `{name}`"]
    if name in ALIAS_DOCS:
        return "\n\n".join([*parts, ALIAS_DOCS[name]])
    if not inspect.isclass(found):
        return "\n\n".join([*parts, code(signature(name, found, bound=False)), prose(found.__doc__), *_note(name)])
    table = fields(found)
    made = vars(found).get("__init__")
    protocol = getattr(found, "_is_protocol", False)
    event = issubclass(found, library.Event)
    if not table and made is not None and not protocol and not event:
        parts.append(code(signature(name, made, bound=True)))
    elif protocol:
        parts.append("*A protocol: anything with these methods will do.*")
    elif found.__base__ is not object and not table and not event:
        parts.append(f"*A kind of `{found.__mro__[1].__name__}`.*")
    parts.append(prose(found.__doc__ or ""))
    if made is not None and not table and made.__doc__ and not protocol:
        parts.append(prose(made.__doc__))
    return "\n\n".join(part for part in [*parts, *_note(name), table, *members(found)] if part)


def _note(name: str) -> list[str]:
    """What the module says beyond its first line."""
    return [prose((NOTES[name].__doc__ or "").partition("\n\n")[2])] if name in NOTES else []


# Protocol ------------------------------------------------------------------------------------------------------------

_PLACE = r"(?:\d[\d.]*|appendix \w+)"
_SOURCE = re.compile(rf"(?:RFC \d+|draft-[a-z-]+)(?: {_PLACE}(?:, {_PLACE})*)?")


def letters() -> dict[str, list[str]]:
    """Verb -> the permission letters it needs, from the table in ``logferry.ftp.permissions``."""
    found: dict[str, list[str]] = {}
    for letter, verbs in re.findall(r"^``(.)`` +(.+)$", permissions.__doc__ or "", re.MULTILINE):
        for verb in re.findall(r"[A-Z][A-Z0-9]+", verbs.replace("SITE CHMOD", "SITE").replace("SITE UTIME", "SITE")):
            found.setdefault(verb, []).append(letter)
    return found


def command_row(verb: str) -> list[str]:
    """Usage, letters, sources and meaning of one verb."""
    rule = RULES[verb]
    about = inspect.cleandoc(HANDLERS[verb].__doc__ or "").partition("\n\n")[0]
    about = " ".join(about.split())
    sources = list(dict.fromkeys(match.group().rstrip(", ") for match in _SOURCE.finditer(about)))
    words = re.sub(r" ?\([^()]*(?:RFC|draft)[^()]*\)", "", about)
    words = re.sub(rf"^{verb}(?:, X[A-Z]+)?(?: start end)?[:,;]?\s*", "", words).rstrip(".")
    words = words.replace("decision 0006", "[decision 0006](../adr/0006-no-mode-z.md)")
    assert words.strip(" ."), f"{verb}: its handler's docstring says nothing"
    assert rule.permission in (*letters().get(verb, []), ""), verb
    names = [verb, *(alias for alias, meant in ALIASES.items() if meant == verb)]
    usage = f"`{rule.usage}`" + "".join(f", `{name}`" for name in names[1:])
    return [usage, " ".join(f"`{one}`" for one in letters().get(verb, [])), "; ".join(sources), words]


def commands() -> str:
    """The table of commands."""
    rows = [["command", "letter", "defined in", "meaning"], *(command_row(verb) for verb in sorted(RULES))]
    before = ", ".join(f"`{verb}`" for verb, rule in sorted(RULES.items()) if not rule.login)
    return f"{_table(rows)}\n\nBefore login these are answered: {before}. All others get 530."


def feature_table() -> str:
    """What FEAT says when everything is on, and what it means."""
    state = State(Terms(tls="explicit", active=True, bundles=("tar", "tar.gz", "tar.zst")))
    state.user, state.atomic, state.keeps = "ann", True, True
    state.permissions = permissions.Permissions.all()
    reply = features(state, "")
    assert isinstance(reply, Reply)
    lines = reply.lines[1:-1]
    assert {line.split()[0] for line in lines} == FEATURES.keys(), "FEATURES lags behind FEAT"
    return _table([["line", "meaning"], *([f"`{line}`", FEATURES[line.split()[0]]] for line in sorted(lines))])


def error_table() -> str:
    """Which reply an error of a hook or file system becomes, and what the client raises for one."""
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.LogferryError)]
    used = [k for k in kinds if k not in (errors.LogferryError, errors.BadQuery)]
    rows = [["error", "kind of", "reply", "what to do"]]
    for kind in used:
        base = "" if kind.__base__ is errors.LogferryError else f"`{kind.__base__.__name__}`"  # type: ignore[union-attr]
        rows.append([f"`{kind.__name__}`", base, str(kind.ftp_reply), " ".join((kind.__doc__ or "").split())])
    codes = (421, 425, 426, 450, 451, 452, 501, 502, 504, 530, 532, 552, 553)
    raised: dict[str, list[str]] = {}
    for code in codes:
        raised.setdefault(type(failure(Reply(code, ("text",)), "STOR /a")).__name__, []).append(str(code))
    told = "; ".join(f"{', '.join(numbers)}: `{name}`" for name, numbers in raised.items())
    return (
        f"{_table(rows)}\n\nThe other way round, the client raises for the replies of any server: {told}. "
        "550 is `NotFound`, `NotPermitted`, `Conflict` or `Refused`, by its words. A connection that breaks is "
        "`Unreachable`, silence `TimedOut`."
    )


def contents() -> str:
    """All names by group, as links."""
    lines = []
    for group, names in GROUPS.items():
        lines.append(
            f"- [{group}](#{group.lower().replace(' ', '-')}): " + ", ".join(f"[`{n}`](#{n.lower()})" for n in names)
        )
    lines.append(
        "- [The wire](#the-wire): [commands](#commands), [FEAT](#feat), [replies](#replies), [errors](#errors)"
    )
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(library.__all__), set(listed) ^ set(library.__all__)
    parts = [HEAD.rstrip(), contents()]
    for group, names in GROUPS.items():
        parts += [f"## {group}", *([prose(INTRO[group].__doc__ or "")] if group in INTRO else []), *map(section, names)]
        if group == "Users":
            parts.append("### Permission letters\n\n" + prose((permissions.__doc__ or "").partition("\n\n")[2]))
    parts += ["## The wire", "### Commands", commands(), "### FEAT", feature_table()]
    parts += ["### Replies", REPLIES.strip(), "### Errors", error_table()]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print it."""
    print(page(), end="")


if __name__ == "__main__":
    main()
