"""What goes to the panel, and in which order: answers, then durable events as the journal has them, then what may perish.

Durable events stay in the journal until the panel acknowledges them; towards a panel of part 1, which acknowledges nothing, until they are sent.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum

import structlog

from ctrl_alt_play.agent.consoles.feed import Feed
from ctrl_alt_play.agent.figures.newest import Newest
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.output import Outputs
from ctrl_alt_play.agent.records import OperationRecord, Spooled
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import ErrorReport, Outcome, ServerState, ServerStatus, wire
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.images import ImagePull
from ctrl_alt_play.protocol.live import Samples
from ctrl_alt_play.protocol.messages import Event, Legacy, Message, encode
from ctrl_alt_play.protocol.part2 import OperationProgress

MOST_ANSWERS = 10_000
MOST_ANSWER_BYTES = 64 * 1024 * 1024
MOST_UNACKED = 256
EVENTS_AT_ONCE = 64
BLOCK_BYTES = 64 * 1024
MOST_BLOCKS = 3
PROGRESS_EVERY_S = 0.25
RETRY_S = 0.2
_PART2_FIELDS = ("ready", "desired", "commandId", "restartAt", "crashes")
log = structlog.get_logger(__name__)


class Speech(Enum):
    """What is spoken with the panel."""

    NONE = "none"
    """It is away."""
    UNDECIDED = "undecided"
    """It is there, and has not shown what it speaks: it gets its answers, and nothing else yet."""
    PART1 = "part 1"
    PART2 = "part 2"


class Answers:
    """Frames for the panel that is connected now, each with the number of the event that it may not overtake.

    Past `MOST_ANSWERS` or `MOST_ANSWER_BYTES` all are given up, and the connection is to be: whoever asked asks again.
    """

    def __init__(self) -> None:
        self.is_given_up = False
        self._frames: deque[tuple[str, int]] = deque()
        self._bytes = 0

    @property
    def follows(self) -> int | None:
        """The event that the first one may not overtake; None while none waits."""
        return self._frames[0][1] if self._frames else None

    def put(self, frame: str, after: int) -> None:
        if self.is_given_up:
            return
        self._frames.append((frame, after))
        self._bytes += len(frame.encode())
        if len(self._frames) > MOST_ANSWERS or self._bytes > MOST_ANSWER_BYTES:
            self._frames.clear()
            self.is_given_up = True

    def take(self) -> str:
        frame, _ = self._frames.popleft()
        self._bytes -= len(frame.encode())
        return frame


class Way:
    """What is on its way to the panel, in whatever buffers there are: it goes before all that is said later, so consoles wait while it is full."""

    def __init__(self) -> None:
        self._bytes = 0
        self._blocks = 0

    @property
    def is_full(self) -> bool:
        return self._blocks >= MOST_BLOCKS

    def sent(self, size: int) -> bool:
        """Whether a block is full: the panel is to be asked to say when it has come that far."""
        self._bytes += size
        if self._bytes < BLOCK_BYTES:
            return False
        self._bytes = 0
        self._blocks += 1
        return True

    def arrived(self) -> None:
        """The panel has come a block further."""
        self._blocks -= 1


class Outbox:
    """`next` gives what is to be sent next; whoever asks for it has sent what came before."""

    def __init__(self, clock: Clock, journal: Journal, on_dropped: Callable[[int], None], feed: Feed) -> None:
        self.speech = Speech.NONE
        self._clock = clock
        self._journal = journal
        self._answers = Answers()
        self._way = Way()
        self._events: deque[tuple[Message, int]] = deque()
        self._fetched = self._sent = self._acked = self._told = 0
        self._is_firm = False
        self._progress: dict[str, Event] = {}
        self._progress_at = 0.0
        self._outputs = Outputs(clock, on_dropped)
        self._figures = Newest()
        self._wake = asyncio.Event()
        self._feed = feed
        journal.on_written = feed.on_more = self._wake.set

    def open(self, *first: str) -> None:
        """A connection is there: these frames go before all else."""
        self.close()
        self._answer_first(first)
        self._speak(Speech.UNDECIDED, 0)

    def speak_part1(self, *, is_firm: bool) -> None:
        """The panel speaks part 1; until that is firm, what it is sent stays in the journal. It is firm where no other was ever met."""
        self._is_firm = self._is_firm or is_firm or not self._journal.is_acknowledged
        if self.speech is Speech.UNDECIDED:
            self._speak(Speech.PART1, self._fetched)

    def speak_part2(self, acked: int, *first: str) -> None:
        """The panel speaks part 2, and has kept all events up to `acked`."""
        self._journal.ack(acked)
        self._events.clear()
        self._acked = acked
        self._answer_first(first)
        self._outputs.clear()
        self._speak(Speech.PART2, acked)

    def ack(self, seq: int) -> None:
        """The panel has kept all events up to here."""
        self._acked = max(self._acked, seq)
        self._journal.ack(seq)
        self._wake.set()

    def close(self) -> None:
        """The connection is gone, and whoever waited for an answer with it."""
        self.speech = Speech.NONE
        self._answers = Answers()
        self._way = Way()
        self._events.clear()
        self._progress.clear()
        self._figures.clear()
        self._feed.detach_all()
        self._fetched = self._sent = 0
        self._is_firm = False

    def sent(self, size: int) -> bool:
        """So much was sent. Whether the panel is to be asked to say when it has come."""
        return self._way.sent(size)

    def arrived(self) -> None:
        """What was sent before the panel was asked has come."""
        self._way.arrived()
        self._wake.set()

    def answer(self, frame: str) -> None:
        """Sends a frame to the panel that is connected now; in part 1 after all that was told before."""
        if self.speech is not Speech.NONE:
            self._answers.put(frame, self._journal.newest_seq)
            self._wake.set()

    def ended(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None:
        """A legacy message is answered when its work is over; a command was answered when it was accepted."""
        if operation.id is not None:
            return
        if fault is None:
            kind, data = "server_status", wire(ServerStatus(server_id=operation.server_id, status=state))
        else:
            kind, data = "error", wire(ErrorReport(code=fault.code, message=fault.message, details=fault.details))
        now = self._clock.utc()
        self.answer(encode(Legacy(type=kind, timestamp=now, message_id=operation.message_id, data=data), now))

    def progress(self, progress: OperationProgress) -> None:
        """The newest of each command goes, at most every `PROGRESS_EVERY_S`; only part 2 knows of it."""
        self._tell_progress(progress.command_id, Event(event="operation_progress", data=wire(progress)))

    def image_pull(self, pull: ImagePull) -> None:
        """As `progress`, the newest of each image."""
        self._tell_progress(f"image {pull.image}", Event(event="image_pull", data=wire(pull)))

    def _tell_progress(self, subject: str, event: Event) -> None:
        if self.speech is Speech.PART2:
            self._progress[subject] = event
            self._wake.set()

    def samples(self, samples: Samples) -> None:
        """Only the newest of each server goes; only part 2 knows of it."""
        if self.speech is Speech.PART2:
            self._figures.put(samples)
            self._wake.set()

    def wrote(self, server_id: str, stream: str, text: str) -> None:
        """A panel of part 2 attaches to the consoles that it wants to see, so this is for one of part 1, or that may be one."""
        if self.speech is not Speech.PART2 and self._outputs.add(server_id, stream, text):
            self._wake.set()

    def missed(self, server_id: str, lines: int) -> None:
        self._outputs.lose(server_id, lines)

    async def next(self) -> Message | str:
        """Waits for the next thing to send.

        Raises:
            TimeoutError: the panel reads so slowly that answers were lost. Connect again: the truth is told anew.
        """
        if not self._events:
            self._sent = self._fetched
        if self.speech is Speech.PART1 and self._is_firm:
            self._journal.ack(self._sent)
        while True:
            if self._answers.is_given_up:
                raise TimeoutError("the panel does not keep up with what it is told")
            if self._may_answer():
                return self._answers.take()
            if self._events:
                message, self._sent = self._events.popleft()
                return message
            if self._may_fetch():
                await self._fetch()
            elif (perishable := self._perishable()) is not None:
                return perishable
            else:
                await self._wait()

    def _answer_first(self, frames: Iterable[str]) -> None:
        for frame in frames:
            self._answers.put(frame, 0)

    def _speak(self, speech: Speech, after: int) -> None:
        self.speech = speech
        self._fetched = self._sent = self._told = after
        self._wake.set()

    def _may_answer(self) -> bool:
        """In part 1 the order of news and answers tells what is true, unless the journal cannot be written."""
        follows = self._answers.follows
        if follows is None:
            return False
        return self.speech is not Speech.PART1 or follows <= self._sent or self._journal.is_stuck

    def _may_fetch(self) -> bool:
        if self.speech not in {Speech.PART1, Speech.PART2} or self._fetched >= self._journal.written_seq:
            return False
        return self.speech is Speech.PART1 or self._fetched - self._acked < MOST_UNACKED

    async def _fetch(self) -> None:
        speech, after, newest = self.speech, self._fetched, self._journal.written_seq
        try:
            found = await self._journal.events_after(after, EVENTS_AT_ONCE)
        except sqlite3.Error as error:
            log.warning("events_not_read", reason=str(error))
            await asyncio.sleep(RETRY_S)
            return
        if (self.speech, self._fetched) != (speech, after):
            return
        for each in found:
            messages = _part1(each) if speech is Speech.PART1 else [_part2(each, each.seq - self._told - 1)]
            self._fetched = self._told = each.seq
            last = len(messages) - 1
            self._events.extend((message, each.seq - (place < last)) for place, message in enumerate(messages))
            if not messages:
                self._pass_over(each.seq)
        if len(found) < EVENTS_AT_ONCE:
            self._fetched = max(self._fetched, newest)
        if not self._events:
            self._sent = self._fetched

    def _pass_over(self, seq: int) -> None:
        """A panel of part 1 is not told of this event; an answer does not wait for it, and so not for what comes after it."""
        if self._events:
            self._events[-1] = (self._events[-1][0], seq)
        else:
            self._sent = seq

    def _perishable(self) -> Message | None:
        if self._progress and self._clock.monotonic() >= self._progress_at:
            self._progress_at = self._clock.monotonic() + PROGRESS_EVERY_S
            return self._progress.pop(next(iter(self._progress)))
        if self._figures:
            return self._figures.take()
        if self.speech is Speech.PART2:
            return None if self._way.is_full else self._feed.take()
        due_s = self._output_due_in_s()
        return self._outputs.take() if due_s is not None and due_s <= 0 else None

    def _output_due_in_s(self) -> float | None:
        match self.speech:
            case Speech.UNDECIDED:
                return None
            case Speech.PART2:
                return None if self._way.is_full else self._feed.due_in_s()
            case _:
                return self._outputs.due_in_s()

    async def _wait(self) -> None:
        due = [self._output_due_in_s()]
        if self._progress:
            due.append(self._progress_at - self._clock.monotonic())
        self._wake.clear()
        try:
            async with asyncio.timeout(min((each for each in due if each is not None), default=None)):
                await self._wake.wait()
        except TimeoutError:
            return


def _part1(event: Spooled) -> list[Message]:
    """A status change as part 1 tells it: twice, and without what only part 2 knows. There an error is told of failures alone."""
    if not event.is_for_part1:
        return []
    unknown = (*_PART2_FIELDS, "error") if "currentStatus" in event.data else _PART2_FIELDS
    data = {name: value for name, value in event.data.items() if name not in unknown}
    word = data.get("currentStatus") or data.get("status") or ServerState.UNKNOWN
    status = ServerStatus(server_id=data["serverId"], status=word, error=data.get("error"))
    return [
        Event(event=event.kind, timestamp=event.at, data=data),
        Legacy(type="server_status", timestamp=event.at, data=wire(status)),
    ]


def _part2(event: Spooled, missing: int) -> Message:
    return Event(event=event.kind, timestamp=event.at, data=event.data, seq=event.seq, missing=missing or None)
