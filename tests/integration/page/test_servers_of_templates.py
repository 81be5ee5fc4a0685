"""Servers are made of a template in the page, changed as it allows, brought to its next version and back, with a real node and game."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.installation import Installation
from tests.integration.page.accessibility import finds_nothing, is_no_wider_than_the_window
from tests.integration.page.reader import Reader

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
FIXED = {"is_viewable": True, "is_editable": False}
VARIABLES: list[dict[str, Any]] = [
    {"name": "Map", "environment_name": "MAP", "rules": ["required", "max:8"]},
    {"name": "Mode", "environment_name": "MODE", "default": "duel", "rules": ["required", "in:duel,team"]},
    {"name": "Most players", "environment_name": "MOST", "default": "8", "rules": ["integer", "between:1,64"], **FIXED},
    {"name": "Rcon password", "environment_name": "RCON_PASSWORD", "default": "hunter2", "rules": [], **FIXED},
]


def content(image: str, *variables: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"description": "", "default": "", "is_viewable": True, "is_editable": True}
    return {
        "uuid": None,
        "name": "Puppet show",
        "author": "me@example.org",
        "icon": None,
        "update_url": None,
        "description": "A game that does as it is told.",
        "tags": [],
        "features": [],
        "logs": {},
        "denied_files": [],
        "installer": None,
        "configuration": [],
        "images": {"Usual": image, "Other": f"{image}-other"},
        "startup_commands": {"Usual": "/bin/sh /puppet"},
        "stop": "",
        "readiness": {"done": ["ready"]},
        "variables": [{**usual, **variable} for variable in variables],
        **more,
    }


class Shown:
    """A template of the puppet's, of one version or more."""

    def __init__(self, installation: Installation, image: str) -> None:
        self.installation, self.image = installation, image
        new = {"content": content(image, *VARIABLES), "is_new": True}
        answer = installation.api.post("/api/templates", json=new)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]

    def gets(self, *variables: dict[str, Any], **more: Any) -> None:
        """Another version."""
        changed = {"content": content(self.image, *variables, **more)}
        answer = self.installation.api.put(f"/api/templates/{self.id}", json=changed)
        assert answer.is_success, answer.text

    def server(self, **more: Any) -> str:
        body = {"name": "Castle", "variables": {"MAP": "dm17"}, **more}
        return str(self.installation.do("POST", f"/api/templates/{self.id}/servers", body)["server_id"])


@pytest.fixture
def template(installation: Installation, tmp_path: Path) -> Iterator[Shown]:
    """What was made of it is deleted."""
    with puppet.image(tmp_path) as image:
        made = Shown(installation, image)
        yield made
        for server in installation.get("/api/servers")["items"]:
            installation.do("DELETE", f"/api/servers/{server['id']}")
        installation.api.delete(f"/api/templates/{made.id}").raise_for_status()


def status(page: Page, word: str) -> None:
    expect(page.locator("header").get_by_text(word, exact=True)).to_be_visible()


def goes_on(page: Page) -> None:
    page.get_by_role("button", name="Next", exact=True).click()


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


def test_a_server_is_made_of_a_template_step_by_step_and_nothing_decided_is_lost(
    installation: Installation, template: Shown, page: Page
) -> None:
    page.goto("/servers/new")
    page.get_by_label("Search templates").fill("no such thing")
    expect(page.get_by_text("No template has these words.")).to_be_visible()
    page.get_by_label("Search templates").fill("puppet")
    page.get_by_role("button", name="Puppet show").click()
    goes_on(page)
    expect(field(page, "Name")).to_have_attribute("aria-invalid", "true")
    expect(field(page, "Name")).to_be_focused()
    field(page, "Name").fill("Castle")
    field(page, "Memory").fill("64")
    field(page, "Unit of Memory").select_option("MiB")
    expect(page.get_by_text("proposed: free on this node")).to_be_visible()
    number = field(page, "Port: game").input_value()
    goes_on(page)
    expect(page.get_by_role("heading", name="To be filled in")).to_be_visible()
    goes_on(page)
    expect(field(page, "Map (required)")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("is required")).to_be_visible()
    field(page, "Map (required)").fill("dm17 and more")
    expect(page.get_by_text("must have at most 8 characters")).to_be_visible()
    field(page, "Map (required)").fill("dm17")
    expect(page.get_by_text("must have at most 8 characters")).to_have_count(0)
    field(page, "Mode (required)").select_option("team")
    page.reload()
    expect(field(page, "Mode (required)")).to_have_value("team")
    page.get_by_role("button", name="Back", exact=True).click()
    expect(field(page, "Name")).to_have_value("Castle")
    page.get_by_role("navigation", name="Steps").get_by_role("button", name="Review").click()
    review = page.get_by_role("region", name="Review")
    expect(review).to_contain_text(f"game {number}/tcp")
    expect(review).to_contain_text("dm17")
    expect(review).not_to_contain_text("hunter2")
    page.get_by_role("button", name="Create the server").click()
    expect(page).to_have_url(re.compile(r"/servers/[0-9a-f-]{36}$"))
    status(page, "Stopped")
    page.get_by_role("button", name="Start", exact=True).click()
    status(page, "Running")
    (made,) = installation.get("/api/servers")["items"]
    assert (made["environment"]["MAP"], made["environment"]["MODE"]) == ("dm17", "team")
    container: dict[str, Any] = installation.container(made["id"]) or {}
    assert "MAP=dm17" in container["Config"]["Env"]
    page.goto("/servers/new")
    page.get_by_role("button", name="Without a template").click()
    expect(page.get_by_label("Container image")).to_be_visible()


