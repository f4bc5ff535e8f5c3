"""The search page: the question, what it was understood as, where it is wrong. Hits and counts come from the API."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from logferry.errors import BadQuery, Refused
from logferry.search.moments import moment
from logferry.search.query import chips, parse
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
TIMES = (
    ("now-15m", "Last 15 minutes"),
    ("now-1h", "Last hour"),
    ("now-24h", "Last 24 hours"),
    ("now-7d", "Last 7 days"),
    ("now-30d", "Last 30 days"),
    ("today", "Today"),
)
TIMES_ANY = "Any time"


@dataclass(frozen=True, slots=True)
class Between:
    """``from`` and ``to`` as they stand in the address, with words for them; ``problem``: one of them is no time."""

    since: str
    until: str
    problem: str = ""

    @property
    def words(self) -> str:
        """``Last 24 hours``, ``since 08:15``, ``2026-11-23 08:00 – 09:00``."""
        known = dict(TIMES).get(self.since)
        if known and not self.until:
            return known
        since, until = _short(self.since), _short(self.until)
        if since and until:
            same_day = since[:10] == until[:10] and " " in since and " " in until
            return f"{since} – {until[11:] if same_day else until}"
        if since:
            return f"Since {since}"
        return f"Until {until}" if until else TIMES_ANY


def search(visit: Visit) -> Response:
    """``/search?q=&from=&to=&case=&context=&limit=&entries=``"""
    q = visit.asked("q")
    exact_case = _is_on(visit.asked("case"))
    entries = _is_on(visit.asked("entries"))
    context = _one_of(visit.asked("context"), CONTEXTS, 0)
    limit = _one_of(visit.asked("limit"), LIMITS, 1000)
    between = _between(visit)
    problem, labels, hints = _understood(q)
    plain = {"q": q, "case": "true" if exact_case else "", "from": between.since, "to": between.until}
    return visit.page(
        "search.html",
        status=400 if problem or between.problem else 200,
        q=q,
        exact_case=exact_case,
        entries=entries,
        context=context,
        contexts=CONTEXTS,
        limit=limit,
        limits=LIMITS,
        between=between,
        times=TIMES,
        times_any=TIMES_ANY,
        chips=labels,
        problem=problem,
        hints=hints,
        examples=EXAMPLES,
        plain=visit.link("/api/v1/search", **plain, limit=limit),
    )


def _between(visit: Visit) -> Between:
    since, until = visit.asked("from").strip(), visit.asked("to").strip()
    try:
        low = moment(since, "from", visit.now_ns).low if since else None
        end = moment(until, "to", visit.now_ns).end if until else None
    except Refused as error:
        return Between(since, until, str(error))
    if low is not None and end is not None and low >= end:
        return Between(since, until, "The time begins behind its end: exchange them.")
    return Between(since, until)


def _short(text: str) -> str:
    """A time of the address for people: ``2026-11-23T08:00:00Z`` is ``2026-11-23 08:00``."""
    plain = text.upper().removesuffix("Z")
    if len(plain) == 19 and plain[10:11] == "T":
        return plain.replace("T", " ").removesuffix(":00")
    return text


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
