"""An agent's link, with a panel that is not ours at its other end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from tests.fakes.engine import FakeEngine
from tests.fakes.household import Household
from tests.foreign.panel import Agent, ForeignPanel

from ctrl_alt_play.agent import link as links
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.figures.exposition import Exposition
from ctrl_alt_play.agent.health import Health
from ctrl_alt_play.agent.images import Images
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.link import Link
from ctrl_alt_play.agent.main import sampler_of
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.outbox import Outbox
from ctrl_alt_play.agent.pulled import Pulled
from ctrl_alt_play.agent.registries import Registries
from ctrl_alt_play.clock import SystemClock

SECRET = "a secret of the node's own".replace(" ", "-")


class Station:
    """An agent's link, fleet and health server in this process, over a fake engine."""

    def __init__(self, panel: ForeignPanel, home: Household, health_url: str, link: Link) -> None:
        self.panel = panel
        self.home = home
        self.health_url = health_url
        self.link = link

    async def health(self, path: str = "/health") -> tuple[int, str]:
        async with aiohttp.ClientSession() as client, client.get(f"{self.health_url}{path}") as response:
            return response.status, await response.text()


@pytest.fixture
async def panel() -> AsyncIterator[ForeignPanel]:
    async with ForeignPanel(SECRET) as panel:
        yield panel


@pytest.fixture
async def station(panel: ForeignPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Station]:
    monkeypatch.setattr(links, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(links, "WELCOME_WAIT_S", 0.05)
    clock, metrics = SystemClock(), Metrics()
    boxes: list[Outbox] = []

    def make_outbox(journal: Journal) -> Outbox:
        boxes.append(Outbox(clock, journal, metrics.dropped_lines.inc, home.consoles.feed))
        return boxes[0]

    home = Household(tmp_path, FakeEngine(), make_outbox)
    await home.begin()
    outbox = boxes[0]
    config = AgentConfig(panel_url=panel.url, node_id="node-1", agent_secret=SecretStr(SECRET), health_port=0)
    sampler = sampler_of(home.node, home.fleet, outbox)
    metrics.registry.register(Exposition(sampler))
    registries, pulled = Registries(tmp_path / "registries.json"), Pulled(tmp_path / "pulled.json")
    home.engine.login_for, home.engine.on_pulled = registries.login_for, pulled.note
    images = Images(home.engine, home.fleet, registries, pulled, clock, outbox.image_pull)
    link = Link(config, home.node, home.fleet, images, outbox, metrics, sampler)
    health = Health(config, home.node, home.fleet, link.connection, metrics)
    url = f"http://127.0.0.1:{await health.start()}"
    task = asyncio.create_task(link.run())
    yield Station(panel, home, url, link)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await images.close()
    await health.stop()
    await home.kill()


async def created(agent: Agent, server_id: str = "one") -> None:
    assert (await agent.command(f"create-{server_id}", "create_server", server_id, image="game"))["success"]
    await agent.expect(type="event", data={"serverId": server_id, "currentStatus": "created"})


async def welcomed(station: Station) -> Agent:
    agent = await station.panel.agent()
    protocol = {"version": 2, "minimum": 1}
    await agent.send({"type": "welcome", "data": {"protocol": protocol, "ackedSeq": 0, "servers": []}})
    await agent.expect(type="state_snapshot")
    return agent
