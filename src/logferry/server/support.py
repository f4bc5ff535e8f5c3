"""A support bundle: what somebody who helps has to know of a server, in one zip. No secrets, no contents of logs."""

from __future__ import annotations

import io
import json
import os
import platform
import secrets
import socket
import sqlite3
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import logferry
from logferry.archive import Archive, Catalog
from logferry.clock import SYSTEM, Clock, rfc3339
from logferry.errors import LogferryError
from logferry.limits import SUPPORT_LINES_MAX
from logferry.names import shown
from logferry.server import runfiles
from logferry.server.config import LoadedConfig, ServerConfig
from logferry.server.doctor import examine
from logferry.server.masking import Masker
from logferry.server.recent_log import SUFFIX, kept_lines
from logferry.settings import flat

PARTS = ("ftp", "web", "care")
_README = """\
A support bundle of Logferry {version}, made {when}.

versions.json   this program, Python, the system, packages
config.json     every setting with its origin; secrets are ***
doctor.json     what `logferry doctor` finds
metrics.txt     counters of the web part, as Prometheus reads them; empty where it does not run
sizes.json      how many agents, files, bytes, segments; how large the catalog is
log.ndjson      the newest lines of the server's own log

Passwords, tokens, keys, hashes and addresses of webhooks are masked wherever they stand. Nothing of the archived logs
is in it. {names}
"""
_SHOWN = "Names of agents, files, people and machines are in it: make it with --hide-names to hide them."
_HIDDEN = "Names are replaced by pseudonyms, which are the same within this bundle and mean nothing outside of it."
_UNKNOWN = "The catalog could not be read, so names of agents may have stayed in sentences of the log: look."


@dataclass(frozen=True, slots=True)
class Subject:
    """What the bundle is of. ``catalog`` and ``archive`` None: there are none, or they cannot be opened."""

    loaded: LoadedConfig
    catalog: Catalog | None = None
    archive: Archive | None = None
    metrics: str = ""


def bundle(subject: Subject, *, hide_names: bool = False, clock: Clock = SYSTEM) -> bytes:
    """The zip. A part that cannot be had holds the reason; nothing else is raised than MemoryError."""
    config = subject.loaded.config
    agents = _agents(subject)
    hide = secrets.token_bytes(16) if hide_names else None
    masker = Masker(known_secrets(config), hide=hide, names=_names(subject) | (agents or set()))
    when = rfc3339(clock.now_ns())
    names = _SHOWN if not hide_names else _HIDDEN if agents is not None else f"{_HIDDEN} {_UNKNOWN}"
    made = io.BytesIO()
    members: tuple[tuple[str, Callable[[], str]], ...] = (
        ("README.txt", lambda: _README.format(version=logferry.__version__, when=when, names=names)),
        ("versions.json", lambda: _json(versions())),
        ("config.json", lambda: _json(_config(subject.loaded, masker))),
        ("doctor.json", lambda: _json([asdict(one) for one in examine(subject.loaded, clock=clock)], masker)),
        ("metrics.txt", lambda: masker.text(subject.metrics)),
        ("sizes.json", lambda: _json(_sizes(subject, masker))),
        ("log.ndjson", lambda: "".join(f"{line}\n" for line in _log(config, masker))),
    )
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, make in members:
            file.writestr(name, _tried(make, masker))
    return made.getvalue()


def known_secrets(config: ServerConfig) -> set[str]:
    """Every secret that the settings name or hold, and that of this machine's command line."""
    found: set[str] = set()
    for name, value in flat(config):
        if name.rpartition(".")[2].endswith("_file") and isinstance(value, str) and value:
            found.update(_lines(value))
    password = config.catalog.url.rpartition("@")[0].rpartition("//")[2].partition(":")[2]
    local = runfiles.read_json(runfiles.local_file(config.data_dir)) or {}
    found.update((password, config.store.key_id, config.backup.key_id, str(local.get("token", ""))))
    return {secret for secret in found if secret}


