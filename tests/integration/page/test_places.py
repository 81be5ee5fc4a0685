"""What a node offers, in the page: an address and tags, ports and who holds them, and maintenance, with a real game on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

GIB = 2**30


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    with puppet.image(tmp_path) as made:
        yield made


def section(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def test_a_node_gives_ports_and_an_address_and_is_taken_out_of_service(
    installation: Installation, image: str, page: Page
) -> None:
    ports = [
        {"internal": 1, "external": 39971, "protocol": "udp", "name": "game"},
        {"internal": 2, "external": 39972, "protocol": "tcp", "name": "rcon"},
    ]
    arena = Puppet(installation, image, name="Arena", ports=ports, limits={"memory": GIB // 8})
    arena.does("start")
    page.goto("/nodes")
    page.get_by_role("article").get_by_role("link").first.click()

    capacity = section(page, "Capacity")
    expect(capacity).to_contain_text("128 MiB of")
    expect(capacity).to_contain_text("0 % of")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_label("Address for players").fill("not a host")
    page.get_by_label("Tags").fill("SSD, eu")
    page.get_by_role("spinbutton", name="Memory").fill("-50")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("is no host")
    page.get_by_label("Address for players").fill("play.example.org")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_title("Has the tag ssd")).to_be_visible()
    expect(capacity).to_contain_text("50 % kept back")

    of_ports = section(page, "Ports")
    expect(of_ports).to_contain_text("Servers may be given any port.")
    page.get_by_role("button", name="Add ports").click()
    page.get_by_label("First").fill("39970")
    page.get_by_label("Last").fill("39979")
    page.get_by_label("Players call it").fill("arena.example.org")
    page.get_by_role("button", name="Save").click()
    expect(of_ports).to_contain_text("8 of 10 free")
    expect(of_ports.get_by_role("listitem").filter(has_text="39972/tcp")).to_contain_text("rcon")
    of_ports.get_by_role("button", name="Remove ports 39970").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("held by Arena")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Maintenance", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Maintenance").click()
    expect(page.get_by_text("In maintenance", exact=True)).to_be_visible()
    expect(section(page, "Servers")).to_contain_text("Stopped")
    expect(section(page, "Doctor")).to_contain_text("its servers are held down")
    of_ports.get_by_role("link", name="Arena").first.click()
    expect(page.get_by_text("on hold for maintenance")).to_be_visible()
    expect(page.get_by_role("button", name="Copy address of game")).to_be_visible()
    expect(page.get_by_text("arena.example.org:39971")).to_be_visible()
    page.get_by_text("1 more port").click()
    expect(page.get_by_text("arena.example.org:39972")).to_be_visible()

    page.go_back()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(section(page, "Servers")).to_contain_text("Running")
    page.get_by_role("button", name="Drain", exact=True).click()
    expect(page.get_by_text("Draining", exact=True)).to_be_visible()
    page.goto("/nodes")
    expect(page.get_by_role("article")).to_contain_text("Draining")
