"""``server.toml``: what the server's settings are, where each value came from, what deserves a warning.

Order of precedence: defaults < file < environment (``LOGFERRY_FTP__TLS=required``) < command-line flags. Without any
file the server runs with the defaults below.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from logferry import settings
from logferry.errors import BadConfig, Refused
from logferry.ftp.timetable import check_rates
from logferry.limits import (
    ALERT_AFTER_S_MAX,
    ALERT_GLOB_CHARS_MAX,
    ALERT_GLOBS_MAX,
    AUDIT_KEEP_S,
    CHANNEL_CHARS_MAX,
    CHANNELS_MAX,
    DISK_RESERVE_BYTES,
    FTP_PROCESSES_MAX,
    GIB,
    KIB,
    MAIL_TO_MAX,
    RETENTION_KEEP_S_MIN,
    SCRUB_BYTES_PER_S,
    SCRUB_S,
    SEAL_LEVEL,
    SEAL_QUIET_S,
    SEARCH_PROCESSES_MAX,
    SEARCH_S_MAX,
    SESSION_S_MAX,
)
from logferry.server.loopback import is_loopback
from logferry.server.oidc.config import OidcConfig
from logferry.settings import setting
from logferry.zones import zone_named

DEFAULT_FILES = ("server.toml", "/etc/logferry/server.toml")
"""Where the settings file is looked for when nobody names one."""
FTP_PORT = 2121
WEB_PORT = 8080


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    """``[archive]``: where the bytes live."""

    root: str = setting("./logferry-data", doc="live tree, store and catalog; relative to the working directory")
    min_free: str = setting("5%", doc="below this much free disk uploads get 452: a share (5%) or a size (2 GiB)")
    seal_after: float = setting(
        SEAL_QUIET_S, unit="duration", doc="files not written to for so long are compressed into segments; 0 = never"
    )
    seal_level: int = setting(
        SEAL_LEVEL, doc="zstd level of new segments, 1 to 19; a week later they are compressed again at level 9"
    )
    scrub_every: float = setting(
        SCRUB_S, unit="duration", doc="every segment is read and verified once in so long, in the background; 0 = never"
    )
    scrub_rate: int = setting(SCRUB_BYTES_PER_S, unit="rate", doc="how fast that reads at most")
    zone: str = setting("UTC", doc="of times in logs that name none; an agent may have another (logferry agents set)")

    def __post_init__(self) -> None:
        if not self.root:
            raise BadConfig("root is empty", hint='write a folder, for example root = "/srv/logferry"')
        min_free_bytes(self.min_free, 0)
        if self.seal_after and not 1 <= self.seal_after <= 366 * 86400:
            raise BadConfig(f"seal_after = {self.seal_after:g} s is out of range", hint='0, or between "1s" and "366d"')
        if self.scrub_every and not 3600 <= self.scrub_every <= 3660 * 86400:
            raise BadConfig(
                f"scrub_every = {self.scrub_every:g} s is out of range", hint='0, or between "1h" and "3660d"'
            )
        if self.scrub_rate < KIB:
            raise BadConfig(f"scrub_rate = {self.scrub_rate} is too slow", hint='"16 MiB/s" is usual; 1 KiB/s at least')
        try:
            zone_named(self.zone)
        except Refused as error:
            raise BadConfig(f"zone: {error.message}", hint=error.hint) from error
        if not 1 <= self.seal_level <= 19:
            raise BadConfig(
                f"seal_level = {self.seal_level} is out of range", hint=f"1 to 19; the usual value is {SEAL_LEVEL}"
            )

    @property
    def data_dir(self) -> str:
        """The archive's folder as an absolute path."""
        return os.path.abspath(self.root)


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """``[store]``: where sealed segments lie. Keys may also come as the AWS tools look for them."""

    url: str = setting("file", doc='"file": below archive.root; or "s3://bucket/prefix"')
    endpoint: str = setting("", doc="http(s)://host:port of an S3 server other than AWS")
    region: str = setting("us-east-1", doc="of the bucket")
    key_id: str = setting("", doc="access key id")
    secret_file: str = setting("", doc="file whose first line is the secret access key")
    cache: int = setting(
        10 * GIB, unit="size", doc="how much of a bucket each part of the server keeps on the local disk; 0 = nothing"
    )

    def __post_init__(self) -> None:
        if self.url != "file" and not self.url.startswith("s3://"):
            raise BadConfig(f"url = {self.url!r} is no store", hint='write "file", or "s3://bucket/prefix"')
        _check_bucket_access(self.endpoint, self.key_id, self.secret_file)


