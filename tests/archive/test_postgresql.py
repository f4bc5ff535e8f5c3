"""What is particular about a catalog on a PostgreSQL server: it is elsewhere, it goes away, others are on it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from logferry.archive import Catalog
from logferry.archive.catalog import Place
from logferry.archive.catalog.beside import catalog_beside
from logferry.archive.catalog.writer import Rows
from logferry.clock import ManualClock
from logferry.errors import BadConfig, Conflict, Later, LogferryError, NotFound, Refused, Unreachable
from tests.archive.conftest import AGENT, Shelf, catalog_url
from tests.postgres import PASSWORD, Postgres

ELSEWHERE = "catalog.url"


@pytest.fixture
def elsewhere(postgres: Postgres, folder: Path) -> Iterator[str]:
    """The URL of an empty schema, where the catalog of the archive in ``folder`` is."""
    with postgres.schema() as url:
        (folder / ELSEWHERE).write_text(url)
        yield url


def cut_off(postgres: Postgres, *, database: str = "logs") -> None:
    """End all connections of others, as a server does that is started anew."""
    others = "pid <> pg_backend_pid() AND datname = 'logs'"
    postgres.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}", database=database)


# Opening -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda url: url.replace("/logs?", "/none?"), Unreachable, "none"),
        (lambda url: url.replace("5432", "1"), Unreachable, "cannot be reached"),
        (lambda url: url.replace("for-tests", "wrong-secret"), Unreachable, "password"),
        (lambda url: url.replace("logferry:", "nobody:"), Unreachable, "nobody"),
        (lambda url: url.replace("search_path%3Dpublic", "search_path%3Dnowhere"), Refused, "search_path"),
        (lambda url: url.replace("/logs?", "?"), BadConfig, "names no database"),
        (lambda url: url.replace(":5432", ":x"), BadConfig, "not a URL"),
        (lambda url: f"{url}&colour=red", BadConfig, "colour"),
    ],
    ids=["database", "port", "password", "user", "schema", "no database", "no port", "option"],
)
def test_what_is_wrong_with_a_server_is_said_without_the_password(
    postgres: Postgres, change: Callable[[str], str], error: type[LogferryError], said: str
) -> None:
    url = change(postgres.tcp_url().replace(f":{postgres.port}", ":5432")).replace(":5432", f":{postgres.port}")
    with pytest.raises(error) as caught:
        Catalog.open(url)
    shown = str(caught.value)
    assert said in shown
    assert "\n" not in shown
    for secret in (PASSWORD, "wrong-secret", "tests%3Aon", "loopback"):
        assert secret not in shown


def test_the_password_may_come_apart_from_the_url(postgres: Postgres) -> None:
    with postgres.schema() as url:
        schema = url.rpartition("%3D")[2]
        bare = postgres.tcp_url(schema).replace(f":{PASSWORD.replace(':', '%3A').replace('/', '%2F')}", "")
        bare = bare.replace("%40only", "")
        assert "only" not in bare
        Catalog.open(bare, password=PASSWORD).close()


def test_a_user_without_rights_is_told_what_to_grant(postgres: Postgres) -> None:
    postgres.run("CREATE ROLE guest LOGIN")
    with postgres.schema() as url:
        schema = url.rpartition("%3D")[2]
        postgres.run(f"GRANT USAGE ON SCHEMA {schema} TO guest")
        with pytest.raises(Refused, match="GRANT CREATE"):
            Catalog.open(url.replace("logferry@", "guest@"))
        postgres.run(f"GRANT CREATE ON SCHEMA {schema} TO guest")
        Catalog.open(url.replace("logferry@", "guest@")).close()
    postgres.run("DROP ROLE guest")


def test_tables_of_another_program_are_left_alone(postgres: Postgres) -> None:
    with postgres.schema() as url:
        schema = url.rpartition("%3D")[2]
        postgres.run(f"CREATE TABLE {schema}.users (theirs int)")
        with pytest.raises(Refused, match="another program"):
            Catalog.open(url)
        tables = postgres.run(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
        assert tables == [("users",)]


def test_a_server_that_is_too_old_is_refused(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logferry.archive.catalog.postgresql.POSTGRESQL_VERSION_MIN", 99)
    with pytest.raises(Refused, match="99 or newer"):
        Catalog.open(postgres.url())


def test_a_database_in_another_encoding_is_refused(postgres: Postgres) -> None:
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(Refused, match="LATIN1"):
        Catalog.open(postgres.url(database="latin"))
    postgres.run("DROP DATABASE latin")


def test_what_is_confirmed_is_on_the_disk(postgres: Postgres) -> None:
    """A server that syncs nothing is refused; one that would wait for no disk on its own is told to."""
    with postgres.schema() as url:
        postgres.run("ALTER DATABASE logs SET synchronous_commit = off")
        try:
            with Catalog.open(url) as catalog, catalog.readers.cursor() as cursor:
                assert cursor.execute("SHOW synchronous_commit").fetchone()[0] == "on"
        finally:
            postgres.run("ALTER DATABASE logs RESET synchronous_commit")
        postgres.run("ALTER SYSTEM SET fsync = off")
        postgres.run("SELECT pg_reload_conf()")
        try:
            while postgres.run("SHOW fsync") != [("off",)]:
                pass
            with pytest.raises(Refused, match="fsync"):
                Catalog.open(url)
        finally:
            postgres.run("ALTER SYSTEM RESET fsync")
            postgres.run("SELECT pg_reload_conf()")


def test_whether_there_is_a_catalog(postgres: Postgres) -> None:
    """Tables of others are none."""
    with postgres.schema() as url:
        assert not Catalog.is_there(Place(url))
        Catalog.open(url).close()
        assert Catalog.is_there(Place(url))
        assert PASSWORD not in repr(Place(postgres.tcp_url(), PASSWORD))


# Names ---------------------------------------------------------------------------------------------------------------


def test_text_that_the_server_does_not_take_finds_nothing_and_breaks_nothing(elsewhere: str, folder: Path) -> None:
    """NUL and lone surrogates, in questions and in what is noted."""
    shelf = Shelf(folder)
    shelf.put("a.log", b"x")
    for odd in ("a.log\x00", "\ud800", "\udc80a.log", "a\x1alog"):
        assert shelf.catalog.files.at(AGENT, odd) is None
        assert shelf.catalog.agents.get(odd) is None
        assert shelf.catalog.people.user(odd) is None
        assert shelf.catalog.files.find(needed=[odd]).files == ()
        shelf.catalog.agents.failed(AGENT, f"é {odd}")
        shelf.catalog.writer.flush()
        agent = shelf.catalog.agents.get(AGENT)
        assert agent is not None
        assert agent.error.startswith("é ")
    shelf.close()


# A server that goes away ---------------------------------------------------------------------------------------------


def test_after_a_restart_of_the_server_everything_goes_on(elsewhere: str, folder: Path, postgres: Postgres) -> None:
    """Nothing that was confirmed is lost, and the first upload after it succeeds as any other."""
    shelf = Shelf(folder)
    shelf.put("a.log", b"one\n")
    assert shelf.everything() == {"a.log": [b"one\n"]}
    cut_off(postgres)
    shelf.put("a.log", b"two\n", append=True)
    assert shelf.everything() == {"a.log": [b"one\ntwo\n"]}

    def read_meanwhile() -> None:
        with shelf.catalog.readers.cursor() as cursor:
            cut_off(postgres)
            cursor.execute("SELECT 1")

    with pytest.raises(Unreachable):
        read_meanwhile()
    assert shelf.everything() == {"a.log": [b"one\ntwo\n"]}
    shelf.close()


def test_while_there_is_no_server_everybody_is_told_so(elsewhere: str, folder: Path, postgres: Postgres) -> None:
    """Whoever reads, by either way, and whoever writes; when it is back all go on."""
    shelf = Shelf(folder)
    shelf.put("a.log", b"one\n")
    postgres.run("ALTER DATABASE logs ALLOW_CONNECTIONS false", database="postgres")
    try:
        others = "pid <> pg_backend_pid() AND datname = 'logs'"
        postgres.run(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}", database="postgres"
        )
        asked: list[Callable[[], object]] = [
            lambda: shelf.catalog.files.at(AGENT, "a.log"),
            lambda: shelf.catalog.agents.list(),
            lambda: shelf.catalog.files.find(needed=["a"]),
            lambda: shelf.put("b.log", b"x"),
            lambda: shelf.catalog.agents.add("new-01"),
        ]
        for ask in asked:
            with pytest.raises(Unreachable, match="cannot be reached"):
                ask()
    finally:
        postgres.run("ALTER DATABASE logs ALLOW_CONNECTIONS true", database="postgres")
    shelf.put("b.log", b"x")
    assert shelf.everything() == {"a.log": [b"one\n"], "b.log": [b"x"]}
    assert [agent.id for agent in shelf.catalog.agents.list()] == [AGENT]
    shelf.close()


def test_a_server_lost_in_the_middle_of_a_commit_confirms_nothing(
    elsewhere: str, folder: Path, postgres: Postgres
) -> None:
    """The sender gets "later" and repeats; then it is there once."""
    shelf = Shelf(folder)
    steps: list[str] = []

    def step(name: str) -> None:
        if name == "commit" and not steps:
            steps.append(name)
            cut_off(postgres)

    shelf.put("first.log", b"x")
    disk = shelf.catalog.writer._disk
    original, disk.step = disk.step, step  # type: ignore[method-assign]
    with pytest.raises(Later):
        shelf.put("a.log", b"one\n")
    disk.step = original  # type: ignore[method-assign]
    assert steps == ["commit"]
    shelf.put("a.log", b"one\n")
    assert shelf.everything() == {"a.log": [b"one\n"], "first.log": [b"x"]}
    assert list(shelf.archive.check(digests=True)) == []
    shelf.close()


class Deaf:
    """Stands between us and the server. Once ``armed``, it passes a COMMIT on, keeps the answer and hangs up."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.armed = False
        self.kept: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
                asked = threading.Event()
                for work in (self._forth, self._back):
                    threading.Thread(target=work, args=(here, there, asked), daemon=True).start()

    def _forth(self, here: socket.socket, there: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError), there:
            while data := here.recv(65536):
                if self.armed and b"COMMIT" in data.upper():
                    asked.set()
                there.sendall(data)

    def _back(self, here: socket.socket, there: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError), here:
            while data := there.recv(65536):
                if asked.is_set():  # it is committed: the server says so
                    self.kept.append(data)
                    here.shutdown(socket.SHUT_RDWR)
                    return
                here.sendall(data)

    def close(self) -> None:
        self._listener.close()


