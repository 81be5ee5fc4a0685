"""Figures are measured: CPU between readings, memory without cache, disk by looking."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.clock import HeldClock
from tests.fakes.engine import FakeEngine
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import Container, ContainerState, Plan, Sample
from ctrl_alt_play.agent.engine.faults import unavailable
from ctrl_alt_play.agent.engine.stats import sample_of
from ctrl_alt_play.agent.figures.meter import DISK_AGE_S, FRESH_S, Meter, folder_bytes, resources_of
from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.protocol.specification import Limits, Specification

READ = "2026-11-20T12:00:00.123456789Z"
AT_S = 1795176000.123456
CGROUP_V1 = {
    "read": READ,
    "pids_stats": {"current": 3},
    "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
    "memory_stats": {
        "usage": 50_000_000, "limit": 134_217_728,
        "stats": {"total_inactive_file": 20_000_000, "inactive_file": 1, "hierarchical_memory_limit": 134_217_728},
    },
    "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 20}, "eth1": {"rx_bytes": 1, "tx_bytes": 2}},
}  # fmt: skip
CGROUP_V2 = {
    "read": READ,
    "pids_stats": {"current": 3, "limit": 512},
    "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000, "usage_in_usermode": 1}},
    "memory_stats": {"usage": 50_000_000, "limit": 134_217_728, "stats": {"inactive_file": 20_000_000, "active_file": 5}},
    "networks": {"eth0": {"rx_bytes": 11, "tx_bytes": 22}},
}  # fmt: skip
NOT_RUNNING = {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}


@pytest.mark.parametrize("document", [CGROUP_V1, CGROUP_V2], ids=["v1", "v2"])
def test_both_kinds_of_control_groups_say_the_same(document: dict[str, Any]) -> None:
    sample = sample_of(document)
    assert sample == Sample(pytest.approx(AT_S), 1_500_000_000, 30_000_000, 134_217_728, 11, 22, 3)


def test_a_container_that_does_not_run_has_no_sample() -> None:
    assert sample_of(NOT_RUNNING) is None


def test_host_networking_has_no_traffic_and_small_memory_no_cache() -> None:
    document = {
        **CGROUP_V1,
        "networks": None,
        "memory_stats": {"usage": 10, "limit": 100, "stats": {"inactive_file": 20}},
    }
    sample = sample_of(document)
    assert sample is not None
    assert (sample.received_bytes, sample.memory_bytes) == (0, 10)


class Counters(FakeEngine):
    """An engine whose samples are what the test says."""

    def __init__(self, clock: HeldClock) -> None:
        super().__init__()
        self._clock = clock
        self.next = Sample(100.0, 0, 20 * 2**20, 100 * 2**20, 5, 6, 2)

    async def sample(self, server_id: str) -> Sample | None:
        await self._arrive("sample", server_id)
        return self.next

    def read(self, at_s: float, cpu_s: float) -> None:
        self.next = replace(self.next, read_at_s=at_s, cpu_ns=int(cpu_s * 1e9))
        self._clock.advance(FRESH_S)


@pytest.fixture
def counters(clock: HeldClock) -> Counters:
    return Counters(clock)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def meter(counters: Counters, clock: HeldClock, tmp_path: Path) -> Meter:
    return Meter("one", counters, tmp_path, clock)


def box(started_at_s: float) -> Container:
    """A container that no process of this machine belongs to: the engine is asked."""
    return Container("c" * 64, "one", ContainerState.RUNNING, pid=1, started_at=at_seconds(started_at_s))


BOX = box(90)


async def cpu(meter: Meter, started_at_s: float = 90) -> float | None:
    figures = await meter.measure(box(started_at_s))
    assert figures is not None
    return None if figures.cpu_percent is None else round(figures.cpu_percent, 6)


async def test_cpu_is_measured_between_readings(meter: Meter, counters: Counters) -> None:
    counters.read(100, 5)
    assert await cpu(meter) == 50
    counters.read(102, 8)
    assert await cpu(meter) == 150
    counters.read(104, 8)
    assert await cpu(meter) == 0


async def test_a_span_too_short_says_what_was_said_before(meter: Meter, counters: Counters) -> None:
    counters.read(90.1, 0.1)
    assert await cpu(meter) is None
    counters.read(91, 0.5)
    assert await cpu(meter) == 50
    counters.read(91.1, 0.6)
    assert await cpu(meter) == 50
    counters.read(92, 1.5)
    assert await cpu(meter) == 100


async def test_counters_that_began_anew_are_not_compared_with_the_old_ones(meter: Meter, counters: Counters) -> None:
    counters.read(100, 500)
    await cpu(meter)
    counters.read(111, 1)
    assert await cpu(meter, started_at_s=110) == 100
    meter.reset()
    counters.read(124, 500)
    assert await cpu(meter, started_at_s=120) == 12500


async def test_a_reading_that_was_just_taken_is_told_again(meter: Meter, counters: Counters, clock: HeldClock) -> None:
    first = await meter.measure(BOX)
    assert first is not None
    counters.fail_next("sample", unavailable("gone"))
    clock.advance(FRESH_S - 0.1)
    assert await meter.measure(BOX) == first
    meter.reset()
    assert await meter.measure(BOX) is None


async def test_an_engine_too_slow_to_answer_gives_the_last_reading(
    meter: Meter, counters: Counters, clock: HeldClock
) -> None:
    assert await meter.measure(BOX) is not None
    clock.advance(FRESH_S)
    async with counters.holding("sample"):
        began = asyncio.get_running_loop().time()
        assert await meter.measure(BOX) is not None
        assert asyncio.get_running_loop().time() - began < 0.8
    clock.advance(FRESH_S)
    counters.fail_next("sample", unavailable("gone"))
    assert await meter.measure(BOX) is not None
    meter.reset()
    counters.fail_next("sample", unavailable("gone"))
    assert await meter.measure(BOX) is None


async def test_the_disk_is_looked_at_again_when_the_last_look_is_old(
    meter: Meter, clock: HeldClock, tmp_path: Path
) -> None:
    async def disk() -> int | None:
        figures = await meter.measure(BOX)
        assert figures is not None
        return figures.disk_bytes

    assert await disk() == 0
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    assert await disk() == 0
    clock.advance(DISK_AGE_S + 1)
    await disk()
    assert await until(disk) >= 10_000  # type: ignore[operator]


def test_a_folders_size_counts_no_links_and_survives_what_vanishes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 8192)
    (tmp_path / "sparse").touch()
    with (tmp_path / "sparse").open("r+b") as sparse:
        sparse.truncate(2**30)
    (tmp_path / "link").symlink_to("/usr")
    assert 8192 <= folder_bytes(tmp_path) < 20_000
    assert folder_bytes(tmp_path / "missing") == 0


async def test_figures_are_told_in_the_protocols_words(meter: Meter, counters: Counters) -> None:
    counters.read(100, 5)
    told = resources_of(await meter.measure(BOX), Limits(disk=1000))
    assert told is not None
    assert told.model_dump(by_alias=True) == {
        "cpu": 50.0,
        "memory": {"used": "20m", "usedBytes": 20 * 2**20, "limitBytes": 100 * 2**20, "percentage": 20.0},
        "disk": {"usedBytes": 0, "limitBytes": 1000},
        "network": {"rx": 5, "tx": 6},
    }
    assert resources_of(None, Limits()) is None


async def test_the_fake_engine_measures_as_a_real_one_would(tmp_path: Path) -> None:
    engine = FakeEngine()
    await engine.create(Plan("one", "node-1", Specification(image="game"), tmp_path, 1, 1))
    assert await engine.sample("one") is None
    await engine.start("one")
    assert await engine.sample("one") is not None
