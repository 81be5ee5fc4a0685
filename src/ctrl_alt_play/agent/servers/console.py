"""A game's console: its output as lines, as they come, and lines into its standard input."""

import asyncio
import codecs
from collections.abc import Callable

import structlog

from ctrl_alt_play.agent.engine.base import Attachment, Engine
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

LONGEST_LINE = 16 * 1024
PARTIAL_AFTER_S = 0.25
log = structlog.get_logger(__name__)

OnLine = Callable[[str, str], None]
"""Takes a stream's name and a line without its end. It must return at once: while it runs, the game's output waits."""


class Lines:
    """One stream's bytes as lines. Characters and lines cut by the transport are put together again; carriage returns at the end go."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._is_continued = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete; longer ones than `LONGEST_LINE` in pieces."""
        *ended, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        lines: list[str] = []
        for line in ended:
            *pieces, last = _pieces(line)
            lines += pieces
            if last.removesuffix("\r") or pieces or not self._is_continued:
                lines.append(last.removesuffix("\r"))
            self._is_continued = False
        *pieces, self._rest = _pieces(self._rest)
        self._is_continued = self._is_continued and not pieces
        return lines + pieces

    @property
    def is_unfinished(self) -> bool:
        return bool(self._rest)

    def flush(self) -> list[str]:
        """What has come of an unfinished line, such as a prompt. Should only its end follow, that makes no line of its own."""
        rest, self._rest = self._rest.removesuffix("\r"), ""
        self._is_continued = self._is_continued or bool(rest)
        return [rest] if rest else []


def _pieces(line: str) -> list[str]:
    pieces = []
    while len(line.removesuffix("\r")) > LONGEST_LINE:
        pieces.append(line[:LONGEST_LINE])
        line = line[LONGEST_LINE:]
    return [*pieces, line]


class Console:
    """The console of one server. It always reads, also when nobody cares: a game whose reader stops would block."""

    def __init__(
        self, server_id: str, engine: Engine, on_line: OnLine, on_end: Callable[[], None] = lambda: None
    ) -> None:
        self._server_id = server_id
        self._engine = engine
        self._on_line = on_line
        self._on_end = on_end
        self._attachment: Attachment | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def open(self) -> None:
        """Attaches to the container; before its start, so that nothing is missed.

        Raises:
            Fault: the engine refuses.
        """
        if self.is_open:
            return
        await self.close()
        self._attachment = await self._engine.attach(self._server_id)
        self._reader = asyncio.create_task(self._read(self._attachment), name=f"console {self._server_id}")

    async def write(self, line: str) -> None:
        """Writes a line to the game.

        Raises:
            Fault: `INVALID_STATE` when no console is open, `TIMEOUT` when the game does not read.
        """
        if self._attachment is None or not self.is_open:
            raise Fault(ErrorCode.INVALID_STATE, "The server is not running, so it has no console to write to.")
        await self._attachment.write(line.encode() + b"\n")

    async def close(self) -> None:
        """Lets go of the console, once what the ended game wrote last was read."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._attachment is not None:
            await self._attachment.close()
        self._reader = self._attachment = None

    async def drained(self, timeout_s: float) -> None:
        """Waits, so long at most, until an ended game's last output was read."""
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=timeout_s)

    async def _read(self, attachment: Attachment) -> None:
        streams = {"stdout": Lines(), "stderr": Lines()}
        flushing: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        try:
            while (chunk := await attachment.read()) is not None:
                if flushing is not None:
                    flushing.cancel()
                for line in streams[chunk.stream].feed(chunk.data):
                    self._on_line(chunk.stream, line)
                is_unfinished = any(lines.is_unfinished for lines in streams.values())
                flushing = loop.call_later(PARTIAL_AFTER_S, self._flush, streams) if is_unfinished else None
            self._on_end()
        finally:
            if flushing is not None:
                flushing.cancel()
            self._flush(streams)

    def _flush(self, streams: dict[str, Lines]) -> None:
        for stream, lines in streams.items():
            for line in lines.flush():
                self._on_line(stream, line)
