"""Numbers beyond 64 bits, cursors nested too deep and halves of characters used to end in 500 and a traceback."""

from __future__ import annotations

from pathlib import Path

from tests.web.served import served

_TOO_LARGE = 2**63


def test_numbers_and_cursors_no_database_can_hold_are_refused(tmp_path: Path) -> None:
    """400, with the next step."""
    with served(tmp_path / "data") as site:
        fid = site.put("web-01", "a.log", b"one\n")
        for path in (
            f"/files/{fid}/raw?gen={_TOO_LARGE}",
            f"/files/{fid}/lines?gen={_TOO_LARGE}",
            f"/files/{fid}/index?gen={_TOO_LARGE}",
            f"/files/{fid}/generations?sha256={_TOO_LARGE}",
            f"/tail?f={fid}&gen={_TOO_LARGE}",
            f"/search?q=x&fid={fid}&gen={_TOO_LARGE}",
            "/tree?agent=web-01&cursor=" + "[" * 15_000,
            "/tree?agent=web-01&cursor=%5B%22d%22%2C%22%5Cud800%22%5D",
        ):
            answer = site.client.get(f"/api/v1{path}")
            assert answer.status_code == 400, (path[:60], answer.text)
            assert answer.json()["hint"]
        parsed = site.client.post(
            "/api/v1/query/parse", content=b'{"q":"\\ud800"}', headers={"Content-Type": "application/json"}
        )
        assert parsed.status_code == 400, parsed.text
