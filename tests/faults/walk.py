"""Carries a round out: every slot's orders one after the other, all slots at once, and the faults among them."""

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.faults import game
from tests.faults.awaited import Awaited
from tests.faults.faults import Faults
from tests.faults.orders import Answer
from tests.faults.plan import BYSTANDERS, SLOTS, Blow, Fault, Kind, Order, Round
from tests.faults.world import NODE, World

PATIENCE_S = 8.0
SLOW_S = (0.0, 0.5, 1.0, 2.5)
"""How long games take to end, by their slots: the slowest are still at it when a link that was cut is back."""
_PATHS = {
    Kind.START: ("POST", "/start"),
    Kind.STOP: ("POST", "/stop"),
    Kind.RESTART: ("POST", "/restart"),
    Kind.KILL: ("POST", "/kill"),
    Kind.COMMAND: ("POST", "/command"),
    Kind.CRASH: ("POST", "/command"),
    Kind.LEAVE: ("POST", "/command"),
    Kind.DELETE: ("DELETE", ""),
    Kind.CHANGE: ("PATCH", ""),
    Kind.HOLD: ("PUT", "/hold"),
    Kind.RELEASE: ("PUT", "/hold"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of an order: `kind` is what was really asked, which differs from the plan's where the slot turned out to be empty."""

    order: Order
    kind: Kind
    server_id: str | None
    answer: Answer
    sent_at: float
    answered_at: float
    answered_on: datetime
    """As `answered_at`, by the machine's clock."""
    cancels: str | None = None
    """The operation that a cancellation is of."""

    @property
    def operation_id(self) -> str | None:
        return self.answer.operation_id


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a round: all that was asked, and which of its faults struck anything."""

    asked: list[Asked]
    struck: list[Blow]
    missed: list[Blow]

    @property
    def faults(self) -> Counter[Fault]:
        """Those that struck."""
        return Counter(blow.fault for blow in self.struck)


class Walk:
    def __init__(self, world: World) -> None:
        self.faults = Faults(world, lambda slot: self._servers[slot])
        self.awaited = Awaited()
        self._world = world
        self._servers: list[str | None] = [None] * SLOTS
        self._failed: set[str] = set()
        self._last: list[str | None] = [None] * SLOTS
        """What was asked of each slot last, and may be cancelled."""

    @property
    def bystanders(self) -> set[str]:
        return {server_id for server_id in self._servers[:BYSTANDERS] if server_id is not None}

    async def carry_out(self, part: Round) -> Course:
        """All orders of a round, answered; all its faults are over then."""
        sent = {order.number: asyncio.Event() for order in part.orders}
        queues: dict[int, list[Order]] = defaultdict(list)
        for order in part.orders:
            queues[order.slot].append(order)
        async with asyncio.TaskGroup() as tasks:
            strikes = [tasks.create_task(self._strike(blow, sent[blow.after.number])) for blow in part.blows]
            slots = [tasks.create_task(self._serve(queue, sent)) for queue in queues.values()]
        done = [asked for slot in slots for asked in slot.result()]
        struck = [blow for blow, strike in zip(part.blows, strikes, strict=True) if strike.result()]
        missed = [blow for blow, strike in zip(part.blows, strikes, strict=True) if not strike.result()]
        return Course(sorted(done, key=lambda asked: asked.sent_at), struck, missed)

    def forget_failed(self, failed: set[str]) -> None:
        """Servers that never came to be: their slots' next order removes them."""
        self._failed = failed

    async def _strike(self, blow: Blow, sent: asyncio.Event) -> bool:
        await sent.wait()
        await asyncio.sleep(blow.delay_s)
        with self.awaited.waiting_for(f"the end of {blow}"):
            return await self.faults.strike(blow)

    async def _serve(self, orders: list[Order], sent: dict[int, asyncio.Event]) -> list[Asked]:
        """A slot's orders in their turn. The impatient overtake the end of what came before them, not its answer."""
        done: list[Asked] = []
        for order in orders:
            await asyncio.sleep(order.pause_s)
            if order.is_patient:
                await self._wait(done[-1] if done else None)
            with self.awaited.waiting_for(f"an answer to order {order.number}, {order.kind} of slot {order.slot}"):
                done.append(await self._ask(order, sent[order.number]))
        return done

    async def _wait(self, last: Asked | None) -> None:
        """For the end of the order before, and for the node, but not for ever."""
        if last is not None and last.operation_id is not None and last.answer.is_accepted:
            await self._world.api.wait_for_end(last.operation_id, PATIENCE_S)
        with suppress(AssertionError):
            await self._world.wait_until_connected(PATIENCE_S)

    async def _ask(self, order: Order, sent: asyncio.Event) -> Asked:
        kind, server_id = self._kind_of(order), self._servers[order.slot]
        method, path, body = self._request(order, kind, server_id)
        cancels = self._last[order.slot] if kind is Kind.CANCEL else None
        sent_at = time.monotonic()
        sent.set()
        answer = await self._world.api.order(f"order-{order.number}", method, path, body)
        server_id = answer.body.get("server_id") or server_id
        asked = Asked(order, kind, server_id, answer, sent_at, time.monotonic(), datetime.now(UTC), cancels)
        self._learn(asked)
        return asked

    def _kind_of(self, order: Order) -> Kind:
        server_id = self._servers[order.slot]
        if server_id is None:
            return Kind.CREATE
        if server_id in self._failed:
            return Kind.DELETE
        is_empty = order.kind is Kind.CANCEL and self._last[order.slot] is None
        return Kind.RESTART if order.kind is Kind.CREATE or is_empty else order.kind

    def _request(self, order: Order, kind: Kind, server_id: str | None) -> tuple[str, str, Any]:
        if kind is Kind.CREATE:
            made = game.specification(order.word, slow_s=_slow_s(order), is_stopped_by_line=order.slot % 2 == 1)
            return "POST", "/api/servers", {"name": f"slot {order.slot} {order.word}", "node_id": NODE, **made}
        if kind is Kind.CANCEL:
            return "POST", f"/api/operations/{self._last[order.slot]}/cancel", None
        method, end = _PATHS[kind]
        path = f"/api/servers/{server_id}{end}"
        if kind.is_line:
            return method, path, {"command": order.line}
        if kind is Kind.CHANGE:
            return method, path, {"environment": {"WORD": order.word, "SLOW": str(_slow_s(order))}}
        if kind in {Kind.HOLD, Kind.RELEASE}:
            return method, path, {"hold": order.hold}
        if kind is Kind.DELETE and order.keeps_data:
            return method, f"{path}?keep_data=true", None
        return method, path, None

    def _learn(self, asked: Asked) -> None:
        """A creation that never reached the node leaves nothing behind."""
        slot, answer = asked.order.slot, asked.answer
        if asked.kind is Kind.CANCEL:
            return
        self._last[slot] = None if asked.kind is Kind.DELETE else asked.operation_id
        if asked.kind is Kind.CREATE and answer.is_accepted:
            self._servers[slot] = asked.server_id
        elif answer.body.get("code") == "NOT_FOUND" or (asked.kind is Kind.DELETE and answer.is_accepted):
            self._servers[slot] = None


def _slow_s(order: Order) -> float:
    return SLOW_S[order.slot % len(SLOW_S)]
