"""Which node takes a server: what each has, has promised and uses, and why those do not that do not."""

from typing import Any

import pytest
from tests.panel.support import SPECIFICATION, PanelUnderTest, Person, unique, until

from ctrl_alt_play.panel.errors import Conflict
from ctrl_alt_play.panel.models import Node, Server
from ctrl_alt_play.panel.placement.nodes import choose
from ctrl_alt_play.protocol.specification import Limits

GIB = 2**30
MACHINE = {"memory": 16 * GIB, "cores": 8, "disk": 100 * GIB, "diskPath": "/srv"}


async def node(panel: PanelUnderTest, tag: str, machine: dict[str, Any] | None = None, **change: Any) -> str:
    """A node that is there, with a tag of this test's own: the panel has others."""
    agent = await panel.connected(await panel.part2_agent(machine=MACHINE if machine is None else machine))
    await until(lambda: told(panel, agent.node_id))
    await panel.admin.patch(f"/api/nodes/{agent.node_id}", {"tags": [tag, *change.pop("tags", ())], **change})
    return agent.node_id


async def told(panel: PanelUnderTest, node_id: str) -> bool:
    return (await panel.admin.get(f"/api/nodes/{node_id}"))["system"] is not None


async def chosen(panel: PanelUnderTest, *tags: str, **limits: Any) -> str:
    async with panel.app.state.database.reading() as session:
        return (await choose(session, Limits(**limits), tags)).id


async def promise(panel: PanelUnderTest, node_id: str, status: int = 202, **limits: Any) -> Any:
    new = {**SPECIFICATION, "name": unique("server"), "node_id": node_id, "limits": limits}
    return await panel.admin.post("/api/servers", new, status)


async def use(panel: PanelUnderTest, node_id: str, **used: Any) -> None:
    async with panel.app.state.database.writing() as session:
        found = await session.get(Node, node_id)
        assert found is not None
        found.figures = used


async def test_the_node_with_the_greatest_share_left_of_its_scarcest_kind_is_chosen(panel: PanelUnderTest) -> None:
    tag = unique("tag")
    small = await node(panel, tag, {**MACHINE, "memory": 8 * GIB})
    large = await node(panel, tag)
    await promise(panel, large, memory=10 * GIB)
    assert await chosen(panel, tag, memory=GIB) == small
    await promise(panel, small, disk=90 * GIB)
    assert await chosen(panel, tag, memory=GIB) == large
    assert await chosen(panel, tag, memory=7 * GIB - 1, disk=GIB) == small


async def test_of_equals_the_one_that_is_used_least_is_chosen(panel: PanelUnderTest) -> None:
    tag = unique("tag")
    nodes = [await node(panel, tag) for _ in range(3)]
    for node_id, used in zip(nodes, (9, 2, 5), strict=True):
        disks = [{"path": "/srv", "used_bytes": GIB, "total_bytes": 100 * GIB}]
        await use(panel, node_id, memory_used_bytes=used * GIB, cpu_percent=10, disks=disks)
    assert await chosen(panel, tag, memory=GIB) == nodes[1]


