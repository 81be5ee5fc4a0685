"""Whom the door sent away lately: why a node does not come is known here, and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ctrl_alt_play.clock import Clock

REMEMBERED_S = 300.0
"""An agent that is refused tries again within a minute."""


class Reason(StrEnum):
    NONE_SHOWN = "none_shown"
    WRONG = "wrong"
    OF_ANOTHER = "of_another"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of someone who said that they are this node."""

    reason: Reason
    address: str
    at: datetime
    at_s: float

    def is_as(self, other: "Refusal | None") -> bool:
        return other is not None and (self.reason, self.address) == (other.reason, other.address)


class Refusals:
    """The last of each node that there is: nobody makes this grow by knocking under other names."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, Refusal] = {}
        self._tell: Callable[[str], None] = lambda _: None

    def report_to(self, tell: Callable[[str], None]) -> None:
        """`tell` hears of nodes whose refusal is another than before. It must not wait."""
        self._tell = tell

    def note(self, node_id: str, reason: Reason, address: str) -> None:
        before = self.of(node_id)
        refusal = self._last[node_id] = Refusal(reason, address, self._clock.utc(), self._clock.monotonic())
        if not refusal.is_as(before):
            self._tell(node_id)

    def of(self, node_id: str) -> Refusal | None:
        """None where it is long past."""
        refusal = self._last.get(node_id)
        return None if refusal is None or self._clock.monotonic() - refusal.at_s > REMEMBERED_S else refusal

    def forget(self, node_id: str) -> None:
        self._last.pop(node_id, None)
