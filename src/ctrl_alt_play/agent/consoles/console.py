"""A game's console: its output into the log as it comes, and lines into its standard input."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from ctrl_alt_play.agent.consoles.catching_up import catch_up
from ctrl_alt_play.agent.consoles.cutting import Cutters
from ctrl_alt_play.agent.consoles.flood import Allowance
from ctrl_alt_play.agent.consoles.joining import Block
from ctrl_alt_play.agent.consoles.log import ConsoleLog
from ctrl_alt_play.agent.engine.base import Attachment, Engine
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

PARTIAL_AFTER_S = 0.25
TURN_S = 0.001
"""So long a console has the loop before others have their turn."""
SLICE_BYTES = 16 * 1024
WITHHELD_BYTES = 16 * 1024
HELD_BYTES = 16 * 2**20
"""Of output that may come while what was written before it is read back."""
CATCH_UP_PATIENCE_S = 5.0
log = structlog.get_logger(__name__)


class Ear(Protocol):
    """Who listens beside the log. It must return at once: while it does something, the game's output waits."""

    def hear(self, stream: str, text: str) -> None:
        """Lines of one stream, joined by newlines."""
        ...

    def miss(self, lines: int) -> None:
        """So many lines were left out, for they came too fast."""
        ...


class Console:
    """The console of one server. It always reads, also when nobody cares: a game whose reader stops would block."""

    def __init__(
        self,
        server_id: str,
        engine: Engine,
        log: ConsoleLog,
        ear: Ear,
        clock: Clock,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.log = log
        self._server_id = server_id
        self._engine = engine
        self._ear = ear
        self._clock = clock
        self._on_end = on_end
        self._attachment: Attachment | None = None
        self._reader: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._held: deque[Block] | None = None
        """What is heard while what was written before it is read back."""
        self._cutters = Cutters()
        self._withheld: dict[str, bytes] = {}
        self._allowance = Allowance(clock)
        self._flushing: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def open(self, *, is_running: bool = False, began_at: float | None = None) -> None:
        """Attaches to the container; before its start, so that nothing is missed. Of a game that runs already, what it wrote is read back; it
        was started at `began_at`, where that is known.

        Raises:
            Fault: the engine refuses.
        """
        if self.is_open:
            return
        if self._catching_up is not None:
            await asyncio.wait({self._catching_up}, timeout=CATCH_UP_PATIENCE_S)
        await self.close()
        await self.log.open()
        self._cutters, self._allowance = Cutters(), Allowance(self._clock)
        self._attachment = await self._engine.attach(self._server_id)
        if is_running:
            self._allowance.advance(HELD_BYTES)
            self._begin_catching_up(began_at)
        self._reader = asyncio.create_task(self._read(self._attachment), name=f"console {self._server_id}")

    async def read_back(self, began_at: float | None = None) -> None:
        """Takes in what a game wrote that ended meanwhile."""
        if self._catching_up is None and not self.is_open:
            await self.log.open()
            self._begin_catching_up(began_at)

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
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.gather(self._catching_up, return_exceptions=True)
        self._catching_up = self._held = None

    async def drained(self, timeout_s: float) -> None:
        """Waits, so long at most, until an ended game's last output was read."""
        if waits := {each for each in (self._reader, self._catching_up) if each is not None}:
            await asyncio.wait(waits, timeout=timeout_s)

    def _begin_catching_up(self, began_at: float | None) -> None:
        self._held = deque()
        work = catch_up(self._engine, self._server_id, self.log, self._held, began_at)
        self._catching_up = asyncio.create_task(self._catch_up(work), name=f"console {self._server_id} back")

    async def _catch_up(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:  # what is wrong with what was must not end what is
            log.exception("console_not_caught_up", server_id=self._server_id)
        held, self._held = self._held, None
        for block in held or ():
            self._keep(block)

    async def _read(self, attachment: Attachment) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            while (chunk := await attachment.read()) is not None:
                self._cancel_flush()
                for start in range(0, len(chunk.data), SLICE_BYTES):
                    self._take(chunk.stream, chunk.data[start : start + SLICE_BYTES])
                    if loop.time() - began > TURN_S:
                        await asyncio.sleep(0)
                        began = loop.time()
                self._flushing = loop.call_later(PARTIAL_AFTER_S, self._flush)
            self._on_end()
        finally:
            self._cancel_flush()
            self._flush()

    def _take(self, stream: str, data: bytes) -> None:
        """What is too much is left out, but for its end, which is withheld until it is known whether more comes: a flood's last words are kept."""
        data = self._withheld.pop(stream, b"") + data
        if self._allowance.grants(len(data)):
            self._feed(stream, data)
            return
        if len(data) > 2 * WITHHELD_BYTES:
            self._cutters[stream].skip(data[:-WITHHELD_BYTES])
            data = data[-WITHHELD_BYTES:]
        self._withheld[stream] = data

    def _feed(self, stream: str, data: bytes) -> None:
        text = self._cutters[stream].feed(data)
        if text is not None:
            self._tell(stream, text)

    def _tell(self, stream: str, text: str) -> None:
        self._miss(self._cutters.take_lost())
        self._keep(Block(stream, text))
        self._ear.hear(stream, text)

    def _miss(self, lines: int) -> None:
        if lines:
            self._keep(Block("", None, lines))
            self._ear.miss(lines)

    def _flush(self) -> None:
        while self._withheld:
            self._feed(*self._withheld.popitem())
        self._miss(self._cutters.take_lost())
        for stream, text in self._cutters.flush():
            self._tell(stream, text)

    def _cancel_flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None

    def _keep(self, block: Block) -> None:
        if self._held is not None:
            self._held.append(block)
        elif block.text is None:
            self.log.lose(block.lost)
        else:
            self.log.append(block.stream, block.text)
