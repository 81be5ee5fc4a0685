"""Changes that a node refuses are undone; all others are kept, and told until the node has them."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import SPECIFICATION, PanelUnderTest, Person, until
from tests.panel.test_part2_changes import changed, revisions
from tests.panel.test_part2_operations import actor, cut_off, orders

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Allocation, Operation
from ctrl_alt_play.panel.servers.endings import KEPT_FOR_LATER
from ctrl_alt_play.panel.servers.schemas import NewServer
from ctrl_alt_play.protocol.specification import Hold


async def known(person: Person, server_id: str) -> dict[str, Any]:
    """All of a server but when it was last known to be so, which goes on."""
    found: dict[str, Any] = await person.get(f"/api/servers/{server_id}")
    return {**found, "observed_at": None}


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.servers.revisions.FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("ctrl_alt_play.panel.servers.revisions.LONGEST_PAUSE_S", 0.1)


def port(external: int) -> dict[str, Any]:
    return {"internal": 27960, "external": external, "protocol": "udp"}


async def ports_held(panel: PanelUnderTest, server_id: str) -> set[int]:
    async with panel.app.state.database.reading() as session:
        return set(await session.scalars(select(Allocation.port).where(Allocation.server_id == server_id)))


async def has_taken(panel: PanelUnderTest, server_id: str, revision: int) -> None:
    async def so() -> bool:
        return await revisions(panel, server_id) == (revision, revision)

    await until(so)


async def history(admin: Person, server_id: str) -> list[tuple[str, str, str | None]]:
    items = (await admin.get(f"/api/servers/{server_id}/operations"))["items"]
    return [(one["kind"], one["state"], one["code"]) for one in items]


async def forgets_what_it_was(panel: PanelUnderTest, operation_id: str) -> None:
    async with panel.app.state.database.reading() as session:
        operation = await session.get(Operation, operation_id)
    assert operation is not None
    assert operation.undo is None


@pytest.mark.parametrize("code", ["CONFIG_INVALID", "INVALID_PAYLOAD"])
async def test_a_change_that_is_refused_for_good_leaves_all_as_it_was(
    panel: PanelUnderTest, admin: Person, code: str
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, name="before", tags=["before"], ports=[port(3001), port(3002)])
    before = await known(admin, server_id)
    agent.refusals["update_server"] = (code, "That cannot be.")
    change = {"name": "after", "tags": [], "image": "games/other:1", "ports": [port(3002), port(3003)]}
    problem = await admin.patch(f"/api/servers/{server_id}", change, 422)
    assert await known(admin, server_id) == before
    assert await ports_held(panel, server_id) == {3001, 3002}
    await forgets_what_it_was(panel, problem["operation_id"])
    await panel.server(agent, ports=[port(3003)])
    held = await admin.api.put(f"/api/servers/{server_id}/hold", json={"hold": "suspended"})
    assert held.status_code == 422
    assert await known(admin, server_id) == before
    agent.refusals.clear()
    await orders(panel).update(actor(admin), server_id, changed(startup="./new"))
    await has_taken(panel, server_id, 2)


async def test_a_change_that_fails_for_good_after_it_was_accepted_is_undone_too(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent, ports=[port(3011)])
    operation = await admin.patch(f"/api/servers/{server_id}", {"ports": [port(3012)]}, 202)
    with pytest.raises(Conflict):
        await orders(panel).create(actor(admin), new_with(panel, agent, port(3011)))
    await agent.end(agent.commands("update_server")[0], ("CONFIG_INVALID", "That cannot be."))
    assert (await admin.operation(operation))["code"] == "CONFIG_INVALID"
    assert await revisions(panel, server_id) == (1, 1)
    assert await ports_held(panel, server_id) == {3011}


def new_with(panel: PanelUnderTest, agent: Part2Agent, *ports: dict[str, Any]) -> Any:
    return NewServer.model_validate(panel.new(agent, ports=list(ports)))


async def test_a_change_on_top_of_a_refused_one_goes_back_to_what_was_before_both(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent, ports=[port(3021)])
    before = await known(admin, server_id)
    first = await admin.patch(f"/api/servers/{server_id}", {"ports": [port(3022)]}, 202)
    await orders(panel).hold(actor(admin), server_id, Hold.MAINTENANCE)
    one, two = agent.commands("update_server")
    await agent.end(one, ("CONFIG_INVALID", "That cannot be."))
    assert (await admin.operation(first))["code"] == "CONFIG_INVALID"
    assert (await revisions(panel, server_id))[0] == 4
    assert await ports_held(panel, server_id) == {3021, 3022}
    await agent.end(two, ("CONFIG_INVALID", "Nor can that."))
    await admin.operation({"id": two["id"]})
    assert await known(admin, server_id) == before
    assert await ports_held(panel, server_id) == {3021}


async def test_a_hold_that_is_called_off_ends_also_where_something_was_changed_on_top_of_it(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    await orders(panel).hold(actor(admin), server_id, Hold.SUSPENDED)
    await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    await orders(panel).update(actor(admin), server_id, changed(environment={"MODE": "another"}))
    agent.unfinished.clear()
    hold, *changes = agent.commands("update_server")
    await agent.end(hold, ("CANCELLED", "It was called off."))
    for each in changes:
        agent.servers[server_id]["revision"] = each["payload"]["revision"]
        await agent.end(each, revision=each["payload"]["revision"])
    await has_taken(panel, server_id, 5)
    now = await admin.get(f"/api/servers/{server_id}")
    assert (now["hold"], now["startup"], now["environment"]) == ("none", "./new", {"MODE": "another"})
    assert agent.commands("update_server")[-1]["payload"]["hold"] == "none"


async def test_the_end_of_a_hold_that_is_called_off_leaves_the_hold_also_beneath_a_change_that_was_kept(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await orders(panel).hold(actor(admin), server_id, Hold.SUSPENDED)
    await has_taken(panel, server_id, 2)
    agent.unfinished.add("update_server")
    await orders(panel).hold(actor(admin), server_id, Hold.NONE)
    kept = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    agent.unfinished.clear()
    _, release, change = agent.commands("update_server")
    await agent.end(change, ("INSUFFICIENT_RESOURCES", "There is no room."))
    assert (await admin.operation(kept))["state"] == "succeeded"
    await agent.end(release, ("CANCELLED", "It was called off."))
    await has_taken(panel, server_id, 5)
    now = await admin.get(f"/api/servers/{server_id}")
    assert (now["hold"], now["startup"]) == ("suspended", "./new")


async def test_a_change_beneath_others_that_is_refused_leaves_theirs_and_goes_with_theirs(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    before = await known(admin, server_id)
    await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    await orders(panel).hold(actor(admin), server_id, Hold.MAINTENANCE)
    await orders(panel).update(actor(admin), server_id, changed(startup="./newer"))
    for command, startup in zip(agent.commands("update_server"), ("./newer", "./newer", None), strict=True):
        await agent.end(command, ("CONFIG_INVALID", "That cannot be."))
        await admin.operation({"id": command["id"]})
        now = await known(admin, server_id)
        assert now["startup"] == (startup or before["startup"])
    assert now == before


@pytest.mark.parametrize("code", ["INSUFFICIENT_RESOURCES", "SERVER_NOT_FOUND", "INVALID_STATE", "INTERNAL"])
async def test_any_other_refusal_keeps_a_change_and_the_node_is_told_until_it_has_it(
    panel: PanelUnderTest, admin: Person, code: str
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    agent.refusals["update_server"] = (code, "There is no room.")
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    assert operation["state"] == "succeeded"
    assert operation["message"] == f"{KEPT_FOR_LATER} There is no room."
    assert await revisions(panel, server_id) == (2, 1)
    await until(lambda: len(agent.commands("update_server")) > 2)
    agent.refusals.clear()
    await has_taken(panel, server_id, 2)
    assert agent.commands("update_server")[-1]["payload"]["startup"] == "./new"
    assert await history(admin, server_id) == [("update", "succeeded", None), ("create", "succeeded", None)]
    await forgets_what_it_was(panel, operation["id"])


async def test_a_change_that_was_overtaken_is_told_again(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    agent.unfinished.clear()
    await agent.end(agent.commands("update_server")[0], ("INVALID_STATE", "A kill has overtaken it."))
    assert (await admin.operation(operation))["state"] == "succeeded"
    await has_taken(panel, server_id, 2)


async def test_a_change_of_a_server_whose_creation_is_on_its_way_goes_with_it(
    panel: PanelUnderTest, admin: Person
) -> None:
    silent = {"create_server"}
    agent = await panel.connected(await panel.part2_agent(unanswered=silent, unfinished=silent))
    ordering = asyncio.create_task(admin.post("/api/servers", panel.new(agent)))
    await until(lambda: agent.commands("create_server"))
    agent.die()
    creation = await ordering
    server_id = creation["server_id"]
    await panel.sees_node(agent, online=False)
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    assert operation["state"] == "succeeded"
    agent.unanswered, agent.unfinished = set(), set()
    agent._answers.clear()
    await agent.come()
    assert (await admin.operation(creation))["state"] == "succeeded"
    (command,) = agent.commands("create_server")
    assert (command["payload"]["startup"], command["payload"]["revision"]) == ("./new", 2)
    await has_taken(panel, server_id, 2)
    await agent.go()


async def test_a_change_of_whose_end_nothing_is_heard_is_kept(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    agent = await own_panel.connected(await own_panel.part2_agent(unfinished={"update_server"}))
    server_id = await own_panel.server(agent)
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    agent.unfinished.clear()
    for _ in range(2):
        own_panel.clock.ahead_s += 65
        await agent.tell("heartbeat", {"nodeId": agent.node_id})
        await admin.done(f"/api/servers/{server_id}/status")
    assert (await admin.operation(operation))["state"] == "succeeded"
    await has_taken(own_panel, server_id, 2)


async def test_a_change_that_went_with_a_lost_journal_is_kept(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    await agent.go()
    agent.unfinished.clear()
    agent.spool_id, agent.seq, agent.spool = "another", 0, []
    await panel.connected(agent)
    assert (await admin.operation(operation))["state"] == "succeeded"
    await has_taken(panel, server_id, 2)


async def test_a_revision_that_only_the_node_knows_is_followed_by_the_panels_own(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    agent.servers[server_id]["revision"] = 7
    await panel.connected(agent)
    await has_taken(panel, server_id, 8)
    assert agent.commands("update_server")[-1]["payload"]["startup"] == SPECIFICATION["startup"]


@pytest.mark.parametrize("told", [2**31 - 1, 2**31, 2**70, -1])
async def test_a_revision_beyond_all_bounds_is_none(panel: PanelUnderTest, admin: Person, told: int) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    agent.servers[server_id].update(revision=told, observed="running")
    await panel.connected(agent)
    await admin.sees(server_id, "RUNNING")
    assert (await revisions(panel, server_id))[0] < 2**31


async def test_what_was_kept_and_is_refused_for_good_even_undone_is_written_down_once(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    agent.refusals["update_server"] = ("CONFIG_INVALID", "That cannot be.")
    refused = ("update", "failed", "CONFIG_INVALID")
    expected = [refused, refused, ("update", "succeeded", None), ("create", "succeeded", None)]

    async def written_down() -> bool:
        return await history(admin, server_id) == expected

    for _ in range(2):
        await panel.connected(agent)
        await until(lambda: agent.commands("update_server"))
        await until(written_down)
        await agent.go()
        await panel.sees_node(agent, online=False)
    agent.refusals.clear()
    await admin.patch(f"/api/servers/{server_id}", {"startup": str(SPECIFICATION["startup"])}, 202)
    await panel.connected(agent)
    await has_taken(panel, server_id, 3)


async def test_a_waiting_change_that_is_called_off_is_undone(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)
    await admin.post(f"/api/operations/{operation['id']}/cancel")
    await agent.end(agent.commands("update_server")[0], ("CANCELLED", "It was called off."))
    assert (await admin.operation(operation))["code"] == "CANCELLED"
    assert await revisions(panel, server_id) == (1, 1)


async def comes_without_the_truth(panel: PanelUnderTest, agent: Part2Agent) -> None:
    await agent.dial()
    await until(lambda: agent.of("welcome"))
    await panel.sees_node(agent, online=True)


async def test_a_new_order_does_not_overtake_what_the_node_missed(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id, left_over = await cut_off(panel, agent, "start")
    await comes_without_the_truth(panel, agent)
    ordering = asyncio.create_task(admin.post(f"/api/servers/{server_id}/stop"))

    async def ordered() -> bool:
        items = (await admin.get(f"/api/servers/{server_id}/operations"))["items"]
        return items[0]["kind"] == "stop"

    await until(ordered)
    assert not agent.orders
    await agent.tell_truth()
    await ordering
    assert [order["action"] for order in agent.orders] == ["start_server", "stop_server"]
    assert agent.orders[0]["id"] == left_over["id"]
    await agent.go()


async def test_an_order_that_still_waits_for_its_turn_can_be_called_off(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    await comes_without_the_truth(panel, agent)
    ordering = asyncio.create_task(admin.post(f"/api/servers/{server_id}/start"))

    async def ordered() -> Any:
        items = (await admin.get(f"/api/servers/{server_id}/operations"))["items"]
        return items[0] if items[0]["kind"] == "start" else None

    operation = await until(ordered)
    cancelled = await admin.post(f"/api/operations/{operation['id']}/cancel")
    assert (cancelled["state"], cancelled["code"]) == ("failed", "CANCELLED")
    await agent.tell_truth()
    assert (await ordering)["code"] == "CANCELLED"
    assert not agent.orders
    await agent.go()


async def test_an_order_for_a_node_that_never_tells_what_it_holds_is_refused(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.part2_agent())
    server_id = await own_panel.server(agent)
    await agent.go()
    await own_panel.sees_node(agent, online=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctrl_alt_play.panel.servers.dispatch.COMMAND_TIMEOUT_S", 0.05)
        await comes_without_the_truth(own_panel, agent)
        problem = await own_panel.admin.post(f"/api/servers/{server_id}/start", status=504)
    assert (problem["code"], "just come back" in problem["detail"]) == ("TIMEOUT", True)
    await agent.go()
