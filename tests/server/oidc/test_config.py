"""``[auth.oidc]`` as people write it, and what is refused with the next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logferry.errors import BadConfig
from logferry.server.config import config_from_json, load_config, load_config_with_origins
from logferry.server.oidc.claims import rights_of
from logferry.server.oidc.config import OidcRoleConfig, checked_endpoint

GOOD = """
[auth.oidc]
issuer = "https://id.example/realms/main"
client_id = "logferry"
client_secret_file = "/run/secrets/oidc"
role_claim = "groups"
roles = { log-admins = "admin", staff = { role = "viewer", scope = ["web-*/**", "!**/secrets/**"] } }
"""


def written(tmp_path: Path, text: str) -> str:
    """A settings file with ``text``."""
    path = tmp_path / "server.toml"
    path.write_text(text)
    return str(path)


def test_the_settings_read_as_they_are_documented(tmp_path: Path) -> None:
    """A role alone or with a scope; each shows with where it came from; other processes get the same."""
    path = written(tmp_path, GOOD)
    loaded = load_config_with_origins(path, {"LOGFERRY_AUTH__OIDC__NAME": "SSO"})
    oidc = loaded.config.auth.oidc
    assert oidc.roles == {
        "log-admins": OidcRoleConfig("admin"),
        "staff": OidcRoleConfig("viewer", ("web-*/**", "!**/secrets/**")),
    }
    rows = {name: (value, origin) for name, value, origin in loaded.rows()}
    assert rows["auth.oidc.roles.log-admins.role"] == ("admin", f"file {path}")
    assert rows["auth.oidc.roles.staff.scope"] == (("web-*/**", "!**/secrets/**"), f"file {path}")
    assert rows["auth.oidc.name"] == ("SSO", "environment")
    assert (rows["auth.oidc.name_claim"][1], oidc.shown_name) == ("default", "SSO")
    assert config_from_json(loaded.config.to_json()) == loaded.config
    assert list(json.loads(loaded.config.to_json())["auth"]["oidc"]["roles"]) == ["log-admins", "staff"]


def test_roles_may_come_from_the_environment() -> None:
    """As a table of TOML."""
    environment = {
        "LOGFERRY_AUTH__OIDC__ISSUER": "https://id.example",
        "LOGFERRY_AUTH__OIDC__CLIENT_ID": "c",
        "LOGFERRY_AUTH__OIDC__ROLES": '{ "/org/log admins" = "admin" }',
    }
    oidc = load_config(None, environment).auth.oidc
    assert oidc.roles == {"/org/log admins": OidcRoleConfig("admin")}
    assert oidc.shown_name == "id.example"


@pytest.mark.parametrize(
    ("old", "new", "named", "hint"),
    [
        ('"admin"', '"root"', "auth.oidc.roles.log-admins.role = 'root'", "one of viewer, operator, admin"),
        ('"admin"', '"agent"', "role = 'agent'", "one of viewer, operator, admin"),
        ('"admin"', "3", "auth.oidc.roles.log-admins", "table"),
        ('role = "viewer", ', "", "auth.oidc.roles.staff.role is missing", "add role"),
        ('role = "viewer"', 'rol = "viewer"', "auth.oidc.roles.staff.rol", "did you mean 'role'?"),
        ('"!**/secrets/**"', '"!"', "auth.oidc.roles.staff.scope", "!**/secrets/**"),
        ("https://id.example/realms/main", "http://id.example", "issuer = 'http://id.example'", "https://"),
        ("https://id.example/realms/main", "id.example", "issuer = 'id.example'", "https://"),
        ("https://id.example/realms/main", "https://id.example?a=b", "issuer", "without ? and #"),
        ("https://id.example/realms/main", "https://u:p@id.example", "issuer", "https://"),
        ("https://id.example/realms/main", "", "issuer is missing, but there is client_id", "for example"),
        ('client_id = "logferry"', "", "client_id is missing", "registered"),
        ("roles = {", "scopes = []\nroles = {", "scopes = []", '"openid"'),
        ("roles = {", 'name_claim = ""\nroles = {', "name_claim", "preferred_username"),
        ("role_claim", "role_clam", "auth.oidc.role_clam", "did you mean 'role_claim'?"),
        ("roles = {", "old = {", "auth.oidc.old", "roles"),
    ],
)
def test_a_wrong_setting_is_named_with_the_next_step(tmp_path: Path, old: str, new: str, named: str, hint: str) -> None:
    """One mistake each."""
    assert old in GOOD
    with pytest.raises(BadConfig) as caught:
        load_config(written(tmp_path, GOOD.replace(old, new)), {})
    assert named in str(caught.value)
    assert hint in str(caught.value)


def test_without_roles_nobody_could_sign_in(tmp_path: Path) -> None:
    """So the server says so at its start, not to each person."""
    with pytest.raises(BadConfig, match="nobody could sign in"):
        load_config(written(tmp_path, GOOD.split("roles =")[0]), {})


@pytest.mark.parametrize(
    ("held", "role"),
    [
        (["a"], "viewer"),
        ("b", "operator"),
        (["a", "b", "c"], "operator"),
        (["c", "b"], "operator"),
        ([["a"], {"a": 1}, None, "A", "a "], ""),
        ({"a": True}, ""),
        (None, ""),
        (True, ""),
        ([], ""),
        (["x"] * 20_000 + ["a"], ""),
    ],
)
def test_one_of_the_roles_counts_or_none(held: object, role: str) -> None:
    """The highest; of the same ones the first, whole, whatever the claim holds."""
    roles = {"a": OidcRoleConfig("viewer"), "c": OidcRoleConfig("operator", ("x/**",)), "b": OidcRoleConfig("operator")}
    found = rights_of(held, roles)
    assert (found.role if found else "") == role
    if held == ["c", "b"]:
        assert found is roles["c"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8500/v1/kv", "http://localhost/token", "http://id.example/token"])
def test_a_provider_of_elsewhere_leads_neither_to_this_machine_nor_out_of_https(url: str) -> None:
    """What it says of itself is asked with the client's secret; one on this machine may stay on it."""
    with pytest.raises(BadConfig):
        checked_endpoint(url, "token_endpoint", "https://id.example")
    assert checked_endpoint("https://other.example/t", "token_endpoint", "https://id.example")
    assert checked_endpoint("http://127.0.0.1:1/t", "token_endpoint", "http://127.0.0.1:1")
