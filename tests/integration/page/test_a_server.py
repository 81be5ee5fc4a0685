"""A server in the page, from the list to its console, with a real panel, agent, engine and game."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    with puppet.image(tmp_path) as image:
        made = Puppet(installation, image, name="Castle")
        yield made
        installation.do("DELETE", made.path)


def status(page: Page, word: str) -> None:
    expect(page.locator("header").get_by_text(word, exact=True)).to_be_visible()


def types(page: Page, line: str) -> None:
    page.get_by_label("Command").fill(line)
    page.keyboard.press("Enter")


def shows(page: Page, line: str) -> None:
    expect(page.locator(".xterm-rows").get_by_text(line, exact=True)).to_have_count(1)


def test_a_server_is_found_started_spoken_to_and_stopped(server: Puppet, page: Page) -> None:
    page.get_by_role("link", name="Castle").click()
    status(page, "Stopped")
    page.get_by_role("button", name="Start", exact=True).click()
    status(page, "Running")
    shows(page, "ready")
    types(page, "echo the answer")
    shows(page, "the answer")
    page.get_by_role("button", name="Stop", exact=True).click()
    status(page, "Stopped")
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("Stop · done")).to_be_visible()
    assert page.evaluate("document.cookie") == ""


def test_a_crash_is_shown_with_its_report(server: Puppet, page: Page) -> None:
    server.does("start")
    page.get_by_role("link", name="Castle").click()
    status(page, "Running")
    types(page, "echo last words; exit 3")
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("last words").first).to_be_visible()
    expect(page.locator("summary")).to_contain_text("3")


def test_the_page_heals_when_the_panel_is_killed_and_no_line_is_lost_or_doubled(
    installation: Installation, server: Puppet, page: Page
) -> None:
    server.does("start")
    page.get_by_role("link", name="Castle").click()
    types(page, "echo before")
    shows(page, "before")
    installation.kill(installation.panel)
    expect(page.get_by_text("No connection to the panel")).to_be_visible()
    installation.start_panel()
    installation.wait_for_panel()
    installation.wait_for_node()
    expect(page.get_by_text("No connection to the panel")).to_be_hidden()
    status(page, "Running")
    types(page, "echo after")
    shows(page, "after")
    shows(page, "before")
