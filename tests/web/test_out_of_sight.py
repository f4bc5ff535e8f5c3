"""What lies outside of somebody's scope looks like what is not there, on every route there is.

Made from the routes, those of pages included: each is asked for hidden things and for such that never were, and the
answers are compared, but for what was asked. Whoever adds a route gets it tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest

from logferry.web import auth
from tests.web.routes import flat
from tests.web.vault import BESIDE_PATH, HIDDEN_AGENT, HIDDEN_PATH, SEEN_AGENT, Vault, told

PARAMETERS = ("agent", "path", "fid", "f", "q", "gen", "add")
"""What pages ask for, where it names something."""
_AGO = re.compile(r"\b\d+ s ago|just now")
_CHANGING = re.compile(r'data-now="\d+"|\b[0-9a-f]{16}\b|"seconds":[\d.]+')
_TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?|\d\d:\d\d:\d\d")
LONG = "/api/v1/tail"


@dataclass(frozen=True)
class Pair:
    """The same request for something hidden and for something that is not there."""

    method: str
    path: str
    hidden: dict[str, object]
    absent: dict[str, object]

    def url(self, values: dict[str, object]) -> str:
        """With the values in the path."""
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: quote(str(values.get(m[1], "x")), safe="/"), self.path)


def _pairs(vault: Vault) -> Iterator[Pair]:
    numbers = vault.numbers
    hidden: dict[str, object] = {
        "agent": HIDDEN_AGENT, "agent_id": HIDDEN_AGENT, "path": HIDDEN_PATH, "fid": numbers["fid"][1],
        "f": numbers["fid"][1], "q": f"agent:{HIDDEN_AGENT}", "job_id": numbers["job_id"][0], "gen": 1,
        "saved_id": numbers["saved_id"][1], "token_id": numbers["token_id"][0], "hold_id": numbers["hold_id"][0],
        "name": "vaultuser", "form": "zip", "session_id": "1", "add": "/search?q=1",
    }  # fmt: skip
    absent = hidden | {
        "agent": "vault-8", "agent_id": "vault-8", "path": "vaultfolder/vaultnone.log", "fid": 999_999, "f": 999_999,
        "q": "agent:vault-8", "job_id": "0" * len(str(hidden["job_id"])), "saved_id": 999_999, "token_id": 999_999,
        "hold_id": 999_999, "name": "vaultnone", "session_id": "2",
    }  # fmt: skip
    beside = {"agent": SEEN_AGENT, "agent_id": SEEN_AGENT, "path": BESIDE_PATH, "fid": numbers["fid"][2]}
    never = {"agent": SEEN_AGENT, "agent_id": SEEN_AGENT, "path": "opt/vaultnone.log", "fid": 999_998}
    for route in flat(vault.site.app.router.routes):
        for method in sorted((route.methods or {"GET"}) - {"HEAD", "OPTIONS"}):
            yield Pair(method, route.path, hidden, absent)
            if "path" in route.path or "{fid}" in route.path or route.path in ("/api/v1/file", "/api/v1/export"):
                yield Pair(method, route.path, hidden | beside, absent | never)


def _asked(vault: Vault, pair: Pair, values: dict[str, object], document: dict[str, Any]) -> dict[str, object]:
    """The query: what the document says of the API, what pages ask for."""
    if not pair.path.startswith("/api/v1"):
        return {name: values[name] for name in PARAMETERS if name in values and pair.method == "GET"}
    told_of = document["paths"].get(pair.path, {}).get(pair.method.lower(), {}).get("parameters", [])
    return {one["name"]: values[one["name"]] for one in told_of if one["in"] == "query" and one["name"] in values}


@pytest.mark.parametrize("role", ["narrow", "part"])
def test_hidden_and_absent_look_the_same(vault: Vault, role: str) -> None:
    """To a viewer and to an administrator of a part: status and words are equal, and no mark comes back."""
    wrong, compared = [], 0
    document = vault.site.app.openapi()
    session = vault.site.context.people.begin_session(vault.site.context.people.get(role))
    with httpx.Client(base_url=vault.site.url, cookies={auth.COOKIE: session.secret}, timeout=240) as client:
        for pair in _pairs(vault):
            if pair.path in (LONG, "/metrics") or (
                "{" not in pair.path and (pair.method != "GET" or not _asked(vault, pair, pair.hidden, document))
            ):
                continue  # the first is asked below, the second counts all there are, the others name nothing
            answers = []
            compared += 1
            for values in (pair.hidden, pair.absent):
                query = _asked(vault, pair, values, document)
                url = pair.url(values)
                body: dict[str, Any] = {}
                if pair.method != "GET":
                    body = {"json": {}} if pair.path.startswith("/api") else {"data": {"csrf": session.identity.csrf}}
                answer = client.request(
                    pair.method, url, params={k: str(v) for k, v in query.items()},
                    headers={auth.CSRF_HEADER: session.identity.csrf}, **body,
                )  # fmt: skip
                marks = told(
                    [str(answer.request.url)], answer.content, [f"{k}: {v}" for k, v in answer.headers.items()]
                )
                if marks:
                    wrong.append(f"{pair.method} {answer.request.url} tells {marks}")
                answers.append((answer.status_code, _plain(answer, values)))
            if answers[0] != answers[1] and not answers[0][1].startswith("PK"):
                at = next((i for i, (a, b) in enumerate(zip(*(x[1] for x in answers), strict=False)) if a != b), 0)
                words = [(status, text[max(0, at - 60) : at + 120]) for status, text in answers]
                wrong.append(f"{pair.method} {pair.path} differs: {words}")
    assert compared > 50
    assert not wrong, "\n".join(wrong)


def _plain(answer: httpx.Response, values: dict[str, object]) -> str:
    """The answer's words without what was asked and what changes from one to the next."""
    text = unquote(unquote(unquote(answer.text + answer.headers.get("location", ""))))
    text = _AGO.sub("-", text)  # first: what was asked may be a number of seconds, too
    for value in sorted({str(v) for v in values.values()}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "?", text)
    return _TIMES.sub("at", _CHANGING.sub("-", text))


def test_a_tail_of_hidden_files_does_not_begin(vault: Vault) -> None:
    """Nor of such that are not there."""
    for fid in (vault.numbers["fid"][1], vault.numbers["fid"][2], 999_999):
        answer = httpx.get(f"{vault.site.url}{LONG}", params={"f": str(fid)}, headers=vault.headers["narrow"])
        assert answer.status_code == 404


@pytest.mark.parametrize("role", ["narrow", "part"])
def test_lists_and_pages_tell_nothing_of_what_is_hidden(vault: Vault, role: str) -> None:
    """Every list, sum and page there is, asked for nothing in particular; and the agent of which a part is seen."""
    wrong = []
    session = vault.site.context.people.begin_session(vault.site.context.people.get(role))
    plain = {"agent": SEEN_AGENT, "agent_id": SEEN_AGENT, "fid": vault.numbers["fid"][0], "path": "var"}
    with httpx.Client(base_url=vault.site.url, cookies={auth.COOKIE: session.secret}, timeout=240) as client:
        for pair in _pairs(vault):
            if pair.method != "GET" or pair.path == LONG:
                continue
            url = pair.url(plain)
            for query in ("", "?tab=health") if url == f"/agents/{SEEN_AGENT}" else ("",):
                answer = client.get(url + query)
                marks = told([], answer.content, [f"{k}: {v}" for k, v in answer.headers.items()])
                if marks:
                    wrong.append(f"{url}{query} tells {marks}")
    assert not wrong, "\n".join(wrong)
