"""Peers, open on what ``bench.archive.peers`` made: `python -m bench.search.peers chdb|duckdb FOLDER`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.search.questions import Question

Ask = Callable[[str], int]


def duckdb(folder: Path) -> Ask:
    """Over Parquet."""
    import duckdb as engine

    connection = engine.connect()
    table = f"'{folder / 'lines.parquet'}'"

    def ask(sql: str) -> int:
        rows = connection.execute(sql.replace("LOGS", table)).fetchall()
        return int(rows[0][0]) if len(rows) == 1 and isinstance(rows[0][0], int) else len(rows)

    return ask


def chdb(folder: Path) -> Ask:
    """Over a MergeTree with a text index."""
    from chdb import session as chdb_session  # a peer; not always there

    make: Any = chdb_session.Session
    session = make(str(folder / "chdb"))

    def ask(sql: str) -> int:
        rows = json.loads(str(session.query(sql.replace("LOGS", "bench.logs"), "JSONCompact")))["data"]
        return int(rows[0][0]) if len(rows) == 1 and str(rows[0][0]).isdigit() else len(rows)

    return ask


def statement(engine: str, question: Question) -> str | None:
    """The question in SQL; None where it cannot be asked in a like manner."""
    if question.kind == "histogram" or question.name == "time-range":
        return None
    line = "lower(line)" if question.any_case else "line"
    quoted = (question.literal.lower() if question.any_case else question.literal).replace("'", "''")
    if question.pattern:
        pattern = ("(?i)" if question.any_case else "") + question.pattern.replace(
            "\\", "\\\\" if engine == "chdb" else "\\"
        )
        where = f"match(line, '{pattern}')" if engine == "chdb" else f"regexp_matches(line, '{pattern}')"
    elif engine == "chdb" and question.words and "." not in "".join(question.words):
        where = " AND ".join(f"hasToken(line, '{word}')" for word in question.words)
    elif quoted:
        where = f"position({line}, '{quoted}') > 0" if engine == "chdb" else f"contains({line}, '{quoted}')"
    else:
        where = " AND ".join(f"contains(line, '{word}')" for word in question.words)
        where = (
            where.replace("contains(line, ", "position(line, ").replace("')", "') > 0") if engine == "chdb" else where
        )
    if question.kind == "count":
        return f"SELECT count(*) FROM LOGS WHERE {where}"
    order = " ORDER BY file DESC, number DESC" if engine == "chdb" and question.kind == "newest" else ""
    return f"SELECT line FROM LOGS WHERE {where}{order} LIMIT 100"


def main(engine: str, folder: Path) -> None:
    """Until standard input ends."""
    ask = {"chdb": chdb, "duckdb": duckdb}[engine](folder)
    for line in sys.stdin:
        message = json.loads(line)
        only_can = message.pop("can", False)
        message.pop("again", None)
        message["words"] = tuple(message["words"])
        sql = statement(engine, Question(**message))
        if only_can:
            print(json.dumps(sql is not None), flush=True)
            continue
        assert sql is not None
        started = time.perf_counter()
        count = ask(sql)
        print(json.dumps({"ms": 1e3 * (time.perf_counter() - started), "count": count}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
