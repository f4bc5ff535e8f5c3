"""``WorkerParts.filesystem`` took the place of the file systems together with the quotas around them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from logferry.ftp import LocalFilesystem, WorkerParts
from tests.ftp.test_fleet import fleet


def test_an_upload_beyond_the_quota_is_refused_there_too(tmp_path: Path) -> None:
    """552, and what fits is taken."""

    @contextlib.contextmanager
    def parts() -> Iterator[WorkerParts]:
        yield WorkerParts(filesystem=lambda user: LocalFilesystem(user.home))

    with fleet(tmp_path, in_worker=parts) as at:
        at.users.change("ann", quota_bytes=10)
        with at.client() as client:
            assert client.upload("STOR small", b"x" * 10).startswith("226")
            client.port()
            assert client.command("STOR more").startswith("552")
