"""Which encoding a file has, where its lines end, what its bytes mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.encodings import (
    CP1252,
    ENCODINGS,
    GB18030,
    SHIFT_JIS,
    UTF_8,
    UTF_16_BE,
    UTF_16_LE,
    Encoding,
    encoding_named,
    guess,
)
from logferry.errors import Refused

GERMAN = "2026-11-23 08:14:01 ERROR Verbindung für Gerät 7 gestört – Zeitüberschreitung, Größe 12 µm\r\n" * 3
FRENCH = "2026-11-23 08:14:01 INFO démarrage réussi, « été » déjà créé n° 3\n" * 3
CHINESE = "2026-11-23 08:14:01 错误 连接被拒绝，设备编号 7 超时。列车控制系统启动\n" * 3
JAPANESE = "2026-11-23 08:14:01 エラー 接続が拒否されました。装置番号 7 タイムアウト\n" * 3


@pytest.mark.parametrize(
    ("sample", "encoding"),
    [
        (b"", UTF_8),
        (b"plain\n", UTF_8),
        (GERMAN.encode(), UTF_8),
        (GERMAN.encode()[:-4] + b"\xc3", UTF_8),
        (b"\xef\xbb\xbf" + GERMAN.encode("cp1252"), UTF_8),
        (FRENCH.encode() * 4 + b"\xe9\xff broken\n", UTF_8),
        (GERMAN.encode("cp1252"), CP1252),
        (FRENCH.encode("cp1252"), CP1252),
        (CHINESE.encode("gb18030"), GB18030),
        (CHINESE.encode("gb18030")[:-30], GB18030),
        (JAPANESE.encode("cp932"), SHIFT_JIS),
        (b"\xff\xfe" + CHINESE.encode("utf-16-le"), UTF_16_LE),
        (b"\xfe\xff" + CHINESE.encode("utf-16-be"), UTF_16_BE),
        (GERMAN.encode("utf-16-le"), UTF_16_LE),
        (GERMAN.encode("utf-16-be"), UTF_16_BE),
        (b"\xff\xfe\0\0a\0\0\0", UTF_8),
        (bytes(range(256)) * 4, UTF_8),
        (b"\x81\x8d\x8f\x90\x9d" * 9 + b" log\n", UTF_8),
    ],
)
def test_the_beginning_of_a_file_tells_its_encoding(sample: bytes, encoding: Encoding) -> None:
    """Marks, UTF-8 with a few bad bytes, UTF-16 without a mark, and what else is likely; UTF-8 when nothing is."""
    assert guess(sample).name == encoding.name


@given(st.binary(max_size=60))
def test_any_bytes_have_an_encoding_and_a_text(data: bytes) -> None:
    """Nothing raises; a line end stays one whatever stands before it, in every encoding with lines of bytes."""
    guess(data)
    for encoding in ENCODINGS:
        text = encoding.text(data)[0]
        assert encoding.utf8(data)[0].decode() == text
        if not encoding.is_wide:
            assert text.count("\n") == data.count(b"\n")


@given(st.binary(max_size=40), st.sampled_from([UTF_16_LE, UTF_16_BE]), st.integers(0, 5))
def test_wide_lines_end_at_even_places_alone(data: bytes, encoding: Encoding, at: int) -> None:
    """Counting, finding on and finding back agree with the plainest model."""
    ends, end = encoding.ends, "\n".encode(encoding.codec)
    places = [i for i in range(len(data) - 1) if (i + at) % 2 == 0 and data[i : i + 2] == end]
    assert ends.count(data, at) == len(places)
    found, start = [], 0
    while (after := ends.after(data, at, start)) >= 0:
        found.append(after - 2)
        start = after
    assert found == places
    back, stop = [], len(data)
    while (last := ends.last(data, at, stop)) >= 0:
        back.append(last)
        stop = last
    assert back == places[::-1]


@given(st.text(alphabet="aé中😀\n", max_size=30), st.sampled_from([UTF_8, UTF_16_LE, GB18030]), st.integers(0, 60))
def test_half_a_character_at_a_cut_is_left_for_the_next_piece(text: str, encoding: Encoding, cut: int) -> None:
    """Two pieces are the whole text, wherever it is cut."""
    data = text.encode(encoding.codec)
    first, taken = encoding.text(data[:cut], cut=True)
    assert first + encoding.text(data[taken:])[0] == text


def test_bad_bytes_are_shown_and_names_are_checked() -> None:
    """``\\xNN`` in every encoding; an unknown name is refused with those that there are."""
    assert UTF_8.text(b"a\xff")[0] == "a\\xff"
    assert CP1252.text(b"\x81")[0] == "\\x81"
    assert UTF_16_LE.text(b"a\0\0\xd8")[0] == "a\\x00\\xd8"
    assert encoding_named("gb18030") is GB18030
    with pytest.raises(Refused, match="no encoding"):
        encoding_named("utf-7")
