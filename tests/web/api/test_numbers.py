"""Numbers no database can hold, wherever the API takes a number."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.web.served import Served

NUMBERS = (0, -1, 2**63, -(2**63) - 1, 2**64 + 1, 10**40)


def asked(site: Served) -> Iterator[tuple[str, str]]:
    """Each operation that takes numbers, with each of them in each place: its method and address."""
    for path, operations in site.app.openapi()["paths"].items():
        for method, operation in operations.items():
            for one in operation.get("parameters", []):
                if '"integer"' not in str(one["schema"]).replace("'", '"') or one["in"] not in ("path", "query"):
                    continue
                for number in NUMBERS:
                    place = path.replace(f"{{{one['name']}}}", str(number))
                    query = f"?{one['name']}={number}" if one["in"] == "query" else ""
                    yield method.upper(), re.sub(r"\{\w+\}", "1", place) + query


def test_no_number_however_large_is_a_failure_of_the_server(site: Served, capfd: pytest.CaptureFixture[str]) -> None:
    """It is refused, or nothing has it."""
    seen: dict[str, int] = {}
    for method, address in asked(site):
        body: dict[str, str] | None = {} if method in ("POST", "PUT", "PATCH") else None
        with site.client.stream(method, address, json=body) as answer:
            seen[f"{method} {address}"] = answer.status_code
    failed = {what: status for what, status in seen.items() if status >= 500}
    # No FTP server runs here whose sessions could be ended.
    assert failed == {what: 503 for what in failed if what.startswith("DELETE /api/v1/ftp/sessions/")}
    assert len(seen) > 100
    assert "request failed" not in capfd.readouterr().out
