"""One agent's connection: what comes in is parsed and queued, taken in in order by one worker; what goes out is queued and written by another.

While nothing is going on there is but the task that reads.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import uuid4

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.gateway.base import Admission, Arrival, Fact, OutOfStep, Sink, Unanswered, Undelivered
from ctrl_alt_play.panel.gateway.lane import Lane
from ctrl_alt_play.panel.gateway.rivals import Caller
from ctrl_alt_play.panel.gateway.sockets import Gone, Socket
from ctrl_alt_play.protocol.contents import Action, SystemInfo
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import INCOMPATIBLE, OLDEST_VERSION, Response
from ctrl_alt_play.protocol.panel_session import Answered, PanelSession, Received, Told
from ctrl_alt_play.protocol.part2 import Ack, ProtocolRange
from ctrl_alt_play.protocol.specification import Model

INBOX_FACTS = 1024
"""When it is full the socket is not read: TCP holds the agent back, and no fact is dropped."""
OUTBOX_FRAMES = 256
"""When it is full a command is refused; a complaint about a frame is dropped."""
BATCH_FACTS = 64
INTRODUCTION_DEADLINE_S = 2.0
"""Who has not said by then what it is speaks part 1; unless it is known to speak part 2."""
KNOWN_INTRODUCTION_DEADLINE_S = 20.0
WRITE_DEADLINE_S = 10.0
CLOSE_DEADLINE_S = 2.0
DRAIN_DEADLINE_S = 5.0
KEEP_TRIES = 3
KEEP_PAUSE_S = 0.5
SYNCHRONISE_PAUSE_S = 5.0
QUESTIONS_AT_ONCE = 32
"""However many want to know something, there is room for commands."""
QUESTION = "ask_"
"""So begin the ids of commands whose answers are no facts."""

GOING_AWAY = 1001
NOT_ALLOWED = 1008
CANNOT_KEEP = 1011
TRY_AGAIN = 1013
LONGEST_REASON = 120
"""A close frame holds no more."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Ended(Exception):
    """Ends all tasks of a connection."""


@dataclass(slots=True)
class _Outgoing:
    frame: str
    written: asyncio.Future[None] | None = None
    is_begun: bool = False
    """Some of it may have reached the agent."""


@dataclass(frozen=True, slots=True)
class _Question:
    outgoing: _Outgoing
    answer: asyncio.Future[Response]


