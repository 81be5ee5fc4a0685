"""How a connection comes to speak part 2, and what happens where it does not."""

from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.gateway.connection import TRY_AGAIN
from ctrl_alt_play.panel.models import Node
from ctrl_alt_play.protocol.messages import INCOMPATIBLE


async def test_the_welcome_is_the_first_thing_that_a_part_2_agent_hears(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.connected(agent)
    await panel.server(agent)
    first = agent.received[0]
    assert first["type"] == "welcome"
    assert first["data"]["protocol"] == {"version": 2, "minimum": 1}
    assert first["data"]["heartbeatInterval"] == 10
    assert first["data"]["ackedSeq"] == agent.seq - 2
    assert first["data"]["servers"] == [{"serverId": server_id, "revision": 1}]
    assert not agent.commands("get_status")


async def test_an_agent_that_offers_nothing_is_spoken_to_in_part_1(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    agent.protocol = None
    await agent.dial()
    asked = await until(lambda: agent.commands("get_status"))
    assert asked[0]["serverId"] == server_id
    assert not agent.of("welcome")
    await agent.go()


async def test_an_agent_that_does_not_say_what_it_is_speaks_part_1_after_a_while(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.INTRODUCTION_DEADLINE_S", 0.05)
    agent = await panel.part2_agent()
    told: list[str] = []

    async def say_nothing_of_oneself(kind: str, _data: dict[str, Any]) -> None:
        told.append(kind)

    agent.tell = say_nothing_of_oneself  # type: ignore[method-assign]
    await agent.dial()
    await panel.sees_node(agent, online=True)
    assert told == ["system_info"]
    assert not agent.received
    await agent.go()


@pytest.mark.parametrize(
    ("offered", "behind"),
    [({"version": 9, "minimum": 3}, "upgrade the panel"), ({"version": 0, "minimum": 0}, "upgrade the agent")],
)
async def test_versions_that_do_not_meet_are_refused_with_a_sentence_on_which_to_upgrade(
    panel: PanelUnderTest, admin: Person, offered: dict[str, int], behind: str
) -> None:
    agent = await panel.part2_agent(protocol=offered)
    await agent.dial()
    assert await until(lambda: agent.closed_with) == INCOMPATIBLE
    (error,) = agent.received
    assert behind in error["data"]["message"]
    assert behind in (agent.closed_for or "")
    assert not (await admin.get(f"/api/nodes/{agent.node_id}"))["online"]


async def test_a_newer_agent_that_still_speaks_version_2_is_welcome(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent(protocol={"version": 7, "minimum": 2}))
    await panel.server(agent)


async def test_an_agent_that_went_back_to_part_1_is_taken_as_such(panel: PanelUnderTest, admin: Person) -> None:
    modern = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(modern)
    await modern.go()
    old = await panel.agent()
    old.node_id, old.secret = modern.node_id, modern.secret
    old.containers[server_id] = "running"
    await panel.connected(old)
    await admin.sees(server_id, "RUNNING")
    await admin.done(f"/api/servers/{server_id}/stop")


async def test_what_the_node_says_first_of_itself_is_shown(panel: PanelUnderTest, admin: Person) -> None:
    agent: Part2Agent = await panel.connected(await panel.part2_agent())
    node = await admin.get(f"/api/nodes/{agent.node_id}")
    assert (node["system"]["os"], node["system"]["agent_version"]) == ("linux", "1")


def hold_back_introduction(agent: Part2Agent) -> list[dict[str, Any]]:
    """Keeps what the agent says of itself from the line, as a slow one does; gives where it is kept."""
    kept: list[dict[str, Any]] = []
    tell = agent.tell

    async def slowly(kind: str, data: dict[str, Any]) -> None:
        if kind == "system_info":
            kept.append(data)
        else:
            await tell(kind, data)

    agent.tell = slowly  # type: ignore[method-assign]
    return kept


async def test_a_node_that_spoke_part_2_is_never_taken_for_one_of_part_1_on_a_slow_line(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.INTRODUCTION_DEADLINE_S", 0.01)
    agent = await panel.connected(await panel.part2_agent())
    await panel.server(agent)
    await agent.go()
    tell = agent.tell
    kept = hold_back_introduction(agent)
    await agent.dial()
    with pytest.raises(TimeoutError):
        await until(lambda: agent.received, 0.3)
    agent.tell = tell  # type: ignore[method-assign]
    await agent.tell("system_info", kept[0])
    assert (await until(lambda: agent.received))[0]["type"] == "welcome"
    await agent.go()


async def test_a_known_node_that_never_says_what_it_is_has_to_come_again(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    await agent.go()
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.KNOWN_INTRODUCTION_DEADLINE_S", 0.05)
    hold_back_introduction(agent)
    await agent.dial()
    assert await until(lambda: agent.closed_with) == TRY_AGAIN
    assert not agent.received


async def test_an_unknown_node_that_says_too_late_what_it_speaks_comes_again_and_is_welcome(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.INTRODUCTION_DEADLINE_S", 0.01)
    agent = await panel.part2_agent()
    tell = agent.tell
    kept = hold_back_introduction(agent)
    await agent.dial()
    await panel.sees_node(agent, online=True)
    agent.tell = tell  # type: ignore[method-assign]
    await agent.tell("system_info", kept[0])
    assert await until(lambda: agent.closed_with) == TRY_AGAIN
    await panel.sees_node(agent, online=False)
    await panel.connected(agent)
    assert agent.received[0]["type"] == "welcome"


async def test_a_journal_with_a_name_that_is_too_long_is_as_one_without_a_name(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent(spool_id="x" * 129))
    await agent.event("audit", {})
    await until(lambda: agent.acked == agent.seq)
    async with panel.app.state.database.reading() as session:
        node = await session.get(Node, agent.node_id)
    assert node is not None
    assert (node.spool_id, node.acked_seq) == ("", agent.seq)
