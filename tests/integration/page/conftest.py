"""A real browser, and what it complains of."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.integration.installation import Installation
from tests.integration.page.reader import Reader

PATIENCE_MS = 15_000
WITHOUT_GRAPHICS = ("--no-sandbox", "--disable-gpu", "--disable-3d-apis")
"""Then a terminal's lines are text in the page, as for a machine without a graphics card."""


@pytest.fixture
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(WITHOUT_GRAPHICS))
        yield browser
        browser.close()


@pytest.fixture
def reader(installation: Installation, browser: Browser) -> Reader:
    """Somebody before a panel's page, not signed in."""
    return Reader(browser, str(installation.api.base_url))


@pytest.fixture
def page(installation: Installation, reader: Reader) -> Iterator[Page]:
    """The page of a panel, signed in. Whatever the browser complained of fails the test at its end."""
    reader.signs_in("admin", installation.owner_password)
    yield reader.page
    reader.has_no_complaints()
