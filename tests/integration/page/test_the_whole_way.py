"""From a panel that nobody has used yet to a crash and a right that is taken away, in one sitting, each step struck in its middle."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, expect
from tests.integration.defects import puppet
from tests.integration.installation import Installation, free_port
from tests.integration.page.reader import Reader
from tests.integration.page.way import proxied
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

LINK = re.compile(r"/setup#\S+")
PASSWORD = "a long enough password"
HEALS_MS = 60_000
Strike = Callable[[], object]


class Fresh(Installation):
    """A panel without users, and no node yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node_id = "home"
        self.port, self.agents_port, self.health_port = free_port(), free_port(), free_port()
        self.panel = self.agent = None
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def link(self) -> str:
        until(lambda: LINK.search(self.log("panel")), "the link is printed", 20)
        return LINK.findall(self.log("panel"))[-1]

    def goes_on_as(self, username: str) -> None:
        """The API's own way in, for what the page is not asked to do here."""
        answer = self.api.post("/api/auth/login", json={"username": username, "password": PASSWORD})
        self.api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def gets_a_node(self) -> None:
        answer = self.api.post("/api/nodes", json={"id": self.node_id, "name": "Home"})
        self._secret = answer.json()["secret"]
        self.start_agent()
        self.wait_for_node()

    def wait_for_node(self) -> None:
        until(lambda: self.get(f"/api/nodes/{self.node_id}")["online"], "the node is online", HEALS_MS / 1000)

    def restarts_panel(self) -> None:
        """An agent whose panel ends again and again comes back slower each time, unless it is told to hurry."""
        self.kill(self.panel)
        self.start_panel()
        self.wait_for_panel()
        if self.agent is not None:
            self.agent.send_signal(signal.SIGHUP)
        self.wait_for_node()

    def restarts_agent(self) -> None:
        self.kill(self.agent)
        self.start_agent()
        self.wait_for_node()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Fresh]:
    made = Fresh(tmp_path)
    try:
        made.start_panel()
        made.wait_for_panel()
        yield made
    finally:
        made.close()


@pytest.fixture
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with puppet.image(tmp_path_factory.mktemp("puppet")) as name:
        yield name


def status(page: Page, word: str) -> None:
    expect(page.locator("main header").get_by_text(word, exact=True)).to_be_visible(timeout=HEALS_MS)


def orders(page: Page, word: str) -> None:
    page.get_by_role("button", name=word, exact=True).click()


def accepted(page: Page, word: str) -> None:
    """What strikes, strikes what the panel has taken on."""
    with page.expect_response(is_accepted):
        orders(page, word)


def is_accepted(response: Response) -> bool:
    return response.request.method == "POST" and response.status == 202


def types(page: Page, line: str) -> None:
    with page.expect_response(is_accepted):
        page.get_by_label("Command").fill(line)
        page.keyboard.press("Enter")


def shows_once(page: Page, line: str) -> None:
    expect(page.locator(".xterm-rows").get_by_text(line, exact=True)).to_have_count(1, timeout=HEALS_MS)


@pytest.mark.parametrize("what", ["the way is cut", "the panel is killed", "the agent is killed"])
def test_the_whole_way_whatever_strikes_in_the_middle(what: str, fresh: Fresh, image: str, browser: Browser) -> None:
    with proxied(fresh.port) as (port, cut):
        reader = Reader(browser, f"http://127.0.0.1:{port}")
        strikes: dict[str, Strike] = {
            "the way is cut": cut,
            "the panel is killed": fresh.restarts_panel,
            "the agent is killed": fresh.restarts_agent,
        }
        strike = strikes[what]
        _first_run(fresh, reader)
        _create(reader.page, image, strike)
        _live(reader.page, strike)
        _restart_many(fresh, reader.page, strike)
        _lose_rights(fresh, reader, strike)
        reader.has_no_complaints()


def _first_run(fresh: Fresh, reader: Reader) -> None:
    """The panel is started anew while somebody is about to make the first account: its new code is the good one."""
    page = reader.page
    page.goto(fresh.link())
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    fresh.kill(fresh.panel)
    orders(page, "Make my account")
    expect(page.get_by_role("alert")).to_contain_text("could not be reached")
    fresh.start_panel()
    fresh.wait_for_panel()
    page.get_by_label("Setup code").fill(fresh.link().partition("#")[2])
    orders(page, "Make my account")
    expect(page.get_by_text("There are no servers yet.")).to_be_visible()
    fresh.goes_on_as("olga")
    fresh.gets_a_node()


def _create(page: Page, image: str, strike: Strike) -> None:
    page.get_by_role("link", name="Create a server").first.click()
    page.get_by_label("Name", exact=True).fill("Castle")
    page.get_by_label("Container image").fill(image)
    page.get_by_label("Startup command").fill("/bin/sh /puppet")
    expect(page.get_by_label("Node", exact=True)).not_to_have_value("")
    accepted(page, "Create the server")
    strike()
    expect(page).to_have_url(re.compile(r"/servers/[0-9a-f-]{36}$"))
    status(page, "Stopped")


def _live(page: Page, strike: Strike) -> None:
    """Start, a command and its answer, stop, a crash with its report."""
    accepted(page, "Start")
    strike()
    status(page, "Running")

    types(page, "echo before")
    shows_once(page, "before")
    strike()
    status(page, "Running")
    types(page, "echo after")
    shows_once(page, "after")
    shows_once(page, "before")

    accepted(page, "Stop")
    strike()
    status(page, "Stopped")

    accepted(page, "Start")
    status(page, "Running")
    types(page, "echo last words; exit 3")
    strike()
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("last words").first).to_be_visible(timeout=HEALS_MS)


def _restart_many(fresh: Fresh, page: Page, strike: Strike) -> None:
    (castle,) = fresh.get("/api/servers")["items"]
    recipe = {"image": castle["image"], "startup": castle["startup"]}
    others = [fresh.create(name=f"Arena {number}", **recipe) for number in (1, 2)]
    for each in others:
        fresh.do("POST", f"/api/servers/{each}/start")
    before = [fresh.pid(each) for each in others]
    page.get_by_role("link", name="Servers", exact=True).click()
    for number in (1, 2):
        page.get_by_role("checkbox", name=f"Select Arena {number}").check(timeout=HEALS_MS)
    orders(page, "Restart")
    taken: list[Response] = []
    page.on("response", lambda response: taken.append(response) if is_accepted(response) else None)
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(page.get_by_role("region", name="Restarting servers")).to_be_visible()
    while len(taken) < len(others):
        page.wait_for_event("response", is_accepted, timeout=HEALS_MS)
    strike()
    expect(page.get_by_text("Done: all 2")).to_be_visible(timeout=HEALS_MS)
    assert not {fresh.pid(each) for each in others} & {0, *before}
    orders(page, "Close")


def _lose_rights(fresh: Fresh, reader: Reader, strike: Strike) -> None:
    page = reader.page
    expect(page.get_by_role("link", name="Nodes")).to_be_visible()
    second = {"username": "ada", "password": PASSWORD, "is_admin": True}
    assert fresh.api.post("/api/users", json=second).is_success
    olga = fresh.get("/api/auth/me")["id"]
    fresh.goes_on_as("ada")
    assert fresh.api.patch(f"/api/users/{olga}", json={"is_admin": False}).is_success
    strike()
    expect(page.get_by_role("link", name="Nodes")).to_be_hidden(timeout=HEALS_MS)
    expect(page.get_by_role("link", name="Create a server")).to_have_count(0)
    expect(page.get_by_role("link", name="Castle")).to_be_visible()
