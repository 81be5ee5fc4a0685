"""What both ends of a connection share: reading frames, counting what is ignored, saying what could not be read.

Like the whole of this package, sessions do no I/O and own no clock: they are given frames and a clock, and give back frames and messages.
"""

from collections import Counter

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import OF_PART_2, ErrorReport, wire
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import OLDEST_VERSION, VERSION, Legacy, Message, encode, parse
from ctrl_alt_play.protocol.part2 import ProtocolRange
from ctrl_alt_play.protocol.specification import Model


def incompatible(who: str, offered: ProtocolRange) -> Fault:
    """No version in common with the other side, which is `who`: the sentence says which of the two to upgrade."""
    ours, theirs = f"{OLDEST_VERSION} to {VERSION}", f"{offered.minimum} to {offered.version}"
    us = "agent" if who == "panel" else "panel"
    behind = us if offered.minimum > VERSION else who
    return Fault(
        ErrorCode.INVALID_MESSAGE,
        f"The {who} speaks versions {theirs} of the protocol and this {us} speaks {ours}: upgrade the {behind}.",
    )


class Session:
    """One connection's half of the protocol.

    `counts` tells what was received and what of it was of no use: `received`, `invalid` (no message of ours), `unknown` (a type, action or
    event that we do not know), `duplicate` (a command's id seen before), `unmatched` (an answer to no open question).
    """

    def __init__(self, clock: Clock) -> None:
        self.version = OLDEST_VERSION
        """What is spoken on this connection: part 1 until more is agreed."""
        self._clock = clock
        self._heard_at = clock.monotonic()
        self.counts: Counter[str] = Counter()

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame, or since the connection opened."""
        return self._clock.monotonic() - self._heard_at

    def legacy(self, kind: str, content: Model | None = None, message_id: str | None = None) -> str:
        """The frame of a legacy message."""
        data = None if content is None else wire(content)
        return self.encode(Legacy(type=kind, data=data, message_id=message_id))

    def error(self, fault: Fault, message_id: str | None = None) -> str:
        """The frame that tells of a failure which no response tells of."""
        report = ErrorReport(code=fault.code, message=fault.message, details=fault.details)
        return self.legacy("error", report, message_id)

    def encode(self, message: Message) -> str:
        return encode(message, self._clock.utc())

    def _knows(self, name: str) -> bool:
        """Whether an action, event or message of this name may mean something on this connection."""
        return self.version > OLDEST_VERSION or name not in OF_PART_2

    def _open(self, frame: str | bytes) -> Message:
        """Counts a frame and reads its envelope.

        Raises:
            Fault: `INVALID_MESSAGE`; it is counted already.
        """
        self._heard_at = self._clock.monotonic()
        self.counts["received"] += 1
        try:
            return parse(frame)
        except Fault:
            self.counts["invalid"] += 1
            raise
