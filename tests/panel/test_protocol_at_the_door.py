"""What agents may send, whole: the protocol's own examples, and anything that is JSON."""

import json
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.part1 import Example, examples
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, Person, until

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
SERVER = "0b9c0a3e-6f0a-4d57-8a50-6b0d0b4f2f11"


def shaped(server_id: str) -> st.SearchStrategy[dict[str, Any]]:
    """Messages near enough to the protocol's to come past its envelopes."""
    words = st.sampled_from(["running", "stopped", "deleted", "start_failed", "created"]) | st.text(max_size=20)
    numbers = st.none() | st.integers() | st.floats(allow_nan=False)
    data = st.fixed_dictionaries(
        {"serverId": st.just(server_id) | st.text(max_size=70)},
        optional={
            "status": words,
            "currentStatus": words,
            "error": st.text(max_size=50),
            "exitCode": numbers,
            "pid": numbers,
            "uptime": numbers,
            "stats": st.fixed_dictionaries({}, optional={"cpu": numbers, "memory": numbers, "players": numbers}),
            "resources": st.fixed_dictionaries({}, optional={"cpu": numbers, "memory": JSON}),
            "output": st.text(),
            "os": JSON,
            "memory": numbers,
            "networks": JSON,
        },
    )
    kinds = st.sampled_from(
        ["event", "server_status", "server_output", "system_info", "heartbeat", "error", "response"]
    )
    return st.fixed_dictionaries(
        {"type": kinds, "data": data},
        optional={
            "event": st.sampled_from(["server_status_changed", "server_status"]),
            "id": st.text(),
            "success": st.booleans(),
            "messageId": st.text(),
        },
    )


@pytest.mark.parametrize("example", examples("agent->panel"), ids=lambda example: example["name"])
async def test_the_protocols_examples_are_taken_in(panel: PanelUnderTest, example: Example) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    text = json.dumps(example["message"])
    for name in ("server_456", "server_789"):
        text = text.replace(name, server_id)
    connection = panel.app.state.gateway._connections[agent.node_id]
    counts = connection.session.counts
    before = counts["received"]
    await agent.send(text)
    await until(lambda: counts["received"] > before)
    await until(lambda: connection._inbox.worker is None)
    assert not counts["invalid"] + counts["failed"] + counts["unknown"]


async def test_a_started_event_and_its_legacy_twin_are_one_start(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"start_server", "restart_server"}))
    server_id = await panel.server(agent)
    start = await admin.post(f"/api/servers/{server_id}/start")
    data = {"serverId": server_id, "previousStatus": "stopped", "currentStatus": "running", "pid": 1234}
    await agent.event("server_status_changed", data)
    await agent.tell("server_status", {"serverId": server_id, "status": "running"})
    assert (await admin.operation(start))["state"] == "succeeded"
    restart = await admin.post(f"/api/servers/{server_id}/restart")
    assert (await admin.get(f"/api/operations/{restart['id']}"))["state"] == "running"


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(messages=st.lists(JSON | shaped(SERVER), max_size=8))
async def test_whatever_is_json_never_harms_the_panel(
    panel: PanelUnderTest, rude: tuple[ForeignAgent, str], messages: list[Any]
) -> None:
    agent, server_id = rude
    connection = panel.app.state.gateway._connections[agent.node_id]
    before = connection.session.counts["received"]
    for message in messages:
        await agent.send(json.dumps(message).replace(SERVER, server_id))
    await until(lambda: connection.session.counts["received"] == before + len(messages))
    await until(lambda: connection._inbox.worker is None)
    assert not connection.session.counts["failed"]
    assert agent.closed_with is None


@pytest_asyncio.fixture(loop_scope="session")
async def rude(panel: PanelUnderTest) -> tuple[ForeignAgent, str]:
    """An agent with a server, to which all examples are sent."""
    agent = await panel.connected(await panel.agent())
    return agent, await panel.server(agent)
