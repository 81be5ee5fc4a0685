"""What is around every screen: coming in and going out, finding one's way, and what is said when something went wrong."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation, free_port
from tests.integration.page.reader import Reader
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

LINK = re.compile(r"http://\S+/setup#\S+")
PASSWORD = "a long enough password"


@pytest.fixture
def first_link(tmp_path: Path) -> Iterator[str]:
    """What a panel without users prints."""
    log = tmp_path / "out"
    ports = {"PORT": str(free_port()), "WEBSOCKET_PORT": str(free_port()), "HOST": "127.0.0.1"}
    environment = {**os.environ, **ports, "CTRL_ALT_PLAY_DATA": str(tmp_path / "data")}
    with log.open("wb") as out:
        panel = subprocess.Popen([sys.executable, "-m", "ctrl_alt_play", "panel"], env=environment, stdout=out)
    try:
        until(lambda: LINK.search(log.read_text()), "the link is printed", 30)
        yield LINK.findall(log.read_text())[0].replace("localhost", "127.0.0.1")
    finally:
        panel.terminate()
        panel.wait(15)


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    with puppet.image(tmp_path) as image:
        made = Puppet(installation, image, name="Castle")
        yield made
        installation.do("DELETE", made.path)


def test_whoever_started_the_panel_makes_the_first_account(first_link: str, browser: Browser) -> None:
    reader = Reader(browser, first_link.partition("/setup")[0])
    reader.page.goto(first_link)
    reader.sees("Welcome")
    expect(reader.page.get_by_label("Setup code")).to_have_value(first_link.partition("#")[2])
    reader.page.get_by_label("Username").fill("olga")
    reader.page.get_by_label("Password").fill(PASSWORD)
    reader.page.get_by_role("button", name="Make my account").click()
    expect(reader.page.get_by_text("There are no servers yet.")).to_be_visible()
    expect(reader.page).to_have_url(re.compile(r":\d+/$"))
    reader.page.get_by_role("button", name="Your account").click()
    reader.page.get_by_role("button", name="Sign out").click()
    reader.sees("Ctrl-Alt-Play")
    reader.signs_in("olga", PASSWORD)
    reader.has_no_complaints()


def test_a_wrong_password_is_said_and_a_session_that_ends_elsewhere_as_well(
    installation: Installation, reader: Reader, browser: Browser
) -> None:
    reader.page.goto("/account")
    reader.tries_to_sign_in("admin", "not this one")
    expect(reader.page.get_by_role("alert")).to_contain_text("The username or the password is wrong.")
    reader.tries_to_sign_in("admin", installation.owner_password)
    reader.sees("Account")
    other = Reader(browser, str(installation.api.base_url))
    other.signs_in("admin", installation.owner_password)
    other.page.goto("/account")
    other.page.get_by_role("button", name="End all others").click()
    expect(reader.page.get_by_text("Your session has ended")).to_be_visible()
    expect(other.page.get_by_text("this one")).to_be_visible()
    other.page.get_by_label("Current password").fill(installation.owner_password)
    other.page.get_by_label("New password").fill(PASSWORD)
    other.page.get_by_role("button", name="Change the password").click()
    expect(other.page.get_by_text("The password is changed.")).to_be_visible()
    reader.tries_to_sign_in("admin", PASSWORD)
    reader.sees("Account")
    reader.has_no_complaints()


def test_language_and_appearance_are_remembered(page: Page) -> None:
    page.get_by_role("button", name="Your account").click()
    page.get_by_label("Appearance").select_option("Dark")
    page.get_by_label("Language").select_option("Deutsch")
    page.get_by_role("link", name="Konto", exact=True).click()
    expect(page.get_by_role("heading", name="Wo du angemeldet bist")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Konto", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_server_is_found_and_ordered_without_a_mouse(server: Puppet, page: Page, reader: Reader) -> None:
    expect(page.get_by_role("link", name="Castle")).to_be_visible()
    reader.presses("Control+k", *"start castle", "Enter")
    expect(page.get_by_role("combobox", name="Search")).to_have_count(0)
    expect(page.get_by_text("Running", exact=True)).to_be_visible()
    reader.presses("Control+k", *"cstl", "Enter")
    reader.sees("Castle")
    expect(page.get_by_role("heading", name="Castle")).to_be_focused()
    reader.presses("t", "a")
    expect(page).to_have_url(re.compile("/activity$"))
    reader.presses("r", "k")
    page.get_by_role("dialog").get_by_role("button", name="Kill").click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    reader.presses("g", "s")
    reader.sees("Servers")
    expect(page.get_by_role("heading", name="Servers")).to_be_focused()
    reader.presses("Control+k")
    expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text("Castle")


def test_keys_do_nothing_where_one_writes_and_when_they_are_turned_off(page: Page, reader: Reader) -> None:
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog").get_by_text("Go to")).to_be_visible()
    reader.presses("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_focused()
    reader.presses("Control+k", *"?ga")
    expect(page.get_by_role("combobox", name="Search")).to_have_value("?ga")
    reader.presses("Escape")
    expect(page.get_by_role("combobox", name="Search")).to_have_count(0)
    reader.presses("g", "a")
    reader.sees("Account")
    page.get_by_label("Shortcuts of single keys").uncheck()
    page.get_by_role("heading", name="Account").click()
    reader.presses("g", "s", "Control+k")
    expect(page.get_by_role("combobox", name="Search")).to_be_visible()
    expect(page).to_have_url(re.compile("/account$"))


def test_on_the_way_back_one_stands_where_one_stood(installation: Installation, page: Page) -> None:
    for number in range(40):
        user = {"username": f"user-{number:02}", "password": PASSWORD}
        assert installation.api.post("/api/users", json=user).is_success
    page.get_by_role("link", name="Users").click()
    page.get_by_role("button", name="Change user-39").scroll_into_view_if_needed()
    place = page.evaluate("scrollY")
    assert place > 0
    page.get_by_role("link", name="Servers").click()
    expect(page.get_by_role("heading", name="Servers", exact=True)).to_be_focused()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page.get_by_role("heading", name="Users")).to_be_focused()
    page.wait_for_function("place => Math.abs(scrollY - place) < 2", arg=place)


def test_users_are_made_changed_and_removed_but_not_the_last_administrator(
    installation: Installation, page: Page, browser: Browser
) -> None:
    page.get_by_role("link", name="Users").click()
    page.get_by_role("button", name="Create a user").click()
    page.get_by_label("Username").fill("Olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("button", name="Change olga")).to_be_visible()
    olga = Reader(browser, str(installation.api.base_url))
    olga.signs_in("olga", PASSWORD)
    expect(olga.page.get_by_role("link", name="Servers")).to_be_visible()
    expect(olga.page.get_by_role("link", name="Users")).to_have_count(0)
    page.get_by_role("button", name="Change admin").click()
    page.get_by_label("Administrator: may do everything").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("last administrator")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Change olga").click()
    page.get_by_label("Administrator: may do everything").check()
    page.get_by_role("button", name="Save").click()
    expect(olga.page.get_by_role("link", name="Users")).to_be_visible()
    page.get_by_role("button", name="Delete olga").click()
    page.get_by_label("Type olga to confirm").fill("olga")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Change olga")).to_have_count(0)
    expect(olga.page.get_by_text("Your session has ended")).to_be_visible()
    olga.has_no_complaints()


def test_a_screen_that_cannot_be_loaded_says_so_and_comes_after_a_reload(
    installation: Installation, reader: Reader
) -> None:
    reader.signs_in("admin", installation.owner_password)
    page = reader.page
    page.route("**/assets/Users-*.js", lambda route: route.fulfill(status=404))
    page.route("**/", lambda route: route.fulfill(body="<script type=module src=/assets/another.js></script>"))
    page.get_by_role("link", name="Users").click()
    reader.sees("This screen could not be loaded")
    expect(page.get_by_text("The panel was updated.")).to_be_visible()
    page.unroute("**/assets/Users-*.js")
    page.unroute("**/")
    page.get_by_role("main").get_by_role("button", name="Reload").click()
    reader.sees("Users")
    page.goto("/servers/of/nobody/at/all")
    reader.sees("There is nothing here")


def test_a_page_that_is_older_than_its_panel_says_so(installation: Installation, page: Page) -> None:
    expect(page.get_by_text("There are no servers yet.")).to_be_visible()
    page.route("**/", lambda route: route.fulfill(body="<script type=module src=/assets/another.js></script>"))
    installation.kill(installation.panel)
    expect(page.get_by_text("No connection to the panel")).to_be_visible()
    expect(page.get_by_text("The panel was updated.")).to_be_hidden()
    installation.start_panel()
    expect(page.get_by_text("The panel was updated.")).to_be_visible()
