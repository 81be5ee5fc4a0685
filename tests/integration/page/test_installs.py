"""Somebody watches a server being installed, sees why it failed, and installs it again, with a real panel, agent and engine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.defects import puppet
from tests.integration.installation import Installation
from tests.integration.test_installs import Install

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]


@pytest.fixture
def install(installation: Installation, tmp_path: Path) -> Iterator[Install]:
    """Its installer is at work."""
    with puppet.image(tmp_path) as image:
        made = Install(installation, image)
        yield made.is_at_work()
        installation.do("DELETE", made.path)


def status(page: Page, word: str) -> None:
    expect(page.locator("header").get_by_text(word, exact=True)).to_be_visible()


def shows(page: Page, line: str | re.Pattern[str], times: int = 1) -> None:
    expect(page.locator(".xterm-rows").get_by_text(line, exact=True)).to_have_count(times)


def begins_again(install: Install, page: Page, times: int) -> None:
    status(page, "Installing")
    shows(page, "one", times)
    assert not (install.folder / "game.jar").exists()
    install.goes_on()


def test_an_installation_is_watched_fails_and_is_done_again(install: Install, page: Page) -> None:
    name = install.installation.get(install.path)["name"]
    page.goto(f"/servers/{install.id}")
    status(page, "Installing")
    expect(page.get_by_role("progressbar", name="Create")).to_be_visible()
    expect(page.get_by_text("The installer is at work")).to_be_visible()
    shows(page, re.compile(r"── Installing with .* ──"))
    shows(page, "one")
    install.goes_on(3)
    status(page, "Installation failed")
    shows(page, "three")
    shows(page, re.compile(r"── The installer failed with exit code 3, after \d+ s\. ──"))
    failure = page.get_by_role("region", name="Installation")
    expect(failure).to_contain_text("The installer failed with exit code 3")
    expect(failure.locator("pre")).to_have_text("one\ntwo\nthree")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()

    failure.get_by_role("button", name="Try again with an empty folder").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Reinstall")).to_be_disabled()
    dialog.get_by_role("textbox").fill(name)
    dialog.get_by_role("button", name="Reinstall").click()
    begins_again(install, page, 2)
    status(page, "Stopped")
    shows(page, "── It is installed. ──")
    expect(failure).to_have_count(0)

    page.get_by_role("button", name="Start", exact=True).click()
    status(page, "Running")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Reinstall …").click()
    expect(dialog).to_contain_text("Its files stay")
    dialog.get_by_label("Remove all files first").check()
    expect(dialog).to_contain_text("gone for good")
    dialog.get_by_role("textbox").fill(name)
    dialog.get_by_role("button", name="Reinstall").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("progressbar", name="Reinstall")).to_be_visible()
    page.get_by_role("link", name="Console").click()
    begins_again(install, page, 3)
    status(page, "Stopped")
