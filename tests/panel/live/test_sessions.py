"""The live channel, for somebody who is signed in from a page."""

import pytest
import pytest_asyncio
from tests.panel.live.support import Viewer
from tests.panel.support import PASSWORD, PanelUnderTest, Person, unique, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ctrl_alt_play.panel.browsers import COOKIE


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(panel: PanelUnderTest) -> Person:
    username = unique("page")
    await panel.admin.post("/api/users", {"username": username, "password": PASSWORD}, 201)
    return await panel.at_page(username)


def cookie(person: Person) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={person.api.cookies[COOKIE]}"}


def at_page(person: Person, panel: PanelUnderTest | None = None) -> dict[str, str]:
    """As a browser dials from the panel's page."""
    origin = person.api.headers["Origin"] if panel is None else f"http://127.0.0.1:{panel.people_port}"
    return {**cookie(person), "Origin": origin}


async def test_a_page_sees_by_its_cookie_what_its_user_may(panel: PanelUnderTest, visitor: Person) -> None:
    async with Viewer(panel, visitor, headers=at_page(visitor)) as viewer:
        await until(lambda: viewer.frames)
        assert (viewer.frames[0]["kind"], viewer.frames[0]["user"]) == ("hello", visitor.username)
        await viewer.subscribe("servers")
        await viewer.subscribe("nodes")
        assert viewer.of("nodes")[0]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("more", [{}, {"Authorization": "Basic dXNlcjpwYXNz"}], ids=["", "basic"])
async def test_another_page_is_not_let_in_by_the_cookie(
    panel: PanelUnderTest, visitor: Person, headers: dict[str, str], more: dict[str, str]
) -> None:
    url = f"ws://127.0.0.1:{panel.people_port}/api/live"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers={**cookie(visitor), **headers, **more})
    assert refused.value.response.status_code == 403
    assert b"CROSS_ORIGIN" in refused.value.response.body


async def test_a_page_that_was_signed_out_meanwhile_is_told(panel: PanelUnderTest, visitor: Person) -> None:
    headers = at_page(visitor)
    await visitor.delete("/api/auth/sessions/current")
    async with Viewer(panel, visitor, headers=headers) as viewer:
        await until(lambda: viewer.closed_with == 1008)
        assert [frame["code"] for frame in viewer.frames] == ["UNAUTHENTICATED"]


async def test_a_session_that_is_ended_ends_its_connections_at_once(panel: PanelUnderTest, visitor: Person) -> None:
    other = await panel.at_page(visitor.username)
    async with (
        Viewer(panel, visitor, headers=at_page(visitor)) as here,
        Viewer(panel, other, headers=at_page(other)) as there,
        other.api.stream("GET", "/api/live/events", params={"topic": "servers"}) as stream,
    ):
        for viewer in (here, there):
            await viewer.subscribe("servers")
        lines = stream.aiter_lines()
        assert "page" in await anext(lines)
        await visitor.delete("/api/auth/sessions")
        await until(lambda: there.closed_with == 1008)
        assert there.frames[-1]["code"] == "UNAUTHENTICATED"
        assert "UNAUTHENTICATED" in "".join([line async for line in lines])
        await here.subscribe("operations")
        await visitor.delete("/api/auth/sessions/current")
        await until(lambda: here.closed_with == 1008)


async def test_a_new_password_of_ones_own_ends_all_connections_but_the_sessions(
    panel: PanelUnderTest, visitor: Person
) -> None:
    other = await panel.at_page(visitor.username)
    async with (
        Viewer(panel, visitor, headers=at_page(visitor)) as here,
        Viewer(panel, other, headers=at_page(other)) as there,
    ):
        for viewer in (here, there):
            await viewer.subscribe("servers")
        change = {"current_password": PASSWORD, "new_password": PASSWORD + "!"}
        await visitor.patch("/api/auth/me", change)
        await until(lambda: there.closed_with == 1008)
        await panel.app.state.live.judge()
        await here.subscribe("operations")
        assert here.closed_with is None


async def test_a_session_that_another_panel_ended_is_found_when_rights_are_looked_at_again(
    own_panel: PanelUnderTest,
) -> None:
    await own_panel.admin.post("/api/users", {"username": "page", "password": PASSWORD}, 201)
    visitor = await own_panel.at_page("page")
    async with PanelUnderTest(own_panel.config) as another:
        headers = at_page(visitor, another)
        async with Viewer(another, visitor, headers=headers) as viewer:
            await viewer.subscribe("servers")
            await visitor.delete("/api/auth/sessions/current")
            await another.app.state.live.judge()
            await until(lambda: viewer.closed_with == 1008)
