"""The first run: a panel without users becomes its owner's, and nobody else's."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.panel.support import PASSWORD, PanelUnderTest, Person, make_config, until
from tests.panel.test_postgresql import postgresql as postgresql  # noqa: PLC0414 - a fixture
from tests.panel.test_postgresql import pytestmark as needs_postgresql
from tests.panel.test_serving import free_ports

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.panel.accounts.schemas import FirstUser
from ctrl_alt_play.panel.accounts.setup import Setup
from ctrl_alt_play.panel.bootstrap import bootstrap
from ctrl_alt_play.panel.browsers import COOKIE
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.migrations import migrate
from ctrl_alt_play.panel.security import Passwords


@asynccontextmanager
async def fresh(config: Config) -> AsyncIterator[PanelUnderTest]:
    """Without users."""
    await migrate(config)
    panel = PanelUnderTest(config)
    await panel.serve()
    try:
        yield panel
    finally:
        await panel.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_panel(tmp_path: Path) -> AsyncIterator[PanelUnderTest]:
    async with fresh(make_config(tmp_path)) as panel:
        yield panel


def owner(panel: PanelUnderTest, **more: str) -> dict[str, str]:
    return {"code": panel.app.state.setup.code, "username": "Ada", "password": PASSWORD, **more}


async def is_needed(person: Person) -> Any:
    return (await person.get("/api/setup"))["is_needed"]


async def test_whoever_has_the_code_becomes_the_owner_and_is_signed_in(fresh_panel: PanelUnderTest) -> None:
    browser = await fresh_panel.browser()
    assert await is_needed(browser) is True
    made = await browser.post("/api/setup", owner(fresh_panel), 201)
    assert (made["username"], made["is_admin"]) == ("ada", True)
    assert await browser.get("/api/auth/me") == made
    assert await is_needed(browser) is False
    assert COOKIE in browser.api.cookies
    await fresh_panel.at_page("ada")
    again = await browser.post("/api/setup", owner(fresh_panel, username="eve"), 409)
    assert again["code"] == "SETUP_DONE"


async def test_a_panel_with_users_needs_none(panel: PanelUnderTest) -> None:
    browser = await panel.browser()
    assert await is_needed(browser) is False
    assert (await browser.post("/api/setup", owner(panel), 409))["code"] == "SETUP_DONE"


async def test_a_wrong_code_makes_nobody_and_is_not_tried_at_will(fresh_panel: PanelUnderTest) -> None:
    browser = await fresh_panel.browser()
    wrong = owner(fresh_panel, code="wrong")
    answers = await asyncio.gather(*(browser.post("/api/setup", wrong, 403) for _ in range(10)))
    assert {answer["code"] for answer in answers} == {"WRONG_CODE"}
    assert (await browser.post("/api/setup", owner(fresh_panel), 429))["code"] == "TOO_MANY_ATTEMPTS"
    assert await is_needed(browser) is True
    fresh_panel.clock.ahead_s += 61
    await browser.post("/api/setup", owner(fresh_panel), 201)


async def test_another_page_cannot_set_up(fresh_panel: PanelUnderTest) -> None:
    browser = await fresh_panel.browser(Origin="http://evil.example")
    assert (await browser.post("/api/setup", owner(fresh_panel), 403))["code"] == "CROSS_ORIGIN"
    assert await is_needed(browser) is True


class Together(Passwords):
    """All have hashed at the same moment."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self._all = asyncio.Barrier(people)

    async def hash(self, password: str) -> str:
        async with self._all:
            return f"not the hash of {len(password)} characters"


async def test_of_those_at_once_one_becomes_the_owner(fresh_panel: PanelUnderTest) -> None:
    await make_at_once([fresh_panel.app.state.database] * 3)


@needs_postgresql
async def test_of_those_at_once_one_becomes_the_owner_also_at_two_panels(postgresql: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, database_url=postgresql)
    async with fresh(config) as one, fresh(config) as other:
        await make_at_once([one.app.state.database, other.app.state.database] * 3)


async def make_at_once(databases: list[Database]) -> None:
    passwords = Together(len(databases))

    async def make(number: int, database: Database) -> bool:
        setup = Setup(database, passwords, SystemClock())
        try:
            await setup.make_owner(FirstUser(code=setup.code, username=f"user-{number}", password=PASSWORD), "::1")
        except Conflict:
            return False
        return True

    made = await asyncio.gather(*(make(number, database) for number, database in enumerate(databases)))
    assert made.count(True) == 1


async def test_who_was_made_without_a_page_is_the_only_first_one(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    async with fresh(config) as panel:
        browser = await panel.browser()
        assert await is_needed(browser) is True
        await bootstrap(config, "local", "This machine")
        assert await is_needed(browser) is False
        await browser.post("/api/setup", owner(panel), 409)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_the_panel_prints_the_link_until_it_has_an_owner(tmp_path: Path, host: str) -> None:
    ports = free_ports()
    first = await printed(tmp_path, ports, host, PASSWORD)
    (link,) = re.findall(r"http://(\S+)/setup#\S+", first)
    assert link.endswith(f":{ports[0]}")
    assert (link == f"127.0.0.1:{ports[0]}") or host == "0.0.0.0"
    assert await printed(tmp_path, ports, host) == ""


async def printed(folder: Path, ports: tuple[int, int], host: str, password: str | None = None) -> str:
    """What a panel prints while it runs; with a password somebody follows the link."""
    settings = {"CTRL_ALT_PLAY_DATA": str(folder), "HOST": host, "PORT": str(ports[0]), "WEBSOCKET_PORT": str(ports[1])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ctrl_alt_play", "panel", env={**os.environ, **settings}, stdout=PIPE, stderr=PIPE
    )
    url = f"http://127.0.0.1:{ports[0]}"
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}) as api:

        async def answers() -> bool:
            try:
                return (await api.get("/api/health")).status_code == 200
            except httpx.TransportError:
                return False

        await until(answers, 20)
        line = ""
        if password is not None:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            new = {"code": line.strip().partition("#")[2], "username": "ada", "password": password}
            assert (await api.post("/api/setup", json=new)).status_code == 201
    process.terminate()
    out, log = await process.communicate()
    assert "panel_starting" in log.decode()
    assert "setup#" not in log.decode()
    return line + out.decode()
