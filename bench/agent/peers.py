"""The programs ours stands beside, each with the settings its own users would call sane and fast.

* **lftp** ``mirror -R``, four in parallel, ``-c`` where it shall continue; **rclone** ``copy`` with four transfers.
* **rsync** ``-a`` into a local folder: no server and no network, only the work on the files.
* **rsyslog** ``imfile`` (inotify) into a local file; **lsyncd** with its own rsync, a delay of one second.

What polls (lftp, rclone and rsync from a timer) delivers a line after half its interval on average, so it has no
latency to compare. None of the peers syncs what it has written before it calls it delivered; our server does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.agent.places import Place
from bench.agent.processes import Cost, Resident, measured, staying
from bench.ftp.servers import APART, program

STREAMS = 4


def here(*names: str) -> list[str]:
    """Those of ``names`` that can run on this machine."""
    return [name for name in names if program({"rsyslog": "rsyslogd"}.get(name, name))]


class Mirrors:
    """lftp, rclone and rsync, run once over a tree; their settings and logs are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = os.environ | {"HOME": str(folder), "LFTP_HOME": str(folder / "lftp")}

    def lftp(self, tree: Path, place: Place, *, resume: bool = False) -> Cost:
        """``mirror -R`` of ``tree``."""
        tls = "yes; set ftp:ssl-force yes; set ssl:verify-certificate no" if place.tls else "no"
        script = (
            f"set ftp:ssl-allow {tls}; set cmd:fail-exit yes; set net:max-retries 1; set ftp:prefer-epsv yes; "
            "set mirror:set-permissions no; "
            f"open -p {place.port} -u {place.user},{place.password} {place.host}; "
            f"mirror -R {'-c ' * resume}--parallel={STREAMS} {tree} {place.remote}"
        )
        return self._run(["lftp", "-c", script])

    def rclone(self, tree: Path, place: Place, *, resume: bool = False) -> Cost:
        """``copy`` of ``tree``; it cannot continue a file. vsftpd takes no times, so there it goes by the size."""
        del resume
        hidden = subprocess.run(["rclone", "obscure", place.password], capture_output=True, text=True, check=True)
        tls = ",explicit_tls=true,no_check_certificate=true" if place.tls else ""
        account = f"host={place.host},port={place.port},user={place.user},pass={hidden.stdout.strip()}{tls}"
        command = ["rclone", "copy", "--transfers", str(STREAMS), "--checkers", str(2 * STREAMS)]
        command += ["--config", "/dev/null", *(["--size-only"] if place.kind == "vsftpd" else [])]
        return self._run([*command, str(tree), f":ftp,{account}:{place.remote}"])

    def rsync(self, tree: Path, folder: Path, *options: str) -> Cost:
        """``-a`` of ``tree`` into ``folder`` on this disk."""
        folder.mkdir(parents=True, exist_ok=True)
        return self._run(["rsync", "-a", *options, f"{tree}/", f"{folder}/"])

    def _run(self, command: list[str]) -> Cost:
        return measured(command, log=self._folder / f"{command[0]}.log", environment=self._environment)


@contextmanager
def rsyslog(folder: Path, pattern: str, target: Path) -> Iterator[Resident]:
    """rsyslog that writes every new line of the files ``pattern`` names to ``target``."""
    state = folder / "rsyslog"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    config = state / "rsyslog.conf"
    config.write_text(
        f'global(workDirectory="{state}")\n'
        'module(load="imfile" mode="inotify")\n'
        'template(name="line" type="string" string="%msg%\\n")\n'
        f'input(type="imfile" File="{pattern}" Tag="bench:" addMetadata="off" ruleset="out")\n'
        f'ruleset(name="out") {{ action(type="omfile" file="{target}" template="line") }}\n'
    )
    command = [program("rsyslogd"), "-n", "-f", str(config), "-i", str(state / "pid")]
    modules = next((APART / "rsyslogd").glob("usr/lib/*/rsyslog"), None)
    command += ["-M", str(modules)] if modules else []
    with staying(command, log=state / "log", environment=os.environ) as running:
        yield running


@contextmanager
def lsyncd(folder: Path, tree: Path, target: Path) -> Iterator[Resident]:
    """lsyncd that keeps ``target`` like ``tree``."""
    state = folder / "lsyncd"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    target.mkdir(parents=True, exist_ok=True)
    config = state / "lsyncd.conf.lua"
    config.write_text(
        f'settings {{ nodaemon = true, logfile = "{state}/log", statusFile = "{state}/status",'
        ' inotifyMode = "CloseWrite or Modify" }\n'  # logs stay open
        f'sync {{ default.rsync, source = "{tree}", target = "{target}", delay = 1, delete = false }}\n'
    )
    command = [program("lsyncd"), "-nodaemon", str(config)]
    with staying(command, log=state / "out", environment=os.environ) as running:
        yield running
