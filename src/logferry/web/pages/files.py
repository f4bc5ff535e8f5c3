"""``/files``: agents to open, or the files that a query finds; to take out, to follow, to narrow, to save."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.responses import RedirectResponse, Response

from logferry.archive.records import FileRecord
from logferry.errors import BadQuery
from logferry.limits import FILES_SORTED_MAX
from logferry.search.query import chips, parse
from logferry.web.choosing import ORDERS, Order, near, sorted_files
from logferry.web.pages.facts import file_at
from logferry.web.pages.guard import Visit
from logferry.web.pages.wrong import wrong

FOUND_PER_PAGE = 200
EXAMPLES = (
    ("nginx access", "“nginx” and “access” somewhere in agent/path"),
    ("agent:web-* ext:log", ".log files of agents whose id begins with web-"),
    ("size:>1GB modified:>=now-7d", "large and changed within a week"),
    ("path:/var/log/ -path:test", "below that folder, but not in tests"),
    ("received:today", "what has arrived since midnight, UTC"),
)
SIZES = ((">1MB", "over 1 MB"), (">100MB", "over 100 MB"), (">1GB", "over 1 GB"), ("0", "empty"))
TIMES = (
    (">=now-1h", "within an hour"),
    (">=today", "today"),
    (">=now-7d", "within a week"),
    ("<now-30d", "not for a month"),
)
ORDER_WORDS = {"name": "By name", "newest": "Newest first", "largest": "Largest first"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: ``cursor`` goes on behind it, ``remark`` says what an order leaves out."""

    files: list[FileRecord] = field(default_factory=list)
    cursor: str | None = None
    remark: str = ""


def files(visit: Visit) -> Response:
    """``/files?q=&sort=&cursor=``; ``agent``, ``size`` and ``modified`` become part of ``q``."""
    q = visit.asked("q").strip()[:400]
    order: Order = next((one for one in ORDERS if one == visit.asked("sort")), "name")
    narrower = _narrower(visit)
    if narrower:
        return RedirectResponse(visit.link("/files", q=f"{q} {narrower}".strip(), sort=_told(order)), 303)
    agents = visit.sight.agents()
    values: dict[str, Any] = {
        "q": q, "order": order, "orders": ORDER_WORDS, "agents": agents, "examples": EXAMPLES, "sizes": SIZES,
        "times": TIMES, "problem": None, "found": [], "chips": [], "near": [], "remark": "", "next": "",
    }  # fmt: skip
    if not q:
        return visit.page("files.html", **values)
    try:
        found = _found(visit, q, order)
    except BadQuery as error:
        return visit.page("files.html", status=400, **(values | {"problem": wrong(q, error)}))
    shown = chips(parse(q).root)
    values |= {
        "found": [file_at(file, visit.now_ns) for file in found.files],
        "chips": [chip.label for chip in shown] if len(shown) > 1 or any(c.kind != "text" for c in shown) else [],
        "near": [] if found.files else near(visit.context, visit.who, q),
        "remark": found.remark,
        "next": visit.link("/files", q=q, cursor=found.cursor) if found.cursor else "",
    }
    return visit.page("files.html", **values)


def _found(visit: Visit, q: str, order: Order) -> Found:
    if order == "name":
        page = visit.context.search.find_files(
            q, scope=visit.who.scope, cursor=visit.asked("cursor") or None, limit=FOUND_PER_PAGE
        )
        return Found(list(page.files), page.next)
    found = sorted_files(visit.context, visit.who, q, order, FOUND_PER_PAGE)
    remark = ""
    if not found.complete:
        remark = f"More than {FILES_SORTED_MAX:,} files match, and only the first so many by name are in this order."
    elif found.count > len(found.files):
        remark = f"The first {len(found.files)} of {found.count:,} files that match."
    return Found(found.files, None, remark)


def _narrower(visit: Visit) -> str:
    """What the fields beside the query add to it."""
    agent = visit.asked("agent").strip()[:64]
    size, modified = visit.asked("size"), visit.asked("modified")
    terms = []
    if agent and all(c.isalnum() or c in "._-*?" for c in agent):
        terms.append(f"agent:{agent}")
    if size in dict(SIZES):
        terms.append(f"size:{size}")
    if modified in dict(TIMES):
        terms.append(f"modified:{modified}")
    return " ".join(terms)


def _told(order: Order) -> str:
    return "" if order == "name" else order
