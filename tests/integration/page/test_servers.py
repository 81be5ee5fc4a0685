"""All servers in the page: found, sorted and selected, and many ordered at once, with a real panel, agent, engine and game."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

SLOW = "busybox sleep 4"
PASSWORD = "correct horse battery"


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    with puppet.image(tmp_path) as made:
        yield made


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article").filter(has=page.get_by_role("link", name=name, exact=True))


def shows(page: Page, *names: str) -> None:
    """These alone, in this order."""
    expect(page.get_by_role("article").get_by_role("link")).to_have_text(list(names))


def confirmed(page: Page, order: str, question: str) -> None:
    page.get_by_role("button", name=order, exact=True).click()
    dialog = page.get_by_role("dialog", name=question)
    dialog.get_by_role("button", name=order, exact=True).click()


def test_servers_are_found_by_what_is_known_of_them_and_the_address_keeps_it(
    installation: Installation, image: str, page: Page
) -> None:
    castle = Puppet(installation, image, name="Castle", tags=["eu", "duel"])
    Puppet(installation, image, name="Arena", tags=["eu"], ports=[{"internal": 1, "external": 39961}])
    Puppet(installation, image, name="Lobby", ports=[{"internal": 1, "external": 39962, "address": "127.0.0.1"}])
    castle.does("start")
    shows(page, "Arena", "Castle", "Lobby")
    expect(card(page, "Arena")).to_contain_text("Port 39961")
    expect(card(page, "Lobby").get_by_role("button", name="Copy the address of Lobby")).to_be_visible()
    expect(card(page, "Castle")).to_contain_text("Running")
    expect(card(page, "Castle").get_by_text(re.compile(r"^for \d+ s$"))).to_be_visible()

    card(page, "Arena").get_by_role("button", name="eu", exact=True).click()
    shows(page, "Arena", "Castle")
    page.get_by_role("button", name="Running 1").click()
    shows(page, "Castle")
    expect(page).to_have_url(re.compile(r"\?tag=eu&status=RUNNING$"))
    page.reload()
    shows(page, "Castle")
    page.go_back()
    shows(page, "Arena", "Castle")
    page.get_by_role("button", name="Clear all").click()
    page.get_by_label("Find a server").fill("39962")
    shows(page, "Lobby")
    page.get_by_label("Find a server").fill("nothing like it")
    expect(page.get_by_text("No server matches")).to_be_visible()
    page.get_by_role("button", name="Clear all").click()

    page.get_by_role("button", name="Table").click()
    names = page.get_by_role("rowheader")
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    expect(names).to_have_text(["Lobby", "Castle", "Arena"])
    page.reload()
    expect(names).to_have_text(["Lobby", "Castle", "Arena"])
    page.get_by_role("checkbox", name="Select Lobby").click()
    page.get_by_role("checkbox", name="Select Arena").click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("3 selected")).to_be_hidden()


def test_many_servers_are_restarted_at_once_and_each_end_is_told(
    installation: Installation, image: str, page: Page
) -> None:
    running = [Puppet(installation, image, name=f"Arena {number}") for number in range(4)]
    Puppet(installation, image, name="Lobby")
    for each in running:
        each.does("start")
    before = [each.pid for each in running]
    page.get_by_label("Select all shown").check()
    expect(page.get_by_text("5 selected")).to_be_visible()
    page.get_by_role("button", name="Restart", exact=True).click()
    expect(page.get_by_role("dialog", name="Restart 4 servers?")).to_contain_text("1 selected server is left out")
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(page.get_by_text("Done: all 4")).to_be_visible()
    assert [each.status() for each in running] == ["RUNNING"] * 4
    assert not {each.pid for each in running} & set(before)
    installation.kill(installation.agent)
    expect(card(page, "Arena 3")).to_contain_text("Unknown")
    page.get_by_role("button", name="Close").click()


def test_what_is_refused_is_told_with_its_reason(installation: Installation, image: str, page: Page) -> None:
    held, free = (Puppet(installation, image, name=name) for name in ("Held", "Free"))
    held.is_held("maintenance")
    page.get_by_label("Select all shown").check()
    confirmed(page, "Start", "Start 2 servers?")
    expect(page.get_by_text("1 of 2 done")).to_be_visible()
    expect(page.get_by_role("region", name="Starting servers")).to_contain_text("Refused: The server is on hold")
    page.get_by_role("button", name="Select those that failed").click()
    expect(page.get_by_role("checkbox", name="Select Held")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Select Free")).not_to_be_checked()
    free.becomes("RUNNING")


def test_a_panel_that_is_killed_amid_a_bulk_restart_heals_and_the_end_is_true(
    installation: Installation, image: str, page: Page
) -> None:
    servers = [Puppet(installation, image, name=f"Slow {number}", at_end=SLOW) for number in range(8)]
    for each in servers:
        each.does("start")
    before = {each.id: each.pid for each in servers}
    page.get_by_label("Select all shown").check()
    confirmed(page, "Restart", "Restart 8 servers?")
    expect(page.get_by_text("Under way").first).to_be_visible()
    installation.kill(installation.panel)
    expect(page.get_by_text("No connection to the panel")).to_be_visible()
    installation.start_panel()
    installation.wait_for_panel()
    installation.wait_for_node()
    progress = page.get_by_role("region", name="Restarting servers")
    expect(progress.get_by_role("status")).to_have_text(re.compile(r"^Done: all 8$|^\d of 8 done$"), timeout=60_000)
    told = dict(re.split(r"\s+", text, maxsplit=2)[1:] for text in progress.get_by_role("listitem").all_inner_texts())
    assert "Done" in told.values()
    for number, each in enumerate(servers):
        operations = installation.get(f"{each.path}/operations")["items"]
        ends = [one["state"] for one in operations if one["kind"] == "restart"]
        if told[str(number)] == "Done":
            assert ends == ["succeeded"]
            assert each.pid not in {0, before[each.id]}
            assert each.lives().count("start") == 2, each.lives()
        else:  # it was asked before its node had come back
            assert "not connected" in told[str(number)]
            assert ends == ["failed"]
            assert each.pid == before[each.id]


def test_who_is_no_administrator_any_more_sees_it_without_reloading(
    installation: Installation, image: str, page: Page
) -> None:
    user = installation.api.post("/api/users", json={"username": "olga", "password": PASSWORD, "is_admin": True}).json()
    Puppet(installation, image, name="Hers", owner_id=user["id"])
    Puppet(installation, image, name="Another's")
    page.context.clear_cookies()
    page.goto("/")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    shows(page, "Another's", "Hers")
    page.get_by_label("Select all shown").check()
    expect(page.get_by_role("button", name="Kill")).to_be_visible()
    installation.api.patch(f"/api/users/{user['id']}", json={"is_admin": False}).raise_for_status()
    shows(page, "Hers")
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Kill")).to_be_hidden()
    expect(page.get_by_role("link", name="Create a server")).to_be_hidden()


def test_an_empty_panel_leads_to_the_first_server(page: Page) -> None:
    expect(page.get_by_role("heading", name="There are no servers yet.")).to_be_visible()
    links = page.get_by_role("main").get_by_role("link", name="Create a server")
    expect(links.last).to_have_attribute("href", "/servers/new")
