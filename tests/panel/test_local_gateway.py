"""The gateway's own order of things, with a sink and sockets that are held still."""

import asyncio
from collections.abc import Sequence

from tests.panel.support import until

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.panel.gateway import local
from ctrl_alt_play.panel.gateway.base import Admission, Arrival, Fact, Reception, Taken
from ctrl_alt_play.panel.gateway.local import LocalGateway


class Slow:
    """A sink that writes down what it is told; leave to go is given by `may_go`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.may_go = asyncio.Event()
        self.failures = 0

    async def connected(self, arrival: Arrival) -> Reception:
        self.told.append(f"connected {arrival.node_id}")
        return Reception(is_allowed=True)

    async def synchronise(self, node_id: str) -> None: ...

    async def apply(self, node_id: str, facts: Sequence[Fact]) -> Taken:
        return Taken()

    async def disconnected(self, node_id: str) -> None:
        await self.may_go.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is locked")
        self.told.append(f"disconnected {node_id}")


class Line:
    """A socket whose agent says what it is, and that is open until it is cut."""

    def __init__(self) -> None:
        self._cut = asyncio.Event()
        self._frames = ['{"type": "system_info", "data": {}}']

    def cut(self) -> None:
        self._cut.set()

    async def receive(self) -> str | bytes | None:
        if self._frames:
            return self._frames.pop()
        await self._cut.wait()
        return None

    async def send(self, frame: str) -> None: ...

    async def close(self, code: int, reason: str) -> None:
        self.cut()


async def test_a_node_that_comes_back_while_its_absence_is_noted_ends_as_present() -> None:
    sink, gateway = Slow(), LocalGateway(SystemClock(), 0.01)
    gateway.report_to(sink)
    first, second = Line(), Line()
    admission = Admission("attic", None)
    going = asyncio.create_task(gateway.serve(admission, first))
    await until(lambda: gateway.connected_nodes == 1)
    first.cut()
    await until(lambda: gateway.connected_nodes == 0)
    coming = asyncio.create_task(gateway.serve(admission, second))
    await asyncio.sleep(0)
    sink.may_go.set()
    await going
    await until(lambda: gateway.connected_nodes == 1)
    assert sink.told == ["connected attic", "disconnected attic", "connected attic"]
    second.cut()
    await coming
    assert sink.told[-1] == "disconnected attic"


async def test_an_absence_that_cannot_be_kept_is_told_again() -> None:
    sink, gateway = Slow(), LocalGateway(SystemClock(), 0.01)
    gateway.report_to(sink)
    sink.may_go.set()
    sink.failures = local.KEEP_TRIES - 1
    line = Line()
    serving = asyncio.create_task(gateway.serve(Admission("attic", None), line))
    await until(lambda: gateway.connected_nodes == 1)
    line.cut()
    await serving
    assert sink.told == ["connected attic", "disconnected attic"]
