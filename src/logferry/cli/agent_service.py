"""``logferry agent install-service``: where the service file belongs, and what to do once it is there."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from logferry.agent import service
from logferry.errors import Refused

if TYPE_CHECKING:
    from logferry.agent.config import AgentConfig

KINDS = ("systemd", "launchd", "winsw")
_PLACES = {
    "systemd": f"/etc/systemd/system/{service.NAME}.service",
    "launchd": "/Library/LaunchDaemons/org.logferry.agent.plist",
    "winsw": "",
}
_LOG_GROUP = "adm"


def usual_kind() -> str:
    """The kind for this system."""
    return {"win32": "winsw", "darwin": "launchd"}.get(sys.platform, "systemd")


def made(config: AgentConfig, config_path: str, *, user: str, read_all: bool) -> service.Service:
    """What the settings mean for a service. ``user`` empty: who owns the settings."""
    writes = (os.path.dirname(config.agent.metrics_file),) if config.agent.metrics_file else ()
    return service.Service(
        program=program(),
        config_path=os.path.abspath(config_path),
        state_dir=os.path.abspath(config.agent.state_dir),
        writes=writes,
        reads=tuple(source.path for source in config.sources),
        user=user or _owner(config_path),
        groups=(_LOG_GROUP,) if _has_group(_LOG_GROUP) else (),
        read_all=read_all,
    )


def text_of(kind: str, wanted: service.Service) -> str:
    """The service file."""
    return {"systemd": service.systemd, "launchd": service.launchd, "winsw": service.winsw}[kind](wanted)


def place_of(kind: str, config_path: str) -> str:
    """Where it belongs; WinSW's lies beside the settings."""
    beside = os.path.join(os.path.dirname(os.path.abspath(config_path)), f"{service.NAME}.xml")
    return _PLACES[kind] or beside


def next_steps(kind: str, place: str) -> tuple[str, ...]:
    """The commands that start it."""
    if kind == "systemd":
        return ("systemctl daemon-reload", f"systemctl enable --now {service.NAME}", f"systemctl status {service.NAME}")
    if kind == "launchd":
        return (f"launchctl bootstrap system {place}", "launchctl print system/org.logferry.agent")
    exe = f"{os.path.splitext(place)[0]}.exe"
    return (f"put WinSW-x64.exe there as {exe}", f'"{exe}" install', f'"{exe}" start')


def write(place: str, text: str) -> None:
    """Write the service file. Raises Refused where only the administrator may."""
    fresh = f"{place}.new"
    try:
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(fresh, place)
    except (PermissionError, FileNotFoundError) as error:
        hint = "run this as the administrator (sudo), or with --print and put the text there yourself"
        raise Refused(f"cannot write {place}: {error.strerror}", hint=hint) from error


def program() -> tuple[str, ...]:
    """The command line of this very installation, before its arguments."""
    beside = os.path.join(os.path.dirname(sys.executable), "logferry.exe" if sys.platform == "win32" else "logferry")
    found = beside if os.access(beside, os.X_OK) else shutil.which("logferry")
    return (os.path.abspath(found),) if found else (sys.executable, "-P", "-m", "logferry.cli")


def _owner(config_path: str) -> str:
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return pwd.getpwuid(os.stat(config_path).st_uid).pw_name
    except KeyError:
        return "root"


def _has_group(name: str) -> bool:
    if sys.platform == "win32":
        return False
    import grp

    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
