"""Our engine, open on an archive: `python -m bench.search.ours DATA` answers the questions on standard input."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.archive.ours import opened
from bench.search.questions import Question
from logferry.search.events import Hit
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets, Tally
from logferry.server.scope import Scope

_EXACT = ("rare-substring", "regex-one", "rare-id", "address", "address-often")


def ask(service: SearchService, question: Question) -> int:
    """How many lines it finds."""
    limit = 100 if question.kind == "newest" else 1_000
    request = SearchRequest(question.text, Scope(), limit=limit, exact_case=question.name in _EXACT)
    if question.kind in ("hits", "newest"):
        return sum(isinstance(event, Hit) for event in service.run(request))
    *_, told = service.tally(request, histogram=Buckets(3600) if question.kind == "histogram" else None)
    assert isinstance(told, Tally)
    assert told.exact, told
    return told.lines


def main(data: Path) -> None:
    """Until standard input ends."""
    started = time.perf_counter()
    is_first = True
    with opened(data) as archive:
        service = SearchService(archive, archive.catalog)
        for line in sys.stdin:
            message = json.loads(line)
            if message.pop("can", False):
                print("true", flush=True)
                continue
            message["words"] = tuple(message["words"])
            again = message.pop("again")
            if not again:
                service.forget_answers()
            begun = started if is_first else time.perf_counter()
            count = ask(service, Question(**message))
            print(json.dumps({"ms": 1e3 * (time.perf_counter() - begun), "count": count}), flush=True)
            is_first = False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
