"""A server per test file, with some files in it; one for all of which some see only a part."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from logferry.ftp import SessionInfo
from logferry.server.porter import Porter
from tests.web.lobby import Lobby
from tests.web.served import Served, served
from tests.web.vault import Vault


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server with nothing in it but an administrator."""
    with served(tmp_path_factory.mktemp("web") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """The archive of which a part is to be seen, with an FTP client that is connected."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with served(tmp_path_factory.mktemp("vault") / "data") as site:
        vault = Vault(site)
        vault.enter()
        lobby = Lobby([SessionInfo(1, "vaultuser", "10.0.0.9", True, 1, "idle", "", 0)])
        porter = Porter(lobby, site.context.config.data_dir)
        porter.start()
        try:
            yield vault
        finally:
            porter.stop()
            structlog.configure(**before)
