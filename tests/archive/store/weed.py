"""A real S3 server (SeaweedFS) of our own on loopback, for the tests of what lies in a bucket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from logferry.archive.store import BucketSettings, BucketStore
from logferry.errors import LogferryError

KEY_ID, SECRET = "tester", "for-tests-on-loopback-only"
BUCKET = "logs"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Weed:
    """A running server. ``pid``: of its process, to stop it by (SIGSTOP, SIGCONT) in tests of a bucket that hangs."""

    endpoint: str
    pid: int

    def settings(self, prefix: str = "") -> BucketSettings:
        return BucketSettings(BUCKET, prefix, self.endpoint, key_id=KEY_ID, secret=SECRET)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Weed]:
    """Start one with its data below ``folder``, with a bucket in it."""
    config = folder / "s3.json"
    identity = {
        "name": "tester",
        "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config.write_text(json.dumps({"identities": [identity]}))
    ports = {name: _free_port() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
    grpc = {f"{name}.grpc": _free_port() for name in ports}
    log = (folder / "weed.log").open("wb")
    data = folder / "data"
    data.mkdir()
    process = subprocess.Popen(
        [
            Path(sys.executable).parent / "weed", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-s3", f"-s3.config={config}", "-master.telemetry=false", "-volume.max=10",
            f"-filer.localSocket={folder / 'filer.sock'}",
            *(f"-{name}={port}" for name, port in (ports | grpc).items()),
        ],
        stdout=log,
        stderr=log,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    try:
        weed = Weed(f"http://127.0.0.1:{ports['s3.port']}", process.pid)
        _wait(weed, process, folder / "weed.log")
        yield weed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.wait()
        log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(weed: Weed, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the bucket takes an object."""
    end = time.monotonic() + _START_S
    made = False
    while time.monotonic() < end and process.poll() is None:
        try:
            if not made:
                _make_bucket(weed)
                made = True
            store = BucketStore(weed.settings("ready"))
            store.put(f"probe-{time.monotonic_ns()}", [b"x"])
        except (LogferryError, URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the S3 server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _make_bucket(weed: Weed) -> None:
    """PUT /bucket with a signature (AWS Signature Version 4), which obstore has no call for."""
    import datetime
    import hashlib
    import hmac
    from urllib.request import Request

    now = datetime.datetime.now(datetime.UTC)
    day, moment = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
    host = weed.endpoint.removeprefix("http://")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": moment}
    names = ";".join(headers)
    canonical = "\n".join(["PUT", f"/{BUCKET}", "", *(f"{k}:{v}" for k, v in headers.items()), "", names, empty])
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    urlopen(Request(f"{weed.endpoint}/{BUCKET}", method="PUT", headers=headers), timeout=5).close()
