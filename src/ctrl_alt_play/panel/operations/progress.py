"""How far operations are: the newest word on each, in memory only. What ends is told by the operation itself."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from ctrl_alt_play.panel.models import Operation
from ctrl_alt_play.protocol.part2 import OperationProgress

OPERATIONS_PER_NODE = 256
LONGEST_PHASE = 64
LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Step:
    phase: str
    percent: float | None
    message: str
    at: datetime
    """When the panel heard of it."""


class Progress:
    """Kept by node, so that a node which speaks of another's operations is heard by nobody."""

    def __init__(self) -> None:
        self._nodes: dict[str, OrderedDict[str, Step]] = {}

    def tell(self, node_id: str, told: OperationProgress, now: datetime) -> None:
        """Past `OPERATIONS_PER_NODE` what was silent the longest goes."""
        steps = self._nodes.setdefault(node_id, OrderedDict())
        percent = None if told.percent is None else min(100.0, max(0.0, told.percent))
        steps[told.command_id] = Step(told.phase[:LONGEST_PHASE], percent, told.message[:LONGEST_MESSAGE], now)
        steps.move_to_end(told.command_id)
        if len(steps) > OPERATIONS_PER_NODE:
            steps.popitem(last=False)

    def of(self, operation: Operation) -> Step | None:
        """None also where it has ended."""
        if operation.finished_at is not None:
            return None
        return self.heard(operation.node_id, operation.id)

    def heard(self, node_id: str, operation_id: str) -> Step | None:
        steps = self._nodes.get(node_id)
        return None if steps is None else steps.get(operation_id)

    def forget_node(self, node_id: str) -> None:
        self._nodes.pop(node_id, None)

    def forget(self, operation: Operation) -> None:
        steps = self._nodes.get(operation.node_id)
        if steps is not None:
            steps.pop(operation.id, None)
            if not steps:
                del self._nodes[operation.node_id]
