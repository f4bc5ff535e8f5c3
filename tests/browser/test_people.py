"""From an invitation to a second factor, as people do it: with the mouse, without script, on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from logferry.clock import SYSTEM
from logferry.server.audit import Deed
from logferry.server.totp import step_at, totp_at
from tests.browser.conftest import Site
from tests.browser.fleet import HOSTILE_NAME, PASSWORD
from tests.browser.harness import signed_in, violations, visitor

pytestmark = pytest.mark.browser

OWN = "a calm harbour"
ADDRESSES = ("/admin/users", "/admin/users/admin", "/admin/tokens", "/admin/audit", "/me", "/me/tokens", "/help")


def test_an_invitation_becomes_a_person_with_a_second_factor(browser: Browser, site: Site) -> None:
    """Added by an administrator, password by the link, app set up, signed in by code; the audit has all of it."""
    context, page, watch = visitor(browser, site.base)
    signed_in(context, site.fleet.people, "admin", site.base)
    page.goto("/admin/users")
    page.get_by_label("Name").fill("ann")
    page.get_by_role("radio", name=re.compile("^operator")).check()
    page.get_by_label("Sees").fill("web-*/**\n!**/secrets/**")
    page.get_by_role("button", name="Add and make the link").click()
    link = page.locator(".once code").inner_text()
    assert link.startswith(f"{site.base}/reset?code=")
    expect(page.locator(".once")).to_contain_text("It works once")

    own, hers, her_watch = visitor(browser, site.base)
    hers.goto(link)
    hers.get_by_label("New password", exact=False).first.fill(OWN)
    hers.get_by_label("New password again").fill(OWN)
    hers.get_by_role("button", name="Set the password").click()
    expect(hers.get_by_text("The password is set")).to_be_visible()
    _sign_in(hers)
    hers.goto("/me")
    hers.locator("form[action$='/me/second-factor']").get_by_label("Your password").fill(OWN)
    hers.get_by_role("button", name="Set it up").click()
    expect(hers.get_by_role("img", name="QR code")).to_be_visible()
    secret = "".join(hers.locator(".steps .command code").inner_text().split())
    hers.get_by_label("Code of the app").fill("000 000")
    hers.get_by_role("button", name="Turn it on").click()
    expect(hers.get_by_role("alert")).to_contain_text("not the code")
    hers.get_by_label("Code of the app").fill(totp_at(secret, step_at(SYSTEM.now_ns())))
    hers.get_by_role("button", name="Turn it on").click()
    codes = hers.locator("code.codes").inner_text().split()
    assert len(codes) == 10

    hers.get_by_label("ann: account").click()
    hers.get_by_role("button", name="Sign out").click()
    _type(hers, OWN)
    hers.get_by_label("Code").fill("ABCDE-FGHJK")
    hers.get_by_role("button", name="Sign in").click()
    expect(hers.get_by_role("alert")).to_contain_text("wrong or was used before")
    hers.get_by_label("Code").fill(codes[3])
    hers.get_by_role("button", name="Sign in").click()
    hers.get_by_role("heading", name="Overview").wait_for()

    page.goto("/admin/audit")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("status")).to_contain_text("The chain holds")
    page.goto("/admin/audit?who=ann")
    rows = page.locator("table.audit tbody")
    for action in ("password.reset", "second-factor.add", "session.begin", "session.end"):
        expect(rows).to_contain_text(action)
    page.goto("/admin/users/ann")
    page.get_by_role("button", name="End all").click()
    hers.goto("/me")
    expect(hers.get_by_role("heading", name="Sign in")).to_be_visible()
    for one in (context, own):
        one.close()
    watch.check()
    her_watch.check(allowed=("401", "403"))


def _type(page: Page, password: str) -> None:
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def _sign_in(page: Page) -> None:
    _type(page, OWN)
    page.get_by_role("heading", name="Overview").wait_for()


def test_tokens_and_looks_without_script(browser: Browser, site: Site) -> None:
    """Made, shown once, used, revoked; tables get closer and stay so."""
    context = browser.new_context(base_url=site.base, java_script_enabled=False)
    signed_in(context, site.fleet.people, "admin", site.base)
    page = context.new_page()
    page.goto("/me/tokens")
    page.get_by_label("What it is for").fill("<b>nightly</b>")
    page.get_by_label("May at most").select_option("viewer")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator(".once code").inner_text()
    with_token = {"Authorization": f"Bearer {secret}"}
    assert page.request.get("/api/v1/me", headers=with_token).json()["role"] == "viewer"
    page.goto("/me/tokens")
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke token <b>nightly</b>").click()
    expect(page.get_by_text("worthless from now on")).to_be_visible()
    assert page.request.get("/api/v1/me", headers=with_token).status == 401
    page.goto("/me")
    page.get_by_label("Tables").select_option("compact")
    page.locator("form", has=page.get_by_label("Tables")).get_by_role("button", name="Keep").click()
    expect(page.locator("html")).to_have_attribute("data-density", "compact")
    context.close()


def test_pages_about_people_are_for_everybody(browser: Browser, site: Site, axe: str) -> None:
    """At 360 px nothing sticks out; light and dark nothing keeps anybody from reading (axe, WCAG 2.2 AA).

    What others have called things is text, however it looks.
    """
    for hostile in (HOSTILE_NAME, "=cmd|' /C calc'!A0 {{7*7}}", "\x1b[31mred\x07 \u202egol", "x" * 3000):
        deed = Deed("search", "search", hostile, hostile, "viewer", "session", hostile, detail={"q": hostile})
        site.fleet.context.audit.note(deed)
        site.fleet.people.new_token("admin", label=hostile, scope=[hostile[:900]])
        admin = site.fleet.people.get("admin")
        site.fleet.people.begin_session(admin, address=hostile, browser=hostile)
    for dark in (False, True):
        context, page, watch = visitor(browser, site.base, dark=dark, phone=True)
        signed_in(context, site.fleet.people, "admin", site.base)
        page.set_viewport_size({"width": 360, "height": 2600})  # else the bar at the bottom covers what it covers
        for address in ADDRESSES:
            page.goto(address)
            wide = page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= 360, f"{address} is {wide} px wide"
            found = violations(page, axe)
            assert found == [], f"{address}: {found}"
        context.close()
        watch.check()
