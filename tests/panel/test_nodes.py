"""Enrolling nodes, and their secrets."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.panel.support import PanelUnderTest, Person, unique, until
from tests.panel.test_door import status

from ctrl_alt_play.panel.models import Node


async def test_a_secret_is_shown_once_and_kept_only_as_a_hash(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.agent()
    assert len(agent.secret) >= 43
    assert "secret" not in await admin.get(f"/api/nodes/{agent.node_id}")
    async with panel.app.state.database.reading() as session:
        kept = await session.scalar(select(Node.secret_hash).where(Node.id == agent.node_id))
    assert kept == hashlib.sha256(agent.secret.encode()).hexdigest()


async def test_a_new_secret_replaces_the_old_one(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.agent()
    renewed = (await admin.post(f"/api/nodes/{agent.node_id}/secret", status=200))["secret"]
    assert await status(panel.agents_url, agent.secret, agent.node_id) == 401
    agent.secret = renewed
    await panel.connected(agent)


async def test_a_disabled_node_comes_back_when_it_is_enabled(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    await admin.patch(f"/api/nodes/{agent.node_id}", {"enabled": False})
    await until(lambda: agent.closed_with)
    await panel.sees_node(agent, online=False)
    await admin.patch(f"/api/nodes/{agent.node_id}", {"enabled": True, "name": "Renamed"})
    await panel.connected(agent)
    assert (await admin.get(f"/api/nodes/{agent.node_id}"))["name"] == "Renamed"


async def test_when_nodes_were_heard_of_is_written_for_all_at_once_and_never_set_back(panel: PanelUnderTest) -> None:
    nodes = [(await panel.connected(await panel.agent())).node_id for _ in range(2)]
    state = panel.app.state
    early, late = (state.clock.utc() + timedelta(minutes=minutes) for minutes in (1, 2))
    for at, node_id in ((late, nodes[0]), (early, nodes[1])):
        state.seen.note(node_id, at)
    await state.seen.write()
    state.seen.note(nodes[0], early)
    await state.seen.write()
    async with state.database.reading() as session:
        seen = [(await session.get(Node, node_id)).last_seen_at for node_id in nodes]
    assert seen == [late, early]


async def test_a_node_that_holds_servers_stays(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    assert (await admin.delete(f"/api/nodes/{agent.node_id}", 409))["code"] == "NODE_HOLDS_SERVERS"
    assert (await admin.get(f"/api/nodes/{agent.node_id}"))["servers"] == 1
    await admin.operation(await admin.delete(f"/api/servers/{server_id}", 202))
    await admin.delete(f"/api/nodes/{agent.node_id}")
    await admin.get(f"/api/nodes/{agent.node_id}", 404)


async def test_ids_are_single(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.agent()
    problem = await admin.post("/api/nodes", {"id": agent.node_id, "name": "Again"}, 409)
    assert problem["code"] == "NODE_EXISTS"


@pytest.mark.parametrize("node_id", ["", "-a", "a b", "a/b", "ä", "x" * 65])
async def test_an_id_that_does_not_fit_a_header_or_a_folder_is_refused(admin: Person, node_id: str) -> None:
    problem = await admin.post("/api/nodes", {"id": node_id, "name": "A node"}, 422)
    assert [wrong["field"] for wrong in problem["fields"]] == ["id"]


async def test_nodes_come_in_pages(panel: PanelUnderTest, admin: Person) -> None:
    stem = unique("paged")
    for number in range(3):
        await admin.post("/api/nodes", {"id": f"{stem}-{number}", "name": "A node"}, 201)
    found: list[str] = []
    cursor = None
    while True:
        page = await admin.get("/api/nodes", limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= 2
        found += [node["id"] for node in page["items"] if node["id"].startswith(stem)]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == [f"{stem}-{number}" for number in range(3)]