async def test_a_machine_that_is_full_takes_none_though_little_is_promised(panel: PanelUnderTest) -> None:
    tag = unique("tag")
    node_id = await node(panel, tag)
    await use(panel, node_id, memory_used_bytes=15 * GIB, cpu_percent=800, disks=[])
    for _ in range(12):
        await panel.admin.post("/api/nodes", {"id": unique("away-and-first"), "name": "Away"}, 201)
    with pytest.raises(Conflict, match=r"has 1 GiB of memory unused where 2 GiB is asked for"):
        await chosen(panel, tag, memory=2 * GIB)
    assert await chosen(panel, tag, memory=GIB // 2, cpu=100) == node_id


async def test_more_or_less_may_be_promised_than_there_is(panel: PanelUnderTest) -> None:
    tag = unique("tag")
    node_id = await node(panel, tag, extra_memory=50, extra_cpu=-50, extra_disk=-100)
    view = (await panel.admin.get(f"/api/nodes/{node_id}"))["capacity"]
    assert {kind: (room["total"], room["allowed"]) for kind, room in view.items()} == {
        "memory": (16 * GIB, 24 * GIB),
        "cpu": (800, 400),
        "disk": (100 * GIB, 0),
    }
    with pytest.raises(Conflict, match="0 B of disk left to promise"):
        await chosen(panel, tag, memory=20 * GIB)
    await panel.admin.patch(f"/api/nodes/{node_id}", {"extra_disk": 0})
    assert await chosen(panel, tag, memory=20 * GIB, cpu=400) == node_id
    with pytest.raises(Conflict, match="400 % of CPU left to promise where 401 % is asked for"):
        await chosen(panel, tag, cpu=401)


async def test_a_server_without_a_limit_counts_with_what_it_uses(panel: PanelUnderTest) -> None:
    node_id = await node(panel, unique("tag"))
    server_id = (await promise(panel, node_id, cpu=100))["server_id"]
    async with panel.app.state.database.writing() as session:
        server = await session.get(Server, server_id)
        assert server is not None
        server.figures = {"memory_used_bytes": 3 * GIB, "cpu_percent": 250.4, "disk_used_bytes": GIB}
    await promise(panel, node_id, memory=GIB)
    capacity = (await panel.admin.get(f"/api/nodes/{node_id}"))["capacity"]
    assert {kind: room["promised"] for kind, room in capacity.items()} == {"memory": 4 * GIB, "cpu": 100, "disk": GIB}
    listed = [each for each in (await panel.admin.get("/api/nodes", limit=200))["items"] if each["id"] == node_id]
    assert listed[0]["capacity"] == capacity


async def test_what_is_promised_follows_a_change_of_limits(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(panel, unique("tag"))
    server_id = (await promise(panel, node_id, memory=GIB))["server_id"]
    await until(lambda: made(panel, server_id))
    await admin.operation(await admin.patch(f"/api/servers/{server_id}", {"limits": {"memory": 2 * GIB}}, 202))
    capacity = (await admin.get(f"/api/nodes/{node_id}"))["capacity"]
    assert (capacity["memory"]["promised"], capacity["memory"]["free"]) == (2 * GIB, 14 * GIB)


async def made(panel: PanelUnderTest, server_id: str) -> bool:
    return await panel.admin.status(server_id) == "OFFLINE"


async def test_it_is_said_of_each_node_why_it_takes_none(panel: PanelUnderTest, admin: Person) -> None:
    tag = unique("tag")
    nodes = {
        "away": await panel.part2_agent(),
        "off": await panel.part2_agent(),
    }
    for agent in nodes.values():
        await admin.patch(f"/api/nodes/{agent.node_id}", {"tags": [tag]})
    await admin.patch(f"/api/nodes/{nodes['off'].node_id}", {"enabled": False})
    changes = {
        "drained": {"openness": "draining"},
        "held": {"openness": "maintenance"},
        "small": {"tags": ["ssd"], "extra_memory": -50},
        "plain": {},
    }
    ids = {name: await node(panel, tag, **change) for name, change in changes.items()}
    for name, node_id in [*ids.items(), *((name, agent.node_id) for name, agent in nodes.items())]:
        await admin.patch(f"/api/nodes/{node_id}", {"name": f"{tag}-{name}"})
    async with panel.app.state.database.reading() as session:
        monkeyed = pytest.MonkeyPatch()
        monkeyed.setattr("ctrl_alt_play.panel.placement.nodes.MOST_REASONS", 1000)
        with pytest.raises(Conflict) as refused:
            await choose(session, Limits(memory=9 * GIB), (tag, "ssd"))
        monkeyed.undo()
    reasons = refused.value.detail
    for name, why in {
        "away": "is away",
        "off": "is disabled",
        "drained": "is draining",
        "held": "is in maintenance",
        "small": "has 8 GiB of memory left to promise where 9 GiB is asked for",
        "plain": "lacks the tag ssd",
    }.items():
        assert f"{tag}-{name} {why}" in reasons, reasons
    with pytest.raises(Conflict, match=r"; \d+ more\."):
        await chosen(panel, unique("nowhere"))


async def test_a_node_that_was_chosen_refuses_what_it_has_no_room_for_unless_forced(
    panel: PanelUnderTest, admin: Person
) -> None:
    node_id = await node(panel, unique("tag"))
    await promise(panel, node_id, memory=12 * GIB)
    refused = await promise(panel, node_id, 409, memory=5 * GIB, cpu=3300)
    assert refused["code"] == "NO_ROOM"
    assert "4 GiB of memory left to promise where 5 GiB" in refused["detail"]
    assert "3200 % of CPU left to promise where 3300 %" in refused["detail"]
    forced = {**SPECIFICATION, "name": "forced", "node_id": node_id, "limits": {"memory": 5 * GIB}, "force": True}
    await admin.post("/api/servers", forced)
    assert (await admin.get(f"/api/nodes/{node_id}"))["capacity"]["memory"]["free"] == -GIB


async def test_a_node_that_tells_nothing_is_held_to_nothing_and_chosen_last(panel: PanelUnderTest) -> None:
    tag = unique("tag")
    silent = await node(panel, tag, {})
    assert await chosen(panel, tag, memory=64 * GIB, cpu=10000, disk=GIB) == silent
    known = await node(panel, tag)
    await promise(panel, known, memory=15 * GIB)
    assert await chosen(panel, tag, memory=GIB // 2) == known


@pytest.mark.parametrize("openness", ["draining", "maintenance"])
async def test_a_node_that_is_not_open_takes_no_new_servers_by_force_either(
    panel: PanelUnderTest, admin: Person, openness: str
) -> None:
    node_id = await node(panel, unique("tag"), openness=openness)
    new = {**SPECIFICATION, "name": "one", "node_id": node_id, "force": True}
    assert (await admin.post("/api/servers", new, 409))["code"] == "NODE_NOT_OPEN"
    await admin.patch(f"/api/nodes/{node_id}", {"openness": "open"})
    await admin.post("/api/servers", new)


@pytest.mark.parametrize(
    "change",
    [
        {"extra_memory": -101},
        {"extra_cpu": 1001},
        {"openness": "ajar"},
        {"address": "not a host"},
        {"address": "http://example.org"},
        {"tags": ["a,b"]},
        {"tags": ["x" * 33]},
    ],
)
async def test_what_a_node_cannot_be_is_refused(admin: Person, change: dict[str, Any]) -> None:
    await admin.patch("/api/nodes/first", change, 422)


async def test_what_is_left_out_of_a_change_stays(panel: PanelUnderTest, admin: Person) -> None:
    node_id = await node(panel, unique("tag"), address="Play.example.org", tags=["SSD"], extra_memory=20)
    before = await admin.get(f"/api/nodes/{node_id}")
    after = await admin.patch(f"/api/nodes/{node_id}", {"name": "Another", "tags": None, "extra_memory": None})
    for name in ("address", "tags", "extra_memory", "openness"):
        assert after[name] == before[name]
    assert before["tags"][1:] == ["ssd"]
