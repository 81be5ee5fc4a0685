"""Revisions, holds, orphans, and what is called off: what the panel wants, brought to a node that may be away."""

import pytest
from sqlalchemy import select
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import SPECIFICATION, PanelUnderTest, Person, until
from tests.panel.test_part2_operations import actor, cut_off, orders, state

from ctrl_alt_play.panel.errors import Conflict, NodeRefused, NotFound
from ctrl_alt_play.panel.models import Event, Node, Operation, Server
from ctrl_alt_play.panel.servers.endings import KEPT
from ctrl_alt_play.panel.servers.schemas import ServerChange
from ctrl_alt_play.protocol.specification import Hold


def changed(**fields: object) -> ServerChange:
    return ServerChange.model_validate(fields)


async def revisions(panel: PanelUnderTest, server_id: str) -> tuple[int, int | None]:
    async with panel.app.state.database.reading() as session:
        server = await session.get(Server, server_id)
    assert server is not None
    return server.revision, server.node_revision


async def test_a_change_is_a_new_revision_that_the_node_takes_over(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    assert await revisions(panel, server_id) == (1, 1)
    operation = await orders(panel).update(actor(admin), server_id, changed(startup="./quake +set"))
    ended = await admin.operation({"id": operation.id})
    assert (ended["state"], ended["result"]) == ("succeeded", {"revision": 2})
    (command,) = agent.commands("update_server")
    assert (command["payload"]["revision"], command["payload"]["startup"]) == (2, "./quake +set")
    assert await revisions(panel, server_id) == (2, 2)
    assert (await admin.get(f"/api/servers/{server_id}"))["startup"] == "./quake +set"


async def test_what_is_the_same_is_no_new_revision(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await orders(panel).update(actor(admin), server_id, changed(startup=SPECIFICATION["startup"]))
    assert (await revisions(panel, server_id))[0] == 1


async def test_a_change_for_a_node_that_is_away_is_kept_and_taken_over_when_it_is_back(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    operation = await orders(panel).update(actor(admin), server_id, changed(startup="./new"))
    assert (operation.state, operation.message) == ("succeeded", KEPT)
    await orders(panel).hold(actor(admin), server_id, Hold.SUSPENDED)
    assert await revisions(panel, server_id) == (3, 1)
    await panel.connected(agent)
    (command,) = await until(lambda: agent.commands("update_server"))
    assert (command["payload"]["revision"], command["payload"]["hold"]) == (3, "suspended")

    async def taken_over() -> bool:
        return await revisions(panel, server_id) == (3, 3)

    await until(taken_over)
    history = (await admin.get(f"/api/servers/{server_id}/operations"))["items"]
    assert [(one["kind"], one["created_by"]) for one in history] == [("update", admin.id)] * 2 + [("create", admin.id)]


@pytest.fixture
def _long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told a second time is not told so for want of an end."""
    monkeypatch.setattr("ctrl_alt_play.panel.servers.revisions.FIRST_PAUSE_S", 3600.0)


@pytest.mark.usefixtures("_long_pause")
async def test_what_a_node_lacks_is_told_once_at_each_coming_and_not_before_it_told_the_truth(
    panel: PanelUnderTest, admin: Person
) -> None:
    revisions = panel.app.state.revisions
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    await agent.go()
    await panel.sees_node(agent, online=False)
    await orders(panel).update(actor(admin), server_id, changed(startup="./new"))
    for _ in range(2):
        await agent.dial()
        await until(lambda: agent.of("welcome"))
        await panel.sees_node(agent, online=True)
        await revisions.tell_due()
        assert not agent.commands("update_server")
        await agent.tell_truth()
        await until(lambda: agent.commands("update_server"))
        await revisions.tell(agent.node_id)
        await revisions.tell_due()
        assert len(agent.commands("update_server")) == 1
        await agent.go()
        await panel.sees_node(agent, online=False)


@pytest.mark.usefixtures("_long_pause")
async def test_what_was_told_while_a_node_catches_up_is_not_told_again_at_the_end_of_that(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    _, left_over = await cut_off(panel, agent, "start")
    await orders(panel).update(actor(admin), server_id, changed(startup="./new"))
    agent.unanswered.add("start_server")
    agent._answers.clear()
    await agent.come()
    await until(lambda: agent.commands("start_server"))
    await panel.app.state.revisions.tell_due()
    await until(lambda: agent.commands("update_server"))
    await agent.send(agent._answers[left_over["id"]])
    await panel.app.state.revisions.tell(agent.node_id)
    assert len(agent.commands("update_server")) == 1
    await agent.go()


async def test_a_hold_is_told_to_the_node_and_forbids_a_start(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await orders(panel).hold(actor(admin), server_id, Hold.MAINTENANCE)
    assert agent.commands("update_server")[0]["payload"]["hold"] == "maintenance"
    await admin.post(f"/api/servers/{server_id}/start", status=409)
    await orders(panel).hold(actor(admin), server_id, Hold.NONE)
    await admin.done(f"/api/servers/{server_id}/start")
    assert (await revisions(panel, server_id))[0] == 3


async def test_an_agent_of_part_1_is_not_asked_what_it_cannot_know(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    with pytest.raises(Conflict) as refused:
        await orders(panel).update(actor(admin), server_id, changed(startup="./new"))
    assert refused.value.code == "AGENT_TOO_OLD"
    with pytest.raises(Conflict):
        await orders(panel).hold(actor(admin), server_id, Hold.SUSPENDED)
    started = await admin.post(f"/api/servers/{server_id}/start")
    with pytest.raises(NodeRefused) as refusal:
        await orders(panel).cancel(actor(admin), started["id"])
    assert refusal.value.code == "UNKNOWN_ACTION"
    assert not agent.commands("cancel") + agent.commands("update_server")


async def test_a_port_of_another_server_is_refused_and_nothing_is_changed(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    port = {"internal": 1, "external": 27999, "protocol": "udp"}
    await panel.server(agent, ports=[port])
    server_id = await panel.server(agent)
    with pytest.raises(Conflict):
        await orders(panel).update(actor(admin), server_id, changed(ports=[port]))
    assert await revisions(panel, server_id) == (1, 1)


async def test_a_server_that_its_node_forgot_but_holds_is_adopted_again(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await agent.go()
    agent.servers.clear()
    agent.spool_id, agent.seq, agent.spool = "a new journal", 0, []
    agent.orphans.append({"serverId": server_id, "containerId": "4cd1", "state": "running"})
    await panel.connected(agent)
    (command,) = await until(lambda: agent.commands("adopt_server"))
    assert command["payload"]["specification"]["image"] == SPECIFICATION["image"]
    await admin.sees(server_id, "RUNNING")

    async def known_to_both() -> bool:
        async with panel.app.state.database.reading() as session:
            node = await session.get(Node, agent.node_id)
        return node is not None and not node.orphans and await revisions(panel, server_id) == (1, 1)

    await until(known_to_both)


def orphan(**more: object) -> dict[str, object]:
    specification = {"image": "example.org/other:1", "revision": 4, "ports": [{"internal": 1, "external": 2000}]}
    told = {"serverId": "their-own", "containerId": "4cd1", "state": "running", "isAdoptable": True}
    return {**told, "specification": specification, **more}


async def with_orphan(panel: PanelUnderTest, **more: object) -> Part2Agent:
    agent = await panel.connected(await panel.part2_agent(orphans=[orphan(**more)]))

    async def told() -> bool:
        async with panel.app.state.database.reading() as session:
            node = await session.get(Node, agent.node_id)
        return bool(node and node.orphans)

    await until(told)
    return agent


async def test_an_orphan_that_nobody_knew_becomes_a_server(panel: PanelUnderTest, admin: Person, owner: Person) -> None:
    agent = await with_orphan(panel)
    operation = await orders(panel).adopt(actor(admin), agent.node_id, "their-own", "Found", owner.id)
    assert (await admin.operation({"id": operation.id}))["state"] == "succeeded"
    server = await admin.get("/api/servers/their-own")
    assert (server["name"], server["owner_id"], server["image"]) == ("Found", owner.id, "example.org/other:1")
    assert (server["status"], server["desired"]) == ("RUNNING", "on")
    assert await revisions(panel, "their-own") == (4, 4)
    await admin.done("/api/servers/their-own/stop")
    with pytest.raises(NotFound):
        await orders(panel).adopt(actor(admin), agent.node_id, "their-own", "Again", None)
    await admin.operation(await admin.delete("/api/servers/their-own", 202))


async def test_an_orphan_of_which_nothing_was_told_is_as_it_was_found(panel: PanelUnderTest, admin: Person) -> None:
    agent = await with_orphan(panel)
    agent.unfinished.add("adopt_server")
    operation = await orders(panel).adopt(actor(admin), agent.node_id, "their-own", "Found", None)
    await agent.end(agent.commands("adopt_server")[0], specification=agent.orphans[0]["specification"])
    assert (await admin.operation({"id": operation.id}))["state"] == "succeeded"
    server = await admin.get("/api/servers/their-own")
    assert (server["status"], server["desired"], server["owner_id"]) == ("RUNNING", "on", admin.id)
    agent.servers["their-own"] = {"observed": "running"}
    await admin.operation(await admin.delete("/api/servers/their-own", 202))


SECRET = "correct-horse-9317"


async def told_and_kept(panel: PanelUnderTest, node_id: str, operation: Operation) -> str:
    """All that the API tells of an adoption beside its server, and all that is kept of it."""
    paths = [f"operations/{operation.id}", f"nodes/{node_id}/events", f"nodes/{node_id}"]
    if operation.state == "succeeded":
        paths += ["servers/their-own/operations", "servers/their-own/events", "servers/their-own/status"]
    found = [await panel.admin.get(f"/api/{path}") for path in paths]
    async with panel.app.state.database.reading() as session:
        for table in (Event.__table__, Operation.__table__):
            rows = (await session.execute(select(*table.columns).where(table.columns.node_id == node_id))).all()
            assert rows
            found += [tuple(row) for row in rows]
    return repr(found)


@pytest.mark.parametrize("error", [None, ("DOCKER_ERROR", "It is gone.")], ids=["adopted", "failed"])
async def test_what_a_container_has_in_its_variables_is_told_by_its_server_alone(
    panel: PanelUnderTest, admin: Person, error: tuple[str, str] | None
) -> None:
    specification = {"image": "example.org/other:1", "revision": 4, "environment": {"RCON_PASSWORD": SECRET}}
    agent = await with_orphan(panel, specification=specification)
    agent.unfinished.add("adopt_server")
    operation = await orders(panel).adopt(actor(admin), agent.node_id, "their-own", "Found", None)
    await agent.end(agent.commands("adopt_server")[0], error, specification=specification)
    ended = await admin.operation({"id": operation.id})
    assert ended["result"] == {"revision": 4}
    operation.state = ended["state"]
    assert SECRET not in await told_and_kept(panel, agent.node_id, operation)
    if error is None:
        assert (await admin.get("/api/servers/their-own"))["environment"] == {"RCON_PASSWORD": SECRET}
        agent.servers["their-own"] = {"observed": "running"}
        await admin.operation(await admin.delete("/api/servers/their-own", 202))


async def test_what_a_container_has_in_its_variables_is_not_kept_of_an_end_that_nobody_waits_for(
    panel: PanelUnderTest,
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    result = {"specification": {"environment": {"RCON_PASSWORD": SECRET}}}
    await agent.end({"id": "of-nobody", "action": "adopt_server"}, **result)
    await agent.event("command_completed", {"result": result})
    await until(lambda: agent.acked == agent.seq)
    assert SECRET not in repr(await panel.admin.get(f"/api/nodes/{agent.node_id}/events"))


async def test_an_adoption_that_fails_leaves_no_server(panel: PanelUnderTest, admin: Person) -> None:
    agent = await with_orphan(panel)
    agent.unfinished.add("adopt_server")
    operation = await orders(panel).adopt(actor(admin), agent.node_id, "their-own", "Found", None)
    await agent.end(agent.commands("adopt_server")[0], ("DOCKER_ERROR", "It is gone."))
    assert (await admin.operation({"id": operation.id}))["code"] == "DOCKER_ERROR"
    await admin.get("/api/servers/their-own", 404)


async def test_an_orphan_that_does_not_tell_what_it_is_made_of_cannot_be_adopted(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await with_orphan(panel, isAdoptable=False)
    with pytest.raises(Conflict):
        await orders(panel).adopt(actor(admin), agent.node_id, "their-own", "Found", None)


async def test_what_goes_on_can_be_called_off(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    await orders(panel).cancel(actor(admin), started["id"])
    (cancel,) = agent.commands("cancel")
    assert cancel["payload"] == {"commandId": started["id"]}
    assert cancel["id"] != started["id"]
    await agent.end(agent.commands("start_server")[0], ("CANCELLED", "It was called off."))
    assert (await admin.operation(started))["code"] == "CANCELLED"
    with pytest.raises(Conflict):
        await orders(panel).cancel(actor(admin), started["id"])


async def test_what_cannot_be_called_off_any_more_goes_on(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server"}))
    agent.refusals["cancel"] = ("INVALID_STATE", "It has ended.")
    server_id = await panel.server(agent)
    started = await admin.post(f"/api/servers/{server_id}/start")
    with pytest.raises(NodeRefused) as refused:
        await orders(panel).cancel(actor(admin), started["id"])
    assert refused.value.code == "INVALID_STATE"
    assert await state(admin, started) == ("running", None)
    await agent.go()
    await panel.sees_node(agent, online=False)
    with pytest.raises(NodeRefused) as refused:
        await orders(panel).cancel(actor(admin), started["id"])
    assert refused.value.code == "AGENT_OFFLINE"


async def test_what_the_node_never_had_is_called_off_by_the_panel(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    agent.refusals["cancel"] = ("INVALID_STATE", "There is no such command.")
    server_id = await panel.server(agent)
    started = await admin.done(f"/api/servers/{server_id}/start")
    async with panel.app.state.database.writing() as session:
        operation = await session.get(Operation, started["id"])
        assert operation is not None
        operation.state, operation.finished_at = "queued", None
    cancelled = await orders(panel).cancel(actor(admin), started["id"])
    assert (cancelled.state, cancelled.code) == ("failed", "CANCELLED")
