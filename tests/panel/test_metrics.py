"""What the panel tells Prometheus, and whom it tells."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from tests.panel.support import PanelUnderTest, Person, make_config, until
from tests.panel.test_figures import sample, tell, told

from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.metrics import known
from ctrl_alt_play.protocol.live import Samples, ServerFigures

TOKEN = "a token of some length"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def values(panel: PanelUnderTest) -> Values:
    async with panel.client() as api:
        text = (await api.get("/metrics")).text
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def value(found: Values, name: str, **labels: str) -> float | None:
    return found.get((f"ctrl_alt_play_panel_{name}", tuple(sorted(labels.items()))))


async def test_what_happens_is_counted(panel: PanelUnderTest, admin: Person) -> None:
    before = await values(panel)
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    await admin.get(f"/api/servers/{server_id}")
    await admin.get(f"/nothing/{server_id}", 404)
    players = {"online": 2, "max": 16, "list": ["Sarge"]}
    await tell(agent, sample(server_id, rx=10, memory=1000, players=players))
    await told(admin, server_id)
    found = await values(panel)

    def grown(name: str, **labels: str) -> float:
        return (value(found, name, **labels) or 0) - (value(before, name, **labels) or 0)

    assert grown("http_requests_total", route="/api/servers/{server_id}", method="GET", status="200") == 1
    assert grown("http_requests_total", route="other", method="GET", status="404") == 1
    assert grown("http_request_seconds_count", route="/api/servers/{server_id}") == 1
    assert grown("operations_total", kind="create", outcome="succeeded") == 1
    assert grown("commands_total", action="create_server", code="ok") == 1
    assert grown("command_seconds_count", action="create_server") == 1
    assert grown("facts_total", kind="samples") == 1
    assert grown("database_seconds_count", kind="write") > 0
    assert grown("database_seconds_count", kind="read") > 0
    assert grown("servers", status="OFFLINE") == 1
    its = {"server_id": server_id, "node_id": agent.node_id}
    assert value(found, "server_cpu_cores", **its) == 0.125
    assert value(found, "server_memory_bytes", **its) == 1000
    assert value(found, "server_network_receive_bytes_total", **its) == 10
    assert value(found, "server_players", **its) == 2
    assert value(found, "nodes_online") == 1
    assert ("process_resident_memory_bytes", ()) in found


async def test_each_operation_is_counted_once_however_it_ended(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent(unfinished={"start_server"}))
    server_id = await panel.server(agent)
    before = await values(panel)
    operation = await admin.post(f"/api/servers/{server_id}/start")
    await values(panel)
    command = (await until(lambda: agent.commands("start_server")))[0]
    await agent.end(command, ("START_FAILED", "It would not."))
    await admin.operation(operation)
    for _ in range(2):
        found = await values(panel)
        labels = {"kind": "start", "outcome": "failed"}
        assert (value(found, "operations_total", **labels) or 0) - (
            value(before, "operations_total", **labels) or 0
        ) == 1


@pytest_asyncio.fixture(loop_scope="session")
async def closed_panel(tmp_path: Path) -> AsyncIterator[PanelUnderTest]:
    async with PanelUnderTest(make_config(tmp_path, metrics_token=TOKEN)) as panel:
        yield panel


async def test_with_a_token_set_only_that_opens(closed_panel: PanelUnderTest) -> None:
    async with closed_panel.client() as api:
        assert (await api.get("/metrics")).status_code == 401
        for wrong in ("Bearer wrong", TOKEN, f"Basic {TOKEN}", "Bearer"):
            assert (await api.get("/metrics", headers={"Authorization": wrong})).status_code == 401
        right = await api.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert right.status_code == 200
        assert right.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("127.9.9.9", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.1", {}, 403),
        ("::ffff:192.0.2.1", {}, 403),
        ("2001:db8::1", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
        ("a socket", {}, 403),
    ],
)
async def test_without_a_token_only_this_machine_may_read(
    panel: PanelUnderTest, host: str, headers: dict[str, str], status: int
) -> None:
    transport = httpx.ASGITransport(panel.app, client=(host, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://panel", headers=headers) as api:
        answer = await api.get("/metrics")
    assert answer.status_code == status
    if status == 403:
        assert "METRICS_TOKEN" in answer.json()["detail"]


async def test_past_a_thousand_servers_the_rest_is_told_in_sum(panel: PanelUnderTest) -> None:
    meters = Meters(panel.clock)
    ids = [f"server-{number}" for number in range(known.MOST_SERVERS + 5)]
    figures = tuple(ServerFigures(server_id=id_, memory=10, rx=5) for id_ in ids)
    meters.know("node", Samples(servers=figures), {id_: number for number, id_ in enumerate(ids)}, None)
    shown = known.Known(meters, {}, lambda: panel.clock.utc().timestamp())
    shown.look({})
    families = {family.name: family for family in shown.collect()}
    memory = families["ctrl_alt_play_panel_server_memory_bytes"].samples
    assert len(memory) == known.MOST_SERVERS + 1
    assert (memory[-1].labels["server_id"], memory[-1].value) == (known.OTHER_SERVERS, 50)
    assert len(families["ctrl_alt_play_panel_server_network_receive_bytes"].samples) == known.MOST_SERVERS
