"""A server is created in the page, from a form to a game that runs, with a real panel, agent, engine and game."""

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.installation import Installation, free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture
def image(installation: Installation, tmp_path: Path) -> Iterator[str]:
    """The puppet's. What the test made of it is deleted."""
    with puppet.image(tmp_path) as name:
        yield name
        for server in installation.get("/api/servers")["items"]:
            installation.do("DELETE", f"/api/servers/{server['id']}")


@pytest.fixture
def silent_registry() -> Iterator[socket.socket]:
    """Takes connections and says nothing, until it is closed: whoever pulls from it waits."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener


def begins(page: Page, name: str, image: str) -> None:
    page.goto("/servers/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Container image").fill(image)
    page.get_by_label("Startup command").fill("/bin/sh /puppet")
    expect(page.get_by_label("Node", exact=True)).not_to_have_value("")


def creates(page: Page) -> None:
    page.get_by_role("button", name="Create the server").click()


def installation_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Installation")


def status(page: Page, word: str) -> None:
    expect(page.locator("header").get_by_text(word, exact=True)).to_be_visible()


def test_a_server_is_created_fails_is_changed_and_runs(page: Page, image: str, silent_registry: socket.socket) -> None:
    missing = f"127.0.0.1:{silent_registry.getsockname()[1]}/games/none:1"
    begins(page, "Castle", missing)
    expect(page.get_by_text("A program and 1 argument, without a shell.")).to_be_visible()
    creates(page)
    expect(page).to_have_url(re.compile(r"/servers/[0-9a-f-]{36}$"))
    status(page, "Installing")
    expect(page.get_by_role("progressbar", name="Create")).to_be_visible()
    silent_registry.close()
    status(page, "Installation failed")
    expect(installation_of(page)).to_contain_text("games/none:1")
    page.get_by_role("link", name="Change and try again").click()
    page.get_by_label("Container image").fill(image)
    page.get_by_role("button", name="Save and install").click()
    status(page, "Stopped")
    expect(installation_of(page)).to_have_count(0)
    page.get_by_role("button", name="Start", exact=True).click()
    status(page, "Running")
    page.goto("/servers/new")
    expect(page.get_by_label("Name", exact=True)).to_have_value("")


def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(page: Page, image: str) -> None:
    begins(page, " ", "No Image")
    page.get_by_role("button", name="Add a variable").click()
    page.get_by_label("Name of variable 1").fill("A=B")
    page.get_by_label("Value of A=B").fill("kept")
    page.get_by_label("Memory", exact=True).fill("1")
    creates(page)
    expect(page.get_by_role("alert")).to_contain_text("4 fields")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    for label in ("Name", "Container image", "Memory"):
        expect(page.get_by_label(label, exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("it must not be empty")).to_be_visible()
    expect(page.get_by_text("name an image, such as example.org")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Container image")).to_have_value("No Image")
    expect(page.get_by_label("Value of A=B")).to_have_value("kept")
    expect(page.get_by_label("Memory", exact=True)).to_have_value("1")
    page.get_by_label("Name", exact=True).fill("Mended")
    page.get_by_label("Container image").fill(image)
    page.get_by_label("Name of variable 1").fill("MODE")
    page.get_by_label("Memory", exact=True).fill("64")
    creates(page)
    expect(page.get_by_role("heading", name="Mended", level=1)).to_be_visible()
    status(page, "Stopped")


def test_a_port_that_another_holds_is_told_with_its_holder_and_a_free_one_is_proposed(
    installation: Installation, page: Page, image: str
) -> None:
    taken = free_port(socket.SOCK_DGRAM)
    port = {"internal": taken, "external": taken, "protocol": "udp"}
    installation.create(name="Holder", image=image, startup="/bin/sh /puppet", ports=[port])
    page.goto("/servers/new")
    page.get_by_label("Start from").select_option("Holder")
    page.get_by_label("Name", exact=True).fill("Second")
    outer = page.get_by_label("Port of the node")
    expect(outer).to_have_value(str(taken + 1))
    outer.fill(str(taken))
    expect(page.get_by_text("Held by Holder: choose another.")).to_be_visible()
    creates(page)
    expect(page.get_by_role("alert")).to_contain_text("held by server Holder")
    expect(outer).to_be_focused()
    outer.fill(str(taken + 1))
    creates(page)
    expect(page.get_by_role("heading", name="Second", level=1)).to_be_visible()
    status(page, "Stopped")
    (made,) = (each for each in installation.get("/api/servers")["items"] if each["name"] == "Second")
    assert [each["external"] for each in made["ports"]] == [taken + 1]