@dataclass(frozen=True, slots=True)
class BackupConfig:
    """``[backup]``: where ``logferry backup`` writes to. Keys may also come as the AWS tools look for them."""

    to: str = setting("", doc="a folder on another disk, or s3://bucket/prefix; the command line may name another")
    endpoint: str = setting("", doc="http(s)://host:port of an S3 server other than AWS")
    region: str = setting("us-east-1", doc="of the bucket")
    key_id: str = setting("", doc="access key id")
    secret_file: str = setting("", doc="file whose first line is the secret access key")

    def __post_init__(self) -> None:
        _check_bucket_access(self.endpoint, self.key_id, self.secret_file)


@dataclass(frozen=True, slots=True)
class QuotaConfig:
    """``[quota]``: what each agent may hold, unless it has bounds of its own (``logferry admin quota``)."""

    bytes: int = setting(
        0, unit="size", doc="of all its files, older generations included; 0 = as much as there is room"
    )
    files: int = setting(0, doc="files, each generation counted; 0 = any number")

    def __post_init__(self) -> None:
        if self.bytes < 0 or self.files < 0:
            raise BadConfig("a quota cannot be negative", hint="0 is no bound")


@dataclass(frozen=True, slots=True, repr=False)
class CatalogConfig:
    """``[catalog]``: the database of everything that is archived."""

    url: str = setting("sqlite", doc='"sqlite": below archive.root; or "postgresql://user@host/database"')
    password_file: str = setting("", doc="file whose first line is the password for PostgreSQL")

    def __post_init__(self) -> None:
        hint = 'write "sqlite", or for example "postgresql://logferry@db.example/logferry?sslmode=verify-full"'
        if self.url == "sqlite":
            if self.password_file:
                raise BadConfig("password_file needs the url of a PostgreSQL database", hint=hint)
            return
        try:
            parts = urlsplit(self.url)
            secret, _ = parts.password, parts.port
        except ValueError:  # not shown: where the password is in it, nobody knows
            raise BadConfig("url is not a URL", hint=hint) from None
        if parts.scheme not in ("postgresql", "postgres"):
            # Nothing else of it: where the password stands in what is no URL of ours, nobody knows.
            raise BadConfig(f"url is no catalog ({parts.scheme or 'it names no kind of database'})", hint=hint)
        if not parts.path.strip("/"):
            raise BadConfig(f"url = {self.shown_url!r} names no database", hint=hint)
        if secret is not None and self.password_file:
            raise BadConfig("the password is in url and in password_file", hint="leave one of them out")

    def __repr__(self) -> str:
        return f"CatalogConfig(url={self.shown_url!r}, password_file={self.password_file!r})"

    @property
    def shown_url(self) -> str:
        """``url`` without its password."""
        return _PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1***@", self.url))

    @property
    def is_clear(self) -> bool:
        """Whether it may cross a network unencrypted, or to somebody who only claims to be the server."""
        if self.url == "sqlite":
            return False
        parts = urlsplit(self.url)
        query = dict(parse_qsl(parts.query))
        host = parts.hostname or query.get("hostaddr") or query.get("host") or "/"
        is_local = all(one.startswith("/") or is_loopback(one) for one in host.split(","))
        return not is_local and query.get("sslmode") != "verify-full"


