"""Channels and rules as the settings have them: what is taken, what is refused with a hint, what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logferry.errors import BadConfig
from logferry.server.alerts.mail import Mail
from logferry.server.alerts.rules import KINDS, all_rules
from logferry.server.alerts.settings import channels_of, rules_of, sender_of
from logferry.server.alerts.webhook import Webhook
from logferry.server.config import ServerConfig, config_from_json, load_config, load_config_with_origins

FILE = """
channels.ops.webhook_file = "/run/secrets/ops"
alerts = [
  { kind = "silence", agents = ["plc-*", "!plc-9"], after = "2h", channels = ["people"] },
  { kind = "quota", above = "75%" },
  { kind = "failing", groups = ["lab"], enabled = false },
]
[web]
url = "https://logs.example/sub"
[channels.people]
mail_to = ["ops@example.org"]
mail_from = "logs@example.org"
smtp = "mail.example.org"
"""


def test_channels_and_rules_are_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text(FILE)
    loaded = load_config_with_origins(str(path), {"LOGFERRY_CHANNELS__OPS__SECRET_FILE": "/run/secrets/sign"})
    config = config_from_json(loaded.config.to_json())
    assert config == loaded.config
    hook, mail = channels_of(config).values()
    assert isinstance(hook, Webhook)
    assert (hook.url_file, hook.secret_file) == ("/run/secrets/ops", "/run/secrets/sign")
    assert isinstance(mail, Mail)
    assert (mail.host, mail.port, mail.tls, mail.to) == ("mail.example.org", 587, "starttls", ("ops@example.org",))
    silence, quota, failing = rules_of(config)
    assert (silence.agents, silence.after_s, silence.channels) == (("plc-*", "!plc-9"), 7200, ("people",))
    assert (quota.share, quota.channels, quota.hold_s) == (0.75, None, 60)
    assert not failing.enabled
    assert sender_of(config).url == "https://logs.example/sub"
    rows = {name: (value, origin) for name, value, origin in loaded.rows()}
    assert rows["channels.ops.webhook_file"] == ("/run/secrets/ops", f"file {path}")
    assert rows["channels.ops.secret_file"] == ("/run/secrets/sign", "environment")
    assert rows["alerts[2].above"][0] == "75%"


def test_without_any_all_kinds_are_watched_and_nobody_is_told() -> None:
    config = ServerConfig()
    assert channels_of(config) == {}
    assert [rule.kind for rule in all_rules(rules_of(config), []).rules] == list(KINDS)


MAIL = {"mail_to": ["a@example.org"], "mail_from": "b@example.org", "smtp": "mail.example.org"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"channels": {"ops": {}}}, "webhook or mail"),
        ({"channels": {"ops": {"webhook_file": "/x", **MAIL}}}, "webhook or mail"),
        ({"channels": {"ops": {"webhook_file": "/x", "smtp": "y"}}}, "smtp"),
        ({"channels": {"ops": {"webhook": "https://x"}}}, "webhook_file"),
        ({"channels": {"a b": {"webhook_file": "/x"}}}, "a b"),
        ({"channels": {"m": MAIL | {"mail_from": ""}}}, "mail_from"),
        ({"channels": {"m": MAIL | {"smtp": ""}}}, "smtp"),
        ({"channels": {"m": MAIL | {"mail_to": ["ops"]}}}, "ops"),
        ({"channels": {"m": MAIL | {"mail_to": ["a@example.org\nBcc: b@example.org"]}}}, "no mail address"),
        ({"channels": {"m": MAIL | {"mail_from": "Logs <b@example.org>"}}}, "no mail address"),
        ({"channels": {"m": MAIL | {"smtp_user": "x"}}}, "smtp_password_file"),
        ({"channels": {"m": MAIL | {"smtp_user": "x", "smtp_password_file": "/y", "smtp_tls": "off"}}}, "clear text"),
        ({"channels": {"m": MAIL | {"smtp_tls": "ssl"}}}, "smtp_tls"),
        ({"channels": {"m": MAIL | {"smtp": "host:port"}}}, "smtp"),
        ({"channels": {"m": MAIL | {"secret_file": "/x"}}}, "secret_file"),
        ({"alerts": [{"kind": "noise"}]}, "noise"),
        ({"alerts": [{}]}, "kind"),
        ({"alerts": [{"kind": "silence", "channels": ["ops"]}]}, "'ops'"),
        ({"alerts": [{"kind": "silence", "agents": []}]}, "agents"),
        ({"alerts": [{"kind": "silence", "agents": ["web/**"]}]}, "web/**"),
        ({"alerts": [{"kind": "silence", "above": "90%"}]}, "above"),
        ({"alerts": [{"kind": "quota", "above": "110%"}]}, "110%"),
        ({"alerts": [{"kind": "quota", "above": "nan"}]}, "nan"),
        ({"alerts": [{"kind": "silence", "after": "10 y"}]}, "after"),
        ({"alerts": [{"kind": "silence", "agent": "web-*"}]}, "agent"),
        ({"web": {"url": "logs.example"}}, "url"),
    ],
)
def test_what_is_wrong_is_refused_with_a_hint(values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load_config(None, {}, values)
    assert named in str(caught.value)
    assert caught.value.hint


def test_mail_in_clear_text_deserves_a_warning() -> None:
    config = load_config(None, {}, {"channels": {"m": MAIL | {"smtp_tls": "off"}}})
    assert any("channels.m.smtp_tls" in warning for warning in config.warnings())
    local = load_config(None, {}, {"channels": {"m": MAIL | {"smtp_tls": "off", "smtp": "127.0.0.1:25"}}})
    assert local.warnings() == []