def test_an_answer_to_a_commit_that_is_lost_loses_nothing_and_doubles_nothing(postgres: Postgres, folder: Path) -> None:
    """Nobody is told that it worked; asked what is there, the archive has all of it, once, and goes on behind it."""
    deaf = Deaf(postgres.port)
    with postgres.schema() as direct:
        schema = direct.rpartition("%3D")[2]
        url = postgres.tcp_url(schema).replace(f":{postgres.port}/", f":{deaf.port}/")
        (folder / ELSEWHERE).write_text(url)
        shelf = Shelf(folder)
        shelf.put("a.log", b"one\n")
        for number, (path, data, append) in enumerate(
            (("a.log", b"two\n", True), ("new.log", b"x\n", False), ("a.log", b"three\n", True))
        ):
            deaf.armed = True
            with pytest.raises(Later):
                shelf.put(path, data, append=append)
            deaf.armed = False
            assert len(deaf.kept) == number + 1
            # As an agent does: it asks how much is there, and sends what is missing.
            before = {"a.log": b"one\n", "new.log": b""}
            whole = {0: b"one\ntwo\n", 1: b"x\n", 2: b"one\ntwo\nthree\n"}[number]
            size = shelf.size(path) or 0
            assert size in (len(whole), len(whole) - len(data), len(before[path]))
            shelf.put(path, whole[size:], offset=size)
        assert shelf.everything() == {"a.log": [b"one\ntwo\nthree\n"], "new.log": [b"x\n"]}
        with pytest.raises(Later), armed(deaf):
            shelf.rename("new.log", "newer.log")
        with contextlib.suppress(NotFound):  # it is there already
            shelf.rename("new.log", "newer.log")
        assert shelf.everything() == {"a.log": [b"one\ntwo\nthree\n"], "newer.log": [b"x\n"]}
        assert list(shelf.archive.check(digests=True)) == []
        shelf.close()
    deaf.close()


