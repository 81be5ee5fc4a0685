"""What is asked of nodes about consoles."""

from collections.abc import AsyncIterator
from typing import TypeVar

from ctrl_alt_play.panel.consoles.memory import Memory
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import (
    AttachPayload,
    ConsolePage,
    HistoryPayload,
    Offset,
    SearchPage,
    SearchPayload,
)
from ctrl_alt_play.protocol.messages import News, read
from ctrl_alt_play.protocol.specification import Model

ASK_TIMEOUT_S = 10.0
MOST_LINES = 10_000
"""A page has no more."""

Answer = TypeVar("Answer", bound=News)


class Asking:
    """Each raises `Fault` as `Gateway.ask` does. What a node that keeps no consoles wrote is in memory alone."""

    def __init__(self, gateway: Gateway, memory: Memory) -> None:
        self._gateway = gateway
        self._memory = memory

    async def attach(self, node_id: str, server_id: str, since: Offset | None) -> ConsolePage:
        """The node tells the console from here on."""
        return await self._ask(ConsolePage, node_id, Action.CONSOLE_ATTACH, server_id, AttachPayload(since=since))

    async def detach(self, node_id: str, server_id: str) -> None:
        await self._gateway.ask(node_id, Action.CONSOLE_DETACH, server_id, None, ASK_TIMEOUT_S)

    async def history(self, node_id: str, server_id: str, asked: HistoryPayload) -> ConsolePage:
        return await self._ask(ConsolePage, node_id, Action.CONSOLE_HISTORY, server_id, asked)

    async def search(self, node_id: str, server_id: str, asked: SearchPayload) -> SearchPage:
        return await self._ask(SearchPage, node_id, Action.CONSOLE_SEARCH, server_id, asked)

    async def page(self, node_id: str, server_id: str, asked: HistoryPayload) -> ConsolePage:
        """Of the node's history; or of what is in memory, where the node keeps none. A number that was never given is as none."""
        try:
            page = await self.history(node_id, server_id, asked)
        except Fault as fault:
            is_kept_here = self._memory.holds(node_id, server_id) and fault.code is ErrorCode.AGENT_OFFLINE
            if fault.code is not ErrorCode.UNKNOWN_ACTION and not is_kept_here:
                raise
            page = self._memory.page(node_id, server_id, asked)
        else:
            self._memory.forget(node_id, server_id)
        if asked.since is not None and asked.since > page.end:
            return await self.page(node_id, server_id, HistoryPayload(lines=asked.lines))
        return page

    async def all_pages(self, node_id: str, server_id: str) -> AsyncIterator[ConsolePage]:
        """All that is kept, the oldest first, up to where the console is at the beginning."""
        page = await self.page(node_id, server_id, HistoryPayload(since=0, lines=MOST_LINES))
        end = page.end
        yield page
        while (since := page.next) < end:
            page = await self.page(node_id, server_id, HistoryPayload(since=since, lines=MOST_LINES))
            if page.next <= since:
                return
            yield page

    async def _ask(self, shape: type[Answer], node_id: str, action: Action, server_id: str, payload: Model) -> Answer:
        return read(shape, await self._gateway.ask(node_id, action, server_id, payload, ASK_TIMEOUT_S))
