"""A scope as people write it in a form: one glob a line."""

from __future__ import annotations

from logferry.errors import Refused
from logferry.web.pages.sign_in import FIELD_CHARS_MAX, Form


def scope_in(form: Form) -> list[str]:
    """The globs of the field ``scope``; none: everything.

    Raises:
        Refused: it is missing (none is everything, so that has to be said), or too long: what was cut off might have
            been an exception.
    """
    if "scope" not in form:
        raise Refused("the form says nothing of the scope", hint="load the page again")
    text = form["scope"]
    if len(text) >= FIELD_CHARS_MAX:
        raise Refused("the scope is too long for this form", hint="use the API or the command line for it")
    return [line.strip() for line in text.split("\n") if line.strip()]


def scope_text(globs: tuple[str, ...]) -> str:
    """The other way round."""
    return "\n".join(globs)
