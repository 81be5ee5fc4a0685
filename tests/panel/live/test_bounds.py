"""What one viewer may ask, and what it costs when nobody looks."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event
from tests.panel.live.support import Viewer, token_of
from tests.panel.support import PanelUnderTest, Person, narrow_socket, unique, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ctrl_alt_play.panel.live import api, hub
from ctrl_alt_play.panel.live.channel import MOST_TOPICS
from ctrl_alt_play.panel.live.messages import LARGEST_BYTES
from ctrl_alt_play.panel.models import Node, Server

GARBAGE = [
    "",
    "garbage",
    "null",
    "[]",
    "{}",
    "[" * 50_000,
    '{"subscribe": 7}',
    '{"subscribe": "servers", "ping": 1}',
    '{"subscribe": "servers", "after": "1"}',
    '{"unsubscribe": "servers", "after": 1}',
    '{"subscribe": "servers", "after": -1}',
    '{"subscribe": "servers", "after": 5}',
    '{"ping": 1e400}',
    '{"ping": null, "unknown": 1}',
    '{"token": "again"}',
    '{"subscribe": "\\u0000"}',
    '{"subscribe": "server:\\u0000"}',
    '{"subscribe": "server:"}',
    '{"subscribe": "servers:"}',
    '{"subscribe": "servers:all"}',
    '{"subscribe": "everything"}',
    json.dumps({"subscribe": "server:" + "x" * 1000}),
    json.dumps({"subscribe": "x" * LARGEST_BYTES}),
]


async def test_what_cannot_be_read_is_told_and_the_connection_goes_on(panel: PanelUnderTest, owner: Person) -> None:
    async with Viewer(panel, owner) as viewer:
        for text in GARBAGE:
            known = len(viewer.frames)
            await viewer.socket.send(text)
            await until(lambda known=known: len(viewer.frames) > known)
            assert viewer.frames[-1]["kind"] == "error", text[:50]
            assert len(json.dumps(viewer.frames[-1])) < 2000
        await viewer.socket.send(b'{"subscribe": "servers"}')
        await until(lambda: viewer.frames[-1]["message"] == "Send JSON as text.")
        await viewer.subscribe("servers")
        assert viewer.of("servers")[-1]["kind"] == "page"


async def test_one_connection_has_200_topics(panel: PanelUnderTest) -> None:
    async with panel.app.state.database.writing() as session:
        node = await session.get(Node, "first")
        for number in range(MOST_TOPICS + 1):
            session.add(_server(f"many-{number}", node.id, panel.admin.id))
    async with Viewer(panel, panel.admin) as viewer:
        for number in range(MOST_TOPICS + 1):
            await viewer.say(subscribe=f"server:many-{number}")
        (refusal,) = await viewer.sees(f"server:many-{MOST_TOPICS}", "error")
        assert refusal["code"] == "TOO_MANY_TOPICS"
        await viewer.say(subscribe="server:many-0")
        await until(lambda: len(viewer.of("server:many-0", "server")) == 2)
        await viewer.say(unsubscribe="server:many-0")
        await viewer.sees("server:many-0", "unsubscribed")
        await viewer.subscribe("servers")
        assert viewer.of("servers")[0]["kind"] == "page"
        await until(lambda: not viewer.of("servers")[-1]["more"])
        assert [page["first"] for page in viewer.of("servers")] == [True, *[False] * (len(viewer.of("servers")) - 1)]
        assert len(viewer.listed("servers")) > MOST_TOPICS
    async with panel.app.state.database.writing() as session:
        for number in range(MOST_TOPICS + 1):
            await session.delete(await session.get(Server, f"many-{number}"))


def _server(id_: str, node_id: str, owner_id: str) -> Server:
    now = datetime.now(UTC)
    specification = {"image": "example.org/games/quake:1"}
    return Server(
        id=id_, name=id_, node_id=node_id, owner_id=owner_id, specification=specification, desired="off",
        observed="absent", observed_at=now, observed_since=now, hold="none", created_at=now, crashes=0, revision=1,
    )  # fmt: skip


async def test_a_user_has_a_bounded_number_of_connections(
    panel: PanelUnderTest, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_CHANNELS_A_USER", 2)
    async with Viewer(panel, owner) as one, Viewer(panel, owner):
        with pytest.raises(InvalidStatus) as refused:
            await Viewer(panel, owner).__aenter__()
        assert refused.value.response.status_code == 429
        async with panel.client(token_of(owner)) as api:
            assert (await api.get("/api/live/events", params={"topic": "servers"})).status_code == 429
        await one.socket.close()

        async def has_room() -> bool:
            try:
                async with Viewer(panel, owner):
                    return True
            except InvalidStatus:
                return False

        await until(has_room)


async def test_strangers_are_bounded_too(panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MOST_STRANGERS", 1)
    url = f"ws://127.0.0.1:{panel.people_port}/api/live"
    async with connect(url):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 503


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"topic": "everything"}, 422),
        ({"topic": ["servers"] * 51}, 422),
        ({"topic": "servers", "after": "servers=7"}, 422),
        ({"topic": "servers", "after": "nodes=7"}, 422),
        ({"topic": "servers", "after": "nonsense"}, 422),
        ({"topic": "server:nothing"}, 404),
        ({"topic": "nodes"}, 403),
    ],
)
async def test_a_stream_that_cannot_be_is_refused_with_a_status(owner: Person, query: Any, status: int) -> None:
    await owner.get("/api/live/events", status, **query)


async def test_a_thousand_changes_are_few_frames(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    async with Viewer(panel, owner) as viewer:
        for topic in ("servers", f"server:{server_id}"):
            await viewer.subscribe(topic)
        database = panel.app.state.database
        async with panel.app.state.live._turn:  # as if it had no time for them
            for number in range(1000):
                async with database.writing() as session:
                    (await session.get(Server, server_id)).name = f"name {number}"
        await until(lambda: viewer.listed("servers")[server_id]["name"] == "name 999")
        await until(lambda: viewer.of(f"server:{server_id}", "server")[-1]["data"]["name"] == "name 999")
        assert len(viewer.frames) < 20


async def test_a_reader_that_does_not_read_ends_with_what_is(own_panel: PanelUnderTest) -> None:
    """Its state is the newest, its events are all there; nobody else waits for it."""
    panel = own_panel
    owner = await panel.person("olga")
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    topic = f"server:{server_id}"
    slow = Viewer(panel, owner)
    url, headers = slow._url, {"Authorization": f"Bearer {token_of(owner)}"}
    async with connect(url, additional_headers=headers, max_size=None, max_queue=1) as socket:
        await socket.send(json.dumps({"subscribe": topic}))
        await socket.send(json.dumps({"subscribe": "servers"}))
        for _ in range(3):
            await socket.recv()  # from here on it leaves all that comes where it is
        async with Viewer(panel, owner) as quick:
            await quick.subscribe(topic)
            for number in range(400):
                long = [f"{number} {'x' * 200}"] * 60
                await agent.event("players_changed", {"serverId": server_id, "online": number, "joined": long})
                if number % 20 == 0:
                    await panel.admin.patch(f"/api/servers/{server_id}", {"name": f"name {number}"}, 202)
            await until(lambda: len(quick.of(topic, "event")) == 400, 20)
            wanted = [one["id"] for one in quick.of(topic, "event")]
        seen: list[int] = []
        names: list[str] = []
        while seen != wanted or names[-1] != "name 380":
            told = json.loads(await asyncio.wait_for(socket.recv(), 5))
            seen += [told["id"]] if told["kind"] == "event" else []
            names += [told["data"]["name"]] if told["kind"] == "server" else []
        assert len(names) < 20


async def test_who_leaves_all_where_it_is_for_long_is_let_go_and_nobody_else(
    panel: PanelUnderTest, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SEND_DEADLINE_S", 0.2)
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    headers, narrow = {"Authorization": f"Bearer {token_of(owner)}"}, narrow_socket(panel)
    async with (
        Viewer(panel, owner) as quiet,
        connect(quiet._url, sock=narrow, additional_headers=headers, max_queue=1) as socket,
    ):
        await quiet.subscribe("servers")
        await socket.send(json.dumps({"subscribe": f"console:{server_id}"}))
        await until(lambda: agent.consoles[server_id].told is not None)
        async with asyncio.timeout(40):
            while panel.app.state.live.viewers == 2:
                await agent.write(server_id, *["x" * 1000] * 100)
                await asyncio.sleep(0.01)
        await quiet.say(ping=1)
        await until(lambda: quiet.frames[-1]["kind"] == "pong")


async def test_nothing_is_read_while_nobody_looks(own_panel: PanelUnderTest) -> None:
    database, hub_ = own_panel.app.state.database, own_panel.app.state.live
    async with database.writing() as session:
        for id_ in ("seen", "unseen"):
            session.add(_server(id_, "first", own_panel.admin.id))
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)  # what reads; what writes is another's

    async def questions_for_a_change_of(id_: str) -> int:
        asked.clear()
        async with database.writing() as session:
            (await session.get(Server, id_)).name = unique("changed")
        await until(lambda: not hub_._due.is_set() and not hub_._turn.locked())
        return len([statement for statement in asked if "servers.id IN" in statement])

    assert await questions_for_a_change_of("seen") == 0
    async with Viewer(own_panel, own_panel.admin) as viewer:
        await viewer.subscribe("nodes")
        await viewer.subscribe("server:seen")
        assert await questions_for_a_change_of("unseen") == 0
        assert await questions_for_a_change_of("seen") == 1
        await viewer.say(unsubscribe="server:seen")
        await viewer.sees("server:seen", "unsubscribed")
        assert await questions_for_a_change_of("seen") == 0


async def test_the_end_of_the_panel_ends_all(own_panel: PanelUnderTest) -> None:
    viewer = await Viewer(own_panel, own_panel.admin).__aenter__()
    await viewer.subscribe("servers")
    async with (
        own_panel.client(token_of(own_panel.admin)) as api,
        api.stream("GET", "/api/live/events", params={"topic": "nodes"}) as stream,
    ):
        lines = stream.aiter_lines()
        await anext(lines)
        stopping = asyncio.create_task(own_panel.stop())
        assert "SHUTTING_DOWN" in "".join([line async for line in lines])
    await stopping
    await until(lambda: viewer.closed_with == 1001)
    assert viewer.frames[-1]["code"] == "SHUTTING_DOWN"
