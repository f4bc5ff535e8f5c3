"""How the parts of the server write their own log: one event, one line, to standard error.

Structured and escaped (JSON), so that a hostile file name can never forge a line; for a person at a terminal the same
facts as ``key=value`` with every control character drawn as a mark. What libraries log takes the same way.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from logferry.names import shown
from logferry.server.recent_log import RecentLog


def configure(
    *, human: bool | None = None, level: int = logging.INFO, for_good: bool = True, keep: RecentLog | None = None
) -> None:
    """Set up logging of this process.

    ``human`` None: when standard error is a terminal. ``for_good``: what was used once does not ask again; faster.
    ``keep``: takes the newest lines besides.
    """
    errors = cast("TextIO", _Lenient(sys.stderr))
    human = errors.isatty() if human is None else human
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    kept: list[Any] = [] if keep is None else [keep]
    last: Any = _line if human else structlog.processors.JSONRenderer(sort_keys=False)
    structlog.configure(
        processors=[*common, *kept, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=errors),
        cache_logger_on_first_use=for_good,
    )
    handler = logging.StreamHandler(errors)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, *common[2:]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *kept, last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _Lenient:
    """Standard error that may be gone or full: a line that cannot be written is lost, the work it tells of goes on."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def isatty(self) -> bool:
        return self._file is not None and self._file.isatty()

    def write(self, text: str) -> int:
        if self._file is not None:  # None: the process was started without one
            with contextlib.suppress(OSError, ValueError):  # full, broken or closed: nowhere is left to say so
                return self._file.write(text)
        return 0

    def flush(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                self._file.flush()


def _line(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> str:
    """``08:14:01 warning what happened  key=value …`` with nothing a terminal would obey."""
    time = str(facts.pop("timestamp", ""))[11:19]
    level, text = facts.pop("level", ""), facts.pop("event", "")
    trace = facts.pop("exception", None)
    rest = " ".join(f"{key}={value}" for key, value in facts.items())
    line = shown(f"{time} {level:<7} {text}  {rest}".rstrip())
    return "\n".join([line, *map(shown, str(trace).splitlines())]) if trace else line
