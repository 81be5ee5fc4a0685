"""Agents and panels that go away in the middle, and the truth that comes back with them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.models import Node, Operation, OperationState
from ctrl_alt_play.panel.nodes import service as nodes


async def under_way(panel: PanelUnderTest, agent: ForeignAgent, action: str, state: str) -> tuple[str, dict[str, Any]]:
    """A server in `state`, and an operation that its agent accepted and will not finish."""
    server_id = await panel.server(agent)
    await agent.become(server_id, state)
    agent.unfinished.add(f"{action}_server")
    if action == "delete":
        return server_id, await panel.admin.delete(f"/api/servers/{server_id}", 202)
    return server_id, await panel.admin.post(f"/api/servers/{server_id}/{action}")


@pytest.mark.parametrize(
    ("action", "before", "found", "state"),
    [
        ("start", "stopped", "running", "succeeded"),
        ("start", "stopped", "stopped", "failed"),
        ("restart", "running", "running", "succeeded"),
        ("restart", "running", "crashed", "failed"),
        ("stop", "running", "stopped", "succeeded"),
        ("stop", "running", "running", "failed"),
        ("kill", "running", "stopped", "succeeded"),
        ("kill", "running", "crashed", "succeeded"),
    ],
)
async def test_an_agent_that_comes_back_settles_what_it_left(
    panel: PanelUnderTest, admin: Person, action: str, before: str, found: str, state: str
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id, operation = await under_way(panel, agent, action, before)
    agent.die()
    await admin.sees(server_id, "UNKNOWN")
    agent.containers[server_id] = found
    await agent.come()
    ended = await admin.operation(operation)
    assert ended["state"] == state
    await admin.sees(
        server_id, {"running": "RUNNING", "crashed": "OFFLINE" if action == "kill" else "CRASHED"}.get(found, "OFFLINE")
    )
    if state == "failed":
        assert ended["code"] == "INTERRUPTED"
        assert ended["message"].startswith("interrupted: ")


async def test_an_operation_that_goes_on_after_a_reconnect_is_waited_for(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id, operation = await under_way(panel, agent, "start", "stopped")
    agent.die()
    await admin.sees(server_id, "UNKNOWN")
    agent.containers[server_id] = "starting"
    await agent.come()
    await admin.sees(server_id, "STARTING")
    assert (await admin.get(f"/api/operations/{operation['id']}"))["state"] == "running"
    await agent.become(server_id, "running")
    assert (await admin.operation(operation))["state"] == "succeeded"


async def test_a_deletion_that_was_interrupted_is_done_when_nothing_is_left(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id, operation = await under_way(panel, agent, "delete", "stopped")
    agent.die()
    await panel.sees_node(agent, online=False)
    del agent.containers[server_id]
    await agent.come()
    assert (await admin.operation(operation))["state"] == "succeeded"
    await admin.get(f"/api/servers/{server_id}", 404)


async def test_a_creation_that_was_interrupted_is_waited_for(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"create_server"}))
    operation = await admin.post("/api/servers", panel.new(agent))
    assert await admin.status(operation["server_id"]) == "INSTALLING"
    agent.die()
    await admin.sees(operation["server_id"], "UNKNOWN")
    await agent.come()
    await admin.sees(operation["server_id"], "INSTALLING")
    await agent.become(operation["server_id"], "created")
    assert (await admin.operation(operation))["state"] == "succeeded"
    assert await admin.status(operation["server_id"]) == "OFFLINE"


async def test_truth_replaces_what_was_believed(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    servers = [await panel.server(agent, limits={}) for _ in range(20)]
    for server_id in servers:
        await admin.done(f"/api/servers/{server_id}/start")
    agent.die()
    await admin.sees(servers[0], "UNKNOWN")
    agent.containers.update(dict.fromkeys(servers[:10], "crashed"))
    del agent.containers[servers[19]]
    await agent.come()
    for server_id in servers[:10]:
        await admin.sees(server_id, "CRASHED")
    for server_id in servers[10:19]:
        await admin.sees(server_id, "RUNNING")

    async def absent() -> bool:
        return (await admin.get(f"/api/servers/{servers[19]}"))["observed"] == "absent"

    await until(absent)


async def test_a_server_whose_state_the_node_cannot_tell_is_unknown(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await agent.go()
    agent.refusals["get_status"] = ("DOCKER_UNAVAILABLE", "Docker does not answer.")
    await panel.connected(agent)

    async def unknown() -> bool:
        return (await admin.get(f"/api/servers/{server_id}"))["observed"] == "unknown"

    await until(unknown)
    assert (await admin.get(f"/api/servers/{server_id}"))["last_error"] == "Docker does not answer."


async def test_a_server_is_unknown_since_its_node_went(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    await agent.go()
    node = await panel.sees_node(agent, online=False)
    known = await admin.get(f"/api/servers/{server_id}/status")
    assert (known["status"], known["status_since"]) == ("UNKNOWN", node["since"])
    assert known["observed"] == "created"


async def test_a_panel_that_was_killed_takes_a_node_for_away_since_it_was_last_heard(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.agent())
    async with own_panel.app.state.database.writing() as session:
        node = await session.get(Node, agent.node_id)
        heard_at = node.last_seen_at
        await nodes.mark_all_away(session, heard_at + timedelta(hours=3))
        await session.refresh(node)
        assert (node.online, node.since) == (False, heard_at)


async def test_a_panel_that_restarts_finds_out_what_became_of_its_operations(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.agent())
    server_id, operation = await under_way(own_panel, agent, "start", "stopped")
    await own_panel.stop()
    assert agent.closed_with in (1001, 1012)
    agent.containers[server_id] = "running"
    await own_panel.start()
    assert await own_panel.admin.status(server_id) == "UNKNOWN"
    agent.url = own_panel.agents_url
    await own_panel.connected(agent)
    assert (await own_panel.admin.operation(operation))["state"] == "succeeded"
    await own_panel.admin.sees(server_id, "RUNNING")


async def test_a_panel_that_stopped_before_an_answer_settles_the_order_at_its_next_start(
    own_panel: PanelUnderTest,
) -> None:
    agent = await own_panel.connected(await own_panel.agent(unanswered={"start_server"}))
    server_id = await own_panel.server(agent)
    asking = asyncio.create_task(own_panel.admin.api.post(f"/api/servers/{server_id}/start"))
    await until(lambda: agent.commands("start_server"))
    await own_panel.stop()
    asked = (await asking).json()
    await own_panel.start()
    operation = await own_panel.admin.get(f"/api/operations/{asked['operation_id']}")
    assert (operation["state"], operation["code"]) == ("failed", "AGENT_OFFLINE")


async def test_an_operation_that_nothing_is_heard_of_times_out(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.agent())
    server_id, operation = await under_way(own_panel, agent, "start", "stopped")
    own_panel.clock.ahead_s += 60
    await agent.tell("heartbeat", {"nodeId": agent.node_id, "timestamp": "2025-01-23T10:00:00Z", "status": "online"})
    assert (await own_panel.admin.get(f"/api/operations/{operation['id']}"))["state"] == "running"
    own_panel.clock.ahead_s += 61
    ended = await own_panel.admin.operation(operation)
    assert (ended["state"], ended["code"]) == ("failed", "TIMEOUT")
    assert await own_panel.admin.status(server_id) == "OFFLINE"


async def test_what_a_killed_panel_left_queued_is_taken_over_by_the_next(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.agent())
    server_id, start = await under_way(own_panel, agent, "start", "stopped")
    asked = await own_panel.admin.done(f"/api/servers/{server_id}/status")
    as_left = {"state": OperationState.QUEUED, "started_at": None, "finished_at": None}
    async with own_panel.app.state.database.writing() as session:
        await session.execute(update(Operation).where(Operation.id.in_([start["id"], asked["id"]])).values(as_left))
    await own_panel.stop()
    await own_panel.start()
    question = await own_panel.admin.get(f"/api/operations/{asked['id']}")
    assert (question["state"], question["code"]) == ("failed", "INTERRUPTED")
    assert (await own_panel.admin.get(f"/api/operations/{start['id']}"))["state"] == "running"
    agent.url, agent.containers[server_id] = own_panel.agents_url, "running"
    await own_panel.connected(agent)
    assert (await own_panel.admin.operation(start))["state"] == "succeeded"


async def test_a_panel_that_can_keep_nothing_lets_its_agents_come_again(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> int:
        raise OSError("the disk is full")

    agent = await panel.connected(await panel.agent())
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.KEEP_PAUSE_S", 0)
    monkeypatch.setattr("ctrl_alt_play.panel.intake.recorder.Recorder.apply", fail)
    await agent.tell("system_info", agent.system())
    assert await until(lambda: agent.closed_with) == 1011
    monkeypatch.undo()
    await panel.connected(agent)
