"""Two templates of ours, with different installs, consoles and stops, go from a file to a game that answers its own clients, in the page."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.installation import Installation
from tests.waiting import until

from ctrl_alt_play.games.game import NoAnswer
from ctrl_alt_play.games.own import FOLDER, build_own
from ctrl_alt_play.games.quake3 import query
from ctrl_alt_play.templates.reading import read

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
HELLO = bytes.fromhex("4f45740300000001")
"""A packet of the kind `original`, with nothing in it, from a client of Luanti that has no number yet: a server answers with one.

Source: the game's `src/network/connection.h`."""


def luanti_greets(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.sendto(HELLO, ("127.0.0.1", port))
        try:
            return client.recv(1024)[:4] == HELLO[:4]
        except (TimeoutError, ConnectionError):
            return False


def arena_answers(port: int) -> bool:
    try:
        return query("127.0.0.1", port, 2).map == "oa_dm1"
    except NoAnswer:
        return False


@dataclass(frozen=True)
class Way:
    file: str
    answers: Callable[[int], bool]
    chosen: tuple[str, str]
    """A variable, and its value."""
    installed: str | None
    """What the installer says."""
    typed: tuple[str, str] | None
    """A line for the console, and what comes of it."""
    said_at_the_end: str


WAYS = [
    Way(
        "openarena",
        arena_answers,
        ("Server name", "Sunday arena"),
        None,
        ("addbot sarge 3", "Sarge"),
        "Server Shutdown",
    ),
    Way("luanti", luanti_greets, ("Seed", "7"), "A new world, of the seed 7", None, "Shutting down"),
]


@pytest.mark.parametrize("way", WAYS, ids=[each.file for each in WAYS])
def test_from_a_file_to_a_game_that_answers(
    way: Way, installation: Installation, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = FOLDER / f"{way.file}.yaml"
    template = read(file.read_text())
    cache = tmp_path_factory.mktemp("games")
    for image in (*template.images.values(), *((template.installer.image,) if template.installer else ())):
        build_own(image, cache, lambda _: None)
    _import(page, file, template.name)
    _create(page, template.name, *way.chosen)
    if way.installed is not None:
        _sees_line(page, way.installed)
    _says(page, "Stopped")
    page.get_by_role("button", name="Start", exact=True).click()
    _says(page, "Running")
    (server,) = installation.get("/api/servers")["items"]
    port = server["ports"][0]["external"]
    until(lambda: way.answers(port), "the game answers", 20)
    if way.typed is not None:
        page.get_by_label("Command").fill(way.typed[0])
        page.keyboard.press("Enter")
        _sees_line(page, way.typed[1])
    page.get_by_role("button", name="Stop", exact=True).click()
    _says(page, "Stopped")
    _sees_line(page, way.said_at_the_end)
    assert not way.answers(port)
    assert not installation.get("/api/servers")["items"][0]["crashes"]


def _import(page: Page, file: Path, name: str) -> None:
    page.get_by_role("link", name="Templates").click()
    page.get_by_role("button", name="Import").click()
    page.get_by_label("Choose files").set_input_files(file)
    page.get_by_role("button", name=f"Import {name}").click()
    expect(page.get_by_role("article", name=name).get_by_text("Imported")).to_be_visible()


def _create(page: Page, name: str, label: str, value: str) -> None:
    page.get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    page.get_by_role("button", name="Create a server").click()
    page.get_by_label("Name", exact=True).fill("Castle")
    expect(page.get_by_text("proposed: free on this node").first).to_be_visible()
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_label(re.compile(rf"^{label}")).fill(value)
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Create the server").click()
    expect(page).to_have_url(re.compile(r"/servers/[0-9a-f-]{36}$"))


def _says(page: Page, word: str) -> None:
    expect(page.locator("main header").get_by_text(word, exact=True)).to_be_visible(timeout=40_000)


def _sees_line(page: Page, text: str) -> None:
    expect(page.locator(".xterm-rows").get_by_text(text).first).to_be_visible(timeout=40_000)
