"""Who works for the consoles of all servers beside the loop: one thread writes, in batches; others read, and search."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from ctrl_alt_play.logs import nothing_carried

if TYPE_CHECKING:
    from ctrl_alt_play.agent.consoles.log import ConsoleLog

WRITE_EVERY_S = 0.01
CATCHING_UP_AT_ONCE = 4
Result = TypeVar("Result")


class Threads:
    """What comes after a silence is written at once; what comes soon after that, with it in one batch."""

    def __init__(self) -> None:
        self.readers = ThreadPoolExecutor(2, "console pages")
        self.searchers = ThreadPoolExecutor(1, "console search")
        self.catching_up = asyncio.Semaphore(CATCHING_UP_AT_ONCE)
        self._thread = ThreadPoolExecutor(1, "consoles")
        self._due: dict[ConsoleLog, None] = {}
        self._writing: asyncio.Task[None] | None = None

    def wake(self, log: "ConsoleLog") -> None:
        """This log has something to be written."""
        self._due[log] = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="consoles", context=nothing_carried())

    async def run(self, work: Callable[[], Result]) -> Result:
        """Does something between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def written(self) -> None:
        """Waits until all that was taken in is written."""
        while self._due or (self._writing is not None and not self._writing.done()):
            if self._writing is not None:
                await asyncio.wait({self._writing})

    async def close(self) -> None:
        for threads in (self.readers, self.searchers, self._thread):
            await asyncio.to_thread(threads.shutdown)

    async def _write(self) -> None:
        while self._due:
            due, self._due = list(self._due), {}
            batches = [(log, log.take()) for log in due]
            await self.run(lambda batches=batches: [log.write(parts) for log, parts in batches])  # type: ignore[misc]
            for log, parts in batches:
                log.show(parts)
            await asyncio.sleep(WRITE_EVERY_S)
