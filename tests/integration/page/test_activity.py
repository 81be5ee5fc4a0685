"""What was done to a server and what happened to it, as the page tells it while it goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    with puppet.image(tmp_path) as name:
        yield name


def test_an_order_is_followed_to_its_end_and_can_be_cancelled(
    installation: Installation, image: str, page: Page
) -> None:
    server = Puppet(installation, image, name="Castle", readiness={"text": ["never said"]})
    page.goto(f"/servers/{server.id}/activity")
    expect(page.get_by_text("Create · done")).to_contain_text("by admin")
    server.order("start")
    start = page.get_by_role("listitem").filter(has_text="Start · ")
    expect(start).to_contain_text("under way")
    expect(start.get_by_role("progressbar")).to_be_visible()
    start.get_by_role("button", name="Cancel").click()
    expect(start).to_contain_text("cancelled")
    expect(start.get_by_role("button")).to_have_count(0)
    page.goto("/")
    installation.do("DELETE", server.path)


def test_a_crash_is_told_with_all_that_is_known_of_it(installation: Installation, image: str, page: Page) -> None:
    server = Puppet(installation, image, name="Castle", crash={"restart": False})
    server.does("start")
    page.goto(f"/servers/{server.id}/activity")
    expect(page.get_by_text("Start · done")).to_be_visible()
    server.types(r"printf '\033[31mlast\033[0m words\n'; exit 3")
    crash = page.get_by_role("listitem").filter(has_text="Crashed")
    for told in ("It ended with exit code 3.", "The game ended by itself", "Exit code", "not by itself", "last words"):
        expect(crash).to_contain_text(told)
    page.get_by_role("button", name="Crashes").click()
    expect(page.get_by_text("Start · done")).to_be_hidden()
    expect(crash).to_be_visible()
    page.get_by_role("button", name="Orders").click()
    expect(page.get_by_text("Start · done")).to_be_visible()
    expect(crash).to_be_hidden()
    page.goto("/")
    installation.do("DELETE", server.path)