@contextlib.contextmanager
def armed(deaf: Deaf) -> Iterator[None]:
    deaf.armed = True
    try:
        yield
    finally:
        deaf.armed = False


def test_what_is_refused_while_the_server_goes_away_is_refused_and_taken_back(
    elsewhere: str, folder: Path, postgres: Postgres
) -> None:
    """The refusal is told, not the loss that came behind it; the next change has a connection of its own."""
    shelf = Shelf(folder)
    shelf.put("a.log", b"one\n")

    class Refusing(Rows[None]):
        undone = 0

        def __init__(self) -> None:
            super().__init__(self._refuse)

        def _refuse(self, _connection: object) -> None:
            cut_off(postgres)
            raise Conflict("as it should be")

        def undo(self) -> None:
            Refusing.undone += 1

    with pytest.raises(Conflict, match="as it should be"):
        shelf.catalog.writer.run(Refusing())
    assert Refusing.undone == 1
    shelf.put("a.log", b"two\n", append=True)
    assert shelf.everything() == {"a.log": [b"one\ntwo\n"]}
    shelf.close()


def test_a_crowded_server_says_what_to_do(postgres: Postgres) -> None:
    """Not that host or password are wrong."""
    postgres.run("CREATE ROLE narrow LOGIN CONNECTION LIMIT 1")
    with postgres.schema() as url:
        postgres.run(f"GRANT ALL ON SCHEMA {url.rpartition('%3D')[2]} TO narrow")
        held = psycopg.connect(f"host={postgres.folder} port={postgres.port} user=narrow dbname=logs")
        with held, pytest.raises(Unreachable, match="max_connections"):
            Catalog.open(url.replace("logferry@", "narrow@"))
    postgres.run("DROP OWNED BY narrow; DROP ROLE narrow")


