"""Ordinary FTP programs deliver into the archive and read from it, plain and over TLS."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.site import PASSWORD, Running, Site

pytestmark = pytest.mark.peers


def needs(program: str) -> pytest.MarkDecorator:
    """Skip, loudly, where ``program`` is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(params=["off", "required"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A running FTP part with an agent ``device`` and an administrator, with and without TLS."""
    made = Site.make(tmp_path / "data", tls=request.param)
    made.people.create("root", PASSWORD, role="admin")
    with Running(made) as running:
        yield running
    made.catalog.close()


def run(*command: str) -> str:
    """The program's output; fails with its messages."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def some_file(path: Path, size: int) -> bytes:
    """A file of random bytes, and those bytes."""
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    return data


@needs("curl")
def test_curl_delivers_and_reads_older_generations(site: Site, tmp_path: Path) -> None:
    """A device that has nothing but curl."""
    joined = site.join("device")
    host, port = site.address
    tls = [] if site.config.ftp.tls == "off" else ["--ssl-reqd", "--insecure"]
    curl = ["curl", "-sS", *tls]
    deliver = [*curl, "--user", f"{joined.user}:{joined.password}", "--ftp-create-dirs"]
    first = some_file(tmp_path / "first", 300_000)
    second = some_file(tmp_path / "second", 200_000)
    url = f"ftp://{host}:{port}"
    run(*deliver, "-T", str(tmp_path / "first"), f"{url}/var/log/app.log")
    run(*deliver, "-T", str(tmp_path / "second"), f"{url}/var/log/app.log")
    assert site.live("device", "var/log/app.log").read_bytes() == second
    read = [*curl, "--user", f"root:{PASSWORD}", "-o", str(tmp_path / "got")]
    run(*read, f"{url}/device/var/log/app.log")
    assert (tmp_path / "got").read_bytes() == second
    run(*read, f"{url}/device/var/log/app.log;gen=1".replace(";", "%3B"))
    assert (tmp_path / "got").read_bytes() == first
    assert "app.log" in run(*curl, "--user", f"root:{PASSWORD}", f"{url}/device/var/log/")


@needs("lftp")
def test_lftp_mirrors_a_tree_in_and_out(site: Site, tmp_path: Path) -> None:
    """Ten files of 300 KB arrive whole; a second mirror finds nothing to do."""
    joined = site.join("device")
    host, port = site.address
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    for number in range(10):
        some_file(source / "sub" / f"{number}.log", 300_000 + number)
    off = site.config.ftp.tls == "off"
    settings = "set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no; " + (
        "set ftp:ssl-allow no" if off else "set ftp:ssl-force yes; set ftp:ssl-protect-data yes"
    )

    def lftp(user: str, password: str, script: str) -> str:
        return run("lftp", "-c", f"{settings}; open -u '{user},{password}' -p {port} {host}; {script}")

    lftp(joined.user, joined.password, f"mirror -R --parallel=4 {source} /tree")
    for path in source.rglob("*.log"):
        assert site.live("device", f"tree/sub/{path.name}").read_bytes() == path.read_bytes()
    target = tmp_path / "target"
    lftp("root", PASSWORD, f"mirror --parallel=4 /device/tree {target}")
    for path in source.rglob("*.log"):
        assert (target / "sub" / path.name).read_bytes() == path.read_bytes()


@needs("rclone")
def test_rclone_copies_and_checks_out(site: Site, tmp_path: Path) -> None:
    """It asks MLST and MLSD for everything first."""
    joined = site.join("device")
    host, port = site.address
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        some_file(source / f"{number}.log", 50_000 + number)
    tls = "" if site.config.ftp.tls == "off" else ",explicit_tls=true,no_check_certificate=true"
    secret = run("rclone", "obscure", "--", joined.password).strip()
    remote = f':ftp,host="{host}",port={port},user="{joined.user}",pass="{secret}"{tls}:/tree'
    run("rclone", "--config", "", "copy", str(source), remote)
    for path in source.iterdir():
        assert site.live("device", f"tree/{path.name}").read_bytes() == path.read_bytes()