class Connection:
    """Lives as long as `run`. `is_ready` once the version is agreed, the sink knows of it, and a welcome is on its way: then it may be spoken
    through.
    """

    def __init__(self, admission: Admission, socket: Socket, caller: Caller, sink: Sink, clock: Clock) -> None:
        self.admission = admission
        self.caller = caller
        self.node_id = admission.node_id
        self.session = PanelSession(self.node_id, clock)
        self.unknown_actions: set[Action] = set()
        self.is_ready = False
        self._socket = socket
        self._sink = sink
        self._inbox = Lane[Fact](INBOX_FACTS, lambda: self._begin(self._keep))
        self._outbox = Lane[_Outgoing](OUTBOX_FRAMES, lambda: self._begin(self._write))
        self._waiting: dict[str, _Question] = {}
        self._asking = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = loop.create_future()
        self._introduction: asyncio.Future[None] = loop.create_future()
        self._admitted: asyncio.Future[None] = loop.create_future()
        self._system: SystemInfo | None = None
        self._closing: tuple[int, str] | None = None
        self._context = copy_context()
        self._group: asyncio.TaskGroup | None = None
        self._is_behind = False
        self._is_catching_up = False

    @property
    def waiting_facts(self) -> int:
        """How much of what the agent said is still to be taken in."""
        return len(self._inbox)

    async def run(self) -> None:
        """Serves the connection to its end. `finished` is for the gateway to set, once the end is known everywhere."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._begin(self._open)
                if self.is_closing:
                    self._begin(self._close)
                await self._do(self._read)
        except* _Ended:
            pass
        finally:
            self.is_ready = False
            self._fail_all()
            log.info("agent_disconnected", node_id=self.node_id, counts=dict(self.session.counts))

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None] | None:
        """In a task of its own, as long as the connection lasts. What that logs is about the connection, whoever was the cause."""
        if self._group is None:
            return None
        name = f"{work.__name__.strip('_')} {self.node_id}"
        return self._group.create_task(self._do(work), name=name, context=self._context.copy())

    async def _do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A failure is the end of all: nothing is begun any more."""
        try:
            await work()
        except BaseException:
            self._group = None
            raise

    def close(self, code: int, reason: str) -> None:
        """Asks for the connection to be closed; the first reason counts."""
        if not self.is_closing:
            self._closing = code, reason
            self._begin(self._close)

    @property
    def is_closing(self) -> bool:
        return self._closing is not None

    def look(self, stood_still_s: float = 0.0) -> float | None:
        """Gives up what has no time left: questions, and a node that is silent. Seconds until the next question's time is up.

        What a node said while the panel `stood_still_s`, or has no room for more, is not read yet: it is not called silent for that.
        """
        self.session.excuse(self.session.silent_s if self._inbox.is_full else stood_still_s)
        for question in self.session.overdue():
            self._fail(question, Fault(ErrorCode.TIMEOUT, f"Node {self.node_id} did not answer in time."))
        if self.session.is_silent and not self.is_closing:
            log.warning("agent_silent", node_id=self.node_id, silent_s=round(self.session.silent_s))
            self.close(GOING_AWAY, "nothing heard for too long")
        return self.session.next_deadline_s()

    async def command(
        self, command_id: str, action: Action, server_id: str, payload: Model | None, timeout_s: float
    ) -> Response:
        if command_id in self._waiting:
            raise Fault(ErrorCode.INVALID_STATE, f"Node {self.node_id} is being asked {command_id} already.")
        frame = self.session.command(command_id, action, server_id, payload, timeout_s)
        asked = _Question(_Outgoing(frame), asyncio.get_running_loop().create_future())
        self._waiting[command_id] = asked
        try:
            self._send(asked.outgoing)
            return await asked.answer
        finally:
            self._waiting.pop(command_id, None)
            self.session.forget(command_id)

    async def ask(self, action: Action, server_id: str, payload: Model | None, timeout_s: float) -> Response:
        try:
            async with asyncio.timeout(timeout_s):
                await self._asking.acquire()
        except TimeoutError as error:
            raise Undelivered(ErrorCode.TIMEOUT, f"Node {self.node_id} has too much else to answer.") from error
        try:
            if not self.is_ready:
                raise Undelivered(ErrorCode.AGENT_OFFLINE, f"Node {self.node_id} has just gone.")
            return await self.command(f"{QUESTION}{uuid4().hex}", action, server_id, payload, timeout_s)
        finally:
            self._asking.release()

    async def tell(self, kind: str, content: Model) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._send(_Outgoing(self.session.legacy(kind, content), written))
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                await written
        except TimeoutError as error:
            raise Fault(ErrorCode.TIMEOUT, f"Node {self.node_id} is connected but takes nothing in.") from error

    def _send(self, outgoing: _Outgoing) -> None:
        if self._outbox.is_full:
            raise Fault(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"Node {self.node_id} takes commands in too slowly; wait for some to end.",
            )
        self._outbox.put_at_once(outgoing)

    async def _open(self) -> None:
        system = await self._introduced()
        if system is None and self.admission.speaks_part_2:
            self.close(TRY_AGAIN, "the node has not said what it is")
            return
        try:
            version = self.session.agree(None if system is None else system.protocol)
        except Fault as fault:
            await self._part(fault)
            return
        try:
            reception = await self._sink.connected(Arrival(self.admission, version, system))
        except Exception:
            log.exception("arrival_not_kept", node_id=self.node_id)
            self.close(TRY_AGAIN, "the panel cannot keep that the node is there")
            return
        if not reception.is_allowed:
            self.close(NOT_ALLOWED, "this node may not connect any more")
            return
        if reception.welcome is not None:
            await self._outbox.put(_Outgoing(self.session.legacy("welcome", reception.welcome)))
        self.is_ready = not self.is_closing
        self._admitted.set_result(None)
        log.info("agent_connected", node_id=self.node_id, version=version)
        if version == OLDEST_VERSION:
            self._synchronise()

    async def _introduced(self) -> SystemInfo | None:
        """Also what came in the very moment in which the time was up, which is when a panel that stood still reads it."""
        known = self.admission.speaks_part_2
        with suppress(TimeoutError):
            async with asyncio.timeout(KNOWN_INTRODUCTION_DEADLINE_S if known else INTRODUCTION_DEADLINE_S):
                await self._introduction
        system, self._system = self._system, None
        return system

    async def _part(self, fault: Fault) -> None:
        """The two ends have no version in common."""
        log.warning("agent_incompatible", node_id=self.node_id, reason=fault.message)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._outbox.put(_Outgoing(self.session.error(fault), written))
        with suppress(Fault):
            await written
        self.close(INCOMPATIBLE, fault.message[:LONGEST_REASON])

    def _synchronise(self) -> None:
        """Asked for again while it goes on, it is done once more afterwards."""
        self._is_behind = True
        if not self._is_catching_up:
            self._begin(self._catch_up)

    async def _catch_up(self) -> None:
        self._is_catching_up = True
        while self._is_behind:
            self._is_behind = False
            try:
                await self._sink.synchronise(self.node_id)
            except Exception:  # one node's trouble is not to end its connection
                log.exception("synchronise_failed", node_id=self.node_id)
                self._is_behind = True
                await asyncio.sleep(SYNCHRONISE_PAUSE_S)
        self._is_catching_up = False

    async def _read(self) -> NoReturn:
        while (frame := await self._socket.receive()) is not None:
            await self._take_in(frame)
        if self._inbox.worker is not None:
            await asyncio.wait([self._inbox.worker], timeout=DRAIN_DEADLINE_S)
        raise _Ended

    async def _take_in(self, frame: str | bytes) -> None:
        received = self.session.receive(frame)
        for reply in received.replies:
            if not self._outbox.is_full:
                self._outbox.put_at_once(_Outgoing(reply))
        if self._is_introduction(received):
            return
        if self._is_late(received):
            self.close(TRY_AGAIN, "the node speaks more than it was taken for")
        if received.answered is not None and received.answered.id.startswith(QUESTION):
            self._answer(received.answered)
            return
        for fact in (received.told, received.answered):
            if fact is not None:
                await self._inbox.put(fact)

    def _is_introduction(self, received: Received) -> bool:
        """Whether it is what the handshake waits for, which hands it on itself."""
        match received.told:
            case Told(content=SystemInfo() as system) if not self._introduction.done():
                self._system = system
                self._introduction.set_result(None)
                return True
            case _:
                return False

    def _is_late(self, received: Received) -> bool:
        """Whether a node that was taken for one of part 1 says only now that it speaks part 2; known as such, it has more time the next time."""
        match received.told:
            case Told(content=SystemInfo(protocol=ProtocolRange() as offered)):
                return self._introduction.cancelled() and offered.version > OLDEST_VERSION
            case _:
                return False

    async def _keep(self) -> None:
        """Waits until the sink knows of the node, and ends for good where something could not be kept: what follows that is not to be kept
        either, for its acknowledgement would count for both.
        """
        await self._admitted
        while batch := self._inbox.take(BATCH_FACTS):
            if not await self._is_kept(batch):
                self.close(CANNOT_KEEP, "the panel cannot keep what it is told")
                return
            for fact in batch:
                if isinstance(fact, Answered):
                    self._answer(fact)
            await asyncio.sleep(0)  # whoever waits for an answer goes on before the next news is taken in

    async def _is_kept(self, facts: list[Fact]) -> bool:
        for attempt in range(1, KEEP_TRIES + 1):
            try:
                taken = await self._sink.apply(self.node_id, facts)
            except OutOfStep as error:
                log.warning("agent_out_of_step", node_id=self.node_id, reason=str(error))
                return False
            except Exception:
                log.exception("facts_not_kept", node_id=self.node_id, facts=len(facts), attempt=attempt)
                await asyncio.sleep(KEEP_PAUSE_S * attempt)
                continue
            self.session.counts["failed"] += taken.failed
            if taken.is_truth:
                self._synchronise()
            if taken.acked_seq is not None:
                await self._outbox.put(_Outgoing(self.session.legacy("ack", Ack(seq=taken.acked_seq))))
            return True
        return False

    def _answer(self, answered: Answered) -> None:
        question = self._waiting.get(answered.id)
        if question is not None and not question.answer.done():
            question.answer.set_result(answered.answer)

    async def _write(self) -> None:
        while waiting := self._outbox.take():
            outgoing = waiting[0]
            outgoing.is_begun = True
            try:
                async with asyncio.timeout(WRITE_DEADLINE_S):
                    await self._socket.send(outgoing.frame)
            except TimeoutError as error:
                log.warning("agent_takes_nothing_in", node_id=self.node_id)
                raise _Ended from error
            except Gone:
                if outgoing.written is not None and not outgoing.written.done():
                    outgoing.written.set_exception(
                        Fault(ErrorCode.AGENT_OFFLINE, f"Node {self.node_id} has just gone.")
                    )
                return
            if outgoing.written is not None and not outgoing.written.done():
                outgoing.written.set_result(None)

    async def _close(self) -> None:
        code, reason = self._closing or (GOING_AWAY, "")
        self.is_ready = False
        try:
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                await self._socket.close(code, reason)
        except (TimeoutError, Gone) as error:
            raise _Ended from error
        if code != CANNOT_KEEP:
            await asyncio.sleep(2 * DRAIN_DEADLINE_S)  # the reader ends it before, unless it cannot
        raise _Ended

    def _fail_all(self) -> None:
        self.session.abandon()
        for question in list(self._waiting):
            self._fail(question, Fault(ErrorCode.AGENT_OFFLINE, f"Node {self.node_id} went away before it answered."))
        for outgoing in self._outbox.take(len(self._outbox)):
            if outgoing.written is not None and not outgoing.written.done():
                outgoing.written.set_exception(Fault(ErrorCode.AGENT_OFFLINE, f"Node {self.node_id} went away."))

    def _fail(self, question: str, fault: Fault) -> None:
        asked = self._waiting.get(question)
        if asked is None or asked.answer.done():
            return
        if asked.outgoing.is_begun and self.session.version > OLDEST_VERSION:
            fault = Unanswered(fault.code, fault.message)
        elif not asked.outgoing.is_begun:
            fault = Undelivered(fault.code, fault.message)
        asked.answer.set_exception(fault)
