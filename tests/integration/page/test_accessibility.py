"""Every screen, for everybody: by light and dark, at a desk and on a phone, with the keyboard alone and with little motion."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.integration.page.accessibility import finds_nothing, is_no_wider_than_the_window, is_reached_by_tab
from tests.integration.page.reader import Reader
from tests.templates.test_formats import document

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]

LONG = "a-name-of-sixty-four-characters-without-a-space-at-which-to-brea"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
Looks = Callable[[Page, str], None]


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    """One that runs, and beside it one with the longest name."""
    with puppet.image(tmp_path) as image:
        made = [Puppet(installation, image, name=name) for name in ("Castle", LONG)]
        made[0].does("start")
        yield made[0]
        for each in made:
            installation.do("DELETE", each.path)


TABS = ("figures", "activity", "startup", "settings")


def template(installation: Installation) -> str:
    """The id of one with all that there is, in two versions, as often as one looks."""
    versions = [document(name=LONG), document(name=LONG, startup="java -jar {{JAR}} nogui")]
    for each in versions if not installation.get("/api/templates")["items"] else ():
        installation.api.post("/api/templates", json={"document": json.dumps(each)}).raise_for_status()
    return str(installation.get("/api/templates")["items"][0]["id"])


def screens(server: Puppet) -> dict[str, str]:
    """Addresses, and the heading by which one sees that each is there."""
    address, node = f"/servers/{server.id}", server.installation.node_id
    template_id = template(server.installation)
    return {
        "/": "Servers",
        "/?layout=table": "Servers",
        "/servers/new": "Create a server",
        address: "Castle",
        **{f"{address}/{tab}": "Castle" for tab in TABS},
        "/nodes": "Nodes",
        f"/nodes/{node}": node,
        "/registries": "Registries",
        "/templates": "Templates",
        "/templates/import": "Import templates",
        f"/templates/{template_id}": LONG,
        f"/templates/{template_id}/edit": f"Edit {LONG}",
        "/users": "Users",
        "/account": "Account",
        "/design": "Components",
        "/servers/of/nobody/at/all": "There is nothing here",
    }


def visit(reader: Reader, server: Puppet, look: Looks) -> None:
    """Looks at every screen, and at all that opens over one."""
    for address, heading in screens(server).items():
        reader.page.goto(address)
        reader.sees(heading)
        look(reader.page, address)
    reader.page.goto("/")
    over(reader, "a menu", lambda page: page.get_by_role("button", name="Your account").click(), look)
    over(reader, "the palette", lambda page: page.keyboard.press("Control+k"), look)
    over(reader, "the help", lambda page: page.keyboard.press("?"), look)
    reader.page.goto(f"/templates/{template(server.installation)}")
    over(reader, "an export", lambda page: page.get_by_role("button", name="Export").click(), look)
    reader.page.goto("/users")
    over(reader, "a form", lambda page: page.get_by_role("button", name="Create a user").click(), look)
    over(reader, "a question", lambda page: page.get_by_role("button", name="Delete admin").click(), look)


def over(reader: Reader, what: str, opens: Callable[[Page], None], look: Looks) -> None:
    shown = reader.page.locator("dialog[open], :popover-open")
    expect(reader.page.get_by_role("heading", level=1)).to_be_visible()
    opens(reader.page)
    expect(shown).to_be_visible()
    look(reader.page, what)
    reader.page.keyboard.press("Escape")
    expect(reader.page.locator("dialog, :popover-open")).to_have_count(0)


@pytest.fixture(params=[(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")], ids=str)
def somebody(request: pytest.FixtureRequest, installation: Installation, browser: Browser) -> Reader:
    size, scheme = request.param
    return Reader(browser, str(installation.api.base_url), viewport=size, color_scheme=scheme)


def test_no_rule_is_broken_and_nothing_is_wider_than_the_window(
    installation: Installation, server: Puppet, somebody: Reader
) -> None:
    def look(page: Page, where: str) -> None:
        finds_nothing(page, where)
        is_no_wider_than_the_window(page, where)

    somebody.page.goto("/")
    expect(somebody.page.get_by_label("Username")).to_be_visible()
    look(somebody.page, "signing in")
    somebody.signs_in("admin", installation.owner_password)
    visit(somebody, server, look)
    somebody.has_no_complaints()


def test_everything_is_reached_with_the_keyboard(installation: Installation, server: Puppet, reader: Reader) -> None:
    reader.signs_in("admin", installation.owner_password)
    for address, heading in screens(server).items():
        reader.page.goto(address)
        reader.sees(heading)
        is_reached_by_tab(reader.page, address)


def test_nothing_moves_for_those_who_want_no_motion(
    installation: Installation, server: Puppet, browser: Browser
) -> None:
    reader = Reader(browser, str(installation.api.base_url), reduced_motion="reduce")
    reader.signs_in("admin", installation.owner_password)

    def look(page: Page, where: str) -> None:
        moving = "document.getAnimations().filter(each => each.effect.getComputedTiming().activeDuration > 1).length"
        assert page.evaluate(moving) == 0, where

    visit(reader, server, look)
