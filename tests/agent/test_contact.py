"""First contact: several first uploads under one name are in doubt; whose is what the server has?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.contact import Contact
from logferry.agent.files import open_file
from logferry.agent.journal import Journal
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.agent.slices import Task
from logferry.errors import LogferryError
from logferry.ftp.client import FtpClient
from logferry.ftp.sending import SendSource
from tests.agent.shelves import AGENT, KINDS, PASSWORD, Shelf, shelf

OURS = b"sent before the crash\n" * 50
OTHER = b"another log, in doubt under the same name\n" * 50


class Doubt:
    """A server that has OURS at ``logs/x.log``, and two rows whose first upload may be there."""

    def __init__(self, base: Path, server: Shelf) -> None:
        self.server = server
        host, port = server.address
        self.client = FtpClient(host, port, user=AGENT, password=PASSWORD, tls="off")
        self.client.ensure_folder("/logs")
        self.client.store("/logs/x.log", SendSource.of(OURS))
        self.registry = Registry(base / "state" / "registry.db", 0)
        self.contact = Contact(self.client, self.registry, Journal(), lambda: "20261126T000000.000000-00")
        self.tasks = [self._task(base, number, data) for number, data in enumerate((OTHER, OURS + b"more\n"))]

    def _task(self, base: Path, number: int, data: bytes) -> Task:
        path = os.fsencode(base / f"x.log.{number}")
        with open(path, "wb") as log:
            log.write(data)
        file = open_file(path)
        want = f"logs/x.log.{number}"
        row = Row(self.registry.new_id(), path, want, "", State.NEW, file.stat.inode, 0, going="logs/x.log")
        self.registry.apply([row], now_ns=0)
        return Task(row, file)

    def resolve(self, number: int) -> Row:
        """What is true of a row after first contact."""
        task = self.tasks[number]
        assert task.file is not None
        self.contact.resolve(task, task.file)
        return task.row

    def close(self) -> None:
        """Close what is open."""
        for task in self.tasks:
            assert task.file is not None
            task.file.close()
        self.client.close()
        self.registry.close()


@pytest.fixture(params=sorted(KINDS))
def doubt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Doubt]:
    """On each kind of server."""
    with shelf(request.param, tmp_path) as server:
        made = Doubt(tmp_path, server)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_content_tells_whose_upload_it_was(doubt: Doubt, order: tuple[int, int]) -> None:
    """The row with that content goes on there, the other one is sent from the beginning; the server's file is whole."""
    found = {number: doubt.resolve(number) for number in order}
    assert (found[0].remote, found[0].going) == ("", "")
    assert (found[1].remote, found[1].going) == ("logs/x.log", "")
    assert doubt.server.current() == {"x.log": OURS}


def test_an_upload_stays_in_doubt_while_the_server_cannot_be_asked(doubt: Doubt) -> None:
    """No answer is no answer: the name is not forgotten, and asked again it turns out to be ours."""
    doubt.server.stop()
    with pytest.raises(LogferryError):
        doubt.resolve(1)
    assert doubt.tasks[1].row.going == "logs/x.log"
    doubt.server.start()
    assert doubt.resolve(1).remote == "logs/x.log"
