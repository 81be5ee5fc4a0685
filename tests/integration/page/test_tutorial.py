"""The tutorial's server, made and played in the page as the tutorial says, with the real game."""

import re
import socket
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.installation import Installation, free_port
from tests.integration.test_whole_path import answer_of
from tests.waiting import until

from ctrl_alt_play.games.game import Game

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial" / "first-server.md"


@pytest.mark.docker
@pytest.mark.timeout(180)
def test_the_tutorials_server_is_made_and_played_in_the_page(
    installation: Installation, built_games: dict[str, Game], page: Page
) -> None:
    fields = dict(re.findall(r"^\| ([A-Z][\w ]+) \| `(.+?)` \|$", TUTORIAL.read_text(), re.MULTILINE))
    page.get_by_role("link", name="Create a server").first.click()
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Add a port").click()
    page.get_by_label("Protocol").select_option("UDP")
    page.get_by_label("Port of the game", exact=True).fill("27960")
    proposed = page.get_by_label("Port of the node")
    port = free_port(socket.SOCK_DGRAM)
    proposed.fill(str(port))
    page.get_by_role("button", name="Create the server").click()
    says(page, "Stopped")
    page.get_by_role("button", name="Start", exact=True).click()
    says(page, "Running")
    until(lambda: answer_of(built_games["openarena"], port), "the game answers", 20)
    page.get_by_label("Command").fill("addbot sarge 3")
    page.keyboard.press("Enter")
    expect(page.locator(".xterm-rows").get_by_text("Sarge").first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    says(page, "Stopped")


def says(page: Page, status: str) -> None:
    expect(page.locator("main header").get_by_text(status, exact=True)).to_be_visible()
