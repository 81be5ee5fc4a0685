"""What a seed stands for: every order and every fault, decided before anything runs."""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

SLOTS = 8
BYSTANDERS = 2
"""The first slots: games that nobody ever asks to end."""
FAULTS_A_ROUND = 5
ORDERS_AGAIN = 6
"""For each fault that struck nothing and is tried again."""
LIKELY_CANCELLED = 0.3
LONGEST_PAUSE_S, SOON_S = 0.4, 0.1
BEGINS_WITHIN_S = 0.3
"""Most are far shorter: an order is accepted, and answered, within milliseconds."""


class Kind(StrEnum):
    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    DELETE = "delete"
    COMMAND = "command"
    CRASH = "crash"
    """A line that the game ends at, with a code that is no clean one."""
    LEAVE = "leave"
    """A line that the game ends at, cleanly."""
    CHANGE = "change"
    HOLD = "hold"
    RELEASE = "release"
    """The end of a hold."""
    CANCEL = "cancel"
    """Of what was asked of the slot just before."""

    @property
    def is_line(self) -> bool:
        return self in {Kind.COMMAND, Kind.CRASH, Kind.LEAVE}


class Fault(StrEnum):
    AGENT_KILLED = "agent killed"
    PANEL_KILLED = "panel killed"
    AGENT_ENDED = "agent told to end"
    PANEL_ENDED = "panel told to end"
    ENGINE_KILLED = "engine killed"
    NODE_POWER_LOST = "node loses its power"
    GAME_KILLED = "game killed"
    LINK_CUT = "link cut"
    LINK_REFUSED = "link refused"
    UP_LOST = "link loses what goes to the panel"
    DOWN_LOST = "link loses what goes to the agent"
    LINK_SLOW = "link slow"
    AGENT_DISK_FULL = "agent's disk full"
    PANEL_DISK_FULL = "panel's disk full"
    AGENT_CLOCK = "agent's clock jumps"
    PANEL_CLOCK = "panel's clock jumps"
    AGENT_LOCKED = "agent's journal locked"
    PANEL_LOCKED = "panel's database locked"


LONGEST_S = {
    Fault.AGENT_KILLED: 2.0,
    Fault.PANEL_KILLED: 2.0,
    Fault.AGENT_ENDED: 1.0,
    Fault.PANEL_ENDED: 1.0,
    Fault.ENGINE_KILLED: 2.0,
    Fault.NODE_POWER_LOST: 1.0,
    Fault.GAME_KILLED: 0.0,
    Fault.LINK_CUT: 0.0,
    Fault.LINK_REFUSED: 3.0,
    Fault.AGENT_LOCKED: 8.0,
    Fault.PANEL_LOCKED: 8.0,
}
USUALLY_LONGEST_S = 5.0
_WEIGHTS: dict[str, dict[Kind, int]] = {
    "absent": {Kind.CREATE: 1},
    "down": {
        Kind.START: 50,
        Kind.RESTART: 10,
        Kind.CHANGE: 15,
        Kind.DELETE: 9,
        Kind.COMMAND: 4,
        Kind.STOP: 4,
        Kind.KILL: 3,
        Kind.HOLD: 5,
    },
    "held": {
        Kind.RELEASE: 40,
        Kind.START: 12,
        Kind.RESTART: 6,
        Kind.COMMAND: 6,
        Kind.STOP: 8,
        Kind.KILL: 4,
        Kind.CHANGE: 12,
        Kind.HOLD: 4,
        Kind.DELETE: 4,
    },
    "up": {
        Kind.COMMAND: 34,
        Kind.STOP: 20,
        Kind.RESTART: 14,
        Kind.KILL: 7,
        Kind.CHANGE: 10,
        Kind.DELETE: 5,
        Kind.START: 3,
        Kind.CRASH: 5,
        Kind.LEAVE: 3,
        Kind.HOLD: 9,
    },
}
_OF_BYSTANDERS = {"absent": {Kind.CREATE: 1}, "down": {Kind.START: 1}, "up": {Kind.COMMAND: 8, Kind.CHANGE: 2}}
_LEADS_TO = {
    Kind.CREATE: "down",
    Kind.START: "up",
    Kind.RESTART: "up",
    Kind.STOP: "down",
    Kind.KILL: "down",
    Kind.DELETE: "absent",
    Kind.LEAVE: "down",
    Kind.HOLD: "held",
    Kind.RELEASE: "up",
}
_MAY_BE_CANCELLED = {Kind.CREATE, Kind.START, Kind.RESTART, Kind.STOP, Kind.CHANGE, Kind.HOLD, Kind.RELEASE}


