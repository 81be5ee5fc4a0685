"""The gateway's own order of things, with a sink and sockets that are held still."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from structlog.contextvars import get_contextvars
from tests.fakes.clock import HeldClock
from tests.panel.support import until

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.logs import carrying
from ctrl_alt_play.panel.gateway import connection, local
from ctrl_alt_play.panel.gateway.base import Admission, Arrival, Fact, Reception, Taken
from ctrl_alt_play.panel.gateway.connection import GOING_AWAY, TRY_AGAIN, Connection
from ctrl_alt_play.panel.gateway.local import LocalGateway
from ctrl_alt_play.panel.gateway.rivals import REMEMBERED_S, Caller
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import REPLACED, VERSION

HOME, AWAY = Caller("192.0.2.1"), Caller("192.0.2.2")
PART_2 = '{"type": "system_info", "data": {"protocol": {"version": 2, "minimum": 1}}}'
HEARTBEAT = '{"type": "heartbeat", "data": {"nodeId": "attic"}}'


class Slow:
    """A sink that writes down what it is told; leave to go is given by `may_go`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.may_go = asyncio.Event()
        self.failures = 0
        self.may_keep = asyncio.Event()
        self.may_keep.set()
        self.broken_arrivals = 0

    async def connected(self, arrival: Arrival) -> Reception:
        if self.broken_arrivals:
            self.broken_arrivals -= 1
            raise RuntimeError("the database is locked")
        self.told.append(f"connected {arrival.node_id}")
        return Reception(is_allowed=True)

    async def synchronise(self, node_id: str) -> None: ...

    async def apply(self, node_id: str, facts: Sequence[Fact]) -> Taken:
        await self.may_keep.wait()
        return Taken()

    async def disconnected(self, node_id: str) -> None:
        await self.may_go.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is locked")
        self.told.append(f"disconnected {node_id}")


class Line:
    """A socket whose agent says what it is, and that is open until it is cut."""

    def __init__(self, introduction: str = '{"type": "system_info", "data": {}}') -> None:
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._frames.put_nowait(introduction)
        self.sent: list[str] = []
        self.closed: tuple[int, str] | None = None

    def say(self, frame: str) -> None:
        self._frames.put_nowait(frame)

    def cut(self) -> None:
        self._frames.put_nowait(None)

    async def receive(self) -> str | bytes | None:
        return await self._frames.get()

    async def send(self, frame: str) -> None:
        self.sent.append(frame)

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self.cut()


async def test_a_node_that_comes_back_while_its_absence_is_noted_ends_as_present() -> None:
    sink, gateway = Slow(), LocalGateway(SystemClock(), 0.01)
    gateway.report_to(sink)
    first, second = Line(), Line()
    admission = Admission("attic", None)
    going = asyncio.create_task(gateway.serve(admission, first, HOME))
    await until(lambda: gateway.connected_nodes == 1)
    first.cut()
    await until(lambda: gateway.connected_nodes == 0)
    coming = asyncio.create_task(gateway.serve(admission, second, HOME))
    await asyncio.sleep(0)
    sink.may_go.set()
    await going
    await until(lambda: gateway.connected_nodes == 1)
    assert sink.told == ["connected attic", "disconnected attic", "connected attic"]
    second.cut()
    await coming
    assert sink.told[-1] == "disconnected attic"


async def test_an_absence_that_cannot_be_kept_is_told_again_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "KEEP_PAUSE_S", 0)
    sink, gateway = Slow(), LocalGateway(SystemClock(), 0.01)
    gateway.report_to(sink)
    sink.may_go.set()
    sink.failures = connection.KEEP_TRIES + 1
    line = Line()
    serving = asyncio.create_task(gateway.serve(Admission("attic", None), line, HOME))
    await until(lambda: gateway.connected_nodes == 1)
    line.cut()
    await serving
    assert sink.told == ["connected attic", "disconnected attic"]


