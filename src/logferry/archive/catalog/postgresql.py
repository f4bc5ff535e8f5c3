"""The catalog on a PostgreSQL server: everything that differs from SQLite.

One process writes at a time, as on SQLite: a writing transaction begins by taking an advisory lock of the schema, so
several processes, also on several machines, wait for each other at the start and never fail half way. What a
transaction sees behind the lock is what the last writer left (READ COMMITTED).

PostgreSQL takes neither NUL nor lone surrogates in text. No name in the archive has them, but people ask for any name
and errors quote anything: on the way to the server they become SUBSTITUTE (U+001A), which no name has either.
"""

from __future__ import annotations

import functools
import re
import select
from typing import Any

import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError

from logferry.errors import BadConfig, Full, Later, LogferryError, Refused, Unreachable
from logferry.limits import CATALOG_BUSY_S_MAX, CATALOG_CONNECT_S_MAX, CATALOG_IDLE_S_MAX, POSTGRESQL_VERSION_MIN

WRITES = "logferry_writes"
"""Execution option of connections that are going to write."""
DRIVER = "postgresql+psycopg"
BEGIN_WRITING = "SELECT pg_advisory_xact_lock(4339, hashtext(current_schema()))"
"""Begins a writing transaction. The number is any; it keeps clear of locks that other programs take."""

_UNFIT = re.compile("[\x00\ud800-\udfff]")


def is_postgresql(url: str) -> bool:
    """Whether ``url`` names a PostgreSQL server."""
    return url.startswith(("postgresql:", "postgres:", f"{DRIVER}:"))


def create_engine(url: str, *, password: str = "", schema: str = "") -> Engine:
    """An engine for ``postgresql://…``, the driver being psycopg 3.

    Args:
        password: that the URL does not have.
        schema: the tables are there, whatever the URL's search_path says.

    Raises:
        BadConfig: the URL is wrong, or psycopg is not installed.
    """
    try:
        import psycopg  # noqa: F401 - for its absence
    except ImportError as error:
        hint = "pip install 'logferry[cluster]'"
        raise BadConfig(f"a catalog on PostgreSQL needs psycopg 3: {error}", hint=hint) from error
    parsed = _parsed(url)
    if password:
        parsed = parsed.set(password=password)
    defaults: dict[str, Any] = {
        "connect_timeout": CATALOG_CONNECT_S_MAX,
        "application_name": "logferry",
        # A host that is gone without a word is noticed: nobody waits for it for as long as the system would.
        "keepalives_idle": CATALOG_IDLE_S_MAX,
        "keepalives_interval": CATALOG_IDLE_S_MAX // 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 2000 * CATALOG_IDLE_S_MAX,
    }
    defaults = {name: value for name, value in defaults.items() if name not in parsed.query}
    try:
        engine = sqlalchemy.create_engine(
            parsed, pool_pre_ping=True, hide_parameters=True, max_overflow=-1, connect_args=defaults
        )
    except (sqlalchemy.exc.ArgumentError, TypeError, ValueError) as error:
        raise BadConfig("catalog.url is not the URL of a PostgreSQL database", hint=_URL_HINT) from error
    event.listen(engine, "connect", lambda connection, _record: _prepare_connection(connection, schema))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _explain, retval=True)
    return engine


def check(connection: Connection) -> None:
    """Look whether the server can hold a catalog.

    Raises:
        Refused: it is too old, does not write to the disk, is a standby, or its database is not in UTF-8.
    """
    row = connection.execute(
        text(
            "SELECT current_setting('server_version_num'), current_setting('server_version'), "
            "current_setting('server_encoding'), current_setting('fsync'), pg_is_in_recovery(), current_schema()"
        )
    ).one()
    where = shown_name(connection.engine)
    number, version, encoding, fsync, standby, schema = row
    if int(number) < POSTGRESQL_VERSION_MIN * 10_000:
        raise Refused(f"{where} is PostgreSQL {version}", hint=f"the catalog needs {POSTGRESQL_VERSION_MIN} or newer")
    if encoding != "UTF8":
        raise Refused(f"{where} is encoded in {encoding}", hint="CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0")
    if standby:
        raise Refused(f"{where} is a standby that takes no changes", hint="name the primary server in catalog.url")
    if fsync != "on":
        raise Refused(
            f"{where} runs with fsync = {fsync}: a power cut would take back what was confirmed to agents",
            hint="set fsync = on in postgresql.conf",
        )
    if schema is None:
        raise Refused(f"{where}: the search_path names no schema that is there", hint="CREATE SCHEMA, or correct it")