_USER_PASSWORD = re.compile(r"(//[^/:@]*:).*@", re.DOTALL)
_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FtpLimitsConfig:
    """``[ftp.limits]``: ``upload`` is what agents and clients send, ``download`` what they fetch."""

    upload_rate: str = setting("0", doc="all connections together; a rate, or a timetable")
    download_rate: str = setting("0", doc="all connections together; a rate, or a timetable")
    connections_per_agent: int = setting(0, doc="0 is no limit; an agent uses 4 unless told otherwise")

    def __post_init__(self) -> None:
        check_rates(upload_rate=self.upload_rate, download_rate=self.download_rate)
        if self.connections_per_agent < 0:
            raise BadConfig(f"connections_per_agent = {self.connections_per_agent} is out of range", hint="0 or more")


@dataclass(frozen=True, slots=True)
class FtpConfig:
    """``[ftp]``: where agents and FTP clients deliver."""

    listen: str = setting(f"0.0.0.0:{FTP_PORT}", doc="address:port; port 0 takes a free one")
    tls: str = setting("required", choices=("required", "explicit", "off"), doc="off warns at every start")
    passive_ports: str = setting("", doc='for example "30000-30099"; empty: any free port')
    public_address: str = setting("", doc="the address PASV tells when the server is behind NAT")
    processes: int = setting(1, doc="processes that take uploads; as many as cores at most")
    limits: FtpLimitsConfig = field(default_factory=FtpLimitsConfig)

    def __post_init__(self) -> None:
        parse_address(self.listen, FTP_PORT, "listen")
        parse_ports(self.passive_ports)
        if not 1 <= self.processes <= FTP_PROCESSES_MAX:
            raise BadConfig(f"processes = {self.processes} is out of range", hint=f"1 to {FTP_PROCESSES_MAX}")
        if self.public_address:
            _checked_ip(self.public_address)

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) to bind."""
        return parse_address(self.listen, FTP_PORT, "listen")

    @property
    def ports(self) -> range | None:
        """The passive ports, or None for any."""
        return parse_ports(self.passive_ports)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """``[web]``: where browsers and the command line read."""

    listen: str = setting(f"127.0.0.1:{WEB_PORT}", doc="plain HTTP on loopback only; any other address is HTTPS")
    root_path: str = setting("", doc='"/logs" behind a proxy that serves Logferry below a path')
    trusted_proxies: tuple[str, ...] = setting(("127.0.0.1", "::1"), doc="whose X-Forwarded-* headers count")
    session_ttl: float = setting(SESSION_S_MAX, unit="duration", doc="how long a sign-in lasts at most")
    url: str = setting("", doc="under which people reach it, for links in messages; empty: made from listen")

    def __post_init__(self) -> None:
        parse_address(self.listen, WEB_PORT, "listen")
        if self.url and (not re.fullmatch(r"https?://[!-~]+", self.url) or self.url.endswith("/")):
            raise BadConfig(f"url = {self.url!r} is no address", hint='for example "https://logs.example/logferry"')
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise BadConfig(f"root_path = {self.root_path!r} must start with / and not end with it", hint='"/logs"')
        for address in self.trusted_proxies:
            _checked_ip(address)
        if not 60 <= self.session_ttl <= 30 * 86400:
            raise BadConfig(f"session_ttl = {self.session_ttl:g} s is out of range", hint="between 60s and 30d")

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) to bind."""
        return parse_address(self.listen, WEB_PORT, "listen")

    @property
    def secure(self) -> bool:
        """Whether the web part speaks HTTPS: on every address but loopback."""
        return not is_loopback(self.address[0])


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """``[search]``."""

    time_limit: float = setting(SEARCH_S_MAX, unit="duration", doc="deadline of one search")
    processes: int = setting(0, doc="processes that help where much text has to be looked through to count; 0: none")
    cluster: str = setting("", doc="scheduler of a Dask cluster whose workers do that instead, tcp://host:port")

    def __post_init__(self) -> None:
        if not 0 <= self.processes <= SEARCH_PROCESSES_MAX:
            raise BadConfig(
                f"processes = {self.processes} is out of range", hint=f"between 0 and {SEARCH_PROCESSES_MAX}"
            )
        if self.cluster and not self.cluster.startswith(("tcp://", "tls://", "ws://", "wss://", "ucx://")):
            raise BadConfig(f"cluster = {self.cluster!r} is no address of a scheduler", hint="tcp://host:8786")
        if self.cluster and self.processes:
            raise BadConfig("processes and cluster are both given", hint="leave one of them out")
        if not 0.1 <= self.time_limit <= 3600:
            raise BadConfig(f"time_limit = {self.time_limit:g} s is out of range", hint="between 0.1s and 1h")


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """``[auth]``: other ways to sign in than by a password kept here."""

    oidc: OidcConfig = field(default_factory=OidcConfig)


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """``[audit]``: the record of who read, searched, downloaded and changed what."""

    keep: float = setting(AUDIT_KEEP_S, unit="duration", doc="older entries go")

    def __post_init__(self) -> None:
        if not 86400 <= self.keep <= 36600 * 86400:
            raise BadConfig(f"keep = {self.keep:g} s is out of range", hint='between "1d" and "36600d"')


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """One rule of ``[[retention]]``; the first that matches a file counts, files that none matches stay for ever."""

    match: str = setting(doc='glob over agent/path: * within a name, ** across; for example "*/var/log/nginx/**"')
    keep: float = setting(unit="duration", doc="files go so long after their last byte came")

    def __post_init__(self) -> None:
        if not self.match.strip("/ "):
            raise BadConfig("match is empty", hint='write for example "web-*/var/log/**"; "**" is everything')
        if self.keep < RETENTION_KEEP_S_MIN:
            raise BadConfig(f"keep = {self.keep:g} s is too short", hint='"1h" is the least; usual is "90d"')


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """``[channels.<name>]``: somebody who is told of alerts: a webhook, or people by mail."""

    webhook_file: str = setting("", doc="file whose first line is the http(s) address of a webhook")
    secret_file: str = setting("", doc="file whose first line is the secret that its messages are signed with")
    mail_to: tuple[str, ...] = setting((), doc="addresses that get a mail instead")
    mail_from: str = setting("", doc="whose mail it is, for example logferry@example.org")
    smtp: str = setting("", doc="the mail server, host:port; without a port 587, with smtp_tls = tls 465")
    smtp_tls: str = setting("starttls", choices=("starttls", "tls", "off"), doc="off warns at every start")
    smtp_user: str = setting("", doc="name at the mail server, if it wants one")
    smtp_password_file: str = setting("", doc="file whose first line is the password that goes with it")
    ca_file: str = setting("", doc="authorities that vouch for the receiver; empty: the system's")

    def __post_init__(self) -> None:
        if bool(self.webhook_file) == bool(self.mail_to):
            hint = 'webhook_file = "/run/secrets/ops", or mail_to = ["ops@example.org"] with mail_from and smtp'
            raise BadConfig("a channel is either a webhook or mail", hint=hint)
        mail = ("mail_from", "smtp", "smtp_user", "smtp_password_file")
        if self.webhook_file:
            odd = next((name for name in mail if getattr(self, name)), "")
            if odd:
                raise BadConfig(f"{odd} is for mail, and this is a webhook", hint="make two channels of it")
            return
        if self.secret_file:
            raise BadConfig("secret_file is for webhooks, and this is mail", hint="leave it out")
        missing = next((name for name in ("mail_from", "smtp") if not getattr(self, name)), "")
        if missing:
            raise BadConfig(
                f"{missing} is missing", hint='mail_from = "logferry@example.org", smtp = "mail.example.org"'
            )
        if len(self.mail_to) > MAIL_TO_MAX:
            raise BadConfig(f"mail_to has {len(self.mail_to)} addresses", hint=f"{MAIL_TO_MAX} at most; use a list")
        for address in (self.mail_from, *self.mail_to):
            if not _MAIL_ADDRESS.fullmatch(address):
                raise BadConfig(f"{address!r} is no mail address", hint="write for example ops@example.org")
        if bool(self.smtp_user) != bool(self.smtp_password_file):
            raise BadConfig("smtp_user and smtp_password_file belong together", hint="give both or neither")
        host = self.smtp_address[0]
        if self.smtp_user and self.smtp_tls == "off" and not is_loopback(host):
            raise BadConfig("a password would cross the network in clear text", hint='smtp_tls = "starttls" or "tls"')

    @property
    def smtp_address(self) -> tuple[str, int]:
        """(host, port) of the mail server."""
        return parse_address(self.smtp, SMTPS_PORT if self.smtp_tls == "tls" else SUBMISSION_PORT, "smtp")


