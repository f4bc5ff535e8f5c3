"""Signing in by a provider with a real browser: its cookies, its redirections, its policy for forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from logferry.clock import SYSTEM
from logferry.server.oidc.config import OidcConfig, OidcRoleConfig
from logferry.server.oidc.provider import Provider
from logferry.web.app import create_app
from tests.browser.conftest import Site
from tests.browser.harness import serving, violations, visitor
from tests.server.oidc.identity import CLIENT, SECRET, identity_provider

pytestmark = pytest.mark.browser


def test_button_provider_and_back_and_out_again(browser: Browser, site: Site, axe: str, tmp_path: Path) -> None:
    """Keyboard alone: to the page asked for, with the role of the group; signed out at both; denied with a reason."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with identity_provider() as identity:
        identity.people = {
            "ann": {"sub": "u-1", "preferred_username": "ann.by-sso", "groups": ["staff"]},
            "eve": {"sub": "u-2", "preferred_username": "eve.by-sso", "groups": []},
        }
        config = OidcConfig(
            issuer=identity.issuer, client_id=CLIENT, client_secret_file=str(secret), name="Example SSO",
            roles={"staff": OidcRoleConfig("operator", ("web-*/**",))},
        )  # fmt: skip
        fleet = replace(site.fleet.context, provider=Provider(config, SYSTEM))
        with serving(create_app(fleet)) as base:
            context, page, watch = visitor(browser, base)
            page.goto("/agents")
            assert violations(page, axe) == []
            button = page.get_by_role("link", name="Sign in with Example SSO")
            button.focus()
            page.keyboard.press("Enter")
            page.get_by_role("link", name="ann").click()
            expect(page.get_by_role("heading", name="Agents")).to_be_visible()
            page.get_by_label("ann.by-sso: account").click()
            expect(page.locator(".menu-note", has_text="operator")).to_contain_text(
                "operator · sees part of the archive"
            )
            expect(page.locator("table")).to_contain_text("web-01")
            expect(page.locator("table")).not_to_contain_text("db-01")
            page.goto("/me")
            expect(page.get_by_text("You sign in by")).to_be_visible()

            page.get_by_label("ann.by-sso: account").click()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            assert [left["post_logout_redirect_uri"] for left in identity.left] == [f"{base}/login"]
            page.goto("/agents")
            button.click()
            page.get_by_role("link", name="eve").click()
            expect(page.get_by_role("alert")).to_contain_text("Nothing gives eve.by-sso a role here")
            expect(page.get_by_text("Request")).to_be_visible()
            assert violations(page, axe) == []
            context.close()
        assert {urlsplit(url).netloc for url in watch.foreign} == {urlsplit(identity.issuer).netloc}
        watch.foreign.clear()
        watch.check(allowed=("403",))
