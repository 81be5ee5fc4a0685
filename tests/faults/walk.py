"""Carries a round out: every slot's orders one after the other, all slots at once, and the faults among them."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.faults import game
from tests.faults.faults import Faults
from tests.faults.orders import Answer
from tests.faults.plan import BYSTANDERS, SLOTS, Blow, Kind, Order, Round
from tests.faults.world import NODE, World

PATIENCE_S = 8.0
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

    @property
    def operation_id(self) -> str | None:
        return self.answer.operation_id


class Walk:
    def __init__(self, world: World) -> None:
        self.faults = Faults(world, lambda slot: self._servers[slot])
        self._world = world
        self._servers: list[str | None] = [None] * SLOTS
        self._failed: set[str] = set()

    @property
    def bystanders(self) -> set[str]:
        return {server_id for server_id in self._servers[:BYSTANDERS] if server_id is not None}

    async def carry_out(self, part: Round) -> list[Asked]:
        """All orders of a round, answered; all its faults are over then."""
        sent = {order.number: asyncio.Event() for order in part.orders}
        queues: dict[int, list[Order]] = defaultdict(list)
        for order in part.orders:
            queues[order.slot].append(order)
        async with asyncio.TaskGroup() as tasks:
            for blow in part.blows:
                tasks.create_task(self._strike(blow, sent[blow.after.number]), name=str(blow))
            slots = [tasks.create_task(self._serve(queue, sent)) for queue in queues.values()]
        return sorted((asked for slot in slots for asked in slot.result()), key=lambda asked: asked.sent_at)

    def forget_failed(self, failed: set[str]) -> None:
        """Servers that never came to be: their slots' next order removes them."""
        self._failed = failed

    async def _strike(self, blow: Blow, sent: asyncio.Event) -> None:
        await sent.wait()
        await asyncio.sleep(blow.delay_s)
        await self.faults.strike(blow)

    async def _serve(self, orders: list[Order], sent: dict[int, asyncio.Event]) -> list[Asked]:
        """A slot's orders in their turn. The impatient overtake the end of what came before them, not its answer."""
        done: list[Asked] = []
        for order in orders:
            await asyncio.sleep(order.pause_s)
            if order.is_patient:
                await self._wait(done[-1] if done else None)
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
        sent_at = time.monotonic()
        sent.set()
        answer = await self._world.api.order(f"order-{order.number}", method, path, body)
        asked = Asked(order, kind, answer.body.get("server_id") or server_id, answer, sent_at, time.monotonic())
        self._learn(asked)
        return asked

    def _kind_of(self, order: Order) -> Kind:
        server_id = self._servers[order.slot]
        if server_id is None:
            return Kind.CREATE
        if server_id in self._failed:
            return Kind.DELETE
        return Kind.RESTART if order.kind is Kind.CREATE else order.kind

    def _request(self, order: Order, kind: Kind, server_id: str | None) -> tuple[str, str, Any]:
        if kind is Kind.CREATE:
            slow_s = (order.slot % 4) * 0.5
            made = game.specification(order.word, slow_s=slow_s, is_stopped_by_line=order.slot % 2 == 1)
            return "POST", "/api/servers", {"name": f"slot {order.slot} {order.word}", "node_id": NODE, **made}
        method, end = _PATHS[kind]
        path = f"/api/servers/{server_id}{end}"
        if kind.is_line:
            return method, path, {"command": order.line}
        if kind is Kind.CHANGE:
            return method, path, {"environment": {"WORD": order.word, "SLOW": str((order.slot % 4) * 0.5)}}
        if kind is Kind.DELETE and order.keeps_data:
            return method, f"{path}?keep_data=true", None
        return method, path, None

    def _learn(self, asked: Asked) -> None:
        """A creation that never reached the node leaves nothing behind."""
        slot, answer = asked.order.slot, asked.answer
        if asked.kind is Kind.CREATE and answer.is_accepted:
            self._servers[slot] = asked.server_id
        elif answer.body.get("code") == "NOT_FOUND" or (asked.kind is Kind.DELETE and answer.is_accepted):
            self._servers[slot] = None
