"""``ServerConfig.txt`` -> ``server.toml``. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from logferry.errors import BadConfig
from logferry.seed.decisions import Decision
from logferry.seed.settings_text import SeedSettings
from logferry.settings import toml_text

_PORT, _SPEED = 8081, 300 * 1024
_USERS, _ROOT = "userRecord.json", "ServerLogSorage"
"""What the older server took for what its file did not say; the folder's name was misspelt there."""


@dataclass(frozen=True, slots=True)
class OldServer:
    """The older server as its settings file has it; speeds in bytes per second, ``log_dir`` as it was written."""

    port: int
    upload_speed: int
    download_speed: int
    users_file: str
    log_dir: str
    ignored: tuple[str, ...] = ()


def old_server(settings: SeedSettings, where: str) -> OldServer:
    """What a settings file says. Raises BadConfig."""
    port = settings.number("FTP_SER_PORT", where, _PORT)
    if not 0 < port < 65536:
        raise BadConfig(f"{where}: FTP_SER_PORT = {port} is no port", hint="1 to 65535")
    return OldServer(
        port=port,
        upload_speed=settings.number("MAX_UPLOAD_SPEED", where, _SPEED),
        download_speed=settings.number("MAX_DOWNLOAD_SPEED", where, _SPEED),
        users_file=settings.values.get("USER_RCD", "") or _USERS,
        log_dir=settings.values.get("LOG_DIR", "") or _ROOT,
        ignored=tuple(
            key
            for key in settings.values
            if key in ("TEST_MODE", "LOG_FOLDER_CP", "LOG_PF") or key.startswith("FLASK_")
        ),
    )


def server_toml(old: OldServer, archive_root: str) -> str:
    """The text of ``server.toml``: the older agents find the server where it was."""
    return "\n".join(
        (
            '# Written by "logferry import-seed". Every setting is explained in docs/reference/config.md.',
            "",
            "[archive]",
            f"root = {toml_text(archive_root)}",
            "",
            "[ftp]",
            f"listen = {toml_text(f'0.0.0.0:{old.port}')}",
            "# Older agents know no TLS. When the last of them is replaced, this becomes required.",
            'tls = "explicit"',
            "",
            "[ftp.limits]",
            "# As the client sees it: the older server named both the other way round.",
            f"upload_rate = {toml_text(rate_text(old.download_speed))}",
            f"download_rate = {toml_text(rate_text(old.upload_speed))}",
            "",
        )
    )


def rate_text(speed: int) -> str:
    """``300 KiB/s``."""
    return "0" if speed == 0 else f"{speed // 1024} KiB/s" if speed % 1024 == 0 else str(speed)


def server_decisions(old: OldServer, toml: str, *, is_there: bool) -> Iterable[Decision]:
    """What becomes of the settings; ``toml`` is where they go."""
    if is_there:
        yield Decision("done", "server", f"{toml} is there already and stays as it is")
        return
    yield Decision("do", "server", f"{toml}, FTP on port {old.port} as before")
    yield Decision(
        "warn", "server", 'ftp.tls = "explicit": older agents speak in clear text, others may use TLS',
        'set it to "required" when the last of them is replaced',
    )  # fmt: skip
    yield Decision("do", "server", f"MAX_DOWNLOAD_SPEED held uploads back: ftp.limits.upload_rate = "
                   f"{rate_text(old.download_speed)}")  # fmt: skip
    yield Decision("do", "server", f"MAX_UPLOAD_SPEED held downloads back: ftp.limits.download_rate = "
                   f"{rate_text(old.upload_speed)}")  # fmt: skip
    yield Decision(
        "warn", "server", "the rates were for each connection, and counted only for files larger than a second's "
        "worth; now they bound all connections together", "raise them, or write 0 for no limit",
    )  # fmt: skip
    if old.ignored:
        yield Decision("skip", "server", f"{', '.join(old.ignored)}: Logferry needs none of them")
    yield Decision("skip", "server", "anonymous log-in, which the older server always allowed, is off")
