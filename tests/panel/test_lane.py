"""Queues of connections: their workers come and go with what waits in them."""

import asyncio

from tests.panel.support import until

from ctrl_alt_play.panel.gateway.lane import Lane


class Desk:
    """A lane of numbers, with a worker that does one at a time, when it may."""

    def __init__(self, most: int) -> None:
        self.done: list[int] = []
        self.workers = 0
        self.may_go = asyncio.Event()
        self.lane = Lane[int](most, self._begin)

    def _begin(self) -> asyncio.Task[None]:
        self.workers += 1
        return asyncio.create_task(self._work())

    async def _work(self) -> None:
        while taken := self.lane.take():
            await self.may_go.wait()
            self.done += taken


async def test_there_is_a_worker_only_while_something_waits() -> None:
    desk = Desk(4)
    desk.may_go.set()
    assert desk.lane.worker is None
    for number in range(3):
        desk.lane.put_at_once(number)
    await until(lambda: desk.lane.worker is None)
    desk.lane.put_at_once(3)
    await until(lambda: desk.lane.worker is None)
    assert (desk.done, desk.workers) == ([0, 1, 2, 3], 2)


async def test_all_that_find_it_full_get_in_in_the_end() -> None:
    desk = Desk(1)
    putting = [asyncio.create_task(desk.lane.put(number)) for number in range(5)]
    await until(lambda: desk.lane.is_full)
    assert not all(each.done() for each in putting)
    desk.may_go.set()
    await asyncio.gather(*putting)
    await until(lambda: desk.lane.worker is None)
    assert sorted(desk.done) == list(range(5))
