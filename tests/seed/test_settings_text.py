"""The older system's settings files, byte by byte."""

from __future__ import annotations

import pytest

from logferry.errors import BadConfig
from logferry.seed.settings_text import settings_of


@pytest.mark.parametrize(
    ("raw", "values", "strange"),
    [
        (b"AGENT_ID:a\nLOG_DIR:x", {"AGENT_ID": "a", "LOG_DIR": "x"}, ()),
        (b"LOG_DIR:c:\\logs\r\n", {"LOG_DIR": "c:\\logs"}, ()),
        (b"# LOG_DIR:no\nLOG_DIR:yes\n", {"LOG_DIR": "yes"}, ()),
        (b"\tLOG_DIR:no\n\r\n\n", {}, ()),
        (b"the: wrapped comment\nLOG_DIR : x \n", {"LOG_DIR": "x"}, (1,)),
        (b"key:val\nKey:val\n1A:val\nA-B:val\nplain\n   \n", {}, (1, 2, 3, 4, 5)),
        (b"A:1\nA:2\n", {"A": "2"}, ()),
        (b"USER_PWD:true\n", {"USER_PWD": "true"}, ()),
        (b"\xef\xbb\xbfA:caf\xc3\xa9\n", {"A": "caf\u00e9"}, ()),
        (b"A:caf\xe9\n", {"A": "caf\u00e9"}, ()),
        (b"", {}, ()),
    ],
)
def test_a_setting_is_a_key_in_capitals_before_the_first_colon(
    raw: bytes, values: dict[str, str], strange: tuple[int, ...]
) -> None:
    """Comments, wrapped comments, tabs, CRLF, marks of encoding; all values are text."""
    found = settings_of(raw)
    assert dict(found.values) == values
    assert found.strange == strange


@pytest.mark.parametrize("written", ["", "x", "-1", "1.5", "\u0661", "9" * 30])
def test_a_number_that_is_none_is_refused_by_the_name_of_its_key(written: str) -> None:
    """The message names the file and the key."""
    with pytest.raises(BadConfig, match=r"ServerConfig.txt: PORT"):
        settings_of(f"PORT:{written}\n".encode()).number("PORT", "ServerConfig.txt")
    assert settings_of(b"PORT:\n").number("PORT", "x", 7) == 7
