"""Ports of nodes: ranges that servers are given theirs from, who holds what, and how players reach it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, unique

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Allocation, Server
from ctrl_alt_play.panel.placement.ports import propose
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.panel.servers.schemas import NewServer
from ctrl_alt_play.templates.model import Port

EVERYWHERE = "0.0.0.0"
GAME, QUERY, RCON = (Port(name="game"), Port(name="query", protocol="udp"), Port(name="rcon", protocol="tcp"))


async def node(admin: Person) -> str:
    """A node without an agent."""
    node_id = unique("ports")
    await admin.post("/api/nodes", {"id": node_id, "name": node_id}, 201)
    return node_id


async def give(admin: Person, node_id: str, first: int, last: int, status: int = 201, **more: Any) -> Any:
    return await admin.post(f"/api/nodes/{node_id}/ports", {"first": first, "last": last, **more}, status)


async def add(panel: PanelUnderTest, node_id: str, *ports: dict[str, Any]) -> str:
    """A server that its node was not told of."""
    new = NewServer.model_validate(
        {"name": unique("server"), "node_id": node_id, "image": "games/quake:1", "ports": ports}
    )
    async with panel.app.state.database.writing() as session:
        return (await service.add(session, panel_actor(panel), new, panel.clock.utc())).name


def panel_actor(panel: PanelUnderTest) -> Actor:
    return Actor(panel.admin.id, panel.admin.username, is_admin=True)


def port(external: int, protocol: str = "udp", **more: Any) -> dict[str, Any]:
    return {"internal": 27960, "external": external, "protocol": protocol, **more}


async def proposed(panel: PanelUnderTest, node_id: str, *wanted: Port) -> list[tuple[str | None, str, int, str]]:
    async with panel.app.state.database.writing() as session:
        found = await propose(session, node_id, wanted)
    return [(each.name, each.protocol, each.external, each.address) for each in found]


async def test_without_ranges_ports_are_given_from_the_usual_number_upwards(
    panel: PanelUnderTest, admin: Person
) -> None:
    node_id = await node(admin)
    await add(panel, node_id, port(25565, "tcp"), port(25566, "udp"), port(27960))
    assert await proposed(panel, node_id, GAME, QUERY, Port(name="quake", protocol="udp", internal=27960)) == [
        ("game", "tcp", 25567, EVERYWHERE),
        ("game", "udp", 25567, EVERYWHERE),
        ("query", "udp", 25565, EVERYWHERE),
        ("quake", "udp", 27961, EVERYWHERE),
    ]


async def test_ports_are_given_from_ranges_in_their_order_and_only_where_the_protocol_fits(
    panel: PanelUnderTest, admin: Person
) -> None:
    node_id = await node(admin)
    await give(admin, node_id, 4000, 4000, protocol="udp")
    await give(admin, node_id, 5000, 5001, address="192.0.2.7")
    await give(admin, node_id, 3000, 3000, protocol="tcp")
    await add(panel, node_id, port(5000, "tcp", address="192.0.2.8"))
    wanted = await proposed(panel, node_id, GAME, QUERY, RCON)
    assert [each[1:] for each in wanted] == [
        ("tcp", 5000, "192.0.2.7"),
        ("udp", 5000, "192.0.2.7"),
        ("udp", 4000, EVERYWHERE),
        ("tcp", 3000, EVERYWHERE),
    ]
    await add(panel, node_id, port(5000, "udp"))  # on all addresses, also on that one
    assert (await proposed(panel, node_id, GAME))[0][2] == 5001
    await add(panel, node_id, port(5001, "tcp", address="192.0.2.7"))
    with pytest.raises(Conflict, match="no free port for game"):
        await proposed(panel, node_id, GAME)


async def test_a_port_is_found_by_a_few_questions_however_many_are_held(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(admin)
    await give(admin, node_id, 10000, 60000)
    async with panel.app.state.database.writing() as session:
        name = await add_in(session, panel, node_id)
        session.add_all(
            Allocation(server_id=name, node_id=node_id, address=EVERYWHERE, port=number, protocol="udp")
            for number in range(10000, 12000)
        )
    asked: list[str] = []
    engine = panel.app.state.database._writer.sync_engine

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    found = await proposed(panel, node_id, GAME, QUERY)
    event.remove(engine, "before_cursor_execute", listen)
    assert [number for _, _, number, _ in found] == [12000, 12000, 12001]
    assert len(asked) < 8, asked


async def add_in(session: Any, panel: PanelUnderTest, node_id: str) -> str:
    new = NewServer.model_validate({"name": "many", "node_id": node_id, "image": "games/quake:1"})
    server: Server = await service.add(session, panel_actor(panel), new, panel.clock.utc())
    return server.id


async def test_ranges_say_how_much_of_them_is_free_and_who_holds_the_rest(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(admin)
    first = await give(admin, node_id, 2000, 2009, alias="play.example.org")
    second = await give(admin, node_id, 3000, 3000, protocol="udp", address="192.0.2.7")
    assert (first["free"], second["free"]) == (10, 1)
    name = await add(panel, node_id, port(2000, name="game"), port(2000, "tcp"), port(2003), port(3000, "tcp"))
    other = await add(panel, node_id, port(3000, "udp"), port(4000))
    found = (await admin.get(f"/api/nodes/{node_id}/ports"))["items"]
    assert [(each["id"], each["free"]) for each in found] == [(first["id"], 8), (second["id"], 0)]
    page = await admin.get(f"/api/nodes/{node_id}/allocations", limit=4)
    rest = await admin.get(f"/api/nodes/{node_id}/allocations", limit=4, cursor=page["next_cursor"])
    held = [(each["port"], each["protocol"], each["name"], each["server_name"]) for each in page["items"]]
    assert held == [
        (2000, "udp", "game", name),
        (2000, "tcp", None, name),
        (2003, "udp", None, name),
        (3000, "tcp", None, name),
    ]
    assert [(each["port"], each["server_name"]) for each in rest["items"]] == [(3000, other), (4000, other)]
    assert rest["next_cursor"] is None
    of_second = await admin.get(f"/api/nodes/{node_id}/allocations", range_id=second["id"])
    assert [each["server_name"] for each in of_second["items"]] == [other]
    await admin.get(f"/api/nodes/{node_id}/allocations", 422, cursor="nonsense")


async def test_a_range_that_servers_hold_ports_of_stays(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(admin)
    path = f"/api/nodes/{node_id}/ports/{(await give(admin, node_id, 2000, 2009))['id']}"
    name = await add(panel, node_id, port(2004))
    refused = await admin.delete(path, 409)
    assert refused["code"] == "PORTS_HELD"
    assert name in refused["detail"]
    for change in ({"first": 2005}, {"last": 2003}, {"protocol": "tcp"}, {"address": "192.0.2.7"}):
        assert name in (await admin.patch(path, change, 409))["detail"]
    changed = await admin.patch(path, {"first": 2004, "last": 2004, "protocol": "udp", "alias": "play.example.org"})
    assert (changed["first"], changed["last"], changed["free"]) == (2004, 2004, 0)
    assert (await admin.patch(path, {"alias": None}))["alias"] is None
    free = await give(admin, node_id, 2005, 2009)
    await admin.delete(f"/api/nodes/{node_id}/ports/{free['id']}")
    assert len((await admin.get(f"/api/nodes/{node_id}/ports"))["items"]) == 1


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"first": 2009, "last": 2020}, 409),
        ({"first": 1990, "last": 2100, "protocol": "tcp", "address": "192.0.2.7"}, 409),
        ({"first": 2010, "last": 2020}, 201),
        ({"first": 2020, "last": 2010}, 422),
        ({"first": 0, "last": 2010}, 422),
        ({"first": 3000, "last": 65536}, 422),
        ({"first": 3000, "last": 3001, "address": "here"}, 422),
        ({"first": 3000, "last": 3001, "alias": "play example"}, 422),
        ({"first": 3000, "last": 3001, "alias": "play.example.org:25565"}, 422),
        ({"first": 3000, "last": 3001, "protocol": "sctp"}, 422),
        ({"first": 3000, "last": 3001, "more": 1}, 422),
    ],
)
async def test_ranges_do_not_overlap_and_are_real(admin: Person, more: dict[str, Any], status: int) -> None:
    node_id = await node(admin)
    await give(admin, node_id, 2000, 2009, protocol="tcp")
    problem = await admin.post(f"/api/nodes/{node_id}/ports", more, status)
    if status == 409:
        assert "0.0.0.0 2000-2009 tcp" in problem["detail"]


async def test_a_range_of_another_node_does_not_exist(admin: Person) -> None:
    one, other = await node(admin), await node(admin)
    range_id = (await give(admin, one, 2000, 2009))["id"]
    await admin.patch(f"/api/nodes/{other}/ports/{range_id}", {"first": 2001}, 404)
    await admin.delete(f"/api/nodes/{other}/ports/{range_id}", 404)
    await admin.get(f"/api/nodes/{other}/allocations", 404, range_id=range_id)
    for path in ("ports", "allocations"):
        await admin.get(f"/api/nodes/nobody/{path}", 404)
    await give(admin, "nobody", 1, 2, 404)


async def test_players_reach_a_server_by_alias_by_the_nodes_address_or_by_its_own(
    panel: PanelUnderTest, admin: Person, owner: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    ports = [port(2000), port(3000), port(4000, address="192.0.2.7"), port(4000, address="2001:db8::1")]
    server_id = await panel.server(agent, owner, ports=ports)

    async def addresses() -> Any:
        return (await owner.get(f"/api/servers/{server_id}"))["addresses"]

    assert await addresses() == [None, None, "192.0.2.7:4000", "[2001:db8::1]:4000"]
    await admin.patch(f"/api/nodes/{agent.node_id}", {"address": "node.example.org"})
    await give(admin, agent.node_id, 2000, 2009, alias="play.example.org")
    named = ["play.example.org:2000", "node.example.org:3000", "192.0.2.7:4000", "[2001:db8::1]:4000"]
    assert await addresses() == named
    await admin.patch(f"/api/nodes/{agent.node_id}", {"address": None})
    assert (await addresses())[:2] == ["play.example.org:2000", None]


async def test_a_conflict_names_the_port_and_its_holder(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(admin)
    holder = await add(panel, node_id, port(2000))
    with pytest.raises(Conflict, match=rf"port 2000/udp \(query\) is held by server {holder}"):
        await add(panel, node_id, port(2000, name="query"))


async def test_two_creations_at_once_never_get_the_same_port(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(admin)
    await creates_at_once(panel, node_id)


async def creates_at_once(panel: PanelUnderTest, node_id: str, servers: int = 8) -> None:
    async def create() -> list[int]:
        async with panel.app.state.database.writing() as session:
            ports = await propose(session, node_id, (GAME, QUERY))
            new = NewServer.model_validate(
                {
                    "name": "one",
                    "node_id": node_id,
                    "image": "games/quake:1",
                    "ports": [each.model_dump() for each in ports],
                }
            )
            await service.add(session, panel_actor(panel), new, panel.clock.utc())
            return [each.external for each in ports]

    found = await asyncio.gather(*(create() for _ in range(servers)))
    numbers = [
        (protocol, number) for game, _, query in found for protocol, number in (("game", game), ("query", query))
    ]
    assert len(set(numbers)) == len(numbers) == 2 * servers
    assert {number for _, number in numbers} == set(range(25565, 25565 + 2 * servers))


async def test_held_ports_follow_a_servers_change_and_its_end(panel: PanelUnderTest, admin: Person) -> None:
    agent: Part2Agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, ports=[port(2000), port(2001)])
    await admin.operation(await admin.patch(f"/api/servers/{server_id}", {"ports": [port(2001), port(2002)]}, 202))

    async def held() -> list[int]:
        items = (await admin.get(f"/api/nodes/{agent.node_id}/allocations"))["items"]
        return [each["port"] for each in items]

    assert await held() == [2001, 2002]
    await admin.operation(await admin.delete(f"/api/servers/{server_id}", 202))
    assert await held() == []