class House:
    """A gateway with a clock that is held; its rounds are made by hand."""

    def __init__(self) -> None:
        self.clock, self.sink = HeldClock(), Slow()
        self.sink.may_go.set()
        self.gateway = LocalGateway(self.clock, tick_s=3600)
        self.gateway.report_to(self.sink)
        self._serving: list[asyncio.Task[None]] = []

    def dials(self, caller: Caller = HOME, line: Line | None = None) -> Line:
        line = line or Line()
        self._serving.append(asyncio.create_task(self.gateway.serve(Admission("attic", None), line, caller)))
        return line

    async def comes(self, caller: Caller = HOME, line: Line | None = None) -> Line:
        """Returns once it is there."""
        comings = len(self.sink.told)
        line = self.dials(caller, line)
        await until(lambda: self.gateway.connected_nodes and len(self.sink.told) > comings)
        return line

    async def is_refused(self, caller: Caller) -> str:
        line = self.dials(caller)
        await self._serving[-1]
        assert line.closed is not None
        assert line.closed[0] == REPLACED
        return line.closed[1]

    @property
    def connection(self) -> Connection:
        return self.gateway._connections["attic"]

    def passes(self, seconds: float, stood_still_s: float = 0.0) -> None:
        self.clock.advance(seconds)
        self.connection.look(stood_still_s)

    async def end(self) -> None:
        await self.gateway.close()
        await asyncio.gather(*self._serving)


@pytest_asyncio.fixture(loop_scope="session")
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.end()


async def test_two_agents_of_one_node_do_not_replace_one_another_for_ever(house: House) -> None:
    first = await house.comes(HOME)
    second = await house.comes(AWAY)
    third = await house.comes(HOME)
    assert first.closed == second.closed == (REPLACED, "this node has connected again")
    assert house.gateway.warning("attic") is None
    assert await house.is_refused(AWAY) == "another agent uses this node's id, from 192.0.2.1"
    assert third.closed is None
    assert "from 192.0.2.1 and 192.0.2.2" in (house.gateway.warning("attic") or "")
    house.clock.advance(REMEMBERED_S - 1)
    third.say(HEARTBEAT)
    await until(lambda: house.connection.session.silent_s == 0)
    await house.is_refused(AWAY)


async def test_whoever_waits_comes_in_when_the_other_is_gone_and_the_warning_ends(house: House) -> None:
    for caller in (HOME, AWAY, HOME):
        kept = await house.comes(caller)
    await house.is_refused(AWAY)
    kept.cut()
    await until(lambda: house.gateway.connected_nodes == 0)
    await house.comes(AWAY)
    await house.is_refused(HOME)
    house.clock.advance(REMEMBERED_S + 1)
    assert house.gateway.warning("attic") is None


async def test_an_agent_always_gets_its_own_place(house: House) -> None:
    for number in range(6):
        await house.comes(Caller(f"192.0.2.{number}", "of one installation"))
    assert house.gateway.warning("attic") is None
    for instance in ("a copy", "of one installation"):
        await house.comes(Caller("192.0.2.1", instance))
    assert "from" in await house.is_refused(Caller("192.0.2.1", "a copy"))
    assert "both from 192.0.2.1" in (house.gateway.warning("attic") or "")
    half_open = house.connection
    await house.comes(Caller("192.0.2.9", "of one installation"))
    assert half_open.is_closing


async def test_changes_of_place_that_are_far_apart_are_no_contest(house: House) -> None:
    for caller in (HOME, AWAY, HOME, AWAY, HOME):
        await house.comes(caller)
        house.clock.advance(REMEMBERED_S / 2 + 1)
    assert house.gateway.warning("attic") is None


def asks(house: House, timeout_s: float = 10.0) -> "asyncio.Task[object]":
    return asyncio.create_task(
        house.gateway.command("attic", Action.START_SERVER, "one", None, "command-1", timeout_s), name="asking"
    )


async def test_a_frozen_agent_is_away_soon_after_the_first_order_that_it_leaves_unanswered(house: House) -> None:
    line = await house.comes(line=Line(PART_2))
    asking = asks(house)
    await until(lambda: line.sent)
    house.passes(10)
    with pytest.raises(Fault) as fault:
        await asking
    assert fault.value.code is ErrorCode.TIMEOUT
    house.passes(5)
    assert line.closed is None
    house.passes(0.1)
    await until(lambda: line.closed)
    assert line.closed == (GOING_AWAY, "nothing heard for too long")
    with pytest.raises(Fault) as fault:
        await asks(house)
    assert fault.value.code is ErrorCode.AGENT_OFFLINE


