"""Service files for the agent: systemd on Linux, launchd on macOS, WinSW on Windows. Pure: texts out of settings."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from logferry.errors import BadConfig
from logferry.limits import STOP_S_MAX
from logferry.names import shown
from logferry.systemd import CLOSED, RUN_AGAIN_S, command, percent, quoted

NAME = "logferry-agent"
_STATE_HOME = "/var/lib/"
_STOP_S = int(STOP_S_MAX * 2)
_WATCHDOG_S = 600
"""Far more than a walk over a million files takes: whoever is silent for so long hangs."""


@dataclass(frozen=True, slots=True)
class Service:
    """What all kinds need: absolute paths; ``program`` is the command line before ``agent``."""

    program: tuple[str, ...]
    config_path: str
    state_dir: str
    writes: tuple[str, ...] = ()
    """Folders besides ``state_dir`` that the agent writes to."""
    reads: tuple[str, ...] = ()
    """The sources."""
    user: str = "root"
    groups: tuple[str, ...] = ()
    """More groups that may read logs, ``adm`` on Debian."""
    read_all: bool = False
    """Whether it may read every file of the machine, whoever owns it (CAP_DAC_READ_SEARCH)."""
    environment: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        for text in (*self.program, self.config_path, self.state_dir, *self.writes, self.user, *self.groups):
            if any(ord(character) < 32 or ord(character) == 127 for character in text):
                raise BadConfig(f"{shown(text)!r} cannot stand in a service file", hint="choose a path without it")

    @property
    def run(self) -> tuple[str, ...]:
        """The command line of the agent."""
        return (*self.program, "agent", "run", "--config", self.config_path)


def systemd(service: Service) -> str:
    """A unit for ``/etc/systemd/system``: reads logs, writes its registry, may do nothing else."""
    reload = (*service.program, "agent", "reload", "--config", service.config_path)
    capabilities = "CAP_DAC_READ_SEARCH" if service.read_all else ""
    lines = [
        "# Written by `logferry agent install-service`.",
        "[Unit]",
        "Description=Logferry agent: ships log files",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={command(service.run)}",
        f"ExecReload={command(reload)}",
        "Restart=always",
        f"RestartSec={RUN_AGAIN_S}",
        "# 2: the settings are wrong; starting again does not mend them.",
        "RestartPreventExitStatus=2",
        f"TimeoutStopSec={_STOP_S}",
        f"WatchdogSec={_WATCHDOG_S}",
        f"User={percent(service.user)}",
    ]
    lines += [f"SupplementaryGroups={' '.join(map(percent, service.groups))}"] if service.groups else []
    lines += _places(service)
    lines += [
        "UMask=0077",
        "LimitNOFILE=65536",
        "# It reads logs and talks to its server; everything else is closed to it.",
        f"CapabilityBoundingSet={capabilities}",
        f"AmbientCapabilities={capabilities}",
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        f"PrivateTmp={'no' if _in_tmp(service) else 'yes'}",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        *CLOSED,
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _places(service: Service) -> list[str]:
    """Where it may write. systemd makes a folder below /var/lib itself, for the right user."""
    own = posixpath.relpath(service.state_dir, _STATE_HOME) if service.state_dir.startswith(_STATE_HOME) else ""
    lines = [f"StateDirectory={quoted(own)}", "StateDirectoryMode=0700"] if own else []
    writes = [*([] if own else [service.state_dir]), *service.writes]
    return lines + ([f"ReadWritePaths={' '.join(quoted(path) for path in writes)}"] if writes else [])


def _in_tmp(service: Service) -> bool:
    return any(f"{path}/".startswith(("/tmp/", "/var/tmp/")) for path in (*service.reads, service.state_dir))  # noqa: S108


def launchd(service: Service) -> str:
    """A property list for ``/Library/LaunchDaemons``."""
    words = "\n".join(f"    <string>{escape(word)}</string>" for word in service.run)
    log = escape(posixpath.join(service.state_dir, "agent.log"))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>org.logferry.agent</string>
  <key>ProgramArguments</key>
  <array>
{words}
  </array>
  <key>UserName</key><string>{escape(service.user)}</string>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><true/>
  <key>ThrottleInterval</key><integer>{RUN_AGAIN_S}</integer>
  <key>ExitTimeOut</key><integer>{_STOP_S}</integer>
  <key>Umask</key><integer>63</integer>
  <key>StandardErrorPath</key><string>{log}</string>
</dict>
</plist>
"""


def winsw(service: Service) -> str:
    """Settings for WinSW, which lies beside them as ``logferry-agent.exe``."""
    program, *first = service.program
    arguments = " ".join(_windows_quoted(word) for word in (*first, *service.run[len(service.program) :]))
    return f"""<service>
  <id>{NAME}</id>
  <name>Logferry agent</name>
  <description>Ships log files to a Logferry archive.</description>
  <executable>{escape(program)}</executable>
  <arguments>{escape(arguments)}</arguments>
  <startmode>Automatic</startmode>
  <delayedAutoStart>true</delayedAutoStart>
  <onfailure action="restart" delay="{RUN_AGAIN_S} sec"/>
  <resetfailure>1 hour</resetfailure>
  <stoptimeout>{_STOP_S} sec</stoptimeout>
  <logpath>{escape(service.state_dir)}</logpath>
  <log mode="roll-by-size">
    <sizeThreshold>10240</sizeThreshold>
    <keepFiles>3</keepFiles>
  </log>
</service>
"""


def _windows_quoted(word: str) -> str:
    if word and not any(c in word for c in ' \t"'):
        return word
    # A backslash counts as itself except before a quote: those before the closing one are doubled.
    body = word.replace('"', '\\"')
    return '"' + body + "\\" * (len(body) - len(body.rstrip("\\"))) + '"'