def _lines(path: str) -> Iterable[str]:
    """The lines of a secret's file; nothing where we may not read it: then it cannot be in anything of ours."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file.read(65_536).splitlines()]
    except OSError:
        return []


def _names(subject: Subject) -> set[str]:
    """Names that texts of ours may hold: of the machine, of the archive's folder and settings."""
    config = subject.loaded.config
    named = {socket.gethostname(), config.data_dir, config.archive.root, os.path.expanduser("~"), subject.loaded.path}
    named |= {config.ftp.address[0], config.web.address[0], config.ftp.public_address}
    named |= {*config.channels, *config.auth.oidc.roles}  # they stand in the names of settings, and in metrics
    return named | {value for name, value in flat(config) if name.endswith("_file") and isinstance(value, str)}


def _agents(subject: Subject) -> set[str] | None:
    """The ids of all agents; None where nobody can tell."""
    if subject.catalog is None:
        return None
    try:
        return set(subject.catalog.agents.ids())
    except LogferryError:
        return None


def versions() -> dict[str, Any]:
    """Of this program and of what it stands on."""
    wanted = [r.split(";")[0] for r in metadata.requires("logferry") or []]
    packages = {}
    for requirement in wanted:
        name = "".join(c for c in requirement.split("[")[0] if c.isalnum() or c in "-_.").rstrip("<>=~!.0123456789 ")
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "logferry": logferry.__version__,
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "packages": packages,
    }


def _config(loaded: LoadedConfig, masker: Masker) -> dict[str, Any]:
    items = [
        {"setting": masker.text(name), "value": masker.setting(name, value), "origin": masker.text(origin)}
        for name, value, origin in loaded.rows()
    ]
    return {"path": masker.text(loaded.path), "items": items}


def _sizes(subject: Subject, masker: Masker) -> dict[str, Any]:
    catalog, archive = subject.catalog, subject.archive
    if catalog is None or archive is None:
        return {"catalog": None}
    segments, segment_bytes, sealed_bytes = catalog.sealing.sums()
    indexes = archive.index_sums()
    agents = [
        {"agent": masker.name(one.id), "held_files": one.held_files, "held_bytes": one.held_bytes,
         "heard_ns": one.heard_ns, "uploaded_ns": one.uploaded_ns, "version": one.version}
        for one in catalog.agents.list()
    ]  # fmt: skip
    return {
        "catalog_bytes": catalog.size_bytes(),
        "agents": len(agents),
        "people": len(catalog.people.users()) - len(agents),
        "segments": segments,
        "segment_bytes": segment_bytes,
        "sealed_bytes": sealed_bytes,
        "indexed_segments": indexes.indexed,
        "index_bytes": indexes.bytes,
        "flaws": len(catalog.care.flaws()),
        "by_agent": agents,
    }


def _log(config: ServerConfig, masker: Masker) -> Iterator[str]:
    """The newest lines of all parts, each with the part it is of."""
    newest: deque[tuple[str, str]] = deque(maxlen=SUPPORT_LINES_MAX)
    found = [
        (str(facts.get("timestamp", "")), json.dumps({"part": part, **masker.entry(facts)}))
        for part in PARTS
        for facts in map(_facts, kept_lines(runfiles.run_path(config.data_dir, part + SUFFIX)))
    ]
    newest.extend(sorted(found))
    return (line for _, line in newest)


def _facts(line: str) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except ValueError:
        return {"event": "a line that is not whole"}
    return facts if isinstance(facts, dict) else {"event": "a line that is none of ours"}


def _json(value: Any, masker: Masker | None = None) -> str:
    if masker is not None and isinstance(value, list):
        value = [{key: masker.text(text) for key, text in row.items()} for row in value]
    return json.dumps(value, indent=1) + "\n"


def _tried(make: Callable[[], str], masker: Masker) -> str:
    """What ``make`` makes, or why it cannot: whoever asks for help has something that is broken."""
    try:
        return make()
    except (LogferryError, OSError) as error:
        return f"this could not be had: {masker.text(shown(str(error)))}\n"
