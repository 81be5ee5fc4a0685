"""What nodes measure: shown as it comes, kept for a year, and asked for by graphs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from tests.fakes.part2_agent import Data, Part2Agent
from tests.panel.live.support import Viewer
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.models import Sample, Subject


def sample(server_id: str, **figures: Any) -> Data:
    return {"serverId": server_id, "cpu": 12.5, "memory": 1000, **figures}


async def tell(agent: Part2Agent, *servers: Data, **more: Any) -> None:
    """As the agent does: perishable, so without a number."""
    data = {"at": datetime.now(UTC).isoformat(), "servers": servers, **more}
    await agent.send({"type": "event", "event": "samples", "timestamp": data["at"], "data": data})


async def newest(person: Person, path: str) -> Any:
    return (await person.get(f"{path}/figures"))["newest"]


async def told(person: Person, server_id: str) -> Any:
    return await until(lambda: newest(person, f"/api/servers/{server_id}"))


async def rows(panel: PanelUnderTest, resolution: int, **subject: str) -> list[Sample]:
    async with panel.app.state.database.reading() as session:
        query = select(Sample).join(Subject, Subject.id == Sample.subject_id).filter_by(resolution=resolution)
        for name, value in subject.items():
            query = query.where(getattr(Subject, name) == value)
        return list(await session.scalars(query.order_by(Sample.at)))


async def test_servers_show_what_they_use_without_being_asked(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    players = {"online": 2, "max": 16, "list": ["Sarge", "Gr\x00unt"]}
    await tell(agent, sample(server_id, rx=10, tx=20, read=30, written=40, pids=5, disk=6, uptime=7.5, players=players))

    async def figures() -> Any:
        server = (await admin.get("/api/servers", node_id=agent.node_id))["items"][0]
        return server["figures"] and server["measured_at"] and server["figures"]

    assert await until(figures) == {
        "cpu_percent": 12.5,
        "memory_used_bytes": 1000,
        "memory_limit_bytes": None,
        "disk_used_bytes": 6,
        "disk_limit_bytes": None,
        "network_received_bytes": 10,
        "network_sent_bytes": 20,
        "block_read_bytes": 30,
        "block_written_bytes": 40,
        "pids": 5,
        "players": 2,
        "players_max": 16,
        "player_names": ["Sarge", "Grunt"],
        "uptime_s": 7.5,
    }
    await tell(agent, sample(server_id, cpu=77))

    async def cpu() -> Any:
        return (await admin.get(f"/api/servers/{server_id}"))["figures"]["cpu_percent"] == 77

    await until(cpu)


async def test_a_node_speaks_for_its_own_servers_only(panel: PanelUnderTest, admin: Person) -> None:
    agent, other = [await panel.connected(await panel.part2_agent()) for _ in range(2)]
    own, others = await panel.server(agent), await panel.server(other)
    await tell(other, sample(others, cpu=1))
    await told(admin, others)
    await tell(agent, sample(others, cpu=99), sample("nobody"), sample(own))
    await told(admin, own)
    assert (await newest(admin, f"/api/servers/{others}"))["cpu_percent"] == 1
    assert panel.app.state.meters.server("nobody") is None


async def test_a_node_shows_what_it_uses(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    disks = [{"path": "/", "used": 10, "total": 100}, {"path": "/bad", "used": -1, "total": 2}]
    clock = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await tell(agent, node={"cpu": 150, "cores": 4, "load": [1, 2, 3], "disks": disks, "clock": clock})
    path = f"/api/nodes/{agent.node_id}"
    seen = await until(lambda: newest(admin, path))
    assert (seen["cpu_percent"], seen["load"]) == (150, [1, 2, 3])
    assert seen["disks"] == [{"path": "/", "used_bytes": 10, "total_bytes": 100}]
    assert 3590 < seen["clock_ahead_s"] < 3610


async def test_a_graph_is_about_what_one_may_see(
    panel: PanelUnderTest, admin: Person, owner: Person, stranger: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    await owner.get(f"/api/servers/{server_id}/figures")
    await stranger.get(f"/api/servers/{server_id}/figures", 404)
    await owner.get(f"/api/nodes/{agent.node_id}/figures", 403)
    await admin.get("/api/nodes/nowhere/figures", 404)
    visitor = await panel.visitor()
    await visitor.get(f"/api/servers/{server_id}/figures", 401)


async def test_what_cannot_be_a_graph_is_refused(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    path = f"/api/servers/{await panel.server(agent)}/figures"
    for wrong in (
        {"points": 0},
        {"points": 2001},
        {"since": "2026-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"},
        {"since": "2020-01-01T00:00:00Z"},
        {"since": "0001-01-01T00:00:00Z", "until": "0001-01-02T00:00:00Z"},
        {"until": "9999-12-31T23:59:59Z"},
        {"since": "2026-01-01T00:00:00"},
    ):
        assert (await admin.get(path, 422, **wrong))["fields"], wrong


async def test_minutes_are_written_for_all_and_gaps_stay_gaps(own_panel: PanelUnderTest) -> None:
    panel = own_panel
    agent = await panel.connected(await panel.part2_agent())
    servers = [await panel.server(agent) for _ in range(2)]
    for minutes, cpu in ((0, 10), (0, 30), (3, 50)):
        panel.clock.ahead_s = minutes * 60
        await tell(agent, *(sample(one, cpu=cpu) for one in servers))
        for one in servers:
            await until(lambda one=one, cpu=cpu: _has(panel, one, cpu))
    panel.clock.ahead_s = 5 * 60
    for one in servers:
        kept = await until(lambda one=one: _two(panel, one))
        assert [(row.cpu, row.cpu_max, row.count) for row in kept] == [(20, 30, 2), (50, 50, 1)]
    graph = await panel.admin.get(f"/api/servers/{servers[0]}/figures", points=60)
    assert (graph["step_s"], graph["resolution_s"]) == (60, 60)
    values = graph["columns"]["cpu_percent"]
    first = values.index(20)
    assert values[first : first + 4] == [20, None, None, 50]
    assert {len(column) for column in graph["columns"].values()} == {len(values)}


async def _has(panel: PanelUnderTest, server_id: str, cpu: float) -> bool:
    seen = await newest(panel.admin, f"/api/servers/{server_id}")
    return seen is not None and seen["cpu_percent"] == cpu


async def _two(panel: PanelUnderTest, server_id: str) -> list[Sample] | None:
    kept = await rows(panel, 60, server_id=server_id)
    return kept if len(kept) == 2 else None


async def test_a_panel_that_is_stopped_loses_nothing_of_the_minute_that_runs(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.connected(await own_panel.part2_agent())
    server_id = await own_panel.server(agent)
    await tell(agent, sample(server_id))
    await told(own_panel.admin, server_id)
    await own_panel.stop()
    await own_panel.start()
    (row,) = await rows(own_panel, 60, server_id=server_id)
    assert (row.cpu, row.memory, row.count) == (12.5, 1000, 1)


async def test_who_came_and_went_is_an_event_of_the_node_s_own_servers(panel: PanelUnderTest, admin: Person) -> None:
    agent, other = [await panel.connected(await panel.part2_agent()) for _ in range(2)]
    own, others = await panel.server(agent), await panel.server(other)
    for server_id in (own, others):
        await agent.event("players_changed", {"serverId": server_id, "online": 1, "joined": ["Sarge"]})
    await until(lambda: agent.acked == agent.seq)
    (event,) = (await admin.get(f"/api/servers/{own}/events", kind="players_changed"))["items"]
    assert event["data"]["joined"] == ["Sarge"]
    assert (await admin.get(f"/api/servers/{others}/events", kind="players_changed"))["items"] == []
    both = (await admin.get(f"/api/nodes/{agent.node_id}/events", kind="players_changed"))["items"]
    assert {one["server_id"] for one in both} == {own, None}


async def test_whoever_looks_has_it_measured_every_second_and_is_told(
    panel: PanelUnderTest, owner: Person, stranger: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    await tell(agent, sample(server_id, cpu=1, rx=1000))
    await told(panel.admin, server_id)
    topic = f"figures:{server_id}"
    async with Viewer(panel, owner) as viewer, Viewer(panel, stranger) as other:
        await viewer.subscribe(topic)
        await other.subscribe(topic)
        (first,) = await viewer.sees(topic, "recent")
        assert [one["cpu_percent"] for one in first["data"]] == [1]
        (asked,) = await until(lambda: agent.commands("watch_figures"))
        assert asked["payload"] == {"servers": [server_id], "node": False, "seconds": 30}
        await tell(agent, sample(server_id, cpu=2, rx=1000))
        (frame,) = await viewer.sees(topic, "sample")
        assert frame["data"]["cpu_percent"] == 2
        assert other.of(topic)[0]["kind"] == "error"
    async with Viewer(panel, panel.admin) as viewer:
        topic = f"figures-node:{agent.node_id}"
        await viewer.subscribe(topic)
        await until(lambda: agent.commands("watch_figures")[-1]["payload"]["node"])
        await tell(agent, node={"cpu": 3})
        assert (await viewer.sees(topic, "sample"))[0]["data"]["cpu_percent"] == 3
    assert agent.acked == agent.seq
