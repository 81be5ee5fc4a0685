"""What is said between panel and nodes, counted on its way."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.gateway.base import COMMAND_TIMEOUT_S, Arrival, Fact, Reception, Sink, Taken
from ctrl_alt_play.panel.gateway.local import LocalGateway
from ctrl_alt_play.panel.metrics.counted import OTHER, Counted
from ctrl_alt_play.protocol.contents import EVENTS, Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.panel_session import Answered
from ctrl_alt_play.protocol.specification import Model

_CODES = frozenset(ErrorCode)
_KINDS = frozenset(
    (
        *EVENTS,
        "heartbeat",
        "system_info",
        "server_output",
        "server_status",
        "state_snapshot",
        "operation_progress",
        "error",
    )
)


class CountingGateway(LocalGateway):
    def __init__(self, counted: Counted, clock: Clock, tick_s: float = 1.0) -> None:
        super().__init__(clock, tick_s)
        self._counted = counted

    async def command(
        self,
        node_id: str,
        action: Action,
        server_id: str,
        payload: Model | None,
        command_id: str,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> Response:
        with self._counting(action):
            return await super().command(node_id, action, server_id, payload, command_id, timeout_s)

    async def ask(
        self, node_id: str, action: Action, server_id: str, payload: Model | None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> dict[str, Any]:
        with self._counting(action):
            return await super().ask(node_id, action, server_id, payload, timeout_s)

    @contextmanager
    def _counting(self, action: Action) -> Iterator[None]:
        """Without those whose asker went away."""
        began_s, code = time.perf_counter(), "ok"
        try:
            yield
        except Fault as fault:
            code = fault.code if fault.code in _CODES else OTHER
            raise
        except Exception:
            code = OTHER
            raise
        finally:
            self._counted.command(action, code, time.perf_counter() - began_s)


class CountingSink:
    """In front of another, which it hands all on to."""

    def __init__(self, sink: Sink, counted: Counted) -> None:
        self._sink = sink
        self._counted = counted

    async def connected(self, arrival: Arrival) -> Reception:
        return await self._sink.connected(arrival)

    async def synchronise(self, node_id: str) -> None:
        await self._sink.synchronise(node_id)

    async def apply(self, node_id: str, facts: Sequence[Fact]) -> Taken:
        taken = await self._sink.apply(node_id, facts)
        for kind, count in Counter(map(_kind, facts)).items():
            self._counted.facts(kind, count)
        if taken.failed:
            self._counted.failed_facts(taken.failed)
        return taken

    async def disconnected(self, node_id: str) -> None:
        await self._sink.disconnected(node_id)


def _kind(fact: Fact) -> str:
    if isinstance(fact, Answered):
        return "response"
    return fact.kind if fact.kind in _KINDS else OTHER
