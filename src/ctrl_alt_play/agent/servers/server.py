"""One server on this node: one task with one inbox, so that no two actions on it ever overlap. Only a kill, or a cancellation, overtakes.

It moves the state machine of `life.py`, and tells what changed: each change is written to the journal together with what the server has to
remember, and reaches the panel from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.records import Entry, Memory, News, OperationRecord, Run, ServerRecord
from ctrl_alt_play.agent.servers import telling
from ctrl_alt_play.agent.servers.actions import Actions
from ctrl_alt_play.agent.servers.changes import GoodRun
from ctrl_alt_play.agent.servers.game import Game
from ctrl_alt_play.agent.servers.history import History
from ctrl_alt_play.agent.servers.inbox import Inbox
from ctrl_alt_play.agent.servers.life import DOWN, LEADS_TO, Duty, Life, check, remembered
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.turns import Overtaken, Turns
from ctrl_alt_play.agent.servers.watch import Watch
from ctrl_alt_play.agent.tables import DESIRES
from ctrl_alt_play.logs import carrying
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import OperationProgress, ServerSnapshot, UnderWay
from ctrl_alt_play.protocol.specification import Desired

RETRY_S = 1.0
MOST_WRITTEN = 20
ENGINE_GAP_S = 5.0
"""How long before the engine was seen to be gone a game may have gone with it."""
LOST_TO_DOCKER = 255
"""The exit code that Docker gives a container that died while Docker did not run."""
log = structlog.get_logger(__name__)

_LASTING = set(ServerState) - {ServerState.STARTING, ServerState.STOPPING}
"""What a panel of part 1 is told of. The two others are answered to the command, and seen in the status."""


class Server:
    """One server. `run` is its task; all else returns at once or only reads."""

    def __init__(
        self,
        record: ServerRecord,
        node: Node,
        on_gone: Callable[["Server"], None],
        unfinished: Sequence[OperationRecord] = (),
    ) -> None:
        is_ending = any("asked_at" in each.phase and "stopped_at" not in each.phase for each in unfinished)
        self.life = remembered(record.memory, record.specification.hold, is_ending=is_ending)
        self.game = Game(record, node, self._hear)
        self.inbox = Inbox()
        self.line_turns, self.file_turns = Turns(), Turns()
        """For what goes on beside actions, and does not wait for the other."""
        self.watch: Watch | None = None
        self.is_gone = False
        """It is deleted, or never came to be: nothing that is enqueued from now on will be done."""
        self.left = asyncio.Event()
        """Nothing is left of it, and its id is free again."""
        self._node = node
        self._on_gone = on_gone
        self._memory = record.memory
        self._actions = Actions(self, node)
        self._history = History(self.game, node, self._went_well)
        self._since = node.clock.utc()
        self._phase: str | None = None
        self._is_lost = False
        self._is_known = False
        self._first_look_after: float | None = 0.0
        self._due_at = node.clock.monotonic()
        self._told: ServerState | None = None
        self._news: ServerState | None = None

    @property
    def id(self) -> str:
        return self.game.id

    @property
    def record(self) -> ServerRecord:
        return self.game.record

    @property
    def state(self) -> ServerState:
        return self.life.observed

    @property
    def container(self) -> Container | None:
        return self.game.container

    def now(self) -> float:
        return self._node.clock.utc().timestamp()

    def check(self, action: Action) -> None:
        """Whether an action is possible now.

        Raises:
            Fault: why not.
        """
        if self.is_gone:
            raise Fault(ErrorCode.INVALID_STATE, "The server is being deleted.")
        check(action, self.life, self.inbox.actions)

    def enqueue(self, operation: OperationRecord) -> None:
        """Takes an accepted action into the inbox; what is wanted of the server changes with it."""
        self.apply(self.life.accept(operation.action))
        self.inbox.put(operation)

    def resume(self, operation: OperationRecord) -> None:
        """Takes back what was accepted before the agent ended."""
        self.inbox.put(operation)

    async def run(self) -> None:
        """Performs what is accepted, one after the other, and what the node owes the server by itself, until it is deleted."""
        while not self.is_gone:
            await self._tell_dropped()
            if self._memory.is_unreported and self._is_known:
                await self._report()
            elif not self.inbox.is_empty:
                await self._perform(self.inbox.take())
            elif self._is_lost:
                await self._by_itself("end", self._actions.end_lost())
            else:
                await self._do_duty()
        await self._tell_dropped()

    async def drop_waiting(self) -> None:
        """Ends all that waits, for nothing will be done any more."""
        self.inbox.drop_all()
        await self._tell_dropped()

    async def look(self) -> None:
        """Asks the engine how the container is. What comes of it while an action is under way that action tells.

        Raises:
            Fault: the engine does not answer.
        """
        if await self.game.look() and not self.is_gone:
            self._is_known = True
            if self.life.doing is None or self.state is ServerState.UNKNOWN:
                self.settle()

    async def adopt(self) -> None:
        """Looks, and takes up the console of a game that runs already, and the watch on it."""
        await self.look()
        await self.game.take_up_console()
        if self.game.is_running and self.watch is None and self.inbox.current is None:
            self.watch_game(is_found=True)

    def lose_sight(self) -> None:
        """The engine is away: nothing is known of the container until it is back."""
        self._is_known = False
        self._first_look_after = self.now()
        self.apply(self.life.lose())
        if self._told is not self.state:
            self._write(self._memory, self._tell(self.state))

    def snapshot(self) -> ServerSnapshot:
        """All axes, as they are now."""
        current = self.inbox.current
        under_way = None
        if current is not None:
            under_way = UnderWay(command_id=current.id, action=current.action, phase=self._phase)
        revision = self.record.specification.revision
        return telling.snapshot(self.id, revision, self.life, self.container, self._since, under_way)

    async def close(self) -> None:
        """Lets go of the game, which goes on."""
        self._unwatch()
        await self.game.close()

    def settle(self, *, forced: bool | None = None) -> None:
        """Has the life follow what was seen last."""
        if not self._is_known:
            return
        container = self.game.container
        sight = telling.sight_of(container, is_excused=container is not None and self._is_excused(container))
        self._first_look_after = None
        self.apply(self.life.see(sight, self.record.specification.crash, self.now()), forced=forced)

    def apply(self, after: Life, *, forced: bool | None = None) -> None:
        """The life that follows: what changed is told and remembered, in one."""
        before, self.life = self.life, after
        if after == before:
            return
        if after.observed in DOWN:
            self._unwatch()
        if after.observed is not before.observed:
            self._since = self._node.clock.utc()
        if after.restart_at is not None and after.restart_at != before.restart_at:
            longest_s = max(self.record.specification.crash.backoff)
            self._due_at = self._node.clock.monotonic() + min(max(0.0, after.restart_at - self.now()), longest_s)
        has_crashed = after.ended != before.ended and after.observed is ServerState.CRASHED
        self._write(
            self._remembered(is_unreported=has_crashed or self._memory.is_unreported),
            *self._news_of(before, after, forced=forced),
        )
        self.inbox.arrived.set()

    def fail_to_start(self, fault: Fault) -> None:
        """The node could not start what should run."""
        self._history.start_fault = fault
        self.apply(self.life.fail_to_start(self.record.specification.crash, self.now()))
        self._write(self._remembered(is_unreported=True))

    def watch_game(self, *, is_found: bool = False) -> None:
        """Watches the run that goes on; one that was found running may be a run whose readiness is known already."""
        container = self.game.container
        if container is None or not container.is_running:
            return
        watch = self.watch = Watch(self.record.specification, container, self._node.clock, self._decided, self._lose)
        run = self._memory.run
        if is_found and run is not None and run.started_at == watch.started_at and not run.is_awaited:
            watch.go_on(is_ready=run.ready is True)
        elif watch.has_rule:
            self.apply(self.life.await_ready())
            self._write(self._remembered())
            watch.begin(self._node.engine if is_found else None)
        else:
            watch.go_on(is_ready=False)
            self._decided(None)

    def progress(self, phase: str, percent: float | None = None) -> None:
        """What is under way has come so far."""
        self._phase = phase
        current = self.inbox.current
        if current is not None and current.id is not None:
            told = OperationProgress(command_id=current.id, server_id=self.id, phase=phase, percent=percent)
            self._node.teller.progress(told)

    async def note(self, **phase: float) -> None:
        """Notes how far the action under way has come, for the case that the agent ends in the middle of it."""
        current = self.inbox.current
        if current is not None:
            current.phase.update(phase)
            await self._node.journal.written(Entry(phase=(current.position, dict(current.phase))))

    def note_written(self, path: str) -> None:
        """A person has written a file of the server."""
        written = (*(each for each in self._memory.written if each != path), path)[-MOST_WRITTEN:]
        self._write(self._memory.model_copy(update={"written": written}))

    async def vanish(self) -> None:
        """The server is no more; the end of the action that brought it about says so."""
        self.is_gone = True
        await self.close()
        self.inbox.drop_all()

    async def _do_duty(self) -> None:
        """What the node owes by itself; else waits for something to happen."""
        left_s = self._due_at - self._node.clock.monotonic()
        match self.life.duty(is_due=left_s <= 0):
            case Duty.START:
                await self._by_itself("start", self._actions.start_by_itself())
            case Duty.STOP:
                await self._by_itself("stop", self._actions.hold_down())
            case Duty.NOTHING:
                self.inbox.arrived.clear()
                try:
                    async with asyncio.timeout(left_s if left_s > 0 else None):
                        await self.inbox.arrived.wait()
                except TimeoutError:
                    return

    async def _by_itself(self, what: str, work: Awaitable[None]) -> None:
        """Nobody waits for it, so how it ends is told by what the server then is. A kill or a cancellation may overtake it, too."""
        log.info("node_acts", server_id=self.id, what=what, desired=self.life.desired, hold=self.life.hold)
        pause_s = 0.0
        try:
            await work
        except Overtaken:
            log.info("node_gave_way", server_id=self.id, what=what)
        except Fault as fault:
            log.warning("node_failed", server_id=self.id, what=what, code=fault.code, reason=fault.message)
            pause_s = RETRY_S
        except Exception:
            log.exception("node_broke", server_id=self.id, what=what)
            pause_s = RETRY_S
        self._is_lost = False
        self._phase = None
        self.settle()
        self.apply(self.life.end(desired=self.life.desired, now=self.now()))
        self.settle()
        await asyncio.sleep(pause_s)

    async def _perform(self, operation: OperationRecord) -> None:
        with carrying(command_id=operation.id, server_id=self.id):
            began_at = self._node.clock.utc()
            self._news = None
            if operation.action in LEADS_TO:
                self.apply(self.life.begin(operation.action))
            result: telling.Result = {}
            fault: Fault | None = None
            try:
                result = await self._actions.perform(operation)
            except Overtaken:
                fault = self.inbox.reason
            except Fault as error:
                fault = error
            except Exception as error:
                log.exception("operation_broke", action=operation.action)
                fault = Fault(ErrorCode.INTERNAL, f"The agent could not do it: {error!r}. Its log says more.")
            await self._conclude(operation, fault, result, began_at)

    async def _conclude(
        self, operation: OperationRecord, fault: Fault | None, result: telling.Result, began_at: datetime
    ) -> None:
        if fault is not None and not (fault is self.inbox.reason and operation.action is Action.STOP_SERVER):
            self._tell_failure(operation, fault)
        self._phase = None
        if not self.is_gone:
            self.settle()
            self.apply(self.life.end(desired=self._desired_after(operation, fault), now=self.now()))
            self.settle()
            if fault is None and operation.action in LEADS_TO and self._news is not self.state:
                self._write(self._memory, self._tell(self.state))
        await self._end(operation, fault, result, began_at)
        self.inbox.current = None

    def _desired_after(self, operation: OperationRecord, fault: Fault | None) -> Desired:
        """A start that a person asked for and that failed is not repeated, unless one that waits asks for it again."""
        if fault is None or DESIRES.get(operation.action) is not Desired.ON:
            return self.life.desired
        wanted = [DESIRES[each] for each in self.inbox.waiting_actions() if each in DESIRES]
        return wanted[-1] if wanted else Desired.OFF

    async def _tell_dropped(self) -> None:
        """Ends what was overtaken: it was accepted, so it is told."""
        for operation, fault in self.inbox.take_dropped():
            self._tell_failure(operation, fault)
            await self._end(operation, fault, {}, None)

    async def _end(
        self, operation: OperationRecord, fault: Fault | None, result: telling.Result, began_at: datetime | None
    ) -> None:
        now = self._node.clock.utc()
        removes = self.is_gone and operation is self.inbox.current
        is_deletion = removes and fault is None
        before = (telling.deletion(self.id, self._told, now),) if is_deletion else ()
        entry = telling.end(operation, fault, result, began_at, now, *before, removes=removes)
        await self._node.journal.written(entry)
        self._node.teller.ended(operation, telling.word(operation, self.state, fault), fault)
        if removes:
            self._on_gone(self)
            self.left.set()

    async def _report(self) -> None:
        """Tells of a crash, once its last words are in."""
        news = await self._history.report(self.life, self._memory)
        self._write(self._remembered(is_unreported=False), news)

    def _is_excused(self, container: Container) -> bool:
        """Whether a game's end may be Docker's or the machine's own, so that it counts as no crash."""
        if self._first_look_after is None:
            return False
        was_booted = bool(self._memory.boot_id) and self._memory.boot_id != self._node.boot_id
        went_with_engine = (
            self._first_look_after > 0
            and container.finished_at is not None
            and container.finished_at.timestamp() >= self._first_look_after - ENGINE_GAP_S
        )
        return was_booted or went_with_engine or container.exit_code == LOST_TO_DOCKER

    def _news_of(self, before: Life, after: Life, *, forced: bool | None) -> tuple[News, ...]:
        is_news = after.observed is not before.observed and after.observed is not self._told
        if is_news and after.observed in _LASTING:
            return (self._tell(after.observed, forced=forced),)
        told = [(life.observed, life.ready, life.desired, life.restart_at) for life in (before, after)]
        if told[0] == told[1]:
            return ()
        return (self._status(before.observed, forced=forced, is_for_part1=False),)

    def _tell(self, state: ServerState, *, forced: bool | None = None) -> News:
        """What the server has become. What succeeded is always told, also where nothing was seen to change: a game may have died and
        been started again within one action."""
        previous, self._told = self._told, state
        self._news = state
        return self._status(previous, forced=forced, is_for_part1=True)

    def _status(self, previous: ServerState | None, *, forced: bool | None, is_for_part1: bool) -> News:
        current = self.inbox.current
        told = telling.change(
            self.id, previous, self.life, self.container, current.id if current else None, forced=forced
        )
        return News(telling.STATUS, self.id, told, self._node.clock.utc(), is_for_part1)

    def _tell_failure(self, operation: OperationRecord, fault: Fault) -> None:
        log.warning(
            "operation_failed", server_id=self.id, action=operation.action, code=fault.code, reason=fault.message
        )
        self._write(self._memory, *telling.failure(operation, fault, self._node.clock.utc()))

    def _remembered(self, *, is_unreported: bool | None = None) -> Memory:
        life, memory = self.life, self._memory
        return memory.model_copy(
            update={
                "desired": life.desired,
                "crashed_at": life.crashed_at,
                "restart_at": life.restart_at,
                "ended": life.ended,
                "is_unreported": memory.is_unreported if is_unreported is None else is_unreported,
                "run": self._run(),
                "boot_id": self._node.boot_id if self.game.is_running else memory.boot_id,
            }
        )

    def _run(self) -> Run | None:
        container = self.container
        if container is None or container.started_at is None or not container.is_running:
            return self._memory.run
        return Run(started_at=container.started_at.timestamp(), ready=self.life.ready, is_awaited=self.life.is_awaited)

    def _write(self, memory: Memory, *news: News) -> None:
        kept = None if memory == self._memory or self.is_gone else (self.id, memory)
        self._memory = memory
        if kept or news:
            self._node.journal.put(Entry(news=news, memory=kept))

    def _decided(self, ready: bool | None) -> None:  # noqa: FBT001 - a callback's one argument
        self.apply(self.life.decide(ready=ready))
        if ready is not False:
            self._history.begin_run()

    def _unwatch(self) -> None:
        """The run is over, or goes on unwatched."""
        watch, self.watch = self.watch, None
        self._history.end_run()
        if watch is not None:
            watch.cancel()

    def _went_well(self, run: GoodRun) -> None:
        """What is changed from here on may be why a later run does not go well."""
        self._write(self._memory.model_copy(update={"good_run": run.model_dump_json(by_alias=True), "written": ()}))

    def _lose(self) -> None:
        self._is_lost = self._history.was_lost = True
        self.inbox.arrived.set()

    def _hear(self, stream: str, text: str) -> None:
        self._node.teller.line(self.id, stream, text)
        if self.watch is not None:
            self.watch.line(text)