def explained(error: DBAPIError, engine: Engine) -> LogferryError | None:
    """What opening the catalog failed of, in our words; None: of nothing that people can mend."""
    where, cause = shown_name(engine), error.orig
    state = getattr(cause, "sqlstate", None)
    said = str(cause).strip().split("\n")[0]
    if state == "42501":
        user = engine.url.username or "…"
        return Refused(
            f"{where} does not let the user {user} make the catalog's tables: {said}",
            hint=f'as its owner: GRANT CREATE, USAGE ON SCHEMA public (or that of its search_path) TO "{user}"',
        )
    if state == "42P07":
        return Refused(
            f"{where} has tables of another program: {said}",
            hint="CREATE SCHEMA logferry_archive; and ?options=-csearch_path%3Dlogferry_archive behind catalog.url",
        )
    if state == "25006":
        return Refused(f"{where} takes no changes: {said}", hint="name the primary server in catalog.url")
    if state == "53100":
        return Full(f"no room left for the catalog on {where}: {said}", hint="free some space on the database's disk")
    if state == "55P03":
        return Later(f"another process holds the catalog on {where}: {said}", hint="try again when it has ended")
    if state is None and isinstance(error, sqlalchemy.exc.ProgrammingError):
        return BadConfig(f"catalog.url is wrong: {_without_secrets(str(cause))}", hint=_URL_HINT)
    if isinstance(error, OperationalError):
        return unreachable(engine, str(cause))
    return None


def quoted(name: str) -> str:
    """An identifier as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def unreachable(engine: Engine, said: str) -> Unreachable:
    """The error for a server that does not answer, or does not let us in."""
    crowded = "too many clients" in said or "connection slots" in said or "too many connections" in said
    return Unreachable(
        f"the catalog on {shown_name(engine)} cannot be reached: {_without_secrets(said)}",
        hint="raise max_connections there, or put a pool in between (docs: put the catalog on PostgreSQL)"
        if crowded
        else "is the server running, and are host, database, user and password in catalog.url right?",
    )


def is_lost(connection: Any) -> bool:
    """Whether the server is no longer at the other end of an idle driver's connection."""
    if connection.closed or connection.broken:
        return True
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))  # it says goodbye before it hangs up; to an idle connection it says nothing else


_URL_HINT = 'for example "postgresql://logferry@db.example/logferry"'


def _parsed(url: str) -> URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise BadConfig("catalog.url is not a URL", hint=_URL_HINT) from error
    if not parsed.database:
        raise BadConfig("catalog.url names no database", hint=_URL_HINT)
    return parsed.set(drivername=DRIVER)


def shown_name(engine: Engine) -> str:
    """The database as people know it, without its password."""
    url = engine.url
    host = url.host or url.query.get("host") or "this machine"
    port = f":{url.port}" if url.port else ""
    return f"{host}{port}, database {url.database}"


def _without_secrets(said: str) -> str:
    """The driver's words on one line. Where it quotes a whole connection string, that is left out."""
    line = "; ".join(part.strip() for part in said.splitlines() if part.strip())
    return re.sub(r"(?i)(password\s*=\s*)\S+|(://[^:@/\s]*:)[^@\s]*@", r"\1\2***", line)


def _prepare_connection(connection: Any, schema: str) -> None:
    connection.adapters.register_dumper(str, _text_dumper())
    autocommit, connection.autocommit = connection.autocommit, True
    connection.execute(f"SET lock_timeout = {int(CATALOG_BUSY_S_MAX * 1000)}")
    # One schema alone: else tables of another on the search_path would be taken for those of this catalog.
    named = quoted(schema) if schema else connection.execute("SELECT quote_ident(current_schema())").fetchone()[0]
    if named is not None:
        connection.execute("SELECT set_config('search_path', %s, false)", [named])
    # When we are gone without a word, nobody waits for what we hold.
    for name, value in (("idle", CATALOG_IDLE_S_MAX), ("interval", CATALOG_IDLE_S_MAX // 3), ("count", 3)):
        connection.execute(f"SET tcp_keepalives_{name} = {value}")
    connection.execute("SET default_transaction_isolation = 'read committed'")
    # The other settings wait for the disk here at least; this one would confirm what is on none.
    if connection.execute("SHOW synchronous_commit").fetchone()[0] == "off":
        connection.execute("SET synchronous_commit = on")
    connection.autocommit = autocommit


@functools.cache
def _text_dumper() -> Any:
    from psycopg.types.string import StrDumperUnknown

    class FitText(StrDumperUnknown):
        """Text without what the server does not take."""

        def dump(self, obj: str) -> Any:
            unfit = "\x00" in obj or (not obj.isascii() and _UNFIT.search(obj) is not None)
            return super().dump(_UNFIT.sub("\x1a", obj) if unfit else obj)

    return FitText


def _explain(context: ExceptionContext) -> LogferryError | None:
    """A connection that is lost, or cannot be made, is in our words for everybody."""
    cannot_connect = context.connection is None and isinstance(context.sqlalchemy_exception, OperationalError)
    if context.engine is not None and (context.is_disconnect or cannot_connect):
        return unreachable(context.engine, str(context.original_exception))
    return None


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql(BEGIN_WRITING)
