"""The JSON file of users: the older system's files as they are, changes by hand and by program, faults, crashes."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.clock import ManualClock
from logferry.errors import BadConfig, Conflict, NotFound
from logferry.ftp import FtpServer, Incomplete, JsonUsers, ServerLimits, User, hash_password, verify_password
from logferry.ftp.users_entry import entry_of, user_from
from tests.ftp.kit import RawClient, until

OLD: dict[str, Any] = {
    "admin": {"passwd": "correct horse", "dirpath": "/srv/logs", "perm": "elradfmwM", "note": {"since": 2019}},
    "agent": {"passwd": "battery staple", "dirpath": "web", "perm": "elw", "enabled": True},
}
AGED_NS = 3600 * 10**9


def put(path: Path, content: object) -> None:
    """Write the file as an editor would, with a time that is not the present (a young file is read each time)."""
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    age(path)


def age(path: Path) -> None:
    """Make it an hour older."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns - AGED_NS, status.st_mtime_ns - AGED_NS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the older system, readable by its owner."""
    path = tmp_path / "userRecord.json"
    put(path, OLD)
    path.chmod(0o600)
    return path


def edited(path: Path, name: str, **changes: Any) -> None:
    """Change one user in the file by hand."""
    entries = json.loads(path.read_text())
    entries[name] |= changes
    put(path, entries)


# Reading ---------------------------------------------------------------------------------------------------------


