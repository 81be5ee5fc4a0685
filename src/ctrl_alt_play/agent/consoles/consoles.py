"""The consoles of all servers of this node, and what the panel asks of them."""

import shutil
from pathlib import Path

from ctrl_alt_play.agent.consoles.feed import Feed
from ctrl_alt_play.agent.consoles.log import ConsoleLog
from ctrl_alt_play.agent.consoles.threads import Threads
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.live import AttachPayload, ConsolePage, HistoryPayload, SearchPage, SearchPayload


class Consoles:
    """A log for each server, kept in `folder`, where no game can write."""

    def __init__(self, folder: Path, clock: Clock, boot_id: str) -> None:
        self.feed = Feed(clock)
        self._folder = folder
        self._clock = clock
        self._boot_id = boot_id
        self._threads = Threads()
        self._logs: dict[str, ConsoleLog] = {}

    def log(self, server_id: str) -> ConsoleLog:
        """The log of a server; it may not be open yet."""
        if server_id not in self._logs:
            folder = self._folder / server_id
            self._logs[server_id] = ConsoleLog(folder, self._boot_id, self._clock, self._threads)
        return self._logs[server_id]

    async def attach(self, server_id: str, payload: AttachPayload) -> ConsolePage:
        """From now on the panel is told what the console writes; gives from where on."""
        log = self.log(server_id)
        await log.open()
        since = log.end if payload.since is None else min(payload.since, log.end)
        self.feed.attach(server_id, log, since)
        return ConsolePage(first=log.first, next=since, end=log.end)

    async def history(self, server_id: str, payload: HistoryPayload) -> ConsolePage:
        """A page of what was written."""
        log = self.log(server_id)
        await log.open()
        return await log.history(payload)

    async def search(self, server_id: str, payload: SearchPayload) -> SearchPage:
        """The newest lines that match.

        Raises:
            Fault: `INVALID_PAYLOAD`, the expression cannot be used.
        """
        log = self.log(server_id)
        await log.open()
        return await log.search(payload)

    async def forget(self, server_id: str) -> None:
        """The server is no more, and nor is its console."""
        self.feed.detach(server_id)
        if server_id in self._logs:
            self._logs.pop(server_id).discard()
        await self._threads.run(lambda: shutil.rmtree(self._folder / server_id, ignore_errors=True))

    async def close(self) -> None:
        """Writes what there is. The consoles are closed by then."""
        self.feed.detach_all()
        await self._threads.written()
        for log in self._logs.values():
            await log.seal()
        await self._threads.close()
