"""Figures in the live channel: what a source of them is asked and tells."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import pytest
from pydantic import BaseModel
from tests.panel.live.support import Viewer
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.live.figures import Measured


class Sample(BaseModel):
    cpu: float


class FakeFigures:
    def __init__(self) -> None:
        self.watched: list[tuple[dict[str, str], set[str]]] = []

    def recent_of_server(self, server_id: str) -> Sequence[Sample]:
        return [Sample(cpu=1), Sample(cpu=2)]

    def recent_of_node(self, node_id: str) -> Sequence[Sample]:
        return []

    def watch(self, servers: Mapping[str, str], nodes: AbstractSet[str]) -> None:
        self.watched.append((dict(servers), set(nodes)))


@pytest.fixture
def source() -> FakeFigures:
    return FakeFigures()


@pytest.fixture
def measured(panel: PanelUnderTest, source: FakeFigures) -> Iterator[Measured]:
    before = panel.app.state.live.measured
    yield panel.app.state.live.take_figures_from(source)
    panel.app.state.live.measured = before


async def test_figures_begin_with_the_last_minute_and_go_on_with_each_sample(
    panel: PanelUnderTest, owner: Person, measured: Measured
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    topic = f"figures:{server_id}"
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe(topic)
        assert viewer.of(topic)[0] == {"topic": topic, "kind": "recent", "data": [{"cpu": 1}, {"cpu": 2}]}
        measured.tell_server(server_id, Sample(cpu=3))
        assert (await viewer.sees(topic, "sample"))[0] == {"topic": topic, "kind": "sample", "data": {"cpu": 3}}
        for cpu in (4, 5, 6):
            measured.tell_server(server_id, Sample(cpu=cpu))
        newest = (await viewer.sees(topic, "sample", 2))[1]
        assert newest == {"topic": topic, "kind": "sample", "skipped": 2, "data": {"cpu": 6}}


async def test_the_source_knows_who_is_looked_at(
    panel: PanelUnderTest, owner: Person, source: FakeFigures, measured: Measured
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    async with Viewer(panel, panel.admin) as viewer:
        await viewer.subscribe(f"figures:{server_id}")
        await viewer.subscribe(f"figures-node:{agent.node_id}")
        await until(lambda: source.watched and source.watched[-1] == ({server_id: agent.node_id}, {agent.node_id}))
        said = len(source.watched)
        await panel.app.state.live.judge()
        assert len(source.watched) == said + 1
        await viewer.say(unsubscribe=f"figures:{server_id}")
        await until(lambda: source.watched[-1] == ({}, {agent.node_id}))
    await until(lambda: source.watched[-1] == ({}, set()))


async def test_a_panel_without_figures_has_no_such_topics(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel.app.state.live, "measured", None)
    async with Viewer(panel, panel.admin) as viewer:
        await viewer.subscribe("figures-node:first")
        assert viewer.of("figures-node:first")[0]["code"] == "NOT_FOUND"
