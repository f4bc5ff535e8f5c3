"""What the archive tells about agents, folders, files and generations: plain, frozen facts.

Sizes are bytes, times are nanoseconds since 1970 (UTC), paths are archive paths (``logferry.names``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """One agent and what the server heard from it. ``files`` and ``bytes`` are those shown below its root.

    ``held_files`` and ``held_bytes`` count all its generations, older ones too; ``quota_files`` and ``quota_bytes`` say
    how many it may hold, 0: there is no bound. ``zone``: of its times that name none. ``own_…``: what was set for it
    alone, None: what the settings say holds. ``expect_every_s``: how often a person wants to hear it, None: as usual.
    ``upload_rate``: a rate or a timetable, empty: no limit of its own. ``revoked``: its user may not log in.
    """

    id: str
    group: str
    created_ns: int
    heard_ns: int | None
    uploaded_ns: int | None
    address: str
    version: str
    interval_s: float
    paused: bool
    gone_ns: int | None
    error: str
    error_ns: int | None
    last_path: str
    files: int
    bytes: int
    held_files: int = 0
    held_bytes: int = 0
    quota_files: int = 0
    quota_bytes: int = 0
    own_quota_files: int | None = None
    own_quota_bytes: int | None = None
    zone: str = "UTC"
    own_zone: str | None = None
    tags: tuple[str, ...] = ()
    expect_every_s: float | None = None
    upload_rate: str = ""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """One folder with the sums of everything below it, however deep.

    ``is_present`` is False when the node renamed or removed it and only what it held earlier is left.
    """

    agent: str
    path: str
    name: str
    files: int
    bytes: int
    changed_ns: int
    is_present: bool = True


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One path of an agent.

    ``number``, ``size`` and the times are those of the current generation, or of the last one held when the
    path has no current one (``has_current`` False: it was moved away or ended). ``generations`` counts those
    held under this path. ``generation_id`` opens its bytes. ``sha256`` is None until somebody asked for it.
    """

    id: int
    agent: str
    path: str
    name: str
    size: int
    number: int
    generations: int
    has_current: bool
    modified_ns: int
    received_ns: int
    changed_ns: int
    sha256: str | None
    generation_id: int


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """One life of a path's content. Its bytes only grow; ``current`` until it ends.

    ``file_id`` and ``number`` say where it is held now. ``started_ns`` is the first arrival, ``changed_ns`` the
    last, ``modified_ns`` the node's own time of the file. ``place`` is where its bytes lie below the data
    directory: ``live/<agent>/<path>`` or ``generations/…``.
    """

    id: int
    file_id: int
    number: int
    size: int
    started_ns: int
    changed_ns: int
    ended_ns: int | None
    modified_ns: int
    sha256: str | None
    current: bool
    place: str


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """A compressed generation whose text is that of another generation of its agent, the original.

    ``text_size`` and ``text_sha256`` are those of the text. The original may have grown since: ``is_whole`` says
    whether it still holds exactly the text; else the text is its beginning.
    """

    generation_id: int
    text_size: int
    text_sha256: str
    original_id: int
    file_id: int
    agent: str
    path: str
    number: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether the original is the text, no more."""
        return self.size == self.text_size


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A compressed generation that is due to be looked into.

    ``size`` is how many bytes it has; ``text`` is its text's (length, SHA-256) where that is known for this size.
    ``wait_ns`` is how long it waited for an original to appear, the last time.
    """

    generation_id: int
    agent: str
    path: str
    size: int
    wait_ns: int
    text: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class CopySums:
    """How far the look into compressed files is: how many are known, still wait, are copies, cannot be unpacked."""

    files: int
    waiting: int
    copies: int
    broken: int


@dataclass(frozen=True, slots=True)
class FolderPage:
    """One page of a folder: its folders, then its files, by name. ``next`` is the cursor of the next page."""

    folders: tuple[FolderRecord, ...]
    files: tuple[FileRecord, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class FilePage:
    """One page of files found. ``next`` is the cursor of the next page, None at the end."""

    files: tuple[FileRecord, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Sums:
    """How much there is: files shown, the bytes of those, and of all generations held (older ones included)."""

    files: int
    bytes: int
    generations: int
    held_bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of the tree as an FTP client sees it."""

    name: str
    is_folder: bool
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Received:
    """What one finished upload did. ``file_id`` and ``generation_id`` are None under a temporary name."""

    agent: str
    path: str
    size: int
    bytes: int
    file_id: int | None
    generation_id: int | None
    number: int
    is_new_file: bool
    is_new_generation: bool


@dataclass(frozen=True, slots=True)
class UserRecord:
    """Somebody who may sign in. Agents have one too (role ``agent``, ``agent_id`` set)."""

    id: int
    name: str
    role: str
    scope: tuple[str, ...]
    password_hash: str
    enabled: bool
    agent_id: str | None
    created_ns: int
    changed_ns: int
    signed_in_ns: int | None
    totp: str = ""
    """The secret of one-time codes, base32; empty: no second factor."""
    totp_new: str = ""
    """One that is not confirmed yet."""
    totp_step: int = 0
    """The last time step whose code was used: neither it nor an older one counts again."""
    recovery: tuple[str, ...] = ()
    """The digests of the recovery codes that are left."""
    issuer: str = ""
    """The provider that vouches for them; empty: they have a password here, or a link to set one."""
    subject: str = ""
    """What that provider calls them, for ever."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One signed-in browser. ``key_hash`` is the hash of the cookie's value, never the value."""

    key_hash: str
    user_id: int
    csrf: str
    created_ns: int
    used_ns: int
    expires_ns: int
    address: str
    browser: str
    id_token: str = ""
    """What a provider vouched with; empty: a password did."""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One API token. ``secret_hash`` is the hash of what the client sends."""

    id: int
    user_id: int
    name: str
    secret_hash: str
    scope: tuple[str, ...]
    created_ns: int
    expires_ns: int | None
    used_ns: int | None
    used_address: str
    role: str = ""
    """What it may at most; empty: what its person may."""


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """A code that somebody may redeem until it expires or its uses are spent.

    ``kind`` is ``setup``, ``join``, ``reset`` (sets a password), ``second`` (the password was right) or
    ``oidc`` (a sign-in by a provider that was used: it has no use left but to be there).
    """

    id: int
    kind: str
    secret_hash: str
    created_ns: int
    expires_ns: int
    uses_left: int
    group: str
    user_id: int | None = None
    """Whose."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One entry of the audit: who did what. ``hash`` goes over all of it and the hash of the entry before."""

    id: int
    time_ns: int
    who: str
    role: str
    via: str
    address: str
    kind: str
    action: str
    target: str
    detail: str
    """A JSON object."""
    request_id: str
    hash: str
