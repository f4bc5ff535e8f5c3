"""Rows as a Parquet file: exact bytes in a binary column, times as timestamps. Needs ``logferry[analytics]``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from logferry.errors import Refused
from logferry.limits import EXPORT_GROUP_BYTES, EXPORT_GROUP_ROWS
from logferry.takeout.rows import Fault, LineRow

FAULTS_KEY = "logferry.errors"
"""Where the file's own metadata names what could not be read: a JSON list of ``{agent, path, generation, error}``."""
_FAULTS_MAX = 10_000


class _Sink:
    """What the writer writes into: nothing but a list of what has not been sent yet."""

    closed = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        """Take bytes (a buffer that is only lent)."""
        self.pieces.append(bytes(data))
        self._at += len(self.pieces[-1])
        return len(self.pieces[-1])

    def tell(self) -> int:
        """How many so far."""
        return self._at

    def writable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to close."""

    def taken(self) -> bytes:
        """What has come since the last time."""
        data = b"".join(self.pieces)
        self.pieces.clear()
        return data


def to_parquet(rows: Iterable[LineRow | Fault], faults: list[Fault] | None = None) -> Iterator[bytes]:
    """The bytes of a Parquet file, a row group at a time.

    Args:
        faults: is given what could not be read, as it is met; the file's metadata has it under ``FAULTS_KEY`` too.

    Raises:
        Refused: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise Refused(
            "Parquet needs the package pyarrow", hint="pip install 'logferry[analytics]', or take --format ndjson"
        ) from error
    return _written(pyarrow, rows, [] if faults is None else faults)


def _written(pyarrow: Any, rows: Iterable[LineRow | Fault], faults: list[Fault]) -> Iterator[bytes]:
    schema = pyarrow.schema(
        [
            pyarrow.field("agent", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), nullable=False),
            pyarrow.field("path", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), nullable=False),
            pyarrow.field("generation", pyarrow.int64(), nullable=False),
            pyarrow.field("line", pyarrow.int64(), nullable=False),
            pyarrow.field("offset", pyarrow.int64(), nullable=False),
            pyarrow.field("time", pyarrow.timestamp("ns", tz="UTC")),
            pyarrow.field("raw", pyarrow.binary(), nullable=False),
            pyarrow.field("more", pyarrow.bool_(), nullable=False),
        ]
    )
    sink = _Sink()
    writer = pyarrow.parquet.ParquetWriter(pyarrow.PythonFile(sink, mode="w"), schema, compression="zstd")
    try:
        for group in _groups(rows, faults):
            columns = [
                [row.agent for row in group],
                [row.path for row in group],
                [row.generation for row in group],
                [row.line for row in group],
                [row.offset for row in group],
                [_timestamp(row.time_ns) for row in group],
                [row.raw for row in group],
                [row.more for row in group],
            ]
            arrays = [pyarrow.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), row_group_size=len(group))
            yield sink.taken()
        told = [{"agent": f.agent, "path": f.path, "generation": f.generation, "error": f.error} for f in faults]
        writer.add_key_value_metadata({FAULTS_KEY: json.dumps(told[:_FAULTS_MAX])})
    finally:
        writer.close()
    yield sink.taken()


def _groups(rows: Iterable[LineRow | Fault], faults: list[Fault]) -> Iterator[list[LineRow]]:
    group: list[LineRow] = []
    size = 0
    for row in rows:
        if isinstance(row, Fault):
            faults.append(row)
            continue
        group.append(row)
        size += len(row.raw)
        if len(group) >= EXPORT_GROUP_ROWS or size >= EXPORT_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _timestamp(ns: int | None) -> int | None:
    """A timestamp with nanoseconds reaches from 1677 to 2262; a line may tell any year."""
    return ns if ns is not None and -(2**63) < ns < 2**63 else None
