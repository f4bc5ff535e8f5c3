"""The server's own log: one event, one line, whatever a client calls its files."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from logferry.server import logs

HOSTILE = 'x"\n{"event": "forged"}\r\x1b[31m\u202e'


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = before


def test_a_hostile_name_makes_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    """That reads back as it was."""
    logs.configure(human=False)
    structlog.get_logger().warning("upload broke off", path=HOSTILE)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["path"] == HOSTILE
    assert json.loads(line)["event"] == "upload broke off"
    assert "\x1b" not in line


def test_a_person_sees_marks_instead_of_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    """No escape reaches the terminal."""
    logs.configure(human=True)
    structlog.get_logger().warning("upload broke off", path=HOSTILE)
    (line,) = capfd.readouterr().err.splitlines()
    assert "upload broke off" in line
    assert not any(ord(c) < 32 or c == "\u202e" for c in line)


def test_a_traceback_keeps_its_lines(capfd: pytest.CaptureFixture[str]) -> None:
    """Each drawn safely."""
    logs.configure(human=True)
    try:
        int(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("unexpected")
    text = capfd.readouterr().err
    assert "Traceback" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("human", [True, False])
def test_what_libraries_log_takes_the_same_way(capfd: pytest.CaptureFixture[str], human: bool) -> None:
    """Warnings only, escaped like ours."""
    logs.configure(human=human)
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("about %s", HOSTILE)
    (line,) = capfd.readouterr().err.splitlines()
    assert "about" in line
    assert "warning" in line
    assert "\x1b" not in line


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """Standard error on a full disk or closed: lines are lost, the program goes on."""
    code = "import structlog; from logferry.server import logs; logs.configure(); structlog.get_logger().info('x')"
    for target in ("2>/dev/full", "2>&-"):
        shell = f'"$0" -c "$1; print(7)" {target}'
        done = subprocess.run(["sh", "-c", shell, sys.executable, code], capture_output=True, check=False)
        assert done.stdout == b"7\n", (target, done.stderr)
