"""The frame of every page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.web.app import create_app
from logferry.web.pages import shell
from tests.browser.fleet import Fleet
from tests.web.pages.conftest import BASE


def test_a_running_server_goes_on_with_its_own_templates_when_others_are_installed(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of another version come into their place while it runs, whether a page was asked for before or not."""
    installed = Path(shutil.copytree(shell.TEMPLATES, tmp_path / "templates"))
    monkeypatch.setattr(shell, "TEMPLATES", installed)
    with TestClient(create_app(fleet.context), base_url=BASE) as client:
        for path in installed.glob("*.html"):
            path.write_text("{{ of_another_version }}")
        assert "Sign in" in client.get("/login").text
