"""A real browser, and what it complains of."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from tests.integration.installation import Installation

EXPECTED = ("status of 401", "status of 409", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE")
"""Who is not signed in is told so, and what is refused; a panel that is killed answers nothing. The browser notes it."""
PATIENCE_MS = 15_000
WITHOUT_GRAPHICS = ("--no-sandbox", "--disable-gpu", "--disable-3d-apis")
"""Then a terminal's lines are text in the page, as for a machine without a graphics card."""


@pytest.fixture
def page(installation: Installation) -> Iterator[Page]:
    """The page of a panel, signed in. Whatever the browser complained of fails the test at its end."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(WITHOUT_GRAPHICS))
        page = browser.new_context(base_url=str(installation.api.base_url), locale="en-GB").new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(installation.owner_password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Servers", level=1)).to_be_visible()
        yield page
        browser.close()
    assert [each for each in complaints if not any(known in each for known in EXPECTED)] == []
