"""A scope shows exactly what its globs grant."""

from __future__ import annotations

import pytest

from logferry.errors import BadName
from logferry.server.scope import Scope, at_least


@pytest.mark.parametrize(
    ("globs", "agent", "path", "seen"),
    [
        ((), "web-01", "var/log/a.log", True),
        (("web-*/**",), "web-01", "var/log/a.log", True),
        (("web-*/**",), "web-01", "", True),
        (("web-*/**",), "db-01", "var/log/a.log", False),
        (("web-*",), "web-01", "var/log/a.log", True),
        (("web-*/**", "!**/secrets/**"), "web-01", "app/secrets/key", False),
        (("web-*/**", "!**/secrets/**"), "web-01", "secrets/key", False),
        (("!**/secrets/**", "web-*/**"), "web-01", "app/secrets/key", False),
        (("web-*/**", "!**/secrets/**"), "web-01", "app/secretsauce/key", True),
        (("!db-*",), "web-01", "a", True),
        (("!db-*",), "db-01", "a", False),
        (("*/var/log/*",), "x", "var/log/a", True),
        (("*/var/log/*",), "x", "var/log/a/b", False),
        (("*/var/log/**/*.log",), "x", "var/log/b.log", True),
        (("*/var/log/**/*.log",), "x", "var/log/a/b.log", True),
        (("web-0?/a.log",), "web-01", "a.log", True),
        (("web-0?/a.log",), "web-01", "aXlog", False),
        (("web-01/a\n.log",), "web-01", "a\n.log", True),
        (("[w]eb/**",), "web", "a", False),
    ],
)
def test_a_file_is_seen_when_a_glob_grants_it_and_no_exception_takes_it(
    globs: tuple[str, ...], agent: str, path: str, seen: bool
) -> None:
    """The order of the globs does not matter; only ``*``, ``**`` and ``?`` are special."""
    assert Scope(globs).sees(agent, path) is seen


@pytest.mark.parametrize(
    ("globs", "agent", "folder", "may"),
    [
        (("*/var/log/**",), "web-01", "", True),
        (("*/var/log/**",), "web-01", "var", True),
        (("*/var/log/**",), "web-01", "var/log", True),
        (("*/var/log/**",), "web-01", "var/log/nginx", True),
        (("*/var/log/**",), "web-01", "etc", False),
        (("web-*/**/x.log",), "web-01", "any/where", True),
        (("web-*/**",), "db-01", "", False),
        (("web-*/**", "!web-01/**"), "web-01", "", False),
        (("web-*/**", "!web-01/tmp/*"), "web-01", "tmp", True),
        (("web-*/**", "!**/secrets/**"), "web-01", "a/secrets", False),
        (("web-*/a.log",), "web-01", "", True),
        (("web-*/a.log",), "web-01", "a.log", True),
    ],
)
def test_a_folder_is_shown_when_something_below_it_may_be_seen(
    globs: tuple[str, ...], agent: str, folder: str, may: bool
) -> None:
    """So that a person can walk down to what is granted."""
    assert Scope(globs).may_hold(agent, folder) is may


@pytest.mark.parametrize("glob", ["", "!", "/", "!/"])
def test_an_empty_glob_is_refused(glob: str) -> None:
    """It would silently see nothing or everything."""
    with pytest.raises(BadName):
        Scope((glob,))


def test_each_role_includes_the_ones_below_it() -> None:
    """An unknown role may do nothing."""
    assert at_least("admin", "operator")
    assert at_least("operator", "viewer")
    assert not at_least("viewer", "operator")
    assert not at_least("agent", "viewer")
    assert not at_least("king", "agent")
