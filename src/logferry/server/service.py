"""The server's systemd unit. Pure: text out of settings."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from logferry.errors import BadConfig
from logferry.limits import OPEN_FILES_USUAL, STOP_S_MAX
from logferry.names import shown
from logferry.systemd import CLOSED, RUN_AGAIN_S, command, percent, quoted

NAME = "logferry"
_STATE_HOME = "/var/lib/"
_LOW_PORTS = 1024


@dataclass(frozen=True, slots=True)
class ServerService:
    """Absolute paths; ``program`` is the command line before ``serve``; ``ports``: those it listens on."""

    program: tuple[str, ...]
    config_path: str
    data_dir: str
    user: str = NAME
    ports: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for text in (*self.program, self.config_path, self.data_dir, self.user):
            if any(ord(character) < 32 or ord(character) == 127 for character in text):
                raise BadConfig(f"{shown(text)!r} cannot stand in a service file", hint="choose a path without it")


def systemd(service: ServerService) -> str:
    """A unit for ``/etc/systemd/system``: writes its archive, listens, may do nothing else."""
    config = ("--config", service.config_path) if service.config_path else ()
    low = any(0 < port < _LOW_PORTS for port in service.ports)
    capabilities = "CAP_NET_BIND_SERVICE" if low else ""
    lines = [
        "# Written by `logferry service install`.",
        "[Unit]",
        "Description=Logferry server: takes, keeps and shows log files",
        "Wants=network-online.target",
        "After=network-online.target time-sync.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={command((*service.program, 'serve', *config))}",
        "Restart=always",
        f"RestartSec={RUN_AGAIN_S}",
        "# 2: the settings are wrong, or a port is taken; starting again does not mend them.",
        "RestartPreventExitStatus=2",
        "# It stops its parts itself, in order; those that are left go with it.",
        "KillMode=mixed",
        f"TimeoutStopSec={int(STOP_S_MAX * 2)}",
        "# A large catalog is migrated before the first part listens.",
        "TimeoutStartSec=infinity",
        f"User={percent(service.user)}",
        *_places(service),
        f"CacheDirectory={NAME}",
        "# Where code that was compiled for this machine's processor is kept.",
        f"Environment=NUMBA_CACHE_DIR=%C/{NAME}/numba",
        "UMask=0027",
        f"LimitNOFILE={OPEN_FILES_USUAL}",
        "# It writes its archive and talks to its clients; everything else is closed to it.",
        f"CapabilityBoundingSet={capabilities}",
        f"AmbientCapabilities={capabilities}",
        "ProtectSystem=strict",
        f"ProtectHome={'no' if _in_home(service) else 'yes'}",
        f"PrivateTmp={'no' if _in_tmp(service) else 'yes'}",
        "ProtectProc=invisible",
        "ProcSubset=pid",
        "RemoveIPC=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        *CLOSED,
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _places(service: ServerService) -> list[str]:
    """Where it may write. systemd makes a folder below /var/lib itself, for the right user."""
    if service.data_dir.startswith(_STATE_HOME):
        own = posixpath.relpath(service.data_dir, _STATE_HOME)
        return [f"StateDirectory={quoted(own)}", "StateDirectoryMode=0750"]
    return [f"ReadWritePaths={quoted(service.data_dir)}"]


def _in_home(service: ServerService) -> bool:
    paths = (service.data_dir, service.config_path, *service.program)
    return any(path.startswith(("/home/", "/root/")) for path in paths)


def _in_tmp(service: ServerService) -> bool:
    paths = (service.data_dir, service.config_path, *service.program)
    return any(path.startswith(("/tmp/", "/var/tmp/")) for path in paths)  # noqa: S108 - looked at, not used
