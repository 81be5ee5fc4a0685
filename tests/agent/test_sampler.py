"""Running servers and the node are measured in time, told as the newest, and shown to Prometheus."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.engine import FakeEngine
from tests.fakes.household import Household
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.faults import unavailable
from ctrl_alt_play.agent.engine.stats import disk_of
from ctrl_alt_play.agent.figures import exposition, sampler
from ctrl_alt_play.agent.figures.census import Census
from ctrl_alt_play.agent.figures.exposition import OTHER, Exposition
from ctrl_alt_play.agent.figures.host import Host, disks
from ctrl_alt_play.agent.figures.newest import MOST_NAMES_TOLD, MOST_SERVERS, Newest
from ctrl_alt_play.agent.figures.sampler import Sampler
from ctrl_alt_play.agent.servers import status
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.live import NodeFigures, PlayersSeen, Samples, ServerFigures, WatchPayload


class Told:
    """What a sampler over a household's fleet tells."""

    def __init__(self, home: Household, folder: Path) -> None:
        clock = SystemClock()
        self.home = home
        self.samples: list[Samples] = []
        self.host = Host(home.engine, folder, clock)
        census = Census(clock, lambda _: None)
        self.sampler = Sampler(
            lambda: status.running(home.fleet.servers.values()), self.host, census, clock, self.samples.append
        )

    def of(self, server_id: str) -> list[ServerFigures]:
        return [each for samples in self.samples for each in samples.servers if each.server_id == server_id]

    @property
    def nodes(self) -> list[NodeFigures]:
        return [samples.node for samples in self.samples if samples.node]


