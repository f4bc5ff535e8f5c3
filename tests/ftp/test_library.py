"""What ``logferry.ftp`` offers is loaded when it is asked for, and looks as if it had always been there."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import logferry.ftp as library


def _fresh(statements: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", statements], capture_output=True, text=True, check=True).stdout


def test_every_name_is_where_the_table_says() -> None:
    """The table of parts and ``__all__`` name the same things, and each comes from its module."""
    assert sorted(library._HOME) == sorted(library.__all__)
    for name, part in library._HOME.items():
        assert getattr(library, name) is getattr(importlib.import_module(f"logferry.ftp.{part}"), name)
    assert set(library.__all__) <= set(dir(library))


def test_no_module_has_the_name_of_something_offered() -> None:
    """Importing it would put the module in the place of what has its name."""
    modules = {module.name for module in pkgutil.iter_modules(library.__path__)}
    assert modules.isdisjoint(library.__all__)


def test_everything_can_be_imported_at_once() -> None:
    """By star and by name, in an interpreter that has loaded a part directly before."""
    shown = _fresh("from logferry.ftp.mirror import mirror_up\nfrom logferry.ftp import *\nprint(upload_many)")
    assert shown.startswith("<function upload_many")


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'FtpKlient'"):
        library.FtpKlient  # noqa: B018 (asking is the test)
    with pytest.raises(ImportError, match="FtpKlient"):
        exec("from logferry.ftp import FtpKlient")


def test_a_client_does_not_carry_the_server() -> None:
    """Nor asyncio, which only the events of a server need."""
    loaded = _fresh("import sys\nfrom logferry.ftp import FtpClient\nprint(*sys.modules)").split()
    assert {"logferry.ftp.server", "logferry.ftp.session", "asyncio"}.isdisjoint(loaded)
