"""Changes that were kept, and that their node refuses for good when nobody waits any more: the server goes back to what its node has."""

from typing import Any

from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import SPECIFICATION, PanelUnderTest, Person, until
from tests.panel.test_part2_changes import changed, revisions, with_orphan
from tests.panel.test_part2_operations import actor, orders
from tests.panel.test_part2_revisions import has_taken, history, port, ports_held

from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.servers import endings
from ctrl_alt_play.protocol.specification import Hold

BAD = "./bad"
REFUSED = ("update", "failed", "CONFIG_INVALID")


async def away(panel: PanelUnderTest, agent: Part2Agent) -> Part2Agent:
    await agent.go()
    await panel.sees_node(agent, online=False)
    return agent


async def refusal(admin: Person, server_id: str) -> str:
    """What is written down of it, once it is."""

    async def written_down() -> Any:
        last = (await admin.get(f"/api/servers/{server_id}/operations"))["items"][0]
        return last if last["state"] == "failed" else None

    operation = await until(written_down)
    assert (operation["kind"], operation["code"], operation["created_by"]) == ("update", "CONFIG_INVALID", None)
    return str(operation["message"])


async def node_has(panel: PanelUnderTest, server_id: str) -> Any:
    async with panel.app.state.database.reading() as session:
        server = await session.get(Server, server_id)
    return server and server.node_specification


async def test_a_kept_change_that_is_refused_for_good_is_undone_and_a_hold_made_meanwhile_takes_effect(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unreadable={BAD}))
    server_id = await panel.server(agent, ports=[port(3101)])
    await away(panel, agent)
    await admin.patch(f"/api/servers/{server_id}", {"startup": BAD, "name": "after", "ports": [port(3102)]}, 202)
    await orders(panel).hold(actor(admin), server_id, Hold.SUSPENDED)
    assert await ports_held(panel, server_id) == {3101, 3102}
    await admin.post("/api/servers", panel.new(agent, ports=[port(3101)]), 409)
    await panel.connected(agent)
    await has_taken(panel, server_id, 4)
    taken = agent.commands("update_server")[-1]["payload"]
    assert (taken["startup"], taken["hold"]) == (SPECIFICATION["startup"], "suspended")
    assert taken["ports"][0]["external"] == 3101
    server = await admin.get(f"/api/servers/{server_id}")
    assert (server["name"], server["startup"], server["hold"]) == ("after", SPECIFICATION["startup"], "suspended")
    message = await refusal(admin, server_id)
    assert message == (
        "The node refused a change that was kept: That cannot be. The server is again what its node has."
    )
    assert [one[1] for one in await history(admin, server_id)] == ["failed", "succeeded", "succeeded", "succeeded"]
    assert await node_has(panel, server_id) is None
    await panel.server(agent, ports=[port(3102)])


async def test_ports_that_a_node_still_uses_are_held_until_it_has_a_kept_change(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, ports=[port(3111)])
    await away(panel, agent)
    await admin.patch(f"/api/servers/{server_id}", {"ports": [port(3112)]}, 202)
    assert await ports_held(panel, server_id) == {3111, 3112}
    await panel.connected(agent)
    await has_taken(panel, server_id, 2)
    assert await ports_held(panel, server_id) == {3112}


async def test_what_cannot_be_undone_because_of_a_port_says_so_and_stays(panel: PanelUnderTest, admin: Person) -> None:
    agent = await with_orphan(panel, serverId="with-a-port-of-another")
    agent.unreadable.add(BAD)
    await panel.server(agent, name="Holder", ports=[{"internal": 1, "external": 2000}])
    adoption = await orders(panel).adopt(actor(admin), agent.node_id, "with-a-port-of-another", "Found", None)
    server_id = adoption.server_id
    await has_taken(panel, server_id, 4)
    await away(panel, agent)
    await admin.patch(f"/api/servers/{server_id}", {"startup": BAD, "ports": []}, 202)
    await panel.connected(agent)
    message = await refusal(admin, server_id)
    assert message.startswith("The node refused a change that was kept: That cannot be. It cannot be undone: ")
    assert "is held by server Holder" in message
    assert await revisions(panel, server_id) == (5, 4)
    assert (await admin.get(f"/api/servers/{server_id}"))["startup"] == BAD
    await orders(panel).update(actor(admin), server_id, changed(startup="./good"))
    await has_taken(panel, server_id, 6)


async def test_what_a_node_took_of_two_changes_is_what_the_server_goes_back_to(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    for startup in ("./good", BAD):
        last = await admin.patch(f"/api/servers/{server_id}", {"startup": startup}, 202)
    one, two = agent.commands("update_server")
    agent.unfinished.clear()
    agent.unreadable.add(BAD)
    agent.servers[server_id]["revision"] = 2
    await agent.end(one, revision=2)
    await agent.end(two, ("INSUFFICIENT_RESOURCES", "There is no room."))
    assert (await admin.operation(last))["state"] == "succeeded"
    await has_taken(panel, server_id, 4)
    assert (await admin.get(f"/api/servers/{server_id}"))["startup"] == "./good"


async def test_a_refused_revision_that_was_overtaken_or_is_waited_for_is_not_undone(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"update_server"}))
    server_id = await panel.server(agent)
    operation = await admin.patch(f"/api/servers/{server_id}", {"startup": "./new"}, 202)

    async def is_refused(revision: int) -> None:
        async with panel.app.state.database.writing() as session:
            failure = Failure("CONFIG_INVALID", "That cannot be.")
            assert await endings.give_up(session, server_id, revision, failure) is None
        assert (await admin.get(f"/api/servers/{server_id}"))["startup"] == "./new"

    await is_refused(2)
    await agent.end(agent.commands("update_server")[0], ("INSUFFICIENT_RESOURCES", "There is no room."))
    await admin.operation(operation)
    await is_refused(1)
