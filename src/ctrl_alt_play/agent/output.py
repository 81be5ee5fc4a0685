"""The games' output on its way to the panel: perishable, throttled, and bounded for each server."""

from collections import deque
from collections.abc import Callable

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import ServerOutput, wire
from ctrl_alt_play.protocol.messages import Legacy

MOST_OUTPUT_CHARS = 64 * 1024
MESSAGE_CHARS = 16 * 1024
OUTPUT_EVERY_S = 0.05


class Output:
    """One server's lines on their way. Past `MOST_OUTPUT_CHARS` the oldest go, and the stream says how many."""

    def __init__(self) -> None:
        self.lines: deque[tuple[str, str]] = deque()
        self.due_at = 0.0
        self._chars = 0
        self.dropped = 0

    def add(self, stream: str, text: str) -> int:
        """Takes a line; gives the number of lines dropped for it."""
        self.lines.append((stream, text))
        self._chars += len(text) + 1
        dropped = 0
        while self._chars > MOST_OUTPUT_CHARS:
            self._chars -= len(self.lines.popleft()[1]) + 1
            dropped += 1
        self.dropped += dropped
        return dropped

    def take(self) -> tuple[str, str]:
        """The next lines of one stream, joined, as much as fits into a message."""
        if self.dropped:
            notice, self.dropped = (
                f"[{self.dropped} lines of output were dropped: they came faster than they could be sent]",
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


class Outputs:
    """The output of all servers; each is sent at most every `OUTPUT_EVERY_S`, whoever waits the longest first."""

    def __init__(self, clock: Clock, on_dropped: Callable[[int], None]) -> None:
        self._clock = clock
        self._on_dropped = on_dropped
        self._outputs: dict[str, Output] = {}

    def lose(self, server_id: str, lines: int) -> None:
        """So many lines came too fast to be taken in at all."""
        self._on_dropped(lines)
        if server_id in self._outputs:
            self._outputs[server_id].dropped += lines

    def add(self, server_id: str, stream: str, text: str) -> bool:
        """Takes lines, joined by newlines. Whether they are the first that wait."""
        output = self._outputs.get(server_id)
        if output is None:
            output = self._outputs[server_id] = Output()
        is_first = not output.lines
        if is_first:
            output.due_at = max(output.due_at, self._clock.monotonic() + OUTPUT_EVERY_S)
        if dropped := sum(output.add(stream, line) for line in text.split("\n")):
            self._on_dropped(dropped)
        return is_first

    def clear(self) -> None:
        """Whoever would be told hears of it in another way."""
        self._outputs.clear()

    def due_in_s(self) -> float | None:
        """Seconds until something may be sent, 0 or less when it is time; None while there is nothing."""
        due_at = min((output.due_at for output in self._outputs.values()), default=None)
        return None if due_at is None else due_at - self._clock.monotonic()

    def take(self) -> Legacy:
        """What is due first."""
        server_id, output = min(self._outputs.items(), key=lambda item: item[1].due_at)
        stream, text = output.take()
        output.due_at = self._clock.monotonic() + OUTPUT_EVERY_S
        if not output.lines:
            del self._outputs[server_id]
        data = {"serverId": server_id, "output": text, "stream": stream, "timestamp": self._clock.utc()}
        return Legacy(type="server_output", data=wire(ServerOutput.model_validate(data)))
