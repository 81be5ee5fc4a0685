"""Somebody with a browser, and what it complained of while they used it."""

import re
from typing import Any

from playwright.sync_api import Browser, Page, expect

EXPECTED = re.compile(r"status of (401|404|409|412|422|503)|net::ERR_(?!BLOCKED)|WebSocket connection to")
"""Who is not signed in is told so, what cannot be is refused, and a panel may be away; the browser notes it."""


class Reader:
    """`browser_settings` are those of a context: the window's size, the colours that the system has."""

    def __init__(self, browser: Browser, address: str, **browser_settings: Any) -> None:
        settings = {"locale": "en-GB", **browser_settings}
        self.page: Page = browser.new_context(base_url=address, **settings).new_page()
        self.complaints: list[str] = []
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def tries_to_sign_in(self, username: str, password: str) -> None:
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def signs_in(self, username: str, password: str) -> None:
        self.page.goto("/")
        self.tries_to_sign_in(username, password)
        self.sees("Servers")

    def sees(self, heading: str) -> None:
        """A screen, by what stands over it."""
        expect(self.page.get_by_role("heading", name=heading, level=1, exact=True)).to_be_visible()

    def presses(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def has_no_complaints(self) -> None:
        unexpected = [each for each in self.complaints if EXPECTED.search(each) is None]
        assert not unexpected, unexpected