async def test_an_agent_that_is_merely_busy_stays(house: House) -> None:
    line = await house.comes(line=Line(PART_2))
    asking = asks(house)
    await until(lambda: line.sent)
    for _ in range(12):
        house.passes(10)
        line.say(HEARTBEAT)
        await until(lambda: house.connection.session.silent_s == 0)
    with pytest.raises(Fault):
        await asking
    assert not house.connection.is_closing


async def test_a_panel_that_stood_still_does_not_call_its_agents_silent(house: House) -> None:
    await house.comes(line=Line(PART_2))
    house.passes(300, stood_still_s=299)
    assert not house.connection.is_closing
    house.passes(30)
    assert house.connection.is_closing


async def test_an_agent_that_the_panel_does_not_listen_to_is_not_called_silent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "INBOX_FACTS", 2)
    line = await house.comes(line=Line(PART_2))
    house.sink.may_keep.clear()
    for _ in range(connection.BATCH_FACTS + 4):
        line.say(HEARTBEAT)
    await until(lambda: house.connection._inbox.is_full)
    house.passes(300)
    assert not house.connection.is_closing
    house.sink.may_keep.set()
    await until(lambda: line._frames.empty() and not house.connection.waiting_facts)
    house.passes(31)
    assert house.connection.is_closing


async def test_the_rounds_tell_how_late_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, sink = HeldClock(), Slow()
    sink.may_go.set()
    gateway = LocalGateway(clock, tick_s=0.01)
    gateway.report_to(sink)
    line, told = Line(PART_2), list[float]()
    look = Connection.look

    def listen(connection_: Connection, stood_still_s: float = 0.0) -> float | None:
        told.append(stood_still_s)
        return look(connection_, stood_still_s)

    monkeypatch.setattr(Connection, "look", listen)
    serving = asyncio.create_task(gateway.serve(Admission("attic", None), line, HOME))
    await until(lambda: len(told) > 2)
    assert not any(told)
    clock.advance(500)
    await until(lambda: any(told))
    assert sum(told) == pytest.approx(500, abs=1)
    assert line.closed is None
    line.cut()
    await serving


async def test_a_node_whose_coming_cannot_be_kept_is_told_to_come_again(house: House) -> None:
    house.sink.broken_arrivals = 1
    line = house.dials()
    await until(lambda: line.closed)
    assert line.closed == (TRY_AGAIN, "the panel cannot keep that the node is there")
    await until(lambda: not house.gateway._connections)
    await house.comes()


async def test_a_connection_with_nothing_going_on_has_no_task_but_its_readers(house: House) -> None:
    line = await house.comes(line=Line(PART_2))
    line.say(HEARTBEAT)
    await until(lambda: line._frames.empty() and house.connection.waiting_facts == 0)
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().endswith(" attic")])
    asking = asks(house)
    await until(lambda: line.sent)
    house.passes(11)
    with pytest.raises(Fault):
        await asking


class Hesitating(Line):
    async def receive(self) -> str | bytes | None:
        await asyncio.sleep(0)
        return await super().receive()


async def test_what_says_what_it_is_as_its_time_is_up_is_heard(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "INTRODUCTION_DEADLINE_S", 0)
    await house.comes(line=Hesitating(PART_2))
    assert house.connection.session.version == VERSION


class Listening(Line):
    """Notes what logs would carry where it is written to."""

    carried: dict[str, object] | None = None

    async def send(self, frame: str) -> None:
        self.carried = get_contextvars()
        await super().send(frame)


async def test_what_writes_for_a_request_does_not_log_in_its_name(house: House) -> None:
    line = Listening()
    await house.comes(line=line)
    with carrying(request_id="of somebody"):
        asking = asks(house)
    await until(lambda: line.sent)
    house.passes(11)
    with pytest.raises(Fault):
        await asking
    assert line.carried == {}


async def test_an_order_that_is_on_its_way_is_not_asked_a_second_time(house: House) -> None:
    line = await house.comes()
    asking = asks(house, timeout_s=10)
    await until(lambda: line.sent)
    with pytest.raises(Fault) as fault:
        await asks(house, timeout_s=9999)
    assert fault.value.code is ErrorCode.INVALID_STATE
    house.passes(11)
    with pytest.raises(Fault):
        await asking
