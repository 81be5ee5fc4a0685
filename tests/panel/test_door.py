"""Which agents come in, and what the others are told, by HTTP's own statuses, before the upgrade."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, make_config
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ctrl_alt_play.panel.main import _share

SHARED = "one secret for all the original agents"


@pytest_asyncio.fixture(loop_scope="session")
async def original_panel(tmp_path: Path) -> AsyncIterator[PanelUnderTest]:
    async with PanelUnderTest(make_config(tmp_path, agent_secret=SHARED)) as panel:
        yield panel


async def refusal(url: str, headers: dict[str, str]) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=headers)
    return refused.value


async def status(url: str, secret: str | None, node_id: str | None) -> int:
    headers = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
    if node_id is not None:
        headers["X-Node-Id"] = node_id
    return (await refusal(url, headers)).response.status_code


async def test_each_refusal_has_its_own_status(own_panel: PanelUnderTest) -> None:
    agent, other, disabled = [await own_panel.agent() for _ in range(3)]
    await own_panel.admin.patch(f"/api/nodes/{disabled.node_id}", {"enabled": False})
    url = own_panel.agents_url
    assert await status(url, None, agent.node_id) == 401
    assert await status(url, "", agent.node_id) == 401
    assert await status(url, "not a secret", agent.node_id) == 401
    assert await status(url, "not a secret", "no-such-node") == 401
    assert await status(url, agent.secret, "no-such-node") == 403
    assert await status(url, agent.secret, None) == 403
    assert await status(url, other.secret, agent.node_id) == 403
    assert await status(url, disabled.secret, disabled.node_id) == 403


async def test_a_refusal_says_why_in_a_problem_document(panel: PanelUnderTest) -> None:
    refused = (await refusal(panel.agents_url, {"Authorization": "Basic dTpw"})).response
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert b"AUTH_FAILED" in (refused.body or b"")
    assert refused.headers["X-Request-Id"]


async def test_after_ten_failures_an_address_waits_for_a_minute(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.agent()
    for _ in range(10):
        assert await status(own_panel.agents_url, "wrong", agent.node_id) == 401
    refused = await refusal(own_panel.agents_url, {"Authorization": f"Bearer {agent.secret}"})
    assert refused.response.status_code == 429
    assert 0 < int(refused.response.headers["Retry-After"]) <= 60
    own_panel.clock.ahead_s += 61
    await own_panel.connected(agent)


async def test_a_shared_secret_that_is_changed_shuts_out_who_came_with_the_one_before(
    original_panel: PanelUnderTest,
) -> None:
    own, sharing = [await original_panel.agent() for _ in range(2)]
    own_secret, sharing.secret = own.secret, SHARED
    await original_panel.connected(own)
    await original_panel.connected(sharing)
    _share(original_panel.app, make_config(original_panel.config.data, agent_secret="another one for all of them"))
    await original_panel.sees_node(sharing, online=False)
    assert sharing.closed_with == 1008
    assert await status(original_panel.agents_url, SHARED, sharing.node_id) == 401
    assert await original_panel.sees_node(own, online=True)
    sharing.secret = "another one for all of them"
    await original_panel.connected(sharing)
    assert own.secret == own_secret


async def test_many_agents_at_one_address_may_come_at_once(own_panel: PanelUnderTest) -> None:
    agents = [await own_panel.agent() for _ in range(30)]
    await asyncio.gather(*(agent.come() for agent in agents))
    await asyncio.gather(*(agent.go() for agent in agents))


async def test_connections_that_succeed_are_not_counted_against_an_address(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.agent()
    for _ in range(12):
        async with agent:
            pass
    await own_panel.connected(agent)


async def test_a_panel_that_shuts_down_says_so_and_when_to_come_back(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.agent()
    own_panel.app.state.gateway.is_closing = True
    refused = await refusal(
        own_panel.agents_url, {"Authorization": f"Bearer {agent.secret}", "X-Node-Id": agent.node_id}
    )
    assert refused.response.status_code == 503
    assert int(refused.response.headers["Retry-After"]) > 0


async def test_a_node_may_be_named_in_the_query(panel: PanelUnderTest) -> None:
    agent = await panel.agent()
    url = f"{panel.agents_url}?nodeId={agent.node_id}"
    async with connect(url, additional_headers={"Authorization": f"Bearer {agent.secret}"}):
        await panel.sees_node(agent, online=True)


async def test_agents_come_in_by_the_peoples_port_too(panel: PanelUnderTest) -> None:
    agent = await panel.agent()
    agent.url = f"ws://127.0.0.1:{panel.people_port}/"
    async with agent:
        await panel.sees_node(agent, online=True)


async def test_the_shared_secret_opens_for_known_nodes_alone(original_panel: PanelUnderTest) -> None:
    known = await original_panel.agent()
    original = ForeignAgent(known.url, known.node_id, SHARED)
    await original_panel.connected(original)
    assert await status(original_panel.agents_url, SHARED, "no-such-node") == 403


async def test_a_nodes_own_secret_still_opens_beside_the_shared_one(original_panel: PanelUnderTest) -> None:
    await original_panel.connected(await original_panel.agent())


async def test_a_right_secret_opens_although_others_of_its_address_failed(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.agent()
    for _ in range(10):
        await status(own_panel.agents_url, "wrong", agent.node_id)
    assert await status(own_panel.agents_url, "wrong", agent.node_id) == 429
    async with agent:
        await own_panel.sees_node(agent, online=True)
