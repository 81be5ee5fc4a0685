"""Figures of real games in real containers, as a whole agent tells them. Who plays is tests/integration/test_players.py's."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.foreign.panel import Agent, ForeignPanel
from tests.integration.agent.conftest import unique
from tests.integration.agent.processes import OPENARENA, AgentProcess, Docker
from tests.integration.installation import free_port
from tests.waiting import until

from ctrl_alt_play.agent.engine.base import Container, Plan, Sample
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.agent.figures.cgroups import Counters
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.games.game import NoAnswer
from ctrl_alt_play.protocol.specification import Limits, Port, Specification

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

WELCOME = {"protocol": {"version": 2, "minimum": 1}, "ackedSeq": 0, "servers": []}


# Against Docker's own word


@pytest.fixture
async def engine() -> AsyncIterator[DockerEngine]:
    engine = DockerEngine()
    yield engine
    await engine.close()


@pytest.fixture
async def box(engine: DockerEngine, docker: Docker, tmp_path: Path) -> AsyncIterator[Container]:
    """OpenArena in a container that runs, and is asked over the network."""
    node_id = f"test-{secrets.token_hex(4)}"
    port = Port(internal=OPENARENA.port, external=free_port(), protocol="udp", address="127.0.0.1")
    limits = Limits(memory=OPENARENA.memory_bytes)
    specification = Specification(image=OPENARENA.image, startup=OPENARENA.startup, limits=limits, ports=(port,))
    tmp_path.chmod(0o777)  # noqa: ASYNC240 - it is a test's own
    await engine.create(Plan(unique("measured"), node_id, specification, tmp_path, 20001, 20001))
    try:
        (made,) = [each for each in await engine.list() if each.node_id == node_id]
        await engine.start(made.server_id)
        running = await engine.inspect(made.server_id)
        assert running is not None
        await asyncio.to_thread(until, lambda: answers(port.external), "the game answers", 30)
        yield running
    finally:
        docker.remove_all(node_id)


def answers(port: int) -> bool:
    try:
        return OPENARENA.query("127.0.0.1", port, 1).players_max > 0
    except NoAnswer:
        return False


async def test_control_groups_say_what_docker_says(engine: DockerEngine, box: Container) -> None:
    """What only grows lies between two readings of ours; the rest hardly moves."""
    counters = Counters(SystemClock())
    before = counters.read(box)
    docker = await engine.sample(box.server_id)
    after = counters.read(box)
    assert before is not None
    assert docker is not None
    assert after is not None
    growing: list[Callable[[Sample], int | None]] = [
        lambda sample: sample.cpu_ns,
        lambda sample: sample.received_bytes,
        lambda sample: sample.sent_bytes,
        lambda sample: sample.read_bytes or 0,
        lambda sample: sample.written_bytes or 0,
    ]
    for count in growing:
        assert count(before) <= count(docker) <= count(after)  # type: ignore[operator]  # none of them is None
    assert before.received_bytes > 0
    assert before.sent_bytes > 0
    assert before.memory_limit_bytes == docker.memory_limit_bytes == OPENARENA.memory_bytes
    assert before.pids == docker.pids
    assert abs(before.memory_bytes - docker.memory_bytes) < 4 * 2**20


async def test_a_container_that_ended_has_no_counters(engine: DockerEngine, box: Container) -> None:
    counters = Counters(SystemClock())
    assert counters.read(box) is not None
    await engine.remove(box.server_id)
    assert counters.read(box) is None
    assert Counters(SystemClock()).read(box) is None


async def test_docker_tells_what_it_keeps(engine: DockerEngine, docker: Docker) -> None:
    assert await engine.disk_bytes() > 2**20


# The whole agent


@pytest.fixture
async def agent(docker: Docker, tmp_path: Path) -> AsyncIterator[tuple[Agent, AgentProcess]]:
    """Its panel speaks part 2."""
    async with ForeignPanel() as panel:
        process = AgentProcess(tmp_path, panel.url, f"test-{secrets.token_hex(4)}")
        process.start()
        try:
            agent = await panel.agent()
            await agent.send({"type": "welcome", "data": WELCOME})
            await agent.expect(type="state_snapshot")
            yield agent, process
        finally:
            process.close()
            docker.remove_all(process.node_id)


async def run(agent: Agent) -> str:
    """The id of a server of OpenArena that runs."""
    server_id = unique(OPENARENA.key)
    specification: dict[str, Any] = {
        "image": OPENARENA.image,
        "startup": OPENARENA.startup,
        "limits": {"memory": OPENARENA.memory_bytes},
        "ports": [{"internal": OPENARENA.port, "external": free_port(), "protocol": "udp", "address": "127.0.0.1"}],
        "readiness": {"text": [OPENARENA.ready_line]},
        "query": {"protocol": OPENARENA.query_protocol},
    }
    await agent.command(unique("create"), "create_server", server_id, **specification)
    await agent.command(unique("start"), "start_server", server_id)
    running = {"serverId": server_id, "currentStatus": "running"}
    await agent.expect(type="event", data=running, timeout_s=60)
    return server_id


async def test_what_is_watched_is_told_every_second_and_prometheus_is_told_the_same(
    agent: tuple[Agent, AgentProcess],
) -> None:
    panel, process = agent
    server_id = await run(panel)
    answer = await panel.command(unique("watch"), "watch_figures", servers=[server_id], node=True, seconds=30)
    assert answer["success"]
    assert answer["data"] == {}

    def samples() -> list[tuple[float, dict[str, Any]]]:
        frames = [heard for heard in panel.heard if heard.frame.get("event") == "samples"]
        told = [(heard.at, each) for heard in frames for each in heard.frame["data"]["servers"]]
        return [(at, each) for at, each in told if each["serverId"] == server_id]

    await panel.expect_that(lambda _: len(samples()) >= 6, timeout_s=20)
    spans = [later - before for (before, _), (later, _) in zip(samples()[1:], samples()[2:], strict=False)]
    assert 0.5 < sum(spans) / len(spans) < 2
    newest = samples()[-1][1]
    assert {"cpu", "memory", "memoryLimit", "rx", "tx", "read", "written", "pids", "uptime", "disk"} <= newest.keys()
    node = await panel.expect_that(lambda frame: "dockerDisk" in frame.get("data", {}).get("node", {}), timeout_s=30)
    assert node.frame["data"]["node"]["dockerDisk"] > 0

    url = await process.health_url()
    async with aiohttp.ClientSession() as client, client.get(f"{url}/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    values = {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("server_id") == server_id
    }
    assert values["ctrl_alt_play_server_memory_limit_bytes"] == OPENARENA.memory_bytes
    assert values["ctrl_alt_play_server_cpu_seconds_total"] > 0
    assert values["ctrl_alt_play_server_players_max"] == 12
