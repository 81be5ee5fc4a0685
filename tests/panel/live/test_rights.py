"""Who may look at what, and until when."""

from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from tests.panel.live.support import Viewer, token_of
from tests.panel.support import PASSWORD, PanelUnderTest, Person, unique, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ctrl_alt_play.panel.live.topics import NEEDED, OF_A_NODE, OF_A_SERVER, Kind
from ctrl_alt_play.panel.models import Server, User

ADMINS_ONLY = {Kind.NODES, *OF_A_NODE}


@pytest_asyncio.fixture(loop_scope="session")
async def owned(panel: PanelUnderTest, owner: Person) -> tuple[str, str]:
    """A node, and a server on it."""
    agent = await panel.connected(await panel.part2_agent())
    return agent.node_id, await panel.server(agent, owner)


@pytest_asyncio.fixture(loop_scope="session")
async def heir(panel: PanelUnderTest) -> Person:
    """Someone who gets a server, and has none of their own."""
    return await panel.person(unique("heir"))


def _topics(node_id: str, server_id: str) -> dict[Kind, str]:
    ids = dict.fromkeys(OF_A_SERVER, server_id) | dict.fromkeys(OF_A_NODE, node_id)
    return {kind: f"{kind}:{ids[kind]}" if kind in ids else str(kind) for kind in Kind}


async def _subscribed(viewer: Viewer, topic: str) -> dict[str, Any]:
    await viewer.subscribe(topic)
    return viewer.of(topic)[0]


def test_every_topic_names_its_permissions() -> None:
    assert set(NEEDED) == set(Kind)
    assert all(NEEDED.values())


async def test_anothers_topics_do_not_exist(panel: PanelUnderTest, owned: tuple[str, str], stranger: Person) -> None:
    topics = _topics(*owned)
    async with Viewer(panel, stranger) as viewer:
        for kind in OF_A_SERVER:
            known = await _subscribed(viewer, topics[kind])
            unknown = await _subscribed(viewer, f"{kind}:nothing")
            assert (known["kind"], known["code"]) == ("error", "NOT_FOUND")
            assert {**known, "topic": ""} == {**unknown, "topic": ""}
        for kind in ADMINS_ONLY:
            assert (await _subscribed(viewer, topics[kind]))["code"] == "FORBIDDEN"
        for kind in (Kind.SERVERS, Kind.OPERATIONS):
            assert (await _subscribed(viewer, topics[kind]))["data"] == []


async def test_lists_tell_nobody_of_what_is_anothers(
    panel: PanelUnderTest, owned: tuple[str, str], owner: Person, stranger: Person
) -> None:
    async with Viewer(panel, stranger) as viewer, Viewer(panel, owner) as own:
        for each in (viewer, own):
            await each.subscribe("servers")
            await each.subscribe("operations")
        await owner.done(f"/api/servers/{owned[1]}/start")
        await until(lambda: own.listed("servers")[owned[1]]["status"] == "RUNNING")
        await until(lambda: own.of("operations", "changed"))
        await panel.admin.operation(await panel.admin.delete(f"/api/servers/{owned[1]}", 202))
        await until(lambda: own.of("servers", "removed"))
        await viewer.say(ping=1)
        await until(lambda: viewer.frames[-1]["kind"] == "pong")
        assert [one["kind"] for one in viewer.frames] == ["hello", "page", "page", "pong"]


async def test_without_a_good_token_nobody_comes_in(panel: PanelUnderTest) -> None:
    url = f"ws://127.0.0.1:{panel.people_port}/api/live"
    for header in ("Bearer nonsense", "Basic abc"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers={"Authorization": header})
        assert refused.value.response.status_code == 401
    for first in ('{"token": "nonsense"}', '{"subscribe": "servers"}', "garbage", "{}", "[" * 5000):
        async with connect(url) as socket:
            await socket.send(first)
            assert '"error"' in str(await socket.recv())
            await socket.wait_closed()
            assert socket.close_code == 1008


