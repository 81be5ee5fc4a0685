"""How far operations are: the newest word on each, in memory only. What ends is told by the operation itself."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from ctrl_alt_play.panel.models import Operation
from ctrl_alt_play.protocol.part2 import OperationProgress, StateSnapshot

OPERATIONS_PER_NODE = 1024
LONGEST_PHASE = 64
LONGEST_MESSAGE = 500

Kept = TypeVar("Kept")
Listener = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class Step:
    phase: str
    percent: float | None
    message: str
    at: datetime
    """When the panel heard of it."""
    server_id: str | None = None


class Progress:
    """Kept by node, so that a node which speaks of another's operations is heard by nobody."""

    def __init__(self) -> None:
        self._nodes: dict[str, OrderedDict[str, Step]] = {}
        self._freed: dict[str, OrderedDict[str, datetime]] = {}
        """By node and server, when the node ended what it was at there."""
        self._listed: dict[str, tuple[datetime, set[str]]] = {}
        """By node: when the snapshot that it tells began, and what was under way in its parts so far."""
        self._listener: Listener | None = None

    def report_to(self, listener: Listener) -> None:
        """Told of each step, by the operation's id and, where the node says it, the server's."""
        self._listener = listener

    def tell(self, node_id: str, told: OperationProgress, now: datetime) -> None:
        """Past `OPERATIONS_PER_NODE` what was silent the longest goes."""
        percent = None if told.percent is None else min(100.0, max(0.0, told.percent))
        step = Step(told.phase[:LONGEST_PHASE], percent, told.message[:LONGEST_MESSAGE], now, told.server_id)
        self._take(node_id, told.command_id, step)

    def tell_truth(self, node_id: str, snapshot: StateSnapshot, now: datetime) -> None:
        """One part of what a node tells of itself. With the last one known, what is in none of them is not under way any more."""
        if snapshot.part <= 1 or node_id not in self._listed:
            self._listed[node_id] = now, set()
        began_at, listed = self._listed[node_id]
        for server in snapshot.servers:
            if (work := server.operation) is not None and work.command_id is not None:
                step = self.heard(node_id, work.command_id)
                phase = (work.phase or work.action)[:LONGEST_PHASE]
                if step is None or step.phase != phase:
                    step = Step(phase, None, "", now)
                self._take(node_id, work.command_id, replace(step, at=now, server_id=server.server_id))
                listed.add(work.command_id)
        if not snapshot.more:
            del self._listed[node_id]
            known = self._nodes.get(node_id, OrderedDict())
            silent = [id_ for id_, step in known.items() if id_ not in listed and step.at < began_at]
            for command_id in silent:
                self._drop(node_id, command_id)

    def is_busy(self, node_id: str, server_id: str, since: datetime) -> bool:
        """Whether the node is at something on a server, or was not long ago."""
        freed = self._freed.get(node_id)
        if freed is not None and server_id in freed and freed[server_id] > since:
            return True
        return any(step.server_id == server_id for step in self._nodes.get(node_id, {}).values())

    def of(self, operation: Operation) -> Step | None:
        """None also where it has ended."""
        if operation.finished_at is not None:
            return None
        return self.heard(operation.node_id, operation.id)

    def heard(self, node_id: str, operation_id: str) -> Step | None:
        steps = self._nodes.get(node_id)
        return None if steps is None else steps.get(operation_id)

    def forget_node(self, node_id: str) -> None:
        for kept in (self._nodes, self._freed, self._listed):
            kept.pop(node_id, None)

    def forget(self, operation: Operation, now: datetime) -> None:
        """It has ended, and what waited behind it is next."""
        if self._drop(operation.node_id, operation.id):
            freed = self._freed.setdefault(operation.node_id, OrderedDict())
            _keep_newest(freed, operation.server_id, now)

    def _take(self, node_id: str, command_id: str, step: Step) -> None:
        _keep_newest(self._nodes.setdefault(node_id, OrderedDict()), command_id, step)
        if self._listener is not None:
            self._listener(command_id, step.server_id)

    def _drop(self, node_id: str, command_id: str) -> bool:
        """Whether anything was known of it."""
        steps = self._nodes.get(node_id)
        if steps is None or steps.pop(command_id, None) is None:
            return False
        if not steps:
            del self._nodes[node_id]
        return True


def _keep_newest(kept: OrderedDict[str, Kept], name: str, value: Kept) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > OPERATIONS_PER_NODE:
        kept.popitem(last=False)
