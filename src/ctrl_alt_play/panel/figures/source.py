"""Looking at figures: what somebody looks at is measured every second by its node, for as long as they look."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.figures.schemas import NodeSample, ServerSample
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import MOST_WATCHED, WatchPayload
from ctrl_alt_play.protocol.specification import Model

WATCH_S = 30.0
"""What a node is asked for at a time; it is asked again after half of that."""
ASK_TIMEOUT_S = 10.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Asking(Protocol):
    """The part of the gateway that questions go by."""

    async def ask(
        self, node_id: str, action: Action, server_id: str, payload: Model | None, timeout_s: float = ...
    ) -> dict[str, Any]: ...


class Source:
    """What the live channel takes figures from."""

    def __init__(self, meters: Meters, gateway: Asking, clock: Clock) -> None:
        self._meters = meters
        self._gateway = gateway
        self._clock = clock
        self._asking: dict[str, asyncio.Task[None]] = {}

    def recent_of_server(self, server_id: str) -> Sequence[ServerSample]:
        meter = self._meters.server(server_id)
        return meter.recent(self._clock.utc().timestamp()) if meter is not None else ()

    def recent_of_node(self, node_id: str) -> Sequence[NodeSample]:
        meter = self._meters.node(node_id)
        return meter.recent(self._clock.utc().timestamp()) if meter is not None else ()

    def watch(self, servers: Mapping[str, str], nodes: AbstractSet[str]) -> None:
        """One question a node. What is not said any more ends by itself; a node that is asked still is asked the next time."""
        wanted: dict[str, list[str]] = {node_id: [] for node_id in nodes}
        for server_id, node_id in servers.items():
            wanted.setdefault(node_id, []).append(server_id)
        for node_id, server_ids in wanted.items():
            payload = WatchPayload(servers=tuple(server_ids[:MOST_WATCHED]), node=node_id in nodes, seconds=WATCH_S)
            self._ask(node_id, payload)

    def _ask(self, node_id: str, payload: WatchPayload) -> None:
        """The newest word counts: a question that waits for its answer is not waited for any more."""
        if (asking := self._asking.get(node_id)) is not None:
            asking.cancel()
        task = asyncio.get_running_loop().create_task(
            self._tell(node_id, payload), name=f"watch figures of {node_id}", context=nothing_carried()
        )
        self._asking[node_id] = task
        task.add_done_callback(lambda ended: self._ended(node_id, ended))

    async def _tell(self, node_id: str, payload: WatchPayload) -> None:
        try:
            await self._gateway.ask(node_id, Action.WATCH_FIGURES, "", payload, ASK_TIMEOUT_S)
        except Fault as fault:
            log.debug("figures_not_watched", node_id=node_id, code=fault.code)
        except Exception:
            log.exception("figures_not_watched", node_id=node_id)

    def _ended(self, node_id: str, ended: asyncio.Task[None]) -> None:
        if self._asking.get(node_id) is ended:
            del self._asking[node_id]

    async def settle(self) -> None:
        """Waits for what is asked."""
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        await self.settle()
