"""``/retention``, ``/holds``: what is deleted when, what would go, what has gone, and what stays whatever the rules."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from logferry.archive.catalog.retaining import HoldRecord
from logferry.clock import rfc3339
from logferry.limits import PAGE_ITEMS_MAX, ROW_ID_MAX, SEARCH_TIME_CHARS_MAX
from logferry.search.moments import moment
from logferry.web import retaining
from logferry.web.api.ids import checked_id
from logferry.web.api.shapes import Shape
from logferry.web.auth import Context, WholeAdministrator
from logferry.web.context import WebContext
from logferry.web.retaining import Outcome, Sum

router = APIRouter(tags=["retention"])
HOLD_CHARS_MAX = 1000


class RetentionRule(Shape):
    """Files that ``match`` takes in go ``keep_s`` seconds after their last byte came; the first that matches counts."""

    match: str
    keep_s: float
    warning: str = Field(description="what may not be meant so; empty: nothing")


class RetentionRules(Shape):
    """The rules of the server's settings, in their order. None: nothing is ever deleted."""

    items: list[RetentionRule]
    next: str | None = None


class Amount(Shape):
    """So many generations, so many bytes."""

    generations: int
    bytes: int


class AmountOf(Amount):
    """The same of one rule or agent."""

    name: str


class Going(Shape):
    """A generation that goes or has gone, by which rule and why."""

    agent: str
    path: str
    generation: int
    bytes: int
    rule: str
    reason: str


class RetentionOutcome(Amount):
    """What goes, or went, at ``at``: in all, by rule, by agent, and the first of them.

    ``complete`` false: time ran out, and it is at least so much.
    """

    at: str
    complete: bool
    rules: list[AmountOf]
    agents: list[AmountOf]
    sample: list[Going]


class Expired(Going):
    """A generation that was deleted."""

    id: int
    sha256: str | None
    expired_at: str


class ExpiredList(Shape):
    """What was deleted, the latest first."""

    items: list[Expired]
    next: str | None


class Hold(Shape):
    """A stop on deletion of all that ``glob`` takes in, or took in under an earlier name."""

    id: int
    glob: str
    reason: str
    created_at: str


class HoldList(Shape):
    """All holds."""

    items: list[Hold]
    next: str | None = None


class NewHold(BaseModel):
    """What is to be kept, and why."""

    model_config = ConfigDict(extra="forbid")

    glob: str = Field(max_length=HOLD_CHARS_MAX, description="over agent/path", examples=["web-01/var/log/**"])
    reason: str = Field(max_length=HOLD_CHARS_MAX, examples=["case 4711"])


class AtMoment(BaseModel):
    """When; left out: now."""

    model_config = ConfigDict(extra="forbid")

    at: str = Field("", max_length=SEARCH_TIME_CHARS_MAX, description="RFC 3339")


@router.get("/retention/rules")
def rules(context: Context, _who: WholeAdministrator) -> RetentionRules:
    """The rules, with what deserves a warning."""
    items = [
        RetentionRule(match=one.rule.match, keep_s=one.rule.keep_s, warning=one.warning)
        for one in retaining.judged(context)
    ]
    return RetentionRules(items=items)


@router.post("/retention/preview")
def preview(body: AtMoment, context: Context, _who: WholeAdministrator) -> RetentionOutcome:
    """What a run would delete at that moment, tomorrow for example, if nothing changed until then. Deletes nothing."""
    return outcome_shape(retaining.preview(context, at_of(context, body.at)))


@router.post("/retention/run")
def run(request: Request, body: AtMoment, context: Context, who: WholeAdministrator) -> RetentionOutcome:
    """Delete what was due at that moment: with the `at` of a preview what it showed, but for what has changed since."""
    return outcome_shape(retaining.run(request, who, at_of(context, body.at)))


@router.get("/retention/log")
def expired(
    context: Context,
    _who: WholeAdministrator,
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 100,
    cursor: Annotated[int | None, Query(ge=1, le=ROW_ID_MAX, description="`next` of the page before")] = None,
) -> ExpiredList:
    """What was deleted, by which rule and why; the latest first."""
    rows = context.catalog.retaining.expired(before_id=cursor, limit=limit)
    items = [
        Expired(
            id=row.id, agent=row.agent, path=row.path, generation=row.number, bytes=row.size, rule=row.rule,
            reason=row.reason, sha256=row.sha256, expired_at=rfc3339(row.expired_ns),
        )
        for row in rows
    ]  # fmt: skip
    return ExpiredList(items=items, next=str(rows[-1].id) if len(rows) == limit else None)


@router.get("/holds")
def holds(context: Context, _who: WholeAdministrator) -> HoldList:
    """All holds, the first made first."""
    return HoldList(items=[_hold(row) for row in context.catalog.retaining.holds()])


@router.post("/holds", status_code=201)
def add_hold(request: Request, body: NewHold, who: WholeAdministrator) -> Hold:
    """From now on retention deletes nothing that the glob takes in."""
    return _hold(retaining.hold(request, who, body.glob, body.reason))


@router.delete("/holds/{hold_id}", status_code=204)
def remove_hold(request: Request, hold_id: int, who: WholeAdministrator) -> Response:
    """The hold ends; what it kept may go with the next run."""
    retaining.end_hold(request, who, checked_id(hold_id, "hold", "take id from the list of holds"))
    return Response(status_code=204)


def at_of(context: WebContext, text: str) -> int | None:
    """The moment, None for now. Raises Refused."""
    return moment(text, "at", context.clock.now_ns()).low if text else None


def outcome_shape(outcome: Outcome) -> RetentionOutcome:
    """As JSON."""
    return RetentionOutcome(
        at=rfc3339(outcome.at_ns),
        complete=outcome.complete,
        generations=outcome.total.generations,
        bytes=outcome.total.bytes,
        rules=_amounts(outcome.rules),
        agents=_amounts(outcome.agents),
        sample=[
            Going(
                agent=due.generation.agent, path=due.generation.path, generation=due.generation.number,
                bytes=due.generation.size, rule=due.rule, reason=due.reason,
            )
            for due in outcome.sample
        ],
    )  # fmt: skip


def _amounts(sums: dict[str, Sum]) -> list[AmountOf]:
    ordered = sorted(sums.items(), key=lambda item: item[1].bytes, reverse=True)
    return [AmountOf(name=name, generations=one.generations, bytes=one.bytes) for name, one in ordered]


def _hold(row: HoldRecord) -> Hold:
    return Hold(id=row.id, glob=row.glob, reason=row.reason, created_at=rfc3339(row.created_ns))