@pytest.fixture
def told(home: Household, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """It measures what is watched twenty times a second, and all else once in an hour."""
    monkeypatch.setattr(sampler, "WATCHED_EVERY_S", 0.05)
    monkeypatch.setattr(sampler, "EVERY_S", 3600.0)
    return Told(home, tmp_path)


@pytest.fixture
async def sampling(told: Told) -> AsyncIterator[Told]:
    await told.home.running("one")
    await told.home.running("two")
    task = asyncio.create_task(told.sampler.run())
    await until(lambda: told.samples)
    yield told
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_that_runs_is_told_in_one_message_with_the_node(sampling: Told) -> None:
    (first,) = sampling.samples
    assert {each.server_id for each in first.servers} == {"one", "two"}
    one = first.servers[0]
    assert (one.memory, one.rx, one.tx, one.pids) == (20 * 2**20, 1000, 2000, 2)
    assert one.uptime is not None
    node = first.node
    assert node is not None
    assert node.servers_running == 2
    assert node.memory is not None
    assert node.memory_total is not None
    assert 0 < node.memory < node.memory_total
    assert node.disks
    assert node.clock is not None
    assert node.docker_disk is None


async def test_what_is_watched_is_told_again_and_again_and_the_rest_is_not(sampling: Told) -> None:
    sampling.sampler.watch(WatchPayload(servers=("two", "nobody"), seconds=60))
    await until(lambda: len(sampling.of("two")) >= 4)
    assert len(sampling.of("one")) == 1
    assert len(sampling.nodes) == 1


async def test_a_watch_ends_with_its_time(sampling: Told) -> None:
    sampling.sampler.watch(WatchPayload(servers=("two",), seconds=0.2))
    sampling.sampler.watch(WatchPayload(servers=("one",), node=True, seconds=60))
    await until(lambda: len(sampling.of("two")) >= 2)
    await until(lambda: not {"two"} & {each.server_id for each in sampling.samples[-1].servers})
    seen = len(sampling.of("two"))
    before = len(sampling.of("one"))
    await until(lambda: len(sampling.of("one")) >= before + 3)
    assert len(sampling.of("two")) == seen


async def test_a_server_that_stops_is_not_told_any_more(sampling: Told) -> None:
    sampling.sampler.watch(WatchPayload(servers=("one", "two"), seconds=60))
    await sampling.home.do(Action.STOP_SERVER, "two")
    seen, before = len(sampling.of("two")), len(sampling.of("one"))
    await until(lambda: len(sampling.of("one")) >= before + 3)
    assert len(sampling.of("two")) <= seen + 1


async def test_what_docker_keeps_is_looked_at_only_while_the_node_is_watched_and_once(sampling: Told) -> None:
    sampling.sampler.watch(WatchPayload(node=True, seconds=60))
    await until(lambda: sampling.nodes[-1].docker_disk == 10 * 2**20)
    assert sampling.nodes[-1].cpu is not None
    sampling.home.engine.fail_next("disk_bytes", unavailable("it was asked again"))
    before = len(sampling.nodes)
    await until(lambda: len(sampling.nodes) >= before + 3)
    assert sampling.nodes[-1].docker_disk == 10 * 2**20


async def test_docker_that_takes_its_time_over_its_disk_keeps_nobody_waiting(sampling: Told) -> None:
    async with sampling.home.engine.holding("disk_bytes"):
        sampling.sampler.watch(WatchPayload(node=True, servers=("one",), seconds=60))
        await until(lambda: len(sampling.nodes) >= 3 and len(sampling.of("one")) >= 3)
    assert sampling.nodes[1].docker_disk is None


async def test_one_server_that_cannot_be_measured_still_tells_how_long_it_runs(told: Told, engine: FakeEngine) -> None:
    await told.home.running("one")
    await told.home.running("two")
    engine.fail_next("sample", unavailable("gone"))
    task = asyncio.create_task(told.sampler.run())
    await until(lambda: told.samples)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    told_of = {each.memory is None: each for each in told.samples[0].servers}
    assert told_of.keys() == {True, False}
    assert told_of[True].uptime is not None


async def test_the_disks_of_servers_are_looked_at(sampling: Told) -> None:
    sampling.sampler.watch(WatchPayload(servers=("one",), seconds=60))
    await until(lambda: sampling.of("one")[-1].disk is not None)


async def test_a_sampler_whose_teller_breaks_goes_on(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "RETRY_S", 0.01)
    calls = []

    def tell(samples: Samples) -> None:
        calls.append(samples)
        raise RuntimeError("full")

    told.sampler._tell = tell
    told.sampler.watch(WatchPayload(node=True, seconds=60))
    task = asyncio.create_task(told.sampler.run())
    await until(lambda: len(calls) >= 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_every_disk_is_told_once(tmp_path: Path) -> None:
    found = disks(tmp_path)
    assert found
    assert len({(each.used, each.total) for each in found}) == len(found)
    assert all(0 < each.used <= each.total for each in found)


def test_what_docker_keeps_is_summed_up() -> None:
    usage = {
        "LayersSize": 1000,
        "Images": [{"Size": 5000}],
        "Containers": [{"SizeRw": 10}, {}],
        "Volumes": [{"UsageData": {"Size": 5}}, {"UsageData": {"Size": -1}}, {"UsageData": None}],
        "BuildCache": [{"Size": 100, "Shared": False}, {"Size": 999, "Shared": True}],
    }
    assert disk_of(usage) == 1115
    assert disk_of({"LayersSize": None, "Containers": None, "Volumes": None, "BuildCache": None}) == 0


# On their way


def of(*ids: str, cpu: float = 1.0, names: int = 0) -> Samples:
    players = PlayersSeen(online=names, list=tuple(f"player {number}" for number in range(names))) if names else None
    return Samples(servers=tuple(ServerFigures(server_id=each, cpu=cpu, players=players) for each in ids))


def test_of_what_waits_the_newest_of_each_server_goes() -> None:
    newest = Newest()
    assert not newest
    newest.put(of("one", "two"))
    newest.put(Samples(servers=of("two", cpu=9.0).servers, node=NodeFigures(cores=2)))
    event = newest.take()
    assert event.event == "samples"
    assert event.data["servers"] == ({"serverId": "one", "cpu": 1.0}, {"serverId": "two", "cpu": 9.0})
    assert event.data["node"] == {"cores": 2, "disks": ()}
    assert not newest


@pytest.mark.parametrize(("servers", "names"), [(MOST_SERVERS + 1, 0), (6, MOST_NAMES_TOLD // 5)])
def test_no_message_holds_more_than_a_frame_takes(servers: int, names: int) -> None:
    newest = Newest()
    newest.put(of(*(f"server-{number}" for number in range(servers)), names=names))
    parts = []
    while newest:
        parts.append(newest.take().data["servers"])
    assert [len(part) for part in parts] == [servers - 1, 1]


# Prometheus


@pytest.fixture
def exposed(told: Told) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Exposition(told.sampler))
    return registry


def read(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """All samples, by their name and the one label they have."""
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert all(family.documentation for family in families)
    return {
        (sample.name, "".join(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


async def test_prometheus_reads_figures_of_servers_and_node(sampling: Told, exposed: CollectorRegistry) -> None:
    values = read(exposed)
    assert values["ctrl_alt_play_server_memory_bytes", "one"] == 20 * 2**20
    assert values["ctrl_alt_play_server_cpu_seconds_total", "two"] == pytest.approx(0.01)
    assert values["ctrl_alt_play_server_network_receive_bytes_total", "one"] == 1000
    assert values["ctrl_alt_play_server_start_time_seconds", "one"] > 1e9
    assert values["ctrl_alt_play_node_memory_total_bytes", ""] > 2**20
    assert values["ctrl_alt_play_node_cpu_seconds_total", ""] > 0
    assert ("ctrl_alt_play_server_players", "one") not in values
    await sampling.home.do(Action.STOP_SERVER, "two")
    assert not [name for name, label in read(exposed) if label == "two"]


async def test_past_the_bound_servers_are_told_in_sum(
    sampling: Told, exposed: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sampling.home.running("three")
    sampling.sampler.watch(WatchPayload(servers=("three",), seconds=60))
    await until(lambda: sampling.of("three"))
    monkeypatch.setattr(exposition, "MOST_SERVERS", 1)
    values = read(exposed)
    assert {label for name, label in values if name == "ctrl_alt_play_server_memory_bytes"} == {"one", OTHER}
    assert values["ctrl_alt_play_server_memory_bytes", OTHER] == 40 * 2**20
    assert ("ctrl_alt_play_server_cpu_seconds_total", OTHER) not in values
    assert ("ctrl_alt_play_server_start_time_seconds", OTHER) not in values