_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""ASCII alone, no display name: what every mail server takes, and no second line for a head."""
_CHANNEL = re.compile(rf"[A-Za-z0-9_-]{{1,{CHANNEL_CHARS_MAX}}}")
SUBMISSION_PORT = 587
SMTPS_PORT = 465


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """One rule of ``alerts``; of a kind, the first that takes in an agent counts, and last the one that is built in."""

    kind: str = setting(choices=("silence", "failing", "quota", "disk", "integrity"), doc="what is watched")
    agents: tuple[str, ...] = setting(("*",), doc="globs over agents' ids, ! before an exception")
    groups: tuple[str, ...] = setting((), doc="globs over their groups; none: any group")
    channels: tuple[str, ...] = setting((), doc="who is told; none: every channel there is")
    above: str = setting("", doc='of disk and quota: from which share used on, for example "90%"')
    after: float = setting(0.0, unit="duration", doc="how long it must last; of silence, how long is too long")
    enabled: bool = setting(True, doc="false: nobody watches that, and no later rule counts either")

    def __post_init__(self) -> None:
        check_globs("agents", self.agents)
        check_globs("groups", self.groups)
        if not self.agents:
            raise BadConfig("agents is empty", hint='agents = ["*"] is all of them; enabled = false watches none')
        if self.above and self.kind not in ("disk", "quota"):
            raise BadConfig(f"above means nothing for {self.kind}", hint="it is for disk and quota")
        if self.above and self.share is None:
            raise BadConfig(f"above = {self.above!r} is no share", hint='between "1%" and "100%"')
        if self.after and not 1 <= self.after <= ALERT_AFTER_S_MAX:
            raise BadConfig(f"after = {self.after:g} s is out of range", hint='between "1s" and "366d"')

    @property
    def share(self) -> float | None:
        """``above`` as a number up to 1; None where it is not given (or is none)."""
        return share_of(self.above)


def share_of(text: str) -> float | None:
    """``90%`` or ``90`` -> 0.9; None for anything else."""
    number = text.strip().removesuffix("%").strip()
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,4})?", number) or not 1 <= float(number) <= 100:
        return None
    return float(number) / 100


def check_globs(name: str, globs: tuple[str, ...]) -> None:
    """Raises BadConfig unless these can be globs over ids of agents or names of groups."""
    if len(globs) > ALERT_GLOBS_MAX:
        raise BadConfig(f"{name} has {len(globs)} globs", hint=f"{ALERT_GLOBS_MAX} at most")
    for glob in globs:
        plain = glob.removeprefix("!")
        if not plain or len(plain) > ALERT_GLOB_CHARS_MAX or not re.fullmatch(r"[A-Za-z0-9._*?-]+", plain):
            raise BadConfig(f"{name}: {glob[:80]!r} is no glob over names", hint='for example "web-*", "!web-test-*"')


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All settings of the server; frozen, checked whole when made."""

    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    catalog: CatalogConfig = field(default_factory=CatalogConfig)
    backup: BackupConfig = field(default_factory=BackupConfig)
    quota: QuotaConfig = field(default_factory=QuotaConfig)
    ftp: FtpConfig = field(default_factory=FtpConfig)
    web: WebConfig = field(default_factory=WebConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    retention: tuple[RetentionConfig, ...] = setting((), doc="what is deleted when; without rules nothing ever is")
    channels: dict[str, ChannelConfig] = field(default_factory=dict)
    """Who is told of alerts, by name."""
    alerts: tuple[AlertConfig, ...] = setting((), doc="what is watched; without rules what is built in")

    def __post_init__(self) -> None:
        if len(self.channels) > CHANNELS_MAX:
            raise BadConfig(f"there are {len(self.channels)} channels", hint=f"{CHANNELS_MAX} at most")
        for name in self.channels:
            if not _CHANNEL.fullmatch(name):
                hint = f"1 to {CHANNEL_CHARS_MAX} letters, digits, '_' or '-'"
                raise BadConfig(f"channels: {name[:80]!r} is no name for a channel", hint=hint)
        for number, rule in enumerate(self.alerts, 1):
            unknown = next((name for name in rule.channels if name not in self.channels), "")
            if unknown:
                hint = settings.near(unknown, self.channels) if self.channels else f"write [channels.{unknown}] first"
                raise BadConfig(f"alerts[{number}].channels: there is no channel {unknown!r}", hint=hint)

    @property
    def data_dir(self) -> str:
        """The archive's folder as an absolute path."""
        return self.archive.data_dir

    def warnings(self) -> list[str]:
        """What an administrator must be told at every start, one sentence each."""
        found = []
        if self.ftp.tls == "off":
            found.append(
                "ftp.tls = off: passwords and logs cross the network in clear text; set it to required or explicit"
            )
        elif self.ftp.tls == "explicit":
            found.append("ftp.tls = explicit: clients that do not ask for TLS are served in clear text")
        if self.store.endpoint.startswith("http://"):
            found.append(f"store.endpoint = {self.store.endpoint}: segments cross the network in clear text")
        if self.catalog.is_clear:
            found.append(
                f"catalog.url = {self.catalog.shown_url}: whoever is on the way may read it or pose as the server; "
                "add sslmode=verify-full"
            )
        for name, channel in self.channels.items():
            if channel.mail_to and channel.smtp_tls == "off" and not is_loopback(channel.smtp_address[0]):
                found.append(f"channels.{name}.smtp_tls = off: alerts cross the network in clear text")
        host = self.ftp.address[0]
        if self.ftp.public_address == "" and self.ftp.passive_ports and _is_private(host):
            found.append(
                f"ftp.listen = {self.ftp.listen} is a private address: behind NAT, set ftp.public_address as well"
            )
        return found

    def to_json(self) -> str:
        """The settings as JSON text that ``config_from_json`` reads back; for child processes."""
        return json.dumps(asdict(self), indent=1)


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings together with where each came from."""

    config: ServerConfig
    path: str
    """The settings file that was read; empty when there was none."""
    origins: Mapping[str, str]
    """Dotted setting -> ``file server.toml``, ``environment`` or ``flag``; a setting not in it is a default."""

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """(dotted name, value, origin) of every setting, in the order of the classes above; no password among them."""
        for name, value in settings.flat(self.config):
            told = self.config.catalog.shown_url if name == "catalog.url" else value
            yield name, told, self._origin(name)

    def _origin(self, name: str) -> str:
        """Of a setting, or of the list, table or short form that it is written in."""
        found = self.origins.get(name.partition("[")[0])
        while found is None and "." in name:
            name = name.rpartition(".")[0]
            found = self.origins.get(name)
        return found or "default"


def load_config(
    path: str | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> ServerConfig:
    """The settings in force; see ``load_config_with_origins``."""
    return load_config_with_origins(path, environment, overrides).config


def load_config_with_origins(
    path: str | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedConfig:
    """Read file, environment and flags.

    Args:
        path: the settings file; None: ``LOGFERRY_CONFIG``, else the first of ``DEFAULT_FILES`` that exists, else none.
        environment: variables; None: those of the process.
        overrides: nested values from flags, for example ``{"web": {"listen": "0.0.0.0:8443"}}``.

    Raises:
        BadConfig: a file that was named cannot be read, a key is unknown, or a value is wrong.
    """
    environment = os.environ if environment is None else environment
    found = path or environment.get("LOGFERRY_CONFIG") or next((p for p in DEFAULT_FILES if os.path.isfile(p)), "")
    from_file = settings.read_toml(_read(found), found) if found else {}
    if found:
        settings.build(ServerConfig, from_file, found)  # on its own first, so that a mistake is blamed on the file
    from_variables = settings.from_environment(ServerConfig, environment)
    if from_variables:
        settings.build(ServerConfig, settings.merge(from_file, from_variables), "environment")
    from_flags = dict(overrides or {})
    merged = settings.merge(from_file, from_variables, from_flags)
    config = settings.build(ServerConfig, merged, "command line")
    layers = {f"file {found}": from_file, "environment": from_variables, "flag": from_flags}
    return LoadedConfig(config, found, settings.origins(layers))


def config_from_json(text: str) -> ServerConfig:
    """The inverse of ``ServerConfig.to_json``. Raises BadConfig."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise BadConfig(f"the stored settings are not JSON: {error}", hint="start the server again") from error
    return settings.build(ServerConfig, values, "stored settings")


def parse_address(text: str, default_port: int, name: str = "address") -> tuple[str, int]:
    """``"0.0.0.0:2121"``, ``"[::]:2121"``, ``"10.0.0.5"`` or ``":2121"`` -> (host, port). Raises BadConfig."""
    hint = f"write address:port, for example 0.0.0.0:{default_port} or [::]:{default_port}"
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadConfig(f"{name} = {text!r} is not an address", hint=hint)
        port_text = rest[1:]
    elif text.count(":") > 1:
        host, port_text = text, ""
    else:
        host, _, port_text = text.partition(":")
    host = host or "0.0.0.0"  # noqa: S104 - ":2121" means every address, as everywhere else
    if not text or any(c.isspace() or c == "/" for c in host):
        raise BadConfig(f"{name} = {text!r} is not an address", hint=hint)
    if not port_text:
        return host, default_port
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65535:
        raise BadConfig(f"{name} = {text!r} has no port between 0 and 65535", hint=hint)
    return host, int(port_text)


def join_address(host: str, port: int) -> str:
    """``host:port`` as people and URLs write it; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_ports(text: str) -> range | None:
    """``"30000-30099"`` -> range(30000, 30100); ``""`` -> None. Raises BadConfig."""
    if not text.strip():
        return None
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not first.isdigit() or (dash and not last.isdigit()):
        raise BadConfig(f"passive_ports = {text!r} is not a range", hint='write for example "30000-30099"')
    low, high = int(first), int(last or first)
    if not 1024 <= low <= high <= 65535:
        raise BadConfig(f"passive_ports = {text!r} is not within 1024-65535", hint='write for example "30000-30099"')
    return range(low, high + 1)


def min_free_bytes(text: str, disk_bytes: int) -> int:
    """``"5%"`` of ``disk_bytes``, or ``"2 GiB"``, in bytes; never below the reserve. Raises BadConfig."""
    share = text.strip().removesuffix("%")
    if share == text.strip():
        try:
            return max(settings.size_bytes(text), DISK_RESERVE_BYTES)
        except BadConfig as error:
            hint = 'write for example "5%" or "2 GiB"'
            raise BadConfig(f"min_free = {text!r} is neither a share nor a size", hint=hint) from error
    try:
        percent = float(share)
    except ValueError:
        percent = -1.0
    if not 0 <= percent < 100:
        raise BadConfig(f"min_free = {text!r} is not a share", hint='write for example "5%" or "2 GiB"')
    return max(int(disk_bytes * percent / 100), DISK_RESERVE_BYTES)


def _check_bucket_access(endpoint: str, key_id: str, secret_file: str) -> None:
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise BadConfig(f"endpoint = {endpoint!r} is no URL", hint='for example "https://s3.example:9000"')
    if bool(key_id) != bool(secret_file):
        raise BadConfig("key_id and secret_file belong together", hint="give both or neither")


def _is_private(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_private and not address.is_loopback and not address.is_unspecified


def _checked_ip(text: str) -> None:
    try:
        ip_address(text)
    except ValueError as error:
        raise BadConfig(f"{text!r} is not an IP address", hint="write for example 192.0.2.10") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadConfig(
            f"cannot read {path}: {error.strerror}", hint="name another file with --config, or none for the defaults"
        ) from error