def test_startup_is_changed_as_the_template_allows_and_the_version_goes_on_and_back(
    template: Shown, installation: Installation, page: Page
) -> None:
    server_id = template.server()
    path = f"/api/servers/{server_id}"
    page.goto(f"/servers/{server_id}/startup")
    expect(page.get_by_role("region", name="Template")).to_contain_text("version 1")
    field(page, "Map (required)").fill("dm17 and more")
    expect(page.get_by_text("must have at most 8 characters")).to_be_visible()
    field(page, "Map (required)").fill("dm6")
    expect(field(page, "Rcon password")).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show Rcon password").click()
    expect(field(page, "Rcon password")).to_have_value("hunter2")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert installation.get(path)["environment"]["MAP"] == "dm6"
    strict = {"name": "Map", "environment_name": "MAP", "default": "dm17", "rules": ["required", "in:dm17,dm13"]}
    new = {"name": "Gravity", "environment_name": "GRAVITY", "default": "800", "rules": ["integer"]}
    template.gets(strict, new, stop="quit")
    page.reload()
    page.get_by_role("button", name="Upgrade to version 2 …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("GRAVITY")
    expect(dialog).to_contain_text("must be one of dm17, dm13")
    expect(dialog.get_by_role("button", name="Upgrade")).to_be_disabled()
    dialog.get_by_label("Map (required)").select_option("dm13")
    dialog.get_by_role("button", name="Upgrade").click()
    expect(page.get_by_role("region", name="Template")).to_contain_text("version 2")
    expect(field(page, "Gravity")).to_have_value("800")
    view = installation.get(path)
    assert (view["environment"], view["stop"]["command"]) == ({"MAP": "dm13", "GRAVITY": "800"}, "quit")
    page.get_by_role("button", name="Back to version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Back to version 1").click()
    expect(page.get_by_role("region", name="Template")).to_contain_text("version 1")
    expect(field(page, "Map (required)")).to_have_value("dm6")
    assert installation.get(path)["environment"]["RCON_PASSWORD"] == "hunter2"


def test_some_servers_are_upgraded_together_and_what_needs_a_decision_is_said(
    template: Shown, installation: Installation, page: Page
) -> None:
    good, bad = template.server(name="Good"), template.server(name="Bad", variables={"MAP": "own"})
    template.gets({"name": "Map", "environment_name": "MAP", "default": "dm6", "rules": ["in:dm6,dm17"]})
    page.goto("/")
    for name in ("Good", "Bad"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("button", name="Upgrade …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Something has to be decided")
    dialog.get_by_role("button", name="Upgrade 1 server").click()
    expect(dialog).to_contain_text("Upgraded; takes effect at the next start.")
    versions = [installation.get(f"/api/servers/{each}")["template_version"] for each in (good, bad)]
    assert versions == [2, 1]


def test_owners_change_what_is_theirs_and_see_nothing_else(
    template: Shown, installation: Installation, page: Page, reader: Reader
) -> None:
    new = {"username": "olga", "password": "a long password", "is_admin": False}
    olga = installation.api.post("/api/users", json=new).json()["id"]
    try:
        server_id = template.server(owner_id=olga)
        page.get_by_role("button", name="Your account").click()
        page.get_by_role("button", name="Sign out").click()
        reader.tries_to_sign_in("olga", "a long password")
        reader.sees("Servers")
        page.goto(f"/servers/{server_id}/startup")
        expect(field(page, "Most players")).to_be_disabled()
        expect(page.get_by_text("Everything by hand")).to_have_count(0)
        expect(page.get_by_role("button", name="Upgrade", exact=False)).to_have_count(0)
        field(page, "Map (required)").fill("dm13")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        assert installation.get(f"/api/servers/{server_id}")["environment"]["MAP"] == "dm13"
        installation.do("DELETE", f"/api/servers/{server_id}")
    finally:
        installation.api.delete(f"/api/users/{olga}").raise_for_status()


@pytest.mark.parametrize(("colours", "width"), [("light", 1280), ("dark", 360)])
def test_each_step_and_the_startup_are_for_everybody(
    template: Shown, installation: Installation, browser: Browser, colours: str, width: int
) -> None:
    reader = Reader(
        browser, str(installation.api.base_url), color_scheme=colours, viewport={"width": width, "height": 740}
    )
    reader.signs_in("admin", installation.owner_password)
    page = reader.page

    def looks(where: str) -> None:
        finds_nothing(page, where)
        is_no_wider_than_the_window(page, where)

    server_id = template.server(name="a-name-of-sixty-four-characters-without-a-space-at-which-to-brea")
    page.goto("/servers/new")
    expect(page.get_by_role("button", name="Puppet show")).to_be_visible()
    looks("templates")
    page.get_by_role("button", name="Puppet show").click()
    expect(page.get_by_text("proposed: free on this node")).to_be_visible()
    looks("place")
    field(page, "Name").fill("Second")
    goes_on(page)
    goes_on(page)
    expect(field(page, "Map (required)")).to_be_focused()
    looks("variables")
    field(page, "Map (required)").fill("dm6")
    goes_on(page)
    expect(page.get_by_role("region", name="Review")).to_be_visible()
    looks("review")
    template.gets({"name": "Map", "environment_name": "MAP", "rules": ["in:dm1"]}, stop="quit")
    page.goto(f"/servers/{server_id}/startup")
    expect(field(page, "Map (required)")).to_have_value("dm17")
    looks("startup")
    page.get_by_role("button", name="Upgrade to version 2 …").click()
    expect(page.get_by_role("dialog")).to_contain_text("must be one of")
    looks("upgrade")
    reader.has_no_complaints()
