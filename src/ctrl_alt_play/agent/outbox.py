"""What waits to be sent to the panel: facts first and in order, the games' output when there is room."""

import asyncio
from collections import deque
from collections.abc import Callable

from ctrl_alt_play.agent.journal import OperationRecord
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import (
    ErrorReport,
    Outcome,
    ServerOutput,
    ServerState,
    ServerStatus,
    StatusChanged,
    wire,
)
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.messages import Event, Legacy, Message

MOST_FACTS = 10_000
MOST_OUTPUT_CHARS = 64 * 1024
MESSAGE_CHARS = 16 * 1024
OUTPUT_EVERY_S = 0.05


class Output:
    """One server's lines on their way. Past `MOST_OUTPUT_CHARS` the oldest go, and the stream says how many."""

    def __init__(self) -> None:
        self.lines: deque[tuple[str, str]] = deque()
        self.due_at = 0.0
        self._chars = 0
        self._dropped = 0

    def add(self, stream: str, text: str) -> int:
        """Takes a line; gives the number of lines dropped for it."""
        self.lines.append((stream, text))
        self._chars += len(text) + 1
        dropped = 0
        while self._chars > MOST_OUTPUT_CHARS:
            self._chars -= len(self.lines.popleft()[1]) + 1
            dropped += 1
        self._dropped += dropped
        return dropped

    def take(self) -> tuple[str, str]:
        """The next lines of one stream, joined, as much as fits into a message."""
        if self._dropped:
            notice, self._dropped = (
                f"[{self._dropped} lines of output were dropped: they came faster than they could be sent]",
                0,
            )
            return "stderr", notice
        stream, first = self.lines.popleft()
        texts, size = [first], len(first) + 1
        while self.lines and self.lines[0][0] == stream and size + len(self.lines[0][1]) < MESSAGE_CHARS:
            text = self.lines.popleft()[1]
            texts.append(text)
            size += len(text) + 1
        self._chars -= size
        return stream, "\n".join(texts)


class Outbox:
    """The agent's teller. While the panel is away the newest `MOST_FACTS` facts are kept; answers are not, for nobody waits for them."""

    def __init__(self, clock: Clock, on_dropped: Callable[[int], None]) -> None:
        self._clock = clock
        self._on_dropped = on_dropped
        self._facts: deque[Message | str] = deque(maxlen=MOST_FACTS)
        self._outputs: dict[str, Output] = {}
        self._wake = asyncio.Event()
        self._is_open = False
        self._has_overflown = False

    def open(self, *first: str) -> None:
        """A connection is there: these frames go before all that waits."""
        while len(self._facts) > MOST_FACTS - len(first):
            self._facts.popleft()
        self._facts.extendleft(reversed(first))
        self._is_open = True
        self._has_overflown = False
        self._wake.set()

    def close(self) -> None:
        """The connection is gone, and whoever waited for an answer with it."""
        self._is_open = False
        self._facts = deque((fact for fact in self._facts if not isinstance(fact, str)), maxlen=MOST_FACTS)

    def answer(self, frame: str) -> None:
        """Sends a frame to the panel that is connected now."""
        if self._is_open:
            self._put(frame)

    def changed(self, change: StatusChanged) -> None:
        now = self._clock.utc()
        word = change.word or ServerState.UNKNOWN
        self._put(Event(event="server_status_changed", timestamp=now, data=wire(change)))
        status = ServerStatus(server_id=change.server_id, status=word, error=change.error)
        self._put(Legacy(type="server_status", timestamp=now, data=wire(status)))

    def ended(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None:
        """A legacy message is answered when its work is over; a command was answered when it was accepted."""
        if operation.id is not None or not self._is_open:
            return
        if fault is None:
            kind, data = "server_status", wire(ServerStatus(server_id=operation.server_id, status=state))
        else:
            kind, data = "error", wire(ErrorReport(code=fault.code, message=fault.message, details=fault.details))
        self._put(Legacy(type=kind, timestamp=self._clock.utc(), message_id=operation.message_id, data=data))

    def line(self, server_id: str, stream: str, text: str) -> None:
        output = self._outputs.get(server_id)
        if output is None:
            output = self._outputs[server_id] = Output()
        if not output.lines:
            output.due_at = max(output.due_at, self._clock.monotonic() + OUTPUT_EVERY_S)
            self._wake.set()
        if dropped := output.add(stream, text):
            self._on_dropped(dropped)

    async def next(self) -> Message | str:
        """Waits for the next thing to send.

        Raises:
            TimeoutError: the panel reads so slowly that facts were lost. Connect again: the snapshot tells the truth anew.
        """
        while True:
            if self._has_overflown:
                raise TimeoutError("the panel does not keep up with what it is told")
            if self._facts:
                return self._facts.popleft()
            due = min(((output.due_at, id_) for id_, output in self._outputs.items()), default=None)
            wait_s = None if due is None else due[0] - self._clock.monotonic()
            if due is not None and wait_s is not None and wait_s <= 0:
                return self._take_output(due[1])
            self._wake.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _take_output(self, server_id: str) -> Message:
        output = self._outputs[server_id]
        stream, text = output.take()
        output.due_at = self._clock.monotonic() + OUTPUT_EVERY_S
        if not output.lines:
            del self._outputs[server_id]
        data = {"serverId": server_id, "output": text, "stream": stream, "timestamp": self._clock.utc()}
        return Legacy(type="server_output", data=wire(ServerOutput.model_validate(data)))

    def _put(self, fact: Message | str) -> None:
        self._has_overflown = self._has_overflown or (self._is_open and len(self._facts) == MOST_FACTS)
        self._facts.append(fact)
        self._wake.set()