def test_a_file_of_the_older_system_works_as_it_is(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Passwords in clear fit, are kept hashed, and are warned about; the file is untouched."""
    before = path.read_bytes()
    users = JsonUsers(str(path))
    assert users.names() == ["admin", "agent"]
    admin, agent = users.find("admin"), users.find("agent")
    assert admin is not None
    assert agent is not None
    assert (admin.home, admin.permissions) == ("/srv/logs", "elradfmwM")
    assert (agent.home, agent.permissions) == (str(path.parent / "web"), "elw")
    assert users.verify(admin, "correct horse")
    assert not users.verify(admin, "battery staple")
    assert not users.verify(admin, "")
    assert "correct horse" not in repr(vars(users)) + repr(admin)
    assert users.find("nobody") is None
    assert path.read_bytes() == before
    assert "passwords of 2 users in clear" in caplog.text
    assert "can be read by other users" not in caplog.text


def test_what_is_new_is_read_too(path: Path) -> None:
    """TLS, folders, quotas, switched off; a hash where a password was."""
    put(
        path,
        {
            "ann": {
                "passwd": hash_password("secret", light=True),
                "dirpath": "/srv/ann",
                "perm": "elr",
                "enabled": False,
                "require_tls": True,
                "folders": {"/in": "ew"},
                "quota_bytes": 1000,
                "quota_files": 10,
            }
        },
    )
    users = JsonUsers(str(path))
    ann = users.find("ann")
    assert ann is not None
    assert users.verify(ann, "secret")
    assert (ann.enabled, ann.require_tls, ann.quota_bytes, ann.quota_files) == (False, True, 1000, 10)
    assert dict(ann.folders or {}) == {"/in": "ew"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"passwd": "***"}, "user 'agent': passwd is missing or a placeholder"),
        ({"passwd": "*"}, "placeholder"),
        ({"passwd": ""}, "placeholder"),
        ({"passwd": None}, "placeholder"),
        ({"passwd": 123456}, "passwd is no text"),
        ({"passwd": "x" * 2000}, "nothing that a client could send"),
        ({"passwd": "a\nb"}, "nothing that a client could send"),
        ({"passwd": "\ud800"}, "nothing that a client could send"),
        ({"dirpath": None}, "dirpath is missing"),
        ({"dirpath": ""}, "dirpath is missing"),
        ({"dirpath": "C:\\logs"}, "Windows"),
        ({"dirpath": "/a\x00b"}, "no name of a folder"),
        ({"dirpath": 5}, "dirpath is no text"),
        ({"perm": "elx"}, "user 'agent': unknown permission letter 'x'"),
        ({"perm": None}, "perm is missing"),
        ({"enabled": "yes"}, "enabled is 'yes'"),
        ({"quota_bytes": -1}, "quota_bytes is -1"),
        ({"quota_files": True}, "quota_files is True"),
        ({"quota_files": 1.5}, "quota_files is 1.5"),
        ({"folders": ["/a"]}, "folders is"),
        ({"folders": {"a": "e"}}, "user 'agent': folder rule 'a' is not absolute"),
    ],
)
def test_a_fault_is_named_at_the_start(path: Path, change: dict[str, Any], said: str) -> None:
    """With the user it is in; never with a password."""
    edited(path, "agent", **change)
    with pytest.raises(BadConfig, match=said) as raised:
        JsonUsers(str(path))
    assert "correct or remove these users" in str(raised.value)
    assert "correct horse" not in str(raised.value)
    assert "123456" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is broken"),
        ('{"ann": {"passwd": "se', "is broken"),
        ("[]", "no object of users"),
        ('{"ann": "secret"}', "user 'ann' is no object"),
        ('{"ann": {"perm": "e"}, "ann": {"perm": "w"}}', "'ann' stands there twice"),
        ("[" * 100_000, "is broken"),
        ('{"": {"passwd": "secret", "dirpath": "/", "perm": "e"}}', "no name that a client could send"),
        ('{"a\\nb": {"passwd": "secret", "dirpath": "/", "perm": "e"}}', "no name that a client could send"),
    ],
)
def test_a_broken_file_is_refused_at_the_start(path: Path, content: str, said: str) -> None:
    """It says what is broken about it."""
    put(path, content)
    with pytest.raises(BadConfig, match=said):
        JsonUsers(str(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing, a folder, a pipe, too large."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 17 * 1024 * 1024)
    for name, said in [("none", "cannot be read"), (".", "cannot be read|no plain"), ("pipe", "no plain file")]:
        with pytest.raises(BadConfig, match=said):
            JsonUsers(str(tmp_path / name))
    with pytest.raises(BadConfig, match="larger than"):
        JsonUsers(str(tmp_path / "large"))


def test_users_without_a_folder_get_the_default(path: Path) -> None:
    """One for all, or one for each by name; a name that would leave it is refused."""
    edited(path, "agent", dirpath=None)
    agent = JsonUsers(str(path), default_home="/srv/all").find("agent")
    assert agent is not None
    assert agent.home == "/srv/all"
    agent = JsonUsers(str(path), default_home="/srv/{user}").find("agent")
    assert agent is not None
    assert agent.home == "/srv/agent"
    for name in ("..", "a/../../b"):
        put(path, {name: {"passwd": "long enough", "perm": "e"}})
        with pytest.raises(BadConfig, match="no folder can have this name"):
            JsonUsers(str(path), default_home="/srv/{user}")


def test_short_passwords_and_open_files_are_warned_about(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without telling them."""
    edited(path, "agent", passwd="123456")
    path.chmod(0o644)
    JsonUsers(str(path))
    assert "user 'agent' has a password of 6 characters" in caplog.text
    assert "can be read by other users of this machine" in caplog.text
    assert "123456" not in caplog.text


# Changes by hand ---------------------------------------------------------------------------------------------------


def test_a_change_of_the_file_counts_from_the_next_look(path: Path) -> None:
    """Added, changed, removed; what did not change is the same object, so sessions notice nothing."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), clock=clock)
    admin, agent = users.find("admin"), users.find("agent")
    edited(path, "agent", perm="elr")
    assert users.find("agent") is agent
    clock.advance(1)
    changed = users.find("agent")
    assert changed is not None
    assert agent is not None
    assert changed.permissions == "elr"
    assert changed.password_hash == agent.password_hash
    assert users.find("admin") is admin
    put(path, {"admin": OLD["admin"], "bob": OLD["agent"]})
    clock.advance(1)
    assert users.names() == ["admin", "agent"]
    assert users.find("agent") is None
    assert users.find("bob") is not None
    assert users.find("admin") is admin


def test_a_password_changed_in_the_file_is_another_hash(path: Path) -> None:
    """So sessions end."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), clock=clock)
    before = users.find("agent")
    edited(path, "agent", passwd="another one")
    clock.advance(1)
    now = users.find("agent")
    assert now is not None
    assert before is not None
    assert now.password_hash != before.password_hash
    assert users.verify(now, "another one")
    assert not users.verify(now, "battery staple")


def test_an_unchanged_file_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only looked at, and not more often than said; a young one is read until it has settled."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), clock=clock, fresh_s=0.25)
    reads: list[bytes] = []
    real = users._file.read

    def read() -> bytes:
        reads.append(real())
        return reads[-1]

    monkeypatch.setattr(users._file, "read", read)
    for _ in range(10):
        users.find("agent")
        clock.advance(0.1)
    assert not reads
    path.write_bytes(path.read_bytes())
    for _ in range(100):
        users.find("agent")
        clock.advance(0.25)
    assert 1 <= len(reads) < 20


def test_a_change_within_one_tick_of_the_clock_is_seen(path: Path) -> None:
    """Same size, same time, same inode: a young file is read again."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), clock=clock)
    path.write_bytes(path.read_bytes())
    clock.advance(0.5)
    users.find("agent")
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"elw"', b'"elr"'))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    clock.advance(0.5)
    agent = users.find("agent")
    assert agent is not None
    assert agent.permissions == "elr"


@pytest.mark.parametrize("content", ['{"ann": {"pas', "", "[]", None])
def test_a_file_that_breaks_keeps_the_users_of_before(
    path: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """And the log says so once, until it is whole again and breaks anew."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), clock=clock)
    agent = users.find("agent")
    good = path.read_text()
    for times in (1, 2):
        if content is None:
            path.unlink()
        else:
            put(path, content)
        for _ in range(5):
            clock.advance(1)
            assert users.find("agent") is agent
        assert caplog.text.count("the users of before stay") == times
        put(path, good)
        clock.advance(1)
        assert users.find("agent") is agent
    edited(path, "agent", perm="e")
    clock.advance(1)
    assert users.find("agent") is not agent


def test_a_fault_in_one_user_leaves_that_one_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Others hold; the log names it once."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), clock=clock)
    edited(path, "agent", passwd="***")
    for _ in range(3):
        clock.advance(1)
        assert users.find("agent") is None
        assert users.find("admin") is not None
    assert caplog.text.count("user 'agent': passwd is missing or a placeholder") == 1


# Changes by program ------------------------------------------------------------------------------------------------


def test_changes_are_written_through_and_keep_what_is_unknown(path: Path) -> None:
    """Another store sees them; keys nobody here knows, and passwords that were not touched, stay."""
    users = JsonUsers(str(path))
    made = User.with_password("bob", "long enough", home="/srv/bob", permissions="elr")
    users.add(made)
    assert users.find("bob") == made
    changed = users.change("admin", permissions="el", quota_bytes=5, folders={"/a": "e"})
    assert (changed.permissions, changed.quota_bytes) == ("el", 5)
    users.remove("agent")
    entries = json.loads(path.read_text())
    assert list(entries) == ["admin", "bob"]
    assert entries["admin"] == {**OLD["admin"], "perm": "el", "quota_bytes": 5, "folders": {"/a": "e"}}
    assert entries["bob"] == {"passwd": made.password_hash, "dirpath": "/srv/bob", "perm": "elr"}
    again = JsonUsers(str(path))
    assert again.names() == users.names() == ["admin", "bob"]
    assert again.find("bob") == made
    users.change("admin", quota_bytes=None, folders=None)
    again = JsonUsers(str(path))
    admin = again.find("admin")
    assert admin is not None
    assert (admin.quota_bytes, admin.folders) == (None, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_mistakes_change_nothing(path: Path) -> None:
    """Each says what to do instead."""
    users = JsonUsers(str(path))
    before = path.read_bytes()
    with pytest.raises(Conflict, match="use change"):
        users.add(User.with_password("agent", "x", home="/"))
    with pytest.raises(NotFound, match="use add"):
        users.change("bob", permissions="e")
    with pytest.raises(NotFound):
        users.remove("bob")
    with pytest.raises(BadConfig):
        users.change("agent", permissions="?")
    with pytest.raises(BadConfig, match="passwd is missing"):
        users.add(User("bob", "/srv/bob"))
    with pytest.raises(BadConfig, match="name cannot be changed"):
        entry_of(User("bob", "/"), ("name",))
    with pytest.raises(TypeError):
        users.change("agent", wheels=4)
    assert path.read_bytes() == before


def test_a_change_by_program_keeps_one_by_hand(path: Path) -> None:
    """Even one made a moment ago, not looked at yet."""
    users = JsonUsers(str(path), clock=ManualClock(time.time_ns()))
    edited(path, "admin", perm="e")
    users.change("agent", permissions="el")
    entries = json.loads(path.read_text())
    assert (entries["admin"]["perm"], entries["agent"]["perm"]) == ("e", "el")


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    """When asked for."""
    path = tmp_path / "users.json"
    users = JsonUsers(str(path), create=True)
    assert users.names() == []
    users.add(User.with_password("ann", "long enough", home="/srv/ann"))
    assert JsonUsers(str(path), create=True).names() == ["ann"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(path: Path) -> None:
    """The file it leads to is replaced."""
    link = path.parent / "link.json"
    link.symlink_to(path.name)
    JsonUsers(str(link)).remove("agent")
    assert link.is_symlink()
    assert JsonUsers(str(path)).names() == ["admin"]


def test_a_write_that_fails_leaves_all_as_it_was(path: Path) -> None:
    """In the file and in memory; no temporary file stays."""
    if os.geteuid() == 0:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    else:
        limit = "import os; os.chmod(sys.argv[1].rpartition('/')[0], 0o500)"
    program = f"""
import sys, signal
from logferry.ftp import JsonUsers
users = JsonUsers(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{limit}
try:
    users.change("agent", permissions="e")
except OSError:
    print(users.find("agent").permissions)
"""
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    path.parent.chmod(0o700)
    assert done.stdout == "elw\n", done.stderr
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


# Upgrade -----------------------------------------------------------------------------------------------------------


def test_an_upgrade_puts_hashes_into_the_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, readable by the owner alone, all else as it was; the passwords still fit."""
    path.chmod(0o644)
    with caplog.at_level(logging.INFO):
        users = JsonUsers(str(path), upgrade=True)
    assert "passwords of 2 users are hashed now" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entries = json.loads(path.read_text())
    for name, password in [("admin", "correct horse"), ("agent", "battery staple")]:
        assert password not in path.read_text()
        assert verify_password(entries[name]["passwd"], password)
        assert {**entries[name], "passwd": password} == OLD[name]
        user = users.find(name)
        assert user is not None
        assert user.password_hash == entries[name]["passwd"]
    after = path.stat()
    JsonUsers(str(path), upgrade=True)
    assert path.stat().st_ino == after.st_ino


def test_a_password_put_into_an_upgraded_file_is_hashed_too(path: Path) -> None:
    """As soon as it is seen."""
    clock = ManualClock(time.time_ns())
    users = JsonUsers(str(path), upgrade=True, clock=clock)
    edited(path, "agent", passwd="new and in clear")
    clock.advance(1)
    assert users.find("agent") is not None
    assert "new and in clear" not in path.read_text()
    agent = users.find("agent")
    assert agent is not None
    assert users.verify(agent, "new and in clear")


# Crashes and company -----------------------------------------------------------------------------------------------

WRITER = """
import sys
from logferry.ftp import JsonUsers, User
users = JsonUsers(sys.argv[1])
for number in range(10_000):
    users.add(User(f"{sys.argv[2]}-{number}", "/srv", password_hash="$scrypt$none"))
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_all_it_has_confirmed(path: Path) -> None:
    """Whenever it is killed: the file is whole, and nobody who was added is missing."""
    for turn in range(int(os.environ.get("USERS_KILLS", "3"))):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"w{turn}"], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        confirmed = -1
        for line in writer.stdout:
            confirmed = int(line)
            if confirmed >= turn * 7:
                writer.send_signal(signal.SIGKILL)
                break
        confirmed = max([confirmed, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        names = JsonUsers(str(path)).names()
        assert {f"w{turn}-{number}" for number in range(confirmed + 1)} <= set(names)


def add_users(path: str, who: str) -> None:
    """Add ten users, in a process of its own."""
    users = JsonUsers(path)
    for number in range(10):
        users.add(User(f"{who}-{number}", "/srv", password_hash="$scrypt$none"))


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    """Each reads, changes and writes alone."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_users, args=(str(path), f"p{number}")) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(JsonUsers(str(path)).names()) == 2 + 30


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n"), min_size=1, max_size=20)


@given(
    user=st.builds(
        User,
        name=TEXTS,
        home=TEXTS.map(lambda text: f"/{text}"),
        permissions=st.text("elradfmwMT"),
        password_hash=TEXTS.map(lambda text: f"$scrypt${text}"),
        enabled=st.booleans(),
        require_tls=st.sampled_from([None, True, False]),
        folders=st.dictionaries(st.sampled_from(["/a", "/b/**"]), st.text("elr"), min_size=1) | st.none(),
        quota_bytes=st.integers(0, 2**70) | st.none(),
        quota_files=st.integers(0, 2**70) | st.none(),
    )
)
@settings(max_examples=100)
def test_a_user_comes_back_as_it_was_written(user: User) -> None:
    """Through JSON, whatever is in it."""
    entry = json.loads(json.dumps(entry_of(user)))
    assert user_from(user.name, entry, folder="/srv", default_home=None, hash_clear=hash_nothing) == user


def hash_nothing(_name: str, _password: str) -> str:
    """No password in clear may come up."""
    raise AssertionError


# With a server -------------------------------------------------------------------------------------------------------


def test_a_server_follows_the_file(path: Path) -> None:
    """Rights with the next command; a removed user is sent away, and a running upload of theirs ends in seconds."""
    edited(path, "agent", dirpath="home")
    users = JsonUsers(str(path), fresh_s=0.01)
    events: list[object] = []
    server = FtpServer(
        ("127.0.0.1", 0), users=users, tls="off", on_event=events.append, limits=ServerLimits(login_delay_s=0.0)
    )
    with server, RawClient(server.address[1]) as client, RawClient(server.address[1]) as other:
        client.login("agent", "battery staple")
        other.login("admin", "correct horse")
        assert client.command("MKD d").startswith("550")
        edited(path, "agent", perm="elwm", folders={"/closed": ""})
        until(lambda: client.command("MKD d").startswith("257"), "no new right")
        assert client.command("CWD closed").startswith("550 Permission denied")
        data = client.data("STOR a")
        data.sendall(b"x" * 1000)
        put(path, {"admin": OLD["admin"]})
        assert client.reply().startswith("426 Your account has changed")
        data.close()
        assert any(isinstance(event, Incomplete) for event in events)
        assert client.command("NOOP").startswith("421")
        assert other.command("NOOP").startswith("200")
        assert not (path.parent / "home" / "a").exists()
