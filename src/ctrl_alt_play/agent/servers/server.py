"""One server on this node: one task with one inbox, so that no two actions on it ever overlap. Only a kill, or a cancellation, overtakes.

It moves the state machine of `life.py`, and tells what changed: each change is written to the journal together with what the server has to
remember, and reaches the panel from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.records import Entry, OperationRecord, ServerRecord
from ctrl_alt_play.agent.servers import telling
from ctrl_alt_play.agent.servers.actions import Actions
from ctrl_alt_play.agent.servers.book import Book
from ctrl_alt_play.agent.servers.game import Game
from ctrl_alt_play.agent.servers.history import History
from ctrl_alt_play.agent.servers.inbox import KILLED, Inbox
from ctrl_alt_play.agent.servers.installing import BEGAN, Installing
from ctrl_alt_play.agent.servers.life import DOWN, INSTALLS, LEADS_TO, Duty, Life, check, remembered
from ctrl_alt_play.agent.servers.lookout import Lookout
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.steps import Steps
from ctrl_alt_play.agent.servers.turns import Overtaken, Turns, unless_overtaken
from ctrl_alt_play.agent.servers.watch import Watch
from ctrl_alt_play.agent.servers.wish import Wish
from ctrl_alt_play.logs import carrying
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import ServerSnapshot, UnderWay

RETRY_S = 1.0
CARRY_S = 90.0
"""How long an action that was cut off waits for its engine."""
log = structlog.get_logger(__name__)


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
        self.game = Game(record, node, self)
        self.inbox = Inbox()
        self.line_turns, self.file_turns = Turns(), Turns()
        """For what goes on beside actions, and does not wait for the other."""
        self.watch: Watch | None = None
        self.left = asyncio.Event()
        """Nothing is left of it, and its id is free again."""
        self._node = node
        self._on_gone = on_gone
        self.book = Book(self.game, self.inbox, node)
        was_installing = any(each.action in INSTALLS for each in unfinished)
        self._installing = Installing(self, node, is_left=not self.life.is_installed and not was_installing)
        self._actions = Actions(self, node, self._installing)
        self._history = History(self.game, node, self.book.keep_good_run)
        self.steps = Steps(self.id, self.inbox, node)
        self._is_lost = False
        self._lookout = Lookout(node)
        self._wish = Wish(self.life, self.inbox)
        self._due_at = self._due(self.life)

    @property
    def id(self) -> str:
        return self.game.id

    @property
    def is_gone(self) -> bool:
        """It is deleted, or never came to be: nothing that is enqueued from now on will be done."""
        return self.inbox.is_closed

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
        self._wish.keep(self.life)
        self.apply(self.life.accept(operation.action))
        self.inbox.put(operation)
        if self.life.is_own and self.life.doing is Action.START_SERVER and self.inbox.has_other_plans:
            self.inbox.overtake(KILLED)  # what a person wants goes before what the node does by itself

    def resume(self, operation: OperationRecord) -> None:
        """Takes back what was accepted before the agent ended."""
        self.inbox.resume(operation)

    def cancel(self, command_id: str) -> asyncio.Future[None]:
        """Has a command end without being done, or gives up what was done of it. The future ends when that would outlive the agent.

        Raises:
            Fault: it has ended, or cannot be undone any more.
        """
        operation, note = self.inbox.cancel(command_id)
        operation.phase[note] = self.now()
        return self._node.journal.put(Entry(phase=(operation.position, dict(operation.phase))))

    async def run(self) -> None:
        """Performs what is accepted, one after the other, and what the node owes the server by itself, until it is deleted."""
        while not self.is_gone:
            try:
                await self._do_next()
            except Exception:  # whatever is wrong with one server must not end the others
                log.exception("server_broke", server_id=self.id)
                await asyncio.sleep(RETRY_S)
        await self._tell_dropped()

    async def _do_next(self) -> None:
        await self._tell_dropped()
        if self.book.memory.is_unreported and self._lookout.in_sight.is_set():
            await self._report()
        elif not self.inbox.is_empty:
            await self._perform(self.inbox.take())
        elif self._installing.is_left and self._lookout.in_sight.is_set():
            await self._by_itself("clear", self._installing.clear())
        elif self._is_lost:
            await self._by_itself("end", self._actions.end_lost())
        else:
            await self._do_duty()

    async def drop_waiting(self) -> None:
        """Ends all that waits, for nothing will be done any more."""
        self.inbox.drop_all()
        await self._tell_dropped()

    async def look(self) -> None:
        """Asks the engine how the container is, and follows what is known of it then.

        Raises:
            Fault: the engine does not answer.
        """
        await self.game.look()
        if not self.is_gone:
            self._lookout.in_sight.set()
            self.follow()

    def follow(self) -> None:
        """Has the life follow what was seen last, whoever saw it. What comes of it while an action is under way that action tells."""
        if self.life.doing is None or self.state is ServerState.UNKNOWN:
            self.settle()

    async def adopt(self) -> None:
        """Looks, and takes up the console of a game that runs already, and the watch on it."""
        await self.look()
        await self.game.take_up_console()
        if self.game.is_running and self.watch is None and self.life.doing is None:
            self.watch_game(is_found=True)

    def lose_sight(self) -> None:
        """The engine is away: nothing is known of the container until it is back."""
        self._lookout.lose()
        self.apply(self.life.lose())
        self.book.lose_sight(self.life)

    def snapshot(self) -> ServerSnapshot:
        """All axes, as they are now."""
        current = self.inbox.current
        under_way = None
        if current is not None:
            under_way = UnderWay(command_id=current.id, action=current.action, phase=self.steps.phase)
        revision = self.record.specification.revision
        return telling.snapshot(self.id, revision, self.life, self.container, self.book.since, under_way)

    async def close(self) -> None:
        """Lets go of the game, which goes on."""
        self._unwatch()
        await self._installing.close()
        await self.game.close()

    def settle(self, *, forced: bool | None = None) -> None:
        """Has the life follow what was seen last."""
        if not self._lookout.in_sight.is_set():
            return
        sight = self._lookout.sight_of(self.game.container, self.book.memory)
        self.apply(self.life.see(sight, self.record.specification.crash, self.now()), forced=forced)

    def apply(self, after: Life, *, forced: bool | None = None) -> None:
        """The life that follows: what changed is told and remembered, in one."""
        before, self.life = self.life, after
        if after == before:
            return
        if after.observed in DOWN:
            self._unwatch()
        if self.watch is not None:
            self.watch.is_frozen = after.is_paused
        if after.restart_at is not None and after.restart_at != before.restart_at:
            self._due_at = self._due(after)
        self.book.change(before, after, forced=forced)
        self.inbox.arrived.set()

    def fail_to_start(self, fault: Fault) -> None:
        """The node could not start what should run."""
        self._history.start_fault = fault
        self.apply(self.life.fail_to_start(self.record.specification.crash, self.now()))
        self.book.owe_report(self.life)

    def watch_game(self, *, is_found: bool = False) -> None:
        """Watches the run that goes on; one that was found running may be a run whose readiness is known already."""
        container = self.game.container
        if container is None or not container.is_running:
            return
        self._unwatch()
        self._is_lost = self._history.was_lost = False
        watch = self.watch = Watch(self.record.specification, container, self._node.clock, self._decided, self._lose)
        run = self.book.memory.run
        if is_found and run is not None and run.started_at == watch.started_at and not run.is_awaited:
            watch.go_on(is_ready=run.ready is True)
            self._decided(run.ready)
        elif watch.has_rule:
            self.apply(self.life.await_ready())
            self.book.remember(self.life)
            watch.begin(self.game.last_lines, self._node.engine if is_found or self.game.has_said_more else None)
        else:
            watch.go_on(is_ready=False)
            self._decided(None)

    async def vanish(self) -> None:
        """The server is no more; the end of the action that brought it about says so."""
        self.inbox.close()
        await self.close()

    def _due(self, life: Life) -> float:
        """When the node has to start the game by itself, by the clock that does not jump."""
        left_s = 0.0 if life.restart_at is None else max(0.0, life.restart_at - self.now())
        return self._node.clock.monotonic() + min(left_s, max(self.record.specification.crash.backoff))

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
        self.inbox.overtaken.clear()  # what it gave way to before may have been cancelled since
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
        self.steps.phase = None
        self.settle()
        self.apply(self.life.end(desired=self.life.desired, now=self.now()))
        self.settle()
        await self._find_out()
        await asyncio.sleep(pause_s)

    async def _find_out(self) -> None:
        """What was given up in the middle may have been done by the engine all the same."""
        if self.game.is_running and self.watch is not None:
            return
        with suppress(Fault):
            await self.adopt()

    async def _perform(self, operation: OperationRecord) -> None:
        with carrying(command_id=operation.id, server_id=self.id):
            began_at = self._node.clock.utc()
            self.book.begin()
            if operation.action in LEADS_TO:
                self.apply(self.life.begin(operation.action))
            result, fault = await self._carry_through(operation)
            await self._conclude(operation, fault, result, began_at)

    async def _carry_through(self, operation: OperationRecord) -> tuple[telling.Result, Fault | None]:
        """Goes on when the engine comes back that went away in the middle of it: for a while, or for as long as an installer may be at work."""
        may_go_on = self._lookout.in_sight.is_set() or operation.action is Action.CREATE_SERVER
        until_s = self._node.clock.monotonic() + CARRY_S
        while True:
            result, fault = await self._try(operation)
            is_cut_off = fault is not None and fault.code is ErrorCode.DOCKER_UNAVAILABLE
            is_over = self._node.clock.monotonic() > until_s and BEGAN not in operation.phase
            if not (is_cut_off and may_go_on) or is_over:
                return result, fault
            log.warning("operation_waits_for_engine", action=operation.action)
            try:
                await unless_overtaken(self._lookout.come_in_sight(RETRY_S, CARRY_S), self.inbox.overtaken)
            except Overtaken:
                return {}, self.inbox.reason

    async def _try(self, operation: OperationRecord) -> tuple[telling.Result, Fault | None]:
        try:
            return await self._actions.perform(operation), None
        except Overtaken:
            return {}, self.inbox.reason
        except Fault as fault:
            return {}, fault
        except Exception as error:
            log.exception("operation_broke", action=operation.action)
            return {}, Fault(ErrorCode.INTERNAL, f"The agent could not do it: {error!r}. Its log says more.")

    async def _conclude(
        self, operation: OperationRecord, fault: Fault | None, result: telling.Result, began_at: datetime
    ) -> None:
        if fault is not None and operation.action is Action.CREATE_SERVER:
            await self._actions.undo_creation()
        if fault is not None and not (fault is self.inbox.reason and operation.action is Action.STOP_SERVER):
            self.book.fail(operation, fault)
        self.steps.phase = None
        if not self.is_gone:
            self.settle()
            self.apply(self.life.end(desired=self._wish.after(self.life, operation, fault), now=self.now()))
            self.settle()
            if fault is None and operation.action in LEADS_TO:
                self.book.repeat(self.life)
        await self._end(operation, fault, result, began_at)
        self.inbox.current = None
        if fault is not None and not self.is_gone and self._lookout.in_sight.is_set():
            await self._find_out()

    async def _tell_dropped(self) -> None:
        """Ends what was overtaken: it was accepted, so it is told."""
        for operation, fault in self.inbox.take_dropped():
            if fault is not None:
                self.book.fail(operation, fault)
            self.apply(self._wish.without(self.life, operation, fault, self.now()))
            await self._end(operation, fault, {}, None)

    async def _end(
        self, operation: OperationRecord, fault: Fault | None, result: telling.Result, began_at: datetime | None
    ) -> None:
        removes = self.is_gone and operation is self.inbox.current
        await self._node.journal.written(self.book.end(operation, fault, result, began_at, is_removed=removes))
        self._node.teller.ended(operation, telling.word(operation, self.state, fault), fault)
        if removes:
            self._on_gone(self)
            self.left.set()

    async def _report(self) -> None:
        """Tells of a crash, once its last words are in."""
        self.book.report(self.life, await self._history.report(self.life, self.book.memory))

    def _decided(self, ready: bool | None) -> None:  # noqa: FBT001 - a callback's one argument
        self.apply(self.life.decide(ready=ready))
        if ready is not False:
            self._history.begin_run(self.book.memory)

    def _unwatch(self) -> None:
        """The run is over, or goes on unwatched."""
        watch, self.watch = self.watch, None
        self._history.end_run()
        if watch is not None:
            watch.cancel()

    def _lose(self) -> None:
        self._is_lost = self._history.was_lost = True
        self.inbox.arrived.set()

    def hear(self, stream: str, text: str) -> None:
        """The game wrote lines."""
        self._node.teller.wrote(self.id, stream, text)
        if self.watch is not None:
            self.watch.hear(text)

    def miss(self, lines: int) -> None:
        """The game wrote lines that nobody has read."""
        self._node.teller.missed(self.id, lines)
