"""A server per test file, with some files in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.served import Served, served


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server with nothing in it but an administrator."""
    with served(tmp_path_factory.mktemp("web") / "data") as running:
        yield running
