"""Zip and tar streams: byte-exact for every unpacker, small in memory, honest about what is missing."""

from __future__ import annotations

import datetime
import hashlib
import io
import os
import random
import shutil
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.cli.failures import PARTIAL
from logferry.cli.get_archive import told_of_archive
from logferry.errors import BadName, Damaged
from logferry.takeout import FORMS, Form, Member, form_by_output, member_name, packed
from logferry.takeout.inspecting import inspect
from tests.takeout.packs import MADE_NS, Zeros, contents, gone, manifest, member, pack, tree

RNG = random.Random(5)
NOISE = RNG.randbytes(3_000_000)
FILES = {
    "app/app.log": b"line one\r\nline two\n" * 50_000,
    "app/empty.log": b"",
    "app/noise.bin": NOISE,
    "app/old.log.1.gz": NOISE[:2_000_000],
    "größe/日本.log": b"unicode\n",
    "odd/a%0Ab.log": b"a line feed in its name\n",
    "odd/ space .log": b"spaces\n",
    f"long/{'d' * 200}/{'n' * 250}.log": b"long\n",
}
WHOLE = {f"web-01/{path}": data for path, data in FILES.items()}


def members() -> list[Member]:
    return [member(path, data) for path, data in FILES.items()]


def needs(program: str) -> None:
    """Skip where a program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is missing: tools/programs.sh")


@pytest.mark.parametrize("form", FORMS)
def test_every_member_is_there_byte_for_byte_and_the_manifest_has_size_and_digest(form: Form) -> None:
    """What comes out is what went in; the manifest is the last member and names all the others."""
    found = contents(form, pack(form, members()))
    assert list(found)[-1] == "MANIFEST.json"
    rows = manifest(found)
    del found["MANIFEST.json"]
    assert found == WHOLE
    assert set(rows) == set(WHOLE)
    for name, data in WHOLE.items():
        row = rows[name]
        assert (row["size"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert f"{row['agent']}/{row['path']}" == name


@pytest.mark.parametrize(
    ("form", "command"),
    [
        ("zip", ["unzip", "-q", "{file}", "-d", "{folder}"]),
        ("zip", ["bsdtar", "-xf", "{file}", "-C", "{folder}"]),
        ("tar", ["bsdtar", "-xf", "{file}", "-C", "{folder}"]),
        ("tar", ["tar", "-xf", "{file}", "-C", "{folder}"]),
        ("tar.gz", ["tar", "-xzf", "{file}", "-C", "{folder}"]),
        ("tar.zst", ["bsdtar", "-xf", "{file}", "-C", "{folder}"]),
    ],
)
def test_other_programs_unpack_it(form: Form, command: list[str], tmp_path: Path) -> None:
    """unzip, bsdtar and tar restore every file, with its time."""
    needs(command[0])
    file, folder = tmp_path / f"x.{form}", tmp_path / "out"
    folder.mkdir()
    file.write_bytes(pack(form, members()))
    filled = [word.format(file=file, folder=folder) for word in command]
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "America/New_York"}
    subprocess.run(filled, check=True, capture_output=True, env=environment)
    found = tree(folder)
    del found["MANIFEST.json"]
    assert found == WHOLE
    assert (folder / "web-01/app/app.log").stat().st_mtime == MADE_NS / 1e9


def test_a_zip_is_read_from_a_pipe_too(tmp_path: Path) -> None:
    """A reader that cannot seek goes by the local headers and data descriptors alone."""
    needs("bsdtar")
    done = subprocess.run(["bsdtar", "-xf", "-", "-C", str(tmp_path)], input=pack("zip", members()), check=False)
    assert done.returncode == 0
    found = tree(tmp_path)
    del found["MANIFEST.json"]
    assert found == WHOLE


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_member_is_named_and_the_others_are_whole(form: Form) -> None:
    """A file damaged in its middle keeps the bytes before; one damaged at its beginning or gone is left out."""
    long = NOISE[:2_500_000]
    found = contents(
        form,
        pack(
            form,
            [
                member("a.log", b"good\n"),
                member("b.log", long, bad_from=2_200_000),
                member("c.log", b"bad\n", bad_from=0),
                gone("d.log"),
                member("e.log", b"other bytes\n", sha256="0" * 64),
                member("f.log", b"good too\n"),
            ],
        ),
    )
    told = found["ERRORS.txt"].decode()
    rows = manifest(found)
    assert found["web-01/a.log"] == b"good\n"
    assert found["web-01/f.log"] == b"good too\n"
    assert "web-01/c.log" not in found
    assert "web-01/d.log" not in found
    right = 2 << 20
    assert found["web-01/b.log"][:right] == long[:right]
    assert found["web-01/b.log"][right:].strip(b"\0") == b""
    assert rows["web-01/b.log"]["size"] == right
    assert rows["web-01/b.log"]["sha256"] == hashlib.sha256(long[:right]).hexdigest()
    for name in ("b", "c", "d", "e"):
        assert f"web-01/{name}.log" in told
        assert "error" in rows[f"web-01/{name}.log"]
    assert "a.log" not in told
    assert "f.log" not in told


@pytest.mark.parametrize("form", FORMS)
def test_reading_back_tells_what_its_maker_could_not_read(form: Form, tmp_path: Path) -> None:
    """The archive is what its manifest says, so it is kept; what is missing is told, for exit code 4."""
    file = tmp_path / f"x.{form}"
    damaged = member("b.log", NOISE[:2_500_000], bad_from=2_200_000)
    file.write_bytes(pack(form, [member("a.log", b"good\n"), damaged, gone("d.log")]))
    account = inspect(str(file), form)
    assert (account.files, account.bytes) == (1, 5)
    assert [error.partition(":")[0] for error in account.errors] == ["web-01/b.log", "web-01/d.log"]
    assert told_of_archive(account, as_json=False) == PARTIAL


def test_a_whole_archive_has_no_errors_member() -> None:
    """ERRORS.txt is there only when something is wrong."""
    assert "ERRORS.txt" not in contents("zip", pack("zip", members()))


def test_an_agent_called_like_the_manifest_does_not_hide_it() -> None:
    """The manifest steps aside."""
    found = contents("tar", pack("tar", [member("x.log", b"x\n", agent="manifest.json")]))
    assert list(found) == ["manifest.json/x.log", "_MANIFEST.json"]


def test_a_backslash_is_no_separator_for_anybody() -> None:
    """Names that some unpacker would take apart are escaped, and never two to the same."""
    tricky = ["..\\..\\evil", "..%5C..%5Cevil", "..%255C..%255Cevil", "..%25255C..%25255Cevil"]
    names = [member_name("a", path) for path in tricky]
    assert len(set(names)) == len(tricky)
    assert all("\\" not in name for name in names)
    assert names[0] == "a/..%5C..%5Cevil"


@pytest.mark.parametrize(("agent", "path"), [("a", "../x"), ("a", "/x"), ("..", "x"), ("a", "x\ny"), ("a/b", "x")])
def test_a_name_that_leads_out_is_refused(agent: str, path: str) -> None:
    """Whatever a catalog may hold, no member is absolute or goes upwards."""
    with pytest.raises(BadName):
        member_name(agent, path)


@pytest.mark.parametrize("year", [1960, 1980, 2026, 2050, 2150])
def test_any_time_can_be_written(year: int) -> None:
    """Times that a format cannot hold do no harm; those it can are exact."""
    moment = datetime.datetime(year, 5, 6, 7, 8, 10, tzinfo=datetime.UTC)
    data = pack("zip", [member("x", b"x", modified_ns=int(moment.timestamp()) * 10**9)])
    info = zipfile.ZipFile(io.BytesIO(data)).infolist()[0]
    expected = moment.timetuple()[:6] if 1980 <= year <= 2107 else None
    assert expected is None or info.date_time == expected
    with tarfile.open(
        fileobj=io.BytesIO(pack("tar", [member("x", modified_ns=int(moment.timestamp()) * 10**9)]))
    ) as tar:
        assert tar.getmembers()[0].mtime == max(0, moment.timestamp())


def test_many_members_need_no_memory_and_are_all_found(tmp_path: Path) -> None:
    """HEAVY_TAKEOUT_MEMBERS sets how many: 70000 is the full count, for beyond 65,535 a zip needs ZIP64."""
    count = int(os.environ.get("HEAVY_TAKEOUT_MEMBERS", "3000"))
    file = tmp_path / "many.zip"
    with file.open("wb") as out:
        tracemalloc.start()
        for piece in packed("zip", _many(count), agents=["web-01"], made_ns=MADE_NS):
            out.write(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 16 << 20
    with zipfile.ZipFile(file) as archive:
        assert len(archive.infolist()) == count + 1
        for number in (0, 65_535 % count, count - 1):
            assert archive.read(f"web-01/d{number // 1000}/f{number}.log") == b"%d\n" % number
    needs("unzip")
    listed = subprocess.run(["unzip", "-Z1", str(file)], capture_output=True, check=True).stdout.splitlines()
    assert len(listed) == count + 1


def _many(count: int) -> Iterator[Member]:
    for number in range(count):
        yield member(f"d{number // 1000}/f{number}.log", b"%d\n" % number)


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_large_member_is_right(form: Form, tmp_path: Path) -> None:
    """HEAVY_TAKEOUT_BYTES above 4 GiB makes both lengths 64 bits wide (5000000000 is the full count)."""
    size = int(os.environ.get("HEAVY_TAKEOUT_BYTES", str(48 << 20)))
    file = tmp_path / f"large.{form}"
    with file.open("wb") as out:
        for piece in packed(
            form,
            [member("large.log", held=Zeros(size)), member("next.log", b"next\n")],
            agents=["web-01"],
            made_ns=MADE_NS,
        ):
            out.write(piece)
    account = inspect(str(file), form)
    assert (account.files, account.bytes) == (2, size + 5)
    reader = ["unzip", "-tq"] if form == "zip" else ["bsdtar", "-tf"]
    needs(reader[0])
    subprocess.run([*reader, str(file)], check=True, capture_output=True)


def test_64_bit_fields_are_written_where_they_are_needed() -> None:
    """The lengths of a member that is announced as huge, as APPNOTE 4.3.9.2 has them, without 4 GiB of bytes."""
    from logferry.takeout.zips import ZipStream

    stream = ZipStream()
    parts = [stream.begin("x", 5_000_000_000, 0), stream.data(b"abc"), *stream.end(), *stream.close()]
    whole = b"".join(parts)
    assert struct.unpack_from("<LL", whole, 18) == (0xFFFFFFFF, 0xFFFFFFFF)
    assert zipfile.ZipFile(io.BytesIO(whole)).read("x") == b"abc"
    needs("bsdtar")
    done = subprocess.run(["bsdtar", "-xOf", "-", "x"], input=whole, capture_output=True, check=True)
    assert done.stdout == b"abc"


@pytest.mark.parametrize("form", FORMS)
def test_reading_back_finds_every_change(form: Form, tmp_path: Path) -> None:
    """A cut or changed archive is never taken for a good one."""
    data = pack(form, [member("a.log", NOISE[:5000]), member("b.log", b"b\n" * 300)])
    file = tmp_path / "x"
    file.write_bytes(data)
    assert inspect(str(file), form).files == 2
    for cut in RNG.sample(range(len(data)), 20):
        file.write_bytes(data[:cut])
        # The zeros at the end of a tar say nothing; all members and the manifest may be there without them.
        if form == "tar" and data[cut:].strip(b"\0") == b"":
            continue
        with pytest.raises(Damaged):
            inspect(str(file), form)
    start = data.index(NOISE[:16]) if form != "zip" and NOISE[:16] in data else 100
    changed = bytearray(data)
    changed[start + 7] ^= 4
    file.write_bytes(bytes(changed))
    with pytest.raises(Damaged):
        inspect(str(file), form)


@pytest.mark.parametrize(
    ("name", "form"), [("x.zip", "zip"), ("X.TAR", "tar"), ("x.tgz", "tar.gz"), ("x.tar.zst", "tar.zst"), ("x", None)]
)
def test_the_file_name_says_the_form(name: str, form: Form | None) -> None:
    """As tar -a has it."""
    assert form_by_output(name) == form