# Several writers -----------------------------------------------------------------------------------------------------


def test_a_lock_that_is_not_let_go_is_a_later(
    elsewhere: str, folder: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logferry.archive.catalog.postgresql.CATALOG_BUSY_S_MAX", 0.05)
    one, other = Shelf(folder), Shelf(folder)
    one.put("a.log", b"x")
    transaction = one.catalog.writer._begin()
    with pytest.raises(Later):
        other.put("b.log", b"x")
    transaction.cursor.connection.rollback()
    other.put("b.log", b"x")
    assert sorted(other.everything()) == ["a.log", "b.log"]
    one.close()
    other.close()


# A new one beside it -------------------------------------------------------------------------------------------------


def test_a_new_catalog_takes_the_place_of_the_old_one_when_it_is_whole(postgres: Postgres) -> None:
    clock = ManualClock()
    with postgres.schema() as url:
        place = Place(url)
        with Catalog.open(url) as old:
            old.agents.add("old-01")
        schema = url.rpartition("%3D")[2]
        postgres.run(f"CREATE TABLE {schema}.theirs (x int)")
        with pytest.raises(Refused), catalog_beside(place, clock) as new:
            new.agents.add("a new one")
        with catalog_beside(place, clock, keep=False) as new:
            new.agents.add("new-01")
        with Catalog.open(url) as still:
            assert [agent.id for agent in still.agents.list()] == ["old-01"]
        with catalog_beside(place, clock) as new:
            assert new.agents.list() == []
            new.agents.add("new-01")
        with Catalog.open(url) as now:
            assert [agent.id for agent in now.agents.list()] == ["new-01"]
            now.agents.add("new-02")
        ours = f"nspname LIKE '{schema}\\_%'"
        ((kept,),) = postgres.run(f"SELECT nspname FROM pg_namespace WHERE {ours}")
        assert postgres.run(f"SELECT id FROM {kept}.agents") == [("old-01",)]
        assert postgres.run(f"SELECT count(*) FROM {schema}.theirs") == [(0,)]
        postgres.run(f"DROP SCHEMA {kept} CASCADE")


def test_a_new_catalog_takes_nothing_away_that_is_another_programs(postgres: Postgres) -> None:
    """Neither tables that happen to have our names, nor a schema that has the name one would take."""
    with postgres.schema() as url:
        schema = url.rpartition("%3D")[2]
        postgres.run(f"CREATE TABLE {schema}.users (x int); CREATE SCHEMA {schema}_new")
        postgres.run(f"CREATE TABLE {schema}_new.precious (x int)")
        with pytest.raises(Refused, match="another program: users"), catalog_beside(Place(url), ManualClock()):
            raise AssertionError("it was begun")
        postgres.run(f"DROP TABLE {schema}.users")
        with catalog_beside(Place(url), ManualClock()) as new:
            new.agents.add("web-01")
        assert postgres.run(f"SELECT count(*) FROM {schema}_new.precious") == [(0,)]
        postgres.run(f"DROP SCHEMA {schema}_new CASCADE")


def test_a_catalog_uses_the_first_schema_of_its_search_path_alone(postgres: Postgres) -> None:
    """A catalog in a later one is another archive's."""
    with postgres.schema() as other_url, postgres.schema() as url:
        with Catalog.open(other_url) as other:
            other.agents.add("theirs")
        both = f"{url}%2C{other_url.rpartition('%3D')[2]}"
        with Catalog.open(both) as mine:
            assert mine.agents.list() == []
            mine.agents.add("ours")
        with Catalog.open(other_url) as other:
            assert [agent.id for agent in other.agents.list()] == ["theirs"]


def test_catalogs_in_two_schemas_do_not_wait_for_each_other(postgres: Postgres) -> None:
    """Nor see each other."""
    with (
        postgres.schema() as one_url,
        postgres.schema() as other_url,
        Catalog.open(one_url) as one,
        Catalog.open(other_url) as other,
    ):
        held = one.writer._begin()
        done = threading.Thread(target=other.agents.add, args=("web-01",))
        done.start()
        done.join(60)
        assert not done.is_alive()
        held.cursor.connection.rollback()
        assert one.agents.list() == []


def test_the_url_of_the_shelf_is_the_servers(elsewhere: str, folder: Path) -> None:
    """So that these tests test what they say."""
    assert catalog_url(folder) == elsewhere
    Shelf(folder).close()
    assert not (folder / "catalog.db").exists()
