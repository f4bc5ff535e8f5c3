"""What a person sees of the viewer, for tests: rows with numbers, the target, the words below."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


class Viewer:
    """The ``<log-view>`` of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        # Those of the script, not those that came with the page.
        self.rows = page.locator("log-view .row[data-b]")
        self.target = page.locator("log-view .row.target")
        self.place = page.locator("log-view .place")
        self.follow = page.locator("log-view .follow-state")
        self.hits = page.locator("log-view .hits")

    def open(self, address: str) -> Viewer:
        """Go there and wait for the first rows."""
        self.page.goto(address)
        self.rows.first.wait_for()
        return self

    def line(self, number: int) -> Locator:
        """The row that says it is line ``number``."""
        return self.page.locator(f'log-view .row[aria-rowindex="{number}"]')

    def text(self, number: int) -> str:
        """The text of line ``number``."""
        return self.line(number).locator(".t").inner_text()

    def numbers(self) -> list[int]:
        """The numbers of all rows in the page."""
        found = self.page.locator("log-view .row[data-b] .n a").all_inner_texts()
        return [int(text) for text in found]

    def go_to(self, place: str) -> None:
        """Type ``:place`` Enter."""
        self.page.keyboard.press(":")
        self.page.keyboard.type(place)
        self.page.keyboard.press("Enter")

    def find(self, text: str) -> None:
        """Type ``/text`` Enter and wait for the hit."""
        self.page.keyboard.press("/")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        expect(self.hits).to_contain_text("hit")

    def check_rows(self) -> None:
        """Rows follow each other without gap or repetition, and there are never more than a thousand."""
        numbers = self.numbers()
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(numbers) <= 1000
