"""The panel's half of a connection: questions go out with a deadline, and each ends in an answer, a time-out, or the connection's end."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import EVENTS, TO_PANEL, Action, Nothing, wire
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import (
    HEARTBEAT_INTERVAL_S,
    MAX_FRAME_BYTES,
    OLDEST_VERSION,
    VERSION,
    Command,
    Event,
    Legacy,
    Response,
    read,
)
from ctrl_alt_play.protocol.part2 import ProtocolRange
from ctrl_alt_play.protocol.session import Session, incompatible
from ctrl_alt_play.protocol.specification import PART2_FIELDS, Model, Specification

MOST_OPEN = 4096
PART2_HEARTBEAT_S = 10.0
"""What a welcome asks for."""
BEATS_MISSED = 3
"""So many heartbeat intervals without a word, and a node counts as away."""
DOUBT_S = 5.0
"""One that left a command unanswered has only till its next heartbeat is so late."""
TOO_LARGE = "This is too large to be sent to a node: shorten the server's environment or its startup command."


@dataclass(frozen=True, slots=True)
class Answered:
    """A command of ours has its response."""

    id: str
    answer: Response


@dataclass(frozen=True, slots=True)
class Told:
    """Something the agent says: an event's or a legacy message's content.

    A durable event has its `seq`, and tells how many before it are `missing`; `at` is when it happened, by the agent's clock; `raw` is
    what it carried, as it came.
    """

    kind: str
    content: Model
    seq: int | None = None
    missing: int = 0
    at: datetime | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """What a frame meant: an answer, or news, or neither; `replies` are to be sent back at once."""

    answered: Answered | None = None
    told: Told | None = None
    replies: tuple[str, ...] = ()


class PanelSession(Session):
    """The panel's half."""

    def __init__(self, node_id: str, clock: Clock) -> None:
        super().__init__(clock)
        self._node_id = node_id
        self._deadlines: dict[str, float] = {}
        self._is_doubted = False
        self._unheard_s = 0.0

    def agree(self, offered: ProtocolRange | None) -> int:
        """The version spoken from here on: the highest that both ends know. Who offers nothing speaks part 1.

        Raises:
            Fault: there is none; the sentence says which side to upgrade.
        """
        if offered is None:
            return self.version
        if offered.minimum > VERSION or offered.version < OLDEST_VERSION:
            raise incompatible("agent", offered)
        self.version = min(VERSION, offered.version)
        return self.version

    @property
    def heartbeat_interval_s(self) -> float:
        return HEARTBEAT_INTERVAL_S if self.version == OLDEST_VERSION else PART2_HEARTBEAT_S

    @property
    def is_silent(self) -> bool:
        """Whether the node has said nothing for so long that it counts as away: sooner where it also left a command unanswered."""
        beat_s = self.heartbeat_interval_s
        return self.silent_s - self._unheard_s > (beat_s + DOUBT_S if self._is_doubted else beat_s * BEATS_MISSED)

    def excuse(self, seconds: float) -> None:
        """So long nobody listened to the node: it is not to be held against it."""
        self._unheard_s = min(self._unheard_s + seconds, self.silent_s)

    def command(self, command_id: str, action: Action, server_id: str, payload: Model | None, timeout_s: float) -> str:
        """The frame of a command, whose response is awaited from now on.

        Raises:
            Fault: `INSUFFICIENT_RESOURCES` when too many questions are open; `INVALID_PAYLOAD` for a frame that no agent would take.
        """
        frame = self.encode(
            Command(
                id=command_id,
                agent_id=self._node_id,
                action=action,
                server_id=server_id or None,
                payload=None if payload is None else self._payload(payload),
            )
        )
        if len(frame.encode()) > MAX_FRAME_BYTES:
            raise Fault(ErrorCode.INVALID_PAYLOAD, TOO_LARGE)
        self._expect(command_id, timeout_s)
        return frame

    def _payload(self, payload: Model) -> dict[str, Any]:
        """An agent of part 1 is told what part 1 knows."""
        if self.version == OLDEST_VERSION and isinstance(payload, Specification):
            return payload.model_dump(by_alias=True, exclude_none=True, exclude=PART2_FIELDS)
        return wire(payload)

    def receive(self, frame: str | bytes) -> Received:
        """Reads a frame; never raises for what it holds."""
        self._is_doubted, self._unheard_s = False, 0.0
        try:
            message = self._open(frame)
            match message:
                case Response():
                    return self._receive_response(message)
                case Event():
                    return self._receive_event(message)
                case Legacy():
                    shape = TO_PANEL.get(message.type) if self._knows(message.type) else None
                    return self._receive_news(message.type, shape, message.data)
                case Command():
                    self.counts["unknown"] += 1
                    return Received()
                case _:
                    assert_never(message)
        except Fault as fault:
            return Received(replies=(self.error(fault),))

    def _receive_event(self, event: Event) -> Received:
        """A durable event that we do not understand is passed on all the same, as `Nothing`: it has a number that is to be acknowledged.

        In part 1 there are no durable events, whatever else an agent sends along.
        """
        shape = EVENTS.get(event.event) if self._knows(event.event) else None
        if event.seq is None or self.version == OLDEST_VERSION:
            return self._receive_news(event.event, shape, event.data)
        content: Model = Nothing()
        try:
            if shape is None:
                self.counts["unknown"] += 1
            else:
                content = read(shape, event.data, ErrorCode.INVALID_MESSAGE)
        except Fault:
            self.counts["invalid"] += 1
        return Received(told=Told(event.event, content, event.seq, event.missing or 0, event.timestamp, event.data))

    def _receive_response(self, response: Response) -> Received:
        """In part 2 a response that comes too late for whoever asked still tells that the command was taken."""
        if not self._settle(response.id):
            self.counts["unmatched"] += 1
            if self.version == OLDEST_VERSION:
                return Received()
        return Received(Answered(response.id, response))

    def _receive_news(self, kind: str, shape: type[Model] | None, data: object) -> Received:
        if shape is None:
            self.counts["unknown"] += 1
            return Received()
        try:
            content = read(shape, data, ErrorCode.INVALID_MESSAGE)
        except Fault:
            self.counts["invalid"] += 1
            if kind == "error":  # answered by an error it would come back for ever
                return Received()
            raise
        return Received(told=Told(kind, content))

    def overdue(self) -> list[str]:
        """The questions whose time is up, each told once; an answer that still comes is counted as unmatched."""
        now = self._clock.monotonic()
        late = [question for question, deadline in self._deadlines.items() if deadline <= now]
        for question in late:
            del self._deadlines[question]
        self._is_doubted = self._is_doubted or bool(late)
        return late

    def next_deadline_s(self) -> float | None:
        """Seconds until a question's time is up; None while nothing is open."""
        if not self._deadlines:
            return None
        return max(0.0, min(self._deadlines.values()) - self._clock.monotonic())

    def abandon(self) -> list[str]:
        """The connection has ended: all open questions, which now have no answer to come."""
        lost = list(self._deadlines)
        self._deadlines.clear()
        return lost

    def forget(self, question: str) -> None:
        """Whoever asked no longer waits."""
        self._deadlines.pop(question, None)

    def _expect(self, question: str, timeout_s: float) -> None:
        if len(self._deadlines) >= MOST_OPEN:
            raise Fault(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"Node {self._node_id} has {MOST_OPEN} commands open; wait for some to end.",
            )
        self._deadlines[question] = self._clock.monotonic() + timeout_s

    def _settle(self, question: str) -> bool:
        return self._deadlines.pop(question, None) is not None
