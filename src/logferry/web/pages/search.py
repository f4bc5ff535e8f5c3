"""The search page: the question, what it was understood as, where it is wrong. Hits and counts come from the API."""

from __future__ import annotations

from starlette.responses import Response

from logferry.errors import BadQuery
from logferry.search.query import chips, parse
from logferry.web.between import TIMES, TIMES_ANY, Between, between
from logferry.web.pages.guard import Visit
from logferry.web.pages.wrong import Wrong, wrong

EXAMPLES = (
    ("timeout", "lines that hold “timeout”"),
    ('error "connection refused"', "both the word and the phrase"),
    ("error -healthz", "“error” but not “healthz”"),
    ("agent:web-* /5\\d\\d/", "a regular expression (RE2), only on agents whose id begins with web-"),
    ("path:nginx ext:log warn OR crit", "either word, in .log files with nginx in their path"),
    ("level:>=error -path:test", "errors and worse, but in files whose path has no “test” in it"),
    ("@status:>=500 @user.name:ada", "fields of JSON and logfmt lines; numbers compare as numbers"),
    ('"10.1.2.3:8080"', "punctuation is text as well; quotes keep it together"),
)
CONTEXTS = (0, 2, 5, 10)
LIMITS = (200, 1000, 5000)


def search(visit: Visit) -> Response:
    """``/search?q=&from=&to=&tz=&case=&context=&limit=&entries=``"""
    q = visit.asked("q")
    exact_case = _is_on(visit.asked("case"))
    entries = _is_on(visit.asked("entries"))
    context = _one_of(visit.asked("context"), CONTEXTS, 0)
    limit = _one_of(visit.asked("limit"), LIMITS, 1000)
    asked = _between(visit)
    tz = "" if visit.zone.name == "UTC" else visit.zone.name
    problem, labels, hints = _understood(q)
    plain = {"q": q, "case": "true" if exact_case else "", "from": asked.since, "to": asked.until, "tz": tz}
    return visit.page(
        "search.html",
        status=400 if problem or asked.problem else 200,
        q=q,
        exact_case=exact_case,
        entries=entries,
        context=context,
        contexts=CONTEXTS,
        limit=limit,
        limits=LIMITS,
        between=asked,
        tz=tz,
        times=TIMES,
        times_any=TIMES_ANY,
        chips=labels,
        problem=problem,
        hints=hints,
        examples=EXAMPLES,
        plain=visit.link("/api/v1/search", **plain, limit=limit),
    )


def _between(visit: Visit) -> Between:
    """Where the address names no zone, its times are UTC."""
    written = visit.asked("tz") or "UTC"
    return between(visit.asked("from"), visit.asked("to"), visit.now_ns, written, visit.zone.name)


def _understood(q: str) -> tuple[Wrong | None, list[str], list[str]]:
    """What is wrong with the query, or its chips and the remarks on it."""
    try:
        parsed = parse(q)
    except BadQuery as error:
        return wrong(q, error), [], []
    found = chips(parsed.root)
    # One plain word needs no chip: it stands in the box.
    telling = len(found) > 1 or any(chip.kind != "text" for chip in found)
    return None, [chip.label for chip in found] if telling else [], [hint.text for hint in parsed.hints]


def _is_on(text: str) -> bool:
    return text in ("1", "true", "on")


def _one_of(text: str, allowed: tuple[int, ...], default: int) -> int:
    return next((value for value in allowed if text == str(value)), default)
