"""The frame of the program: help, mistakes, exit codes, and what it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from logferry.cli import failures
from logferry.cli.main import COMMANDS, run
from logferry.errors import Damaged, Full, LogferryError, NotFound, NotPermitted, Refused, TimedOut


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Loading a command and asking for its help needs no server."""
    assert run([name, "--help"]) == 0
    assert f"logferry {name}" in capsys.readouterr().out


def test_a_misspelt_command_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a guess."""
    assert run(["grpe", "x"]) == 2
    assert "did you mean 'grep'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["agent"], ["admin"], ["config"]])
def test_a_group_alone_shows_its_help_as_people_read_it(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, in lines, without marks for their ends."""
    assert run(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(" ".join(["Usage: logferry", *arguments]))
    assert "\u240a" not in printed


@pytest.mark.parametrize("arguments", [["ls", "--nosuch"], ["grep"], ["cat", ":x"], ["tail", "-n", "x", "a:/b"]])
def test_wrong_use_is_exit_two_and_points_to_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line about the mistake, one about the way on."""
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("logferry: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("x"), 1),
        (Refused("x"), 2),
        (NotPermitted("x"), 3),
        (TimedOut("x"), 4),
        (Full("x"), 4),
        (Damaged("x", where="y"), 4),
        (FileNotFoundError(2, "No such file or directory", "x"), 2),
        (OSError(28, "No space left on device", "x"), 4),
        (AssertionError("x"), 4),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
    ],
)
def test_exit_codes_are_decided_in_one_place(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each failure has its code and its words, never a traceback."""

    def fail() -> int:
        raise error

    assert failures.exit_code(fail) == code
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert isinstance(error, (KeyboardInterrupt, BrokenPipeError)) or printed.startswith("logferry: ")


def test_a_traceback_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """--debug, for reports."""

    def fail() -> int:
        raise Refused("x")

    assert failures.exit_code(fail, debug=True) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_error_is_a_message_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in what a server says are drawn."""

    def fail() -> int:
        raise NotFound("no file '\x1b[2J'", hint="list them")

    failures.exit_code(fail)
    assert capsys.readouterr().err == "logferry: no file '\u241b[2J'\n  hint: list them\n"


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """``logferry … | head`` ends quietly."""
    command = f"{sys.executable} -m logferry.cli config show | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""


def test_the_agent_never_loads_what_a_server_needs() -> None:
    """The command line of a node stays small: no web framework, no database toolkit, no search."""
    code = (
        "import sys; from logferry.cli.main import run; run(['agent', '--help']); import logferry.agent.runner; "
        "print([m for m in ('sqlalchemy', 'fastapi', 'starlette', 'jinja2', 'structlog', 're2', "
        "'logferry.server', 'logferry.archive', 'logferry.search', 'logferry.web') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_settings_are_checked_with_near_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt key is named with file and guess."""
    (tmp_path / "server.toml").write_text('[ftp]\ntlss = "off"\n')
    assert run(["config", "check", str(tmp_path / "server.toml")]) == 2
    printed = capsys.readouterr().err
    assert "ftp.tlss" in printed
    assert "did you mean 'tls'?" in printed


def test_settings_are_shown_with_their_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, environment, default: each value says which."""
    (tmp_path / "server.toml").write_text('[ftp]\ntls = "off"\n')
    monkeypatch.setenv("LOGFERRY_WEB__LISTEN", "127.0.0.1:9")
    assert run(["config", "show", "--origin", str(tmp_path / "server.toml")]) == 0
    printed = {line.split(" = ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert printed["ftp.tls"].endswith(f"# file {tmp_path}/server.toml")
    assert printed["web.listen"].endswith("# environment")
    assert printed["ftp.listen"].endswith("# default")


def test_an_agents_settings_are_shown_with_their_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of a list are numbered."""
    path = tmp_path / "agent.toml"
    path.write_text('[agent]\nid = "a"\n[server]\naddress = "x:1"\n[[sources]]\npath = "/var/log"\n')
    assert run(["config", "show", "--agent", "--origin", str(path)]) == 0
    printed = capsys.readouterr().out
    assert 'sources[1].path = "/var/log"' in printed
    assert run(["config", "check", "--agent", str(path)]) == 0


def test_all_errors_have_an_exit_code_the_reference_lists() -> None:
    """0 to 4, nothing else."""

    def every(kind: type[LogferryError]) -> list[type[LogferryError]]:
        return [kind] + [deeper for direct in kind.__subclasses__() for deeper in every(direct)]

    assert {kind.exit_code for kind in every(LogferryError)} <= {1, 2, 3, 4}


def test_states_are_those_of_the_server() -> None:
    """The command line knows them without a server being installed."""
    from logferry.cli.agents import STATES
    from logferry.server import health

    assert STATES == health.STATES
