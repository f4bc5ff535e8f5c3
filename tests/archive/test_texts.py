"""Compressed files are read unpacked, at any place, with bounded memory and disk; what is wrong with one is said."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from logferry.archive import Text, texts
from logferry.compressed import unpacked
from logferry.errors import Full
from logferry.limits import MIB
from tests.archive.conftest import Shelf

LOG = b"".join(b"%07d a line\n" % n for n in range(200_000))


def text_of(shelf: Shelf, path: str, data: bytes) -> Text:
    """The text of a file that is stored now."""
    generation = shelf.put(path, data).generation_id
    assert generation is not None
    return shelf.archive.text(generation)


def all_of(text: Text) -> bytes:
    """Its bytes; closes it."""
    with text.reader as reader:
        return reader.read_at(0, reader.size)


def test_every_form_is_read_at_any_place(shelf: Shelf) -> None:
    """From the middle, from the end, as lines with numbers; the stored bytes stay what they are."""
    packs: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress,
        "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    }  # fmt: skip
    for suffix, pack in packs.items():
        packed = pack(LOG)
        generation = shelf.put(f"app.log.{suffix}", packed).generation_id
        assert generation is not None
        text = shelf.archive.text(generation)
        with text.reader as reader:
            assert (reader.size, text.why) == (len(LOG), "")
            assert reader.read_at(1_234_567, 99) == LOG[1_234_567:][:99]
        with shelf.archive.lines(generation) as lines:
            assert lines.total == 200_000
            assert [row.data for row in lines.page_from(123_457, 2).rows] == [b"0123456 a line", b"0123457 a line"]
            assert lines.tail(1).rows[0].data == b"0199999 a line"
        assert shelf.bytes_of(generation) == packed


def test_other_files_are_read_as_they_are(shelf: Shelf) -> None:
    """By name or by content: a log, a text that is called .gz, a gzip file under another name."""
    packed = gzip.compress(LOG)
    for path, data in (("app.log", LOG), ("odd.gz", b"plain\n"), ("odd.bin", packed), ("empty.gz", b"")):
        text = text_of(shelf, path, data)
        assert (text.form, text.why) == ("", "")
        assert all_of(text) == data


def test_a_cut_off_file_is_read_as_far_as_it_goes(shelf: Shelf) -> None:
    """And says so; when the rest arrives it is read on."""
    packed = gzip.compress(LOG)
    generation = shelf.put("app.log.gz", packed[:50_000]).generation_id
    assert generation is not None
    text = shelf.archive.text(generation)
    beginning = all_of(text)
    assert "ends too early" in text.why
    assert 0 < len(beginning) < len(LOG)
    assert LOG.startswith(beginning)
    shelf.put("app.log.gz", packed[50_000:], append=True)
    text = shelf.archive.text(generation)
    assert (all_of(text), text.why) == (LOG, "")


def test_a_bomb_is_read_as_it_is_stored(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its ratio, or because it is simply too long; the same answer the second time, at once."""
    packed = lzma.compress(bytes(66 * MIB), preset=0)
    text = text_of(shelf, "bomb.xz", packed)
    assert "as stored" in text.why
    assert all_of(text) == packed
    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", len(LOG) - 1)
    text = text_of(shelf, "long.gz", gzip.compress(LOG))
    assert "unpacks to more than" in text.why
    monkeypatch.setattr(texts, "unpacked", None)
    assert "as stored" in text_of(shelf, "bomb.xz", packed).why


def test_a_text_is_unpacked_once_and_kept_for_a_while(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for many who ask at once; the longest unused goes when there are too many, an open one stays readable."""
    monkeypatch.setattr(texts, "TEXTS_KEPT_MAX", 2)
    count: list[str] = []
    true_unpacked = unpacked

    def counting(form: str, *arguments: object, where: str, **options: object) -> object:
        count.append(where)
        return true_unpacked(form, *arguments, where=where, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(texts, "unpacked", counting)
    packed = gzip.compress(LOG)
    ids = [shelf.put(f"{n}.gz", packed).generation_id or 0 for n in range(3)]
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(all_of(shelf.archive.text(ids[0])))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (got, count) == ([LOG] * 8, ["0.gz"])
    still_open = shelf.archive.text(ids[0])
    for generation in ids[1:]:
        assert all_of(shelf.archive.text(generation)) == LOG
    assert all_of(shelf.archive.text(ids[0])) == LOG
    assert count == ["0.gz", "1.gz", "2.gz", "0.gz"]
    assert all_of(still_open) == LOG


def test_unpacking_can_be_broken_off_and_leaves_nothing(shelf: Shelf, folder: Path) -> None:
    """A search that is cancelled; no name and no descriptor is left, and the next one gets it all."""

    class Stop(Exception):
        pass

    checks: list[int] = []

    def check() -> None:
        checks.append(1)
        if len(checks) == 3:
            raise Stop

    names, handles = set(os.listdir(folder)), len(os.listdir("/proc/self/fd"))
    generation = shelf.put("app.log.gz", gzip.compress(LOG)).generation_id
    assert generation is not None
    with pytest.raises(Stop):
        shelf.archive.text(generation, check)
    assert set(os.listdir(folder)) == names
    assert len(os.listdir("/proc/self/fd")) <= handles + 4  # folders that were opened meanwhile
    assert all_of(shelf.archive.text(generation)) == LOG


def test_a_full_disk_is_said_and_forgotten(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is room again the text is read."""
    generation = shelf.put("app.log.gz", gzip.compress(LOG)).generation_id
    assert generation is not None

    def no_room(*_: object) -> None:
        raise Full("no room")

    with monkeypatch.context() as patched:
        patched.setattr(type(shelf.archive._rooms), "check_room", no_room)
        with pytest.raises(Full):
            shelf.archive.text(generation)
    assert all_of(shelf.archive.text(generation)) == LOG
