"""What is done at a server's page: its console, its header, and that neither loses or doubles anything, whatever ends in between."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.integration.page.way import proxied
from tests.integration.test_cut_viewers import Feed
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
PATIENCE_S = 60
COUNT = 'busybox awk \'BEGIN { for (i = 0; i < 3000; i++) print (i == 17) ? "a needle" : "number " i; print "ready" }\''


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    with puppet.image(tmp_path) as name:
        yield name


@pytest.fixture
def make(installation: Installation, image: str) -> Iterator[Callable[..., Puppet]]:
    """Makes puppets, which are deleted at the end."""
    made: list[Puppet] = []

    def add(**recipe: Any) -> Puppet:
        made.append(Puppet(installation, image, **recipe))
        return made[-1]

    yield add
    for each in made:
        installation.do("DELETE", each.path)


def rows(page: Page) -> list[str]:
    """What is in view on the terminal."""
    return [text.replace("\xa0", " ").rstrip() for text in page.locator(".xterm-rows > div").all_inner_texts()]


def in_view(page: Page, *lines: str) -> None:
    """These follow on each other there."""

    def is_there() -> bool:
        found = rows(page)
        return any(found[at : at + len(lines)] == list(lines) for at in range(len(found)))

    until(is_there, f"{lines} are in view", PATIENCE_S)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def test_each_line_is_shown_once_and_in_order_whatever_is_cut_or_killed_in_the_middle(
    installation: Installation, make: Callable[..., Puppet], page: Page
) -> None:
    game = make()
    game.does("start")
    page.set_viewport_size({"width": 1000, "height": 9000})
    with proxied(installation.port) as (port, cut):
        page.goto(f"http://127.0.0.1:{port}/servers/{game.id}")
        in_view(page, "ready")
        feed = Feed(game)
        feed.write(0, 40)
        cut()
        feed.write(40, 80)
        in_view(page, "line 79")
        feed.write(80, 100)
        installation.kill(installation.panel)
        feed.write(100, 140)
        installation.start_panel()
        in_view(page, "line 139")
        feed.write(140, 160)
        installation.kill(installation.agent)
        feed.write(160, 200)
        installation.start_agent()
        in_view(page, "line 199")
        feed.close()
    assert [row for row in rows(page) if row] == ["ready", *(f"line {number}" for number in range(200))]


def test_old_lines_are_found_fetched_and_left_again(make: Callable[..., Puppet], page: Page) -> None:
    game = make(at_start=COUNT)
    game.does("start")
    page.goto(f"/servers/{game.id}")
    in_view(page, "number 2999", "ready")
    page.locator(".xterm").click()
    page.keyboard.press("Home")
    in_view(page, "number 1999", "number 2000", "number 2001")
    page.keyboard.press("Control+f")
    page.get_by_role("textbox", name="Find").fill("number 210")
    expect(page.get_by_text(re.compile(r"^\d+ of 10$"))).to_be_visible()
    page.get_by_role("textbox", name="Find").fill("NEEDLE")
    expect(page.get_by_text("Nothing found in the lines that are here")).to_be_visible()
    page.keyboard.press("Enter")
    page.get_by_role("list", name="Found in the log").get_by_role("button", name="a needle").click()
    in_view(page, "number 16", "a needle", "number 18")
    page.keyboard.press("Escape")
    game.types("echo this is new")
    page.get_by_role("button", name="Jump to newest").click()
    in_view(page, "number 2999", "ready", "this is new")


def test_a_gap_is_marked_where_it_is(installation: Installation, make: Callable[..., Puppet], page: Page) -> None:
    game = make(console={"keep_bytes": 2**20})
    game.does("start")
    page.goto(f"/servers/{game.id}")
    in_view(page, "ready")
    flood = 'busybox awk \'BEGIN { for (i = 0; i < 6000; i++) printf "%0300d\\n", i; print "end of the flood" }\''
    game.types(f"until [ -e flood ]; do busybox sleep 0.1; done; {flood}")
    installation.kill(installation.panel)
    (installation.folder / "agent" / "servers" / game.id / "flood").touch()
    installation.start_panel()
    in_view(page, "end of the flood")
    page.locator(".xterm").click()
    page.keyboard.press("Home")
    until(lambda: rows(page)[0] == "ready", "the first line is in view", PATIENCE_S)
    assert re.fullmatch(r"── [\d,]+ lines not kept any more ──", rows(page)[1])


def test_lines_are_typed_remembered_and_pasted_on_a_full_screen_too(make: Callable[..., Puppet], page: Page) -> None:
    game = make()
    page.goto(f"/servers/{game.id}")
    command = page.get_by_label("Command")
    expect(command).to_be_disabled()
    expect(command).to_have_attribute("placeholder", "Start the server to type commands.")
    game.does("start")
    for line in ("echo one", "echo two"):
        command.fill(line)
        command.press("Enter")
    in_view(page, "ready", "one", "two")
    page.reload()
    command.fill("not sent yet")
    for key, line in (("ArrowUp", "echo two"), ("ArrowUp", "echo one"), ("ArrowDown", "echo two")):
        command.press(key)
        expect(command).to_have_value(line)
    command.press("ArrowDown")
    expect(command).to_have_value("not sent yet")
    button(page, "Full screen").click()
    size = page.get_by_role("region", name="Console").bounding_box()
    assert size is not None
    assert (size["width"], size["height"]) == (1280, 720)
    command.fill("")
    page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text", "echo three\\r\\n\\r\\necho four\\n");
            document.querySelector("#command").dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
        }"""
    )
    button(page, "Send 2 lines").click()
    in_view(page, "one", "two", "three", "four")
    command.press("Escape")
    expect(button(page, "Full screen")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_header_says_what_is_done_and_asks_before_it_kills(
    installation: Installation, make: Callable[..., Puppet], page: Page
) -> None:
    game = make(name="Castle", readiness={"text": ["never said"], "timeout": 600})
    page.goto(f"/servers/{game.id}")
    button(page, "Start").click()
    expect(page.get_by_text("waiting until it is ready")).to_be_visible()
    button(page, "Cancel").click()
    expect(page.locator("header").get_by_text("Stopped", exact=True)).to_be_visible()
    expect(page.get_by_text("waiting until it is ready")).to_be_hidden()
    game.is_changed(readiness={"text": ["ready"]})
    button(page, "Start").click()
    expect(page.locator("header").get_by_text("Running", exact=True)).to_be_visible()
    expect(button(page, "Stop")).to_have_attribute(
        "title", "Sends SIGTERM, waits up to 30 s for its end, then kills it."
    )
    button(page, "Kill").click()
    dialog = page.get_by_role("dialog", name="Kill Castle?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert game.status() == "RUNNING"
    button(page, "Kill").click()
    dialog.get_by_role("button", name="Kill").click()
    expect(page.locator("header").get_by_text("Stopped", exact=True)).to_be_visible()
    game.is_changed(startup="/bin/nothing")
    button(page, "Start").click()
    failure = page.get_by_role("alert").filter(has_text="Start failed")
    expect(failure).to_be_visible()
    failure.get_by_role("button", name="Dismiss").click()
    expect(failure).to_be_hidden()