@dataclass(frozen=True, slots=True)
class Order:
    """`number` is unique in a run, and makes up the order's name, its line and its word."""

    number: int
    slot: int
    kind: Kind
    pause_s: float
    is_patient: bool
    """Waits until the order before it in the slot has ended, and the node is there."""
    keeps_data: bool = False

    @property
    def line(self) -> str:
        return f"{'say' if self.kind is Kind.COMMAND else self.kind} {self.number}"

    @property
    def word(self) -> str:
        return f"w{self.number}"

    @property
    def hold(self) -> str:
        if self.kind is not Kind.HOLD:
            return "none"
        return "suspended" if self.number % 2 else "maintenance"


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that begins `delay_s` after an order was sent."""

    fault: Fault
    after: Order
    delay_s: float
    lasts_s: float
    strength: float
    """From 0 to 1: how far, how slow, which."""

    def __str__(self) -> str:
        order = f"{self.after.kind} of slot {self.after.slot}"
        return f"{self.fault} {self.delay_s * 1000:.0f} ms into {order} for {self.lasts_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Round:
    """What happens between two calms."""

    number: int
    orders: tuple[Order, ...]
    blows: tuple[Blow, ...]


@dataclass
class Planner:
    seed: int
    slots: int = SLOTS
    left_out: Collection[Fault] = ()
    """Faults that there are no means for."""
    _states: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - it is to be the same again
        self._states = ["absent"] * self.slots
        self._number = 0
        self._deck: list[Fault] = []
        self._round = 0

    def rounds(self, operations: int, faults: int) -> Iterator[Round]:
        """So many orders and faults in all, spread evenly."""
        count = max(1, round(faults / FAULTS_A_ROUND))
        for index in range(count):
            yield self._make(
                len(_share(operations, index, count)), [self._draw() for _ in _share(faults, index, count)]
            )

    def again(self, faults: Sequence[Fault]) -> Round:
        """A round more, for faults that struck nothing: they begin as soon as an order is on its way."""
        return self._make(ORDERS_AGAIN * len(faults), faults, within_s=0)

    def _make(self, size: int, faults: Sequence[Fault], within_s: float = BEGINS_WITHIN_S) -> Round:
        orders: list[Order] = []
        for _ in range(size):
            orders.append(self._order(orders[-1] if orders else None))
        blows = [self._blow(fault, orders, within_s) for fault in faults]
        self._round += 1
        return Round(self._round, tuple(orders), tuple(sorted(blows, key=lambda blow: blow.after.number)))

    def _order(self, last: Order | None) -> Order:
        """Slots that hold nothing come first; but what may be cancelled may be so at once."""
        pick = self._random
        is_cancelled = last is not None and last.slot >= BYSTANDERS and last.kind in _MAY_BE_CANCELLED
        if last is not None and is_cancelled and pick.random() < LIKELY_CANCELLED:
            slot, kind, is_patient, pause_s = last.slot, Kind.CANCEL, False, pick.uniform(0, SOON_S)
        else:
            empty = [slot for slot, state in enumerate(self._states) if state == "absent"]
            slot = pick.choice(empty or range(self.slots))
            weights = (_OF_BYSTANDERS if slot < BYSTANDERS else _WEIGHTS)[self._states[slot]]
            kind = pick.choices(list(weights), list(weights.values()))[0]
            is_patient, pause_s = pick.random() < 0.7, pick.uniform(0, LONGEST_PAUSE_S)
        if self._states[slot] != "held" or kind in {Kind.RELEASE, Kind.DELETE}:
            self._states[slot] = _LEADS_TO.get(kind, self._states[slot])
        self._number += 1
        return Order(self._number, slot, kind, pause_s, is_patient=is_patient, keeps_data=pick.random() < 0.5)

    def _draw(self) -> Fault:
        """Each comes once before any comes again."""
        if not self._deck:
            self._deck = [fault for fault in Fault if fault not in self.left_out]
            self._random.shuffle(self._deck)
        return self._deck.pop()

    def _blow(self, fault: Fault, orders: Sequence[Order], within_s: float) -> Blow:
        pick = self._random
        longest_s = LONGEST_S.get(fault, USUALLY_LONGEST_S)
        return Blow(
            fault,
            pick.choice(orders),
            within_s * pick.random() ** 3,
            pick.uniform(0.1, 1) * longest_s,
            pick.random(),
        )


def _share(total: int, index: int, parts: int) -> range:
    return range(total * index // parts, total * (index + 1) // parts)
