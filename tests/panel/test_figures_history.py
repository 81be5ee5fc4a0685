"""The history of figures: rates, buckets, sums of minutes, what is removed when, and which of it a graph is made of."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, select
from tests.panel.support import HeldClock, make_config

from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Invalid
from ctrl_alt_play.panel.figures import history, service
from ctrl_alt_play.panel.figures.bucket import Bucket, Reading
from ctrl_alt_play.panel.figures.keeper import Keeper
from ctrl_alt_play.panel.figures.meter import MINUTE, QUARTER, SECOND, Meter
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.figures.schemas import ServerSample
from ctrl_alt_play.panel.figures.source import Source
from ctrl_alt_play.panel.migrations import migrate
from ctrl_alt_play.panel.models import Node, Sample, Subject
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import NodeFigures, Samples, WatchPayload

DAY_S = 24 * 3600
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOTHING = Reading(*[None] * 9)


class SetClock(HeldClock):
    """At noon, until a test puts it on."""

    def utc(self) -> datetime:
        return NOON + timedelta(seconds=self.ahead_s)


@dataclass
class Desk:
    """A keeper with a database of its own, and one node that is measured."""

    database: Database
    clock: SetClock
    meters: Meters
    keeper: Keeper

    async def measure(self, at_s: float, cpu: float = 10, **more: Any) -> None:
        self.clock.ahead_s = at_s
        self.meters.take("node", Samples(at=self.clock.utc(), node=NodeFigures(cpu=cpu, **more)))
        if self.meters.are_strange.is_set():
            await self.keeper.keep()

    async def keep(self, at_s: float) -> None:
        self.clock.ahead_s = at_s
        await self.keeper.keep()

    async def rows(self, resolution: int) -> list[tuple[float, float | None, int]]:
        """When after noon, what of the CPU, and of how many measurements."""
        async with self.database.reading() as session:
            query = select(Sample).where(Sample.resolution == resolution).order_by(Sample.at)
            return [(row.at - NOON.timestamp(), row.cpu, row.count) for row in await session.scalars(query)]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    config = make_config(tmp_path)
    await migrate(config)
    database, clock = Database(config.database), SetClock()
    async with database.writing() as session:
        session.add(Node(id="node", name="n", secret_hash="x", enabled=True, online=True, since=NOON, created_at=NOON))
    meters = Meters(clock)
    yield Desk(database, clock, meters, Keeper(database, meters, clock))
    await database.close()


def meter() -> Meter[ServerSample]:
    return Meter(1, "node")


def test_a_rate_is_the_difference_of_counters_over_the_time_between_them() -> None:
    it = meter()
    assert it.rates((100, None, 0, 0), 10) == (None, None, None, None)
    assert it.rates((400, 5, 0, 60), 25) == (20, None, 0, 4)


def test_a_counter_that_began_anew_is_no_dip() -> None:
    it = meter()
    it.rates((1000, 0, 0, 0), 10)
    assert it.rates((30, 0, 0, 0), 20)[0] == 3


@pytest.mark.parametrize("elapsed_s", [-5, 0, 0.01, 91])
def test_over_no_time_and_over_a_long_one_there_is_no_rate(elapsed_s: float) -> None:
    it = meter()
    it.rates((1, 1, 1, 1), 100)
    assert it.rates((2, 2, 2, 2), 100 + elapsed_s) == (None, None, None, None)


def test_a_bucket_has_averages_and_what_was_the_most() -> None:
    bucket = Bucket(MINUTE, 0)
    bucket.add(NOTHING._replace(cpu=10, memory=100, disk=7, players=3))
    bucket.add(NOTHING._replace(cpu=20, memory=101, disk=5, received=2.6))
    row = bucket.row()
    assert {name: value for name, value in row.items() if value is not None} == {
        "resolution": 60,
        "at": 0,
        "count": 2,
        "cpu": 15,
        "cpu_max": 20,
        "memory": 100,
        "memory_max": 101,
        "disk": 7,
        "received": 3,
        "players": 3,
    }


async def test_seconds_are_kept_only_where_it_is_measured_so_often(desk: Desk) -> None:
    for at_s in (0, 15, 30, 31, 32, 33):
        await desk.measure(at_s, cpu=at_s)
    await desk.keep(60)
    assert await desk.rows(SECOND) == [(31, 31, 1), (32, 32, 1), (33, 33, 1)]
    assert [row[::2] for row in await desk.rows(MINUTE)] == [(0, 6)]


async def test_seconds_go_after_ten_minutes(desk: Desk) -> None:
    for at_s in (0, 1, 2):
        await desk.measure(at_s)
    await desk.keep(60)
    assert len(await desk.rows(SECOND)) == 2
    await desk.measure(700)
    await desk.keep(760)
    assert await desk.rows(SECOND) == []


async def test_minutes_become_quarters_of_an_hour_and_again_after_a_restart(desk: Desk) -> None:
    for minute in (0, 1, 14, 15):
        await desk.measure(minute * 60, cpu=minute * 10)
        await desk.keep(minute * 60 + 59)
    await desk.keep(16 * 60)
    assert await desk.rows(QUARTER) == [(0, 50, 3)]
    desk.meters = Meters(desk.clock)
    desk.keeper = Keeper(desk.database, desk.meters, desk.clock)
    await desk.keep(3 * 3600)
    assert await desk.rows(QUARTER) == [(0, 50, 3), (900, 150, 1)]


async def test_the_fuller_half_of_a_minute_stands_for_it_after_a_restart(desk: Desk) -> None:
    for at_s, cpu in ((0, 10), (15, 10), (30, 10)):
        await desk.measure(at_s, cpu)
    await desk.keeper.end()
    desk.meters = Meters(desk.clock)
    desk.keeper = Keeper(desk.database, desk.meters, desk.clock)
    await desk.measure(50, 99)
    await desk.keep(60)
    assert await desk.rows(MINUTE) == [(0, 10, 3)]


async def test_what_is_old_is_forgotten_and_all_of_what_is_gone(desk: Desk) -> None:
    await desk.measure(0)
    await desk.keep(60)
    old = {"subject_id": 1, "count": 1, **dict.fromkeys(history.GRAPHED)}
    ages = [(MINUTE, 8 * DAY_S), (MINUTE, 6 * DAY_S), (QUARTER, 367 * DAY_S), (QUARTER, 365 * DAY_S)]
    rows = [{**old, "resolution": one, "at": int(NOON.timestamp()) - age_s} for one, age_s in ages]
    async with desk.database.writing_rows() as connection:
        await history.write(connection, [history.as_parameters(row) for row in rows])
    await desk.keeper.forget()
    assert [row[0] for row in await desk.rows(MINUTE)] == [-6 * DAY_S, 0]
    assert [row[0] for row in await desk.rows(QUARTER)] == [-365 * DAY_S]
    async with desk.database.writing() as session:
        await session.delete(await session.get(Node, "node"))
    await desk.keeper.forget()
    async with desk.database.reading() as session:
        assert (await session.scalars(select(Sample))).all() == []
        assert (await session.scalars(select(Subject))).all() == []


async def test_nothing_is_written_for_what_is_gone(desk: Desk) -> None:
    await desk.measure(0)
    async with desk.database.writing() as session:
        await session.delete(await session.get(Node, "node"))
    await desk.keep(60)
    assert await desk.rows(MINUTE) == []


async def test_what_the_database_does_not_take_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.measure(0)

    async def refuse(*_: Any) -> None:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(history, "write", refuse)
        with pytest.raises(OSError, match="away"):
            await desk.keep(60)
    assert desk.keeper.waiting == 1
    await desk.keep(61)
    assert [row[0] for row in await desk.rows(MINUTE)] == [0]


async def test_who_is_not_measured_any_more_is_forgotten_in_memory(desk: Desk) -> None:
    await desk.measure(0)
    await desk.keep(200)
    assert desk.meters.nodes() == []


async def test_a_graph_is_one_question_that_looks_at_one_stretch_of_the_table(desk: Desk) -> None:
    await desk.measure(0)
    await desk.keep(60)
    asked: list[tuple[str, Any]] = []
    listener = desk.database.engine.sync_engine
    event.listen(listener, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    for points in (5, 60):
        asked.clear()
        async with desk.database.reading() as session:
            span = service.span(NOON - timedelta(hours=1), NOON + timedelta(minutes=1), points, desk.clock.utc())
            await service.of_node(session, "node", span, None, desk.clock.utc())
            ((statement, parameters),) = asked
            connection = await session.connection()
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in plan if "samples" in row[3]]
        assert steps == ["SEARCH samples USING PRIMARY KEY (subject_id=? AND resolution=? AND at>? AND at<?)"]


@pytest.mark.parametrize(
    ("ago", "lasts", "points", "expected"),
    [
        (timedelta(minutes=10), timedelta(minutes=10), 600, (1, 1)),
        (timedelta(minutes=10), timedelta(minutes=10), 2000, (1, 1)),
        (timedelta(hours=1), timedelta(hours=1), 500, (60, 60)),
        (timedelta(days=1), timedelta(days=1), 500, (60, 180)),
        (timedelta(days=7), timedelta(days=7), 500, (900, 1800)),
        (timedelta(days=7), timedelta(days=7), 2000, (60, 360)),
        (timedelta(days=8), timedelta(days=1), 2000, (900, 900)),
        (timedelta(days=365), timedelta(days=365), 500, (900, 63900)),
        (timedelta(days=366), timedelta(seconds=1), 2000, (900, 900)),
    ],
)
def test_a_graph_is_made_of_what_suits_its_length_and_is_kept(
    ago: timedelta, lasts: timedelta, points: int, expected: tuple[int, int]
) -> None:
    span = service.span(NOON - ago, NOON - ago + lasts, points, NOON, often_since_s=0.0)
    assert (span.resolution, span.step) == expected
    assert 1 <= span.steps <= points + 1
    assert span.start <= (NOON - ago).timestamp() < span.start + span.step
    assert span.end >= (NOON - ago + lasts).timestamp()


def test_where_nobody_looked_minutes_stand_in_for_seconds() -> None:
    ten_minutes = NOON - timedelta(minutes=10)
    assert service.span(ten_minutes, NOON, 600, NOON, None).resolution == 60
    assert service.span(ten_minutes, NOON, 600, NOON, NOON.timestamp() - 60).resolution == 60
    assert service.span(ten_minutes, NOON, 600, NOON, NOON.timestamp() - 590).resolution == 1


def test_a_graph_of_no_time_is_refused() -> None:
    with pytest.raises(Invalid):
        service.span(NOON, NOON, 100, NOON)


class Asked:
    """A gateway that notes what it is asked, and may be of no use."""

    def __init__(self) -> None:
        self.payloads: list[tuple[str, WatchPayload]] = []
        self.fault: Exception | None = None

    async def ask(self, node_id: str, action: Action, server_id: str, payload: Any, timeout_s: float = 1) -> Any:
        assert (action, server_id) == (Action.WATCH_FIGURES, "")
        self.payloads.append((node_id, payload))
        if self.fault is not None:
            raise self.fault
        return {}


async def test_each_node_is_asked_once_for_all_that_is_watched(desk: Desk) -> None:
    gateway = Asked()
    source = Source(desk.meters, gateway, desk.clock)
    source.watch({"a": "one", "b": "one", "c": "two"}, {"two", "three"})
    await source.settle()
    asked = {node_id: (set(payload.servers), payload.node, payload.seconds) for node_id, payload in gateway.payloads}
    assert asked == {"one": ({"a", "b"}, False, 30), "two": ({"c"}, True, 30), "three": (set(), True, 30)}
    assert len(gateway.payloads) == 3


@pytest.mark.parametrize("fault", [Fault(ErrorCode.AGENT_OFFLINE, "away"), ValueError("anything")])
async def test_a_node_that_cannot_be_asked_is_asked_again(desk: Desk, fault: Exception) -> None:
    gateway = Asked()
    gateway.fault = fault
    source = Source(desk.meters, gateway, desk.clock)
    for _ in range(2):
        source.watch({"a": "one"}, set())
        await source.settle()
    assert len(gateway.payloads) == 2


async def test_the_last_minute_is_at_hand(desk: Desk) -> None:
    source = Source(desk.meters, Asked(), desk.clock)
    for at_s in (0, 15, 30, 45, 75):
        await desk.measure(at_s, cpu=at_s)
    assert [sample.cpu_percent for sample in source.recent_of_node("node")] == [15, 30, 45, 75]
    assert list(source.recent_of_server("nobody")) == []
