"""A server is changed, held and deleted in the page, with a real panel, agent, engine and game."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
MIB = 2**20


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    with puppet.image(tmp_path) as image:
        made = Puppet(installation, image, name="Castle")
        yield made
        if installation.api.get(made.path).is_success:
            installation.do("DELETE", made.path)


def status(page: Page, word: str) -> None:
    expect(page.locator("header").get_by_text(word, exact=True)).to_be_visible()


def memory(page: Page) -> Locator:
    return page.get_by_label("Memory", exact=True)


def saves(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_limits_variables_and_command_of_a_running_game_change_with_its_restart(
    installation: Installation, server: Puppet, page: Page
) -> None:
    server.does("start")
    page.goto(f"/servers/{server.id}/settings")
    status(page, "Running")
    memory(page).fill("96")
    expect(page.get_by_text("Not saved yet: limits.")).to_be_visible()
    page.get_by_role("link", name="Startup").click()
    expect(page.get_by_text("Not saved yet: limits.")).to_be_visible()
    page.get_by_role("button", name="Add a variable").click()
    page.get_by_label("Name of variable 1").fill("MODE")
    page.get_by_label("Value of MODE").fill("duel")
    page.get_by_label("Startup command").fill("/bin/sh /puppet $MODE")
    expect(page.locator("pre", has_text="/bin/sh /puppet duel")).to_be_visible()
    before = server.pid
    page.get_by_role("button", name="Save and restart").click()
    server.runs_anew(before)
    status(page, "Running")
    container: dict[str, Any] = installation.container(server.id) or {}
    assert container["HostConfig"]["Memory"] == 96 * MIB
    assert "MODE=duel" in container["Config"]["Env"]
    assert server.view()["revision"] == 2


def test_two_who_change_the_same_thing_are_told_of_each_other(server: Puppet, page: Page) -> None:
    page.goto(f"/servers/{server.id}/settings")
    memory(page).fill("96")
    server.is_changed(limits={"cpu": 50})
    expect(page.get_by_label("CPU", exact=True)).to_have_value("50")
    expect(memory(page)).to_have_value("96")
    server.is_changed(limits={"memory": 128 * MIB})
    expect(page.get_by_text("Meanwhile somebody else changed this as well: limits.")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Keep mine").click()
    saves(page)
    assert server.view()["limits"]["memory"] == 96 * MIB
    assert server.view()["limits"]["cpu"] == 50


def test_a_rule_of_each_kind_is_saved_and_what_is_wrong_is_said_at_its_field(server: Puppet, page: Page) -> None:
    page.goto(f"/servers/{server.id}/settings")
    page.get_by_label("Name", exact=True).fill("Fortress")
    page.get_by_label("Tags").fill("Duel, europe")
    page.get_by_label("Stop by").select_option("command")
    page.get_by_label("Text on its console").fill("regex:(")
    page.get_by_label("Pauses before each start").fill("1, soon")
    page.get_by_label("Game query").fill("quake9")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Line", exact=True)).to_be_focused()
    for label in ("Line", "Text on its console", "Pauses before each start"):
        expect(page.get_by_label(label, exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Line", exact=True).fill("end")
    page.get_by_label("Text on its console").fill("ready\nregex:^done")
    page.get_by_label("Pauses before each start").fill("1, 5")
    page.get_by_label("Crashes taken").fill("3")
    page.get_by_label("Game query").fill("")
    saves(page)
    expect(page.get_by_role("heading", name="Fortress", level=1)).to_be_visible()
    view = server.view()
    assert view["tags"] == ["duel", "europe"]
    assert view["stop"]["command"] == "end"
    assert view["readiness"]["text"] == ["ready", "regex:^done"]
    assert (view["crash"]["backoff"], view["crash"]["limit"]) == ([1, 5], 3)


def test_a_server_is_held_and_deleted_by_its_name(installation: Installation, server: Puppet, page: Page) -> None:
    server.does("start")
    page.goto(f"/servers/{server.id}/settings")
    page.get_by_role("button", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    status(page, "Suspended")
    page.get_by_role("button", name="End the hold").click()
    status(page, "Running")
    page.get_by_role("button", name="Delete …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Delete")).to_be_disabled()
    dialog.get_by_label("What becomes of its files").select_option("keep")
    dialog.get_by_label("Type Castle to confirm").fill("Castle")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This server is no more")).to_be_visible()
    assert installation.container(server.id) is None
    assert (installation.folder / "agent" / "servers" / server.id / "lives").exists()


def test_a_server_of_a_node_that_is_gone_can_be_forgotten(
    installation: Installation, server: Puppet, page: Page
) -> None:
    page.goto(f"/servers/{server.id}/settings")
    installation.kill(installation.agent)
    status(page, "Unknown")
    memory(page).fill("96")
    saves(page)
    expect(page.get_by_text("The node does not have the newest change yet (it has revision 1 of 2).")).to_be_visible()
    page.get_by_role("button", name="Delete …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Type Castle to confirm").fill("Castle")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Forget it now").check()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This server is no more")).to_be_visible()


def test_who_is_no_administrator_any_more_sees_no_forms(installation: Installation, server: Puppet, page: Page) -> None:
    page.goto(f"/servers/{server.id}/settings")
    expect(page.get_by_role("button", name="Delete …")).to_be_visible()
    users = "/api/users"
    (myself,) = installation.get(users)["items"]
    other = {"username": "second", "password": "a long password", "is_admin": True}
    installation.api.post(users, json=other).raise_for_status()
    token = installation.api.post("/api/auth/login", json={k: other[k] for k in ("username", "password")}).json()
    second = {"Authorization": f"Bearer {token['access_token']}"}

    def become(*, is_admin: bool) -> None:
        change = {"is_admin": is_admin}
        installation.api.patch(f"{users}/{myself['id']}", json=change, headers=second).raise_for_status()

    become(is_admin=False)
    expect(page.get_by_role("button", name="Delete …")).to_have_count(0)
    expect(page.locator("form")).to_have_count(0)
    expect(page.get_by_role("heading", name="Reinstall")).to_be_visible()
    page.goto("/servers/new")
    expect(page.get_by_text("Creating servers is for administrators.")).to_be_visible()
    become(is_admin=True)
    until(lambda: installation.api.get("/api/nodes").is_success, "it is an administrator's again")
