"""Agents that use one node's id: they would replace one another for ever. Once that is seen the one that is there is kept, and people are told."""

from collections import deque
from dataclasses import dataclass, field

import structlog

from ctrl_alt_play.clock import Clock

TURNS_TAKEN = 3
"""So often one took the other's place: that is no agent whose line broke."""
REMEMBERED_S = 300.0
"""So long a turn counts, and a contest goes on after the last attempt. Agents wait a minute at most before they try again."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who dialled, as far as that can be told: agents of ours name their installation, of others the address alone is known."""

    address: str
    instance: str = ""

    def is_same(self, other: "Caller") -> bool:
        """An agent that names itself may come from another address than before."""
        if self.instance or other.instance:
            return self.instance == other.instance
        return self.address == other.address


@dataclass(slots=True)
class _Contest:
    turns: deque[float] = field(default_factory=lambda: deque(maxlen=TURNS_TAKEN))
    last_at: float = 0.0
    warning: str | None = None


class Rivals:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contests: dict[str, _Contest] = {}

    def may_replace(self, node_id: str, holder: Caller, newcomer: Caller) -> bool:
        """Whether the newcomer gets the place of one that is there. An agent always gets its own: its old line may be dead."""
        if newcomer.is_same(holder):
            return True
        self._forget_old()
        contest = self._contests.setdefault(node_id, _Contest())
        contest.last_at = self._clock.monotonic()
        contest.turns.append(contest.last_at)
        is_new = contest.warning is None
        if is_new and not _is_in_turns(contest.turns):
            return True
        contest.warning = _sentence(holder, newcomer)
        tell = log.warning if is_new else log.debug  # who knocks on does not fill the log
        tell("two_agents_of_one_node", node_id=node_id, kept=holder.address, refused=newcomer.address)
        return False

    def warning(self, node_id: str) -> str | None:
        """A sentence for people, as long as more than one agent uses the node's id."""
        self._forget_old()
        contest = self._contests.get(node_id)
        return None if contest is None else contest.warning

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        past = [node_id for node_id, contest in self._contests.items() if now - contest.last_at > REMEMBERED_S]
        for node_id in past:
            del self._contests[node_id]


def _is_in_turns(turns: deque[float]) -> bool:
    return len(turns) == TURNS_TAKEN and turns[-1] - turns[0] <= REMEMBERED_S


def _sentence(kept: Caller, refused: Caller) -> str:
    if kept.address == refused.address:
        return (
            f"Two agents use this node's id, both from {kept.address}. One is kept and the other refused: "
            "stop one of them, or enrol a node of its own for it."
        )
    return (
        f"Two agents use this node's id, from {kept.address} and {refused.address}. The one at {kept.address} is kept and "
        "the other refused: stop that one, or enrol a node of its own for it."
    )
