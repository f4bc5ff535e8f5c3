"""From the server's settings: rules, channels, and who the messages come from."""

from __future__ import annotations

import socket

from logferry.clock import SYSTEM, Clock
from logferry.server import runfiles
from logferry.server.alerts.channels import Channel
from logferry.server.alerts.mail import Mail
from logferry.server.alerts.messages import Sender
from logferry.server.alerts.rules import KINDS, Rule
from logferry.server.alerts.webhook import Webhook
from logferry.server.config import ServerConfig, join_address
from logferry.server.first_run import shown_host


def rules_of(config: ServerConfig) -> list[Rule]:
    """Those of ``alerts = [...]``."""
    return [
        Rule(
            next(kind for kind in KINDS if kind == one.kind),
            agents=one.agents,
            groups=one.groups,
            channels=one.channels or None,
            above=one.share,
            after_s=one.after or None,
            enabled=one.enabled,
            origin="settings",
            number=number,
        )
        for number, one in enumerate(config.alerts, 1)
    ]


def channels_of(config: ServerConfig, clock: Clock = SYSTEM) -> dict[str, Channel]:
    """Those of ``[channels.…]``, by name."""
    found: dict[str, Channel] = {}
    for name, one in config.channels.items():
        if one.webhook_file:
            found[name] = Webhook(name, one.webhook_file, one.secret_file, one.ca_file, clock)
        else:
            host, port = one.smtp_address
            found[name] = Mail(
                name, host, port, one.mail_from, one.mail_to, one.smtp_tls, one.smtp_user, one.smtp_password_file,
                one.ca_file, clock,
            )  # fmt: skip
    return found


def sender_of(config: ServerConfig) -> Sender:
    """This machine, and where people reach its web part."""
    told = runfiles.read_json(runfiles.part_file(config.data_dir, "web"))
    host, port = (str(told["host"]), int(told["port"])) if told else config.web.address
    scheme = "https" if config.web.secure else "http"
    url = config.web.url or f"{scheme}://{join_address(shown_host(host), port)}{config.web.root_path}"
    return Sender(socket.gethostname(), url)
