"""``/admin/system``: disk and storage, background work, damage, the certificate, settings with origins, versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.responses import Response

from logferry import settings
from logferry.errors import LogferryError
from logferry.server.certificate import Certificate, certificate_of
from logferry.server.first_run import identity, loaded_config
from logferry.web.api import administration, support
from logferry.web.api import system as api_system
from logferry.web.pages import words
from logferry.web.pages.forms import back_to, managed_by
from logferry.web.pages.guard import Visit
from logferry.web.pages.retention import Said
from logferry.web.pages.sign_in import Form

PAGE = "/admin/system"
CERTIFICATE_WARN_DAYS = 30
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Card(Generic[T]):
    """What a card shows, or why it cannot: each fails alone."""

    value: T | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as a file would have it."""

    name: str
    text: str
    origin: str
    is_default: bool


def system(visit: Visit) -> Response:
    """The page."""
    managed_by(visit)
    context, who = visit.context, visit.who
    loaded = loaded_config(context.config)
    certificate: Card[Certificate] = _card(lambda: certificate_of(identity(context.config)))
    asked = visit.asked("done") == "scrub"
    return visit.page(
        "system.html",
        said=Said("info", "Every segment is verified anew; it begins within a minute.") if asked else None,
        storage=_card(lambda: administration.storage(context, who)),
        jobs=api_system.jobs(context, who).items,
        scrub=administration.scrub_state(context),
        flaws=context.catalog.care.flaws(),
        certificate=certificate,
        days_left=certificate.value.days_left(visit.now_ns) if certificate.value else 0,
        soon=CERTIFICATE_WARN_DAYS,
        rows=[
            SettingRow(name, settings.toml_text(value), origin, origin == "default")
            for name, value, origin in loaded.rows()
        ],
        path=loaded.path,
        warnings=context.config.warnings(),
        about=administration.about(who),
    )


def _card(made: Callable[[], T]) -> Card[T]:
    try:
        return Card(made())
    except LogferryError as error:
        return Card(None, words.sentence(words.shown(str(error))))


def scrubbed(visit: Visit, _form: Form) -> Response:
    """``POST /admin/system/scrub``"""
    managed_by(visit)
    administration.begin_scrub(visit.request, visit.context, visit.who)
    return back_to(visit, PAGE, done="scrub")


def supported(visit: Visit, form: Form) -> Response:
    """``POST /admin/system/support-bundle``: a form, since it reads much and is noted."""
    managed_by(visit)
    return support.answer(visit.request, visit.context, hide_names=form.get("hide_names", "") == "1")