async def test_who_says_nothing_is_put_out(panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.live.api.TOKEN_DEADLINE_S", 0.05)
    async with connect(f"ws://127.0.0.1:{panel.people_port}/api/live") as socket:
        await socket.wait_closed()
        assert socket.close_code == 1008


async def test_a_changed_password_ends_the_connection_at_once(panel: PanelUnderTest) -> None:
    person = await panel.person(unique("pat"))
    async with Viewer(panel, person) as viewer, panel.client(token_of(person)) as api:
        await viewer.subscribe("servers")
        async with api.stream("GET", "/api/live/events", params={"topic": "servers"}) as stream:
            lines = stream.aiter_lines()
            assert "page" in await anext(lines)
            await panel.admin.patch(f"/api/users/{person.id}", {"password": PASSWORD + "!"})
            await until(lambda: viewer.closed_with == 1008)
            assert viewer.frames[-1]["code"] == "UNAUTHENTICATED"
            assert "UNAUTHENTICATED" in "".join([line async for line in lines])


async def test_a_deleted_user_is_put_out_at_once(panel: PanelUnderTest) -> None:
    person = await panel.person(unique("dee"))
    async with Viewer(panel, person) as viewer:
        await viewer.subscribe("servers")
        await panel.admin.delete(f"/api/users/{person.id}")
        await until(lambda: viewer.closed_with == 1008)


async def test_a_token_whose_time_is_over_ends_the_connection(own_panel: PanelUnderTest) -> None:
    async with Viewer(own_panel, own_panel.admin) as viewer:
        await viewer.subscribe("servers")
        own_panel.clock.ahead_s = 13 * 3600.0
        await own_panel.app.state.live.judge()
        await until(lambda: viewer.closed_with == 1008)


async def test_a_server_that_is_given_to_another_is_revoked_at_once(
    panel: PanelUnderTest, owned: tuple[str, str], owner: Person, heir: Person
) -> None:
    server_id = owned[1]
    topics = [f"{kind}:{server_id}" for kind in (Kind.SERVER, Kind.CONSOLE)]
    async with Viewer(panel, owner) as before, Viewer(panel, heir) as after:
        for topic in (*topics, "servers"):
            await before.subscribe(topic)
        await after.subscribe("servers")
        async with panel.app.state.database.writing() as session:
            server = await session.get(Server, server_id)
            server.owner_id = heir.id
        for topic in topics:
            await before.sees(topic, "revoked")
        await until(lambda: server_id not in before.listed("servers"))
        await until(lambda: server_id in after.listed("servers"))
        known = len(before.of(topics[0]))
        await heir.done(f"/api/servers/{server_id}/start")
        await until(lambda: after.listed("servers")[server_id]["status"] == "RUNNING")
        assert len(before.of(topics[0])) == known


async def test_what_changed_without_a_word_is_found_when_rights_are_looked_at_again(
    panel: PanelUnderTest, owned: tuple[str, str], owner: Person, heir: Person
) -> None:
    """As another panel on the same database would."""
    topic = f"server:{owned[1]}"
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe(topic)
        await viewer.subscribe("servers")
        async with panel.app.state.database.writing_rows() as connection:
            await connection.execute(update(Server).where(Server.id == owned[1]).values(owner_id=heir.id))
        await panel.app.state.live.judge()
        await viewer.sees(topic, "revoked")
        await until(lambda: owned[1] not in viewer.listed("servers"))


async def test_whoever_is_no_administrator_any_more_sees_their_own_alone(
    panel: PanelUnderTest, owned: tuple[str, str]
) -> None:
    person = await panel.person(unique("ada"))
    await panel.admin.patch(f"/api/users/{person.id}", {"is_admin": True})
    topics = [f"node:{owned[0]}", "nodes", f"server:{owned[1]}", f"console:{owned[1]}"]
    async with Viewer(panel, person) as viewer:
        for topic in (*topics, "servers"):
            await viewer.subscribe(topic)
        assert owned[1] in viewer.listed("servers")
        await panel.admin.patch(f"/api/users/{person.id}", {"is_admin": False})
        for topic in topics:
            await viewer.sees(topic, "revoked")
        await until(lambda: viewer.listed("servers") == {})
        (told,) = [one["permissions"] for one in viewer.frames if one["kind"] == "rights"]
        assert told == (await person.get("/api/auth/me"))["permissions"]
        assert "servers.create" in viewer.frames[0]["permissions"]
        assert "servers.create" not in told


async def test_rights_that_ended_without_a_word_are_missed_at_the_next_subscription(
    panel: PanelUnderTest, owned: tuple[str, str]
) -> None:
    person = await panel.person(unique("anna"))
    await panel.admin.patch(f"/api/users/{person.id}", {"is_admin": True})
    async with Viewer(panel, person) as viewer:
        await viewer.subscribe("nodes")
        await viewer.subscribe(f"server:{owned[1]}")
        async with panel.app.state.database.writing_rows() as connection:
            await connection.execute(update(User).where(User.id == person.id).values(is_admin=False))
        await viewer.subscribe("operations")
        await viewer.sees("nodes", "revoked")
        await viewer.sees(f"server:{owned[1]}", "revoked")


async def test_a_deleted_server_ends_its_topics(panel: PanelUnderTest, owned: tuple[str, str], owner: Person) -> None:
    topics = [f"server:{owned[1]}", f"console:{owned[1]}"]
    async with Viewer(panel, owner) as viewer:
        for topic in topics:
            await viewer.subscribe(topic)
        await panel.admin.operation(await panel.admin.delete(f"/api/servers/{owned[1]}", 202))
        for topic in topics:
            assert len(await viewer.sees(topic, "removed")) == 1
        assert viewer.closed_with is None


async def test_users_are_kept_with_their_version(panel: PanelUnderTest) -> None:
    """What revocation rests on: that a new password is a new version."""
    person = await panel.person(unique("vera"))
    async with panel.app.state.database.reading() as session:
        before = (await session.get(User, person.id)).token_version
    await panel.admin.patch(f"/api/users/{person.id}", {"password": PASSWORD + "?"})
    async with panel.app.state.database.reading() as session:
        assert (await session.get(User, person.id)).token_version == before + 1
