"""What a browser has to show and to fetch: first paints, and the scripts of every page. Needs Chromium."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tests.browser.harness import CHROMIUM, chromium

from logferry.web.auth import COOKIE

_PAINTED = """() => new Promise((tell) => {
  const take = (entries) => {
    const found = entries.find((one) => one.name === 'first-contentful-paint');
    if (found) tell(found.startTime);
  };
  new PerformanceObserver((list) => take(list.getEntries())).observe({ type: 'paint', buffered: true });
})"""
_SCRIPT_BYTES = """() => performance.getEntriesByType('resource')
  .filter((one) => one.name.endsWith('.js')).reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def is_here() -> bool:
    """Whether there is a Chromium."""
    return bool(CHROMIUM)


def paint_ms(base: str, secret: str, pages: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds from asking for a page until something of it is seen, each time; files of pages are cached."""
    found: dict[str, list[float]] = {page: [] for page in pages}
    with chromium() as browser:
        context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 800})
        context.add_cookies([{"name": COOKIE, "value": secret, "url": base}])
        page = context.new_page()
        for number in range(rounds + 1):
            for address in pages:
                page.goto(address)
                if number:  # before that the style sheets are not there
                    found[address].append(float(page.evaluate(_PAINTED)))
        context.close()
    return found


def script_bytes(base: str, secret: str, pages: Sequence[str]) -> dict[str, int]:
    """Bytes of the scripts that each page loads, as they are sent."""
    found: dict[str, int] = {}
    with chromium() as browser:
        for address in pages:
            context = browser.new_context(base_url=base)
            context.add_cookies([{"name": COOKIE, "value": secret, "url": base}])
            page = context.new_page()
            page.goto(address)
            page.wait_for_load_state("networkidle")
            found[address] = int(page.evaluate(_SCRIPT_BYTES))
            context.close()
    return found


def medians(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of each page."""
    return {name: statistics.median(values) for name, values in found.items()}
