"""A real browser, and what it complains of."""

import shutil
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.integration.installation import Installation
from tests.integration.page.reader import Reader

PATIENCE_MS = 15_000
WITHOUT_GRAPHICS = ("--no-sandbox", "--disable-gpu", "--disable-3d-apis")
"""Then a terminal's lines are text in the page, as for a machine without a graphics card."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(WITHOUT_GRAPHICS))
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Nobody has been here before."""
    yield chromium
    for context in chromium.contexts:
        context.close()


class Lent:
    """The installation that is there for the next story, if any."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._ready: Installation | None = None

    def take(self) -> Installation:
        taken, self._ready = self._ready, None
        if taken is None:
            taken = Installation(self._folders.mktemp("installation"))
            try:
                taken.start()
            except BaseException:
                taken.close()
                raise
        return taken

    def give_back(self, installation: Installation) -> None:
        with suppress(httpx.HTTPError, AssertionError):
            if installation.is_as_it_was():
                installation.empty()
                self._ready = installation
                return
        installation.close()

    def close(self) -> None:
        if self._ready is not None:
            self._ready.close()


@pytest.fixture(scope="session")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lent]:
    lent = Lent(tmp_path_factory)
    yield lent
    lent.close()


@pytest.fixture
def installation(lent: Lent) -> Iterator[Installation]:
    """With a node and no servers. A story may kill what it likes: the next one has another then."""
    installation = lent.take()
    yield installation
    lent.give_back(installation)


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
