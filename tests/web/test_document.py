"""The whole OpenAPI document, asked with what Schemathesis draws from it, right and wrong, as everybody.

No answer is a failure of the server's, each is what the document says, and nobody is told of what lies outside of their
scope. One case of each operation; ``HEAVY=1`` draws two hundred, ``HEAVY_DOCUMENT=n`` so many. The seed is printed.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from requests.adapters import HTTPAdapter
from schemathesis import Case as _Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3.util import Retry

from tests.security.amounts import amount, seed
from tests.web.vault import BLIND, Vault, told

pytestmark = pytest.mark.slow
Case = _Case[Any]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
OPEN = ("/healthz", "/readyz", "/metrics", "/api/v1/version", "/api/v1/sessions", "/api/v1/setup", "/api/v1/agents/")
"""What those may ask who are not signed in: each has a proof of its own, or tells nothing (see ``test_rights``)."""
READ_MAX = 4_000_000
WRONG_SHARE = 0.3
"""Of the cases, those that are no right ones."""
LONG = "/api/v1/tail"
"""Goes on for ever: its head is looked at."""


def _session() -> requests.Session:
    """One that asks once more, on a new connection, when the server has hung up on the old one while it was idle."""
    made = requests.Session()
    made.mount(
        "http://", HTTPAdapter(max_retries=Retry(total=1, allowed_methods=None, respect_retry_after_header=False))
    )
    return made


class Asker:
    """Sends each case as everybody and looks at what comes back."""

    def __init__(self, vault: Vault, dice: random.Random) -> None:
        self._vault = vault
        self._dice = dice
        self._sessions = {role: _session() for role in vault.headers}
        self.wrong: dict[str, str] = {}
        self.sent = 0

    def close(self) -> None:
        """Hang up."""
        for session in self._sessions.values():
            session.close()

    def ask(self, case: Case) -> None:
        """As everybody."""
        self._aim(case)
        for role in self._vault.headers:
            self._ask(case, role)

    def _aim(self, case: Case) -> None:
        """Every other time, what is there is asked for, in place of what was drawn."""
        for drawn in (case.path_parameters, case.query, case.body):
            if isinstance(drawn, dict):
                values: dict[str, Any] = drawn
                for name in set(values) & set(self._vault.numbers):
                    if self._dice.random() < 0.6:
                        values[name] = self._dice.choice(self._vault.numbers[name])

    def _ask(self, case: Case, role: str) -> None:
        headers = {**dict(case.headers or {}), **self._vault.headers[role]}
        if role != "stranger":
            for name in [name for name in case.headers or {} if name.lower() == "authorization"]:
                del case.headers[name]
        arguments = case.as_transport_kwargs(base_url=self._vault.site.url, headers=headers)
        arguments.pop("cookies", None)
        self.sent += 1
        try:
            with self._sessions[role].request(**arguments, stream=True, timeout=240, allow_redirects=False) as answer:
                content = b"" if case.path == LONG and answer.ok else _read(answer)
                self._judge(case, role, answer, content)
        except requests.exceptions.InvalidHeader:  # what no client can send
            return
        if answer.status_code == 401 and role not in ("stranger", "agent"):
            self._vault.renew(role)  # what was asked before has revoked it

    def _judge(self, case: Case, role: str, answer: requests.Response, content: bytes) -> None:
        answer._content = content
        where = f"{role}: {case.method} {case.path}"
        is_open = case.path.startswith(OPEN)
        if (
            role in ("stranger", "agent") and not is_open and answer.status_code not in (400, 401, 404, 405)
        ):  # 400: no JSON at all
            self._say(f"{where} answered {answer.status_code}", case, answer)
        if role in BLIND:
            request = answer.request
            sent: Any = request.body or b""
            body = sent if isinstance(sent, str) else sent.decode("utf-8", "replace")
            marks = told([str(request.url), body], content, [f"{k}: {v}" for k, v in answer.headers.items()])
            if marks:
                self._say(f"{where} tells {marks}", case, answer)
        if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            return
        try:
            case.validate_response(schemathesis.Response.from_requests(answer, verify=True), checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                self._say(f"{where} {answer.status_code}: {failure.title}: {failure.message}", case, answer)

    def _say(self, what: str, case: Case, answer: requests.Response) -> None:
        self.wrong.setdefault(what[:400], f"{case.as_curl_command()[:600]}\n    {answer.content[:300]!r}")


def _read(answer: requests.Response) -> bytes:
    content = b""
    for piece in answer.iter_content(65_536):
        content += piece
        if len(content) > READ_MAX:
            break
    return content


def _operations(vault: Vault) -> list[Any]:
    schema = schemathesis.openapi.from_dict(vault.site.app.openapi())
    found: list[Any] = list(schema.get_all_operations())
    return [result.ok() for result in found]


def test_the_document_holds_for_everybody(vault: Vault) -> None:
    """Every operation, with right and with wrong values."""
    number = seed("document")
    examples = amount("document", 1, 200)
    dice = random.Random(number)
    asker = Asker(vault, dice)
    for operation in _operations(vault):
        wrong = sum(dice.random() < WRONG_SHARE for _ in range(examples))
        for mode, count in ((GenerationMode.POSITIVE, examples - wrong), (GenerationMode.NEGATIVE, wrong)):
            if not count:
                continue
            try:
                _draw(operation, mode, count, number, asker)
            except Unsatisfiable:  # there is nothing that could be wrong about it
                assert mode is GenerationMode.NEGATIVE
    asker.close()
    print(f"document: {asker.sent:,} requests")
    assert not asker.wrong, "\n".join(f"{what}\n    {how}" for what, how in asker.wrong.items())


def _draw(operation: Any, mode: GenerationMode, count: int, number: int, asker: Asker) -> None:
    @seeded(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Case) -> None:
        asker.ask(case)

    run()
