"""What is done when a server is to be made, started, stopped, killed, changed or deleted, by a command or by the node itself.

Each is written so that doing it again from the start completes it: that is how an agent goes on that was killed in the middle.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.records import Entry, OperationRecord
from ctrl_alt_play.agent.servers.inbox import CANCELLED, CANCELLED_AT
from ctrl_alt_play.agent.servers.installing import Installing
from ctrl_alt_play.agent.servers.life import NOT_INSTALLED
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.telling import Result
from ctrl_alt_play.agent.servers.turns import Overtaken, give_way, unless_overtaken
from ctrl_alt_play.protocol.contents import Action, DeletePayload, ReinstallPayload, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Specification

if TYPE_CHECKING:
    from ctrl_alt_play.agent.servers.server import Server

log = structlog.get_logger(__name__)


class Actions:
    """The actions on one server; its task does one at a time."""

    def __init__(self, server: "Server", node: Node, installing: Installing) -> None:
        self._server = server
        self._installing = installing
        self._game = server.game
        self._node = node
        self._overtaken = server.inbox.overtaken
        self._deeds: dict[Action, Callable[[OperationRecord], Awaitable[Result]]] = {
            Action.CREATE_SERVER: self._create,
            Action.ADOPT_SERVER: self._adopt,
            Action.START_SERVER: self._start,
            Action.STOP_SERVER: self._stop,
            Action.RESTART_SERVER: self._restart,
            Action.KILL_SERVER: self._kill,
            Action.DELETE_SERVER: self._delete,
            Action.REINSTALL_SERVER: self._reinstall,
            Action.UPDATE_SERVER: self._update,
        }

    async def perform(self, operation: OperationRecord) -> Result:
        """Does what was accepted; gives what its completion tells. What was cancelled gives way at once, and is undone.

        Raises:
            Fault: it could not be done.
            Overtaken: something else came first.
        """
        if CANCELLED_AT in operation.phase:
            self._server.inbox.overtake(CANCELLED)
        deed = self._deeds.get(operation.action)
        if deed is None:
            raise Fault(ErrorCode.INTERNAL, f"{operation.action} is not for the inbox.")
        return await deed(operation)

    async def start_by_itself(self) -> None:
        """The node starts what should run and does not: after a crash, a reboot, a hold. A failure is the next rung of the ladder.

        Raises:
            Fault, Overtaken: as a start that was asked for.
        """
        server = self._server
        server.apply(server.life.begin(Action.START_SERVER, is_own=True))
        try:
            await self._launch(self._node.starting)
        except Fault as fault:
            server.settle()
            is_owed = server.life.is_wanted and server.life.restart_at is None and not self._game.is_running
            if fault.code is not ErrorCode.DOCKER_UNAVAILABLE and is_owed:
                server.fail_to_start(fault)
            raise

    async def undo_creation(self) -> None:
        """A creation that failed leaves nothing; but what an installer has left stays, and its words."""
        if self._game.record.specification.installer is not None:
            return
        await self._game.remove_half_made()
        await self._server.vanish()

    async def hold_down(self) -> None:
        """A server on hold does not run. What is wanted of it stays, for when the hold ends."""
        server = self._server
        server.apply(server.life.begin(Action.STOP_SERVER, is_own=True))
        await self._end_game(StopPayload(), self._game.record.specification.stop.timeout)

    async def end_lost(self) -> None:
        """A game that runs and does not answer is killed: the crash policy says what follows."""
        await self._game.look()
        if self._game.is_running:
            await self._game.force()
            await self._game.last_words()

    async def _create(self, operation: OperationRecord) -> Result:
        if self._game.record.specification.installer is None:
            return await self._made({})
        await self._server.look()
        await self._installing.fetch_images(operation)
        return await self._made(await self._installing.run(operation, wipe=False))

    async def _made(self, result: Result) -> Result:
        await self._game.make(self._overtaken, self._server.steps.tell)
        give_way(self._overtaken)
        await self._server.look()
        return result

    async def _reinstall(self, operation: OperationRecord) -> Result:
        """The game is stopped as a person would stop it. Until its files are touched, a failure leaves the server as it was."""
        payload = operation.payload
        if not isinstance(payload, ReinstallPayload):
            raise Fault(ErrorCode.INVALID_PAYLOAD, "A reinstallation needs its payload.")
        if payload.specification is not None:
            await self._take_over(payload.specification)
        await self._installing.fetch_images(operation)
        await self._stop(operation)
        result = await self._installing.run(operation, wipe=payload.wipe)
        return await self._made({"revision": self._game.record.specification.revision, **result})

    async def _adopt(self, _operation: OperationRecord) -> Result:
        """The container runs on as it was; that it runs is what is wanted of it."""
        server = self._server
        await self._game.look()
        if self._game.is_running and server.watch is None:
            server.apply(server.life.await_ready())
        await server.adopt()
        if server.watch is None:
            server.watch_game(is_found=True)
        specification = self._game.record.specification
        return {"specification": specification.model_dump(mode="json", by_alias=True)}

    async def _start(self, operation: OperationRecord) -> Result:
        await self._server.look()
        try:
            give_way(self._overtaken)
            if not self._game.is_running:
                await self._launch_once(operation)
            await self._thaw()
            return {"ready": await self._until_ready()}
        except Overtaken:
            await self._undo_start(operation)
            raise

    async def _launch(self, turns: asyncio.Semaphore | None = None) -> None:
        """Makes the container as the specification of today wants it, and starts it; with `turns`, when its turn has come.

        Raises:
            Fault: the game does not run.
            Overtaken: something else came first; the game may run already.
        """
        server, game = self._server, self._game
        await server.look()
        if not game.exited.is_set():
            return
        if not server.life.is_installed:
            raise Fault(ErrorCode.INVALID_STATE, NOT_INSTALLED)
        await game.make(self._overtaken, server.steps.tell, is_spent=server.life.is_spent)
        await game.look()
        await game.configure()
        async with _one_of(turns, self._overtaken):
            server.apply(server.life.launch())
            server.steps.tell("starting")
            await game.start(self._overtaken)
        if game.exited.is_set():
            raise await self._ended_early("at once")
        give_way(self._overtaken)
        await server.steps.note(launched_run=game.started_at_s)
        server.settle()
        server.watch_game()

    async def _launch_once(self, operation: OperationRecord) -> None:
        """A game that was started by this action, and crashed while the agent was dead, is not started a second time."""
        if "launched_run" in operation.phase and self._server.state is ServerState.CRASHED:
            raise await self._ended_early("before it was ready")
        await self._launch()

    async def _thaw(self) -> None:
        if self._game.is_paused:
            await self._game.thaw()
            self._server.settle()

    async def _until_ready(self) -> bool | None:
        """Whether the game is ready, in its own time. What else was accepted for the server does not wait for it.

        Raises:
            Fault: it ended before.
            Overtaken: something else came first.
        """
        watch = self._server.watch
        if watch is None or watch.decided.is_set():
            return self._server.life.ready
        self._server.steps.tell("waiting until it is ready")
        inbox = self._server.inbox
        while not (watch.decided.is_set() or inbox.has_other_plans):
            inbox.arrived.clear()
            events = (watch.decided, self._game.exited, self._overtaken, inbox.arrived)
            waits = {asyncio.create_task(event.wait()) for event in events}
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            give_way(self._overtaken)
            if self._game.exited.is_set():
                raise await self._ended_early("before it was ready")
        return self._server.life.ready

    async def _ended_early(self, when: str) -> Fault:
        await self._game.last_words()
        sentence = f"The game ended {when}, with exit code {_exit_code(self._game.container)}. Its console says why."
        return Fault(ErrorCode.CONFIG_INVALID, sentence)

    async def _undo_start(self, operation: OperationRecord) -> None:
        """A start that was cancelled leaves nothing running, and stays cancelled. What a kill overtakes the kill ends."""
        if self._server.inbox.reason is CANCELLED and self._game.is_running:
            self._overtaken.clear()
            await self._stop(operation)

    async def _stop(self, operation: OperationRecord) -> Result:
        """Resumes where a killed agent left off: the game was asked once, and its time goes on."""
        await self._server.look()
        if not self._game.is_running:
            return {}
        payload = operation.payload if isinstance(operation.payload, StopPayload) else StopPayload()
        rule = self._game.record.specification.stop
        timeout_s = rule.timeout if payload.timeout is None else payload.timeout
        asked_at = operation.phase.get("asked_at")
        if asked_at is None:
            return await self._end_game(payload, timeout_s)
        if operation.phase.get("asked_run") != self._game.started_at_s:
            return {}  # what was asked has ended, and this is the run after it
        left_s = min(timeout_s, max(0.0, asked_at + timeout_s - self._server.now()))
        self._server.apply(self._server.life.tell_to_end())
        return await self._await_end(left_s)

    async def _end_game(self, payload: StopPayload, timeout_s: float) -> Result:
        server = self._server
        server.apply(server.life.tell_to_end())
        server.steps.tell("stopping")
        await self._game.ask_to_stop(payload)
        await server.steps.note(asked_at=server.now(), asked_run=self._game.started_at_s)
        return await self._await_end(timeout_s)

    async def _await_end(self, timeout_s: float) -> Result:
        has_exited = await self._game.wait_for_exit(timeout_s, self._overtaken)
        if not has_exited:
            log.warning("stop_forced", server_id=self._game.id, timeout_s=timeout_s)
            await self._game.force()
        return await self._stopped(forced=not has_exited)

    async def _stopped(self, *, forced: bool) -> Result:
        await self._game.last_words()
        await self._game.look()
        self._server.settle(forced=forced or None)
        return {"forced": forced, "exitCode": _exit_code(self._game.container)}

    async def _restart(self, operation: OperationRecord) -> Result:
        if "stopped_at" not in operation.phase:
            await self._stop(operation)
            await self._server.steps.note(stopped_at=self._server.now())
        return await self._start(operation)

    async def _kill(self, _operation: OperationRecord) -> Result:
        await self._server.look()
        if not self._game.is_running:
            return {}
        self._server.apply(self._server.life.tell_to_end())
        await self._game.force()
        return await self._stopped(forced=True)

    async def _delete(self, operation: OperationRecord) -> Result:
        """With `keep_data` the game may still save what it has; else nothing that it could save would stay."""
        keep_data = isinstance(operation.payload, DeletePayload) and operation.payload.keep_data
        if keep_data:
            await self._stop(operation)
        await self._server.look()
        if self._game.is_running:
            self._server.apply(self._server.life.tell_to_end())
        if self._installing.is_left:
            await self._installing.clear()
        await self._game.remove(keep_data=keep_data)
        await self._server.vanish()
        return {}

    async def _update(self, operation: OperationRecord) -> Result:
        """Kept at once; the container follows at its next start. An older specification than that of today changes nothing."""
        wanted = operation.payload
        if not isinstance(wanted, Specification):
            raise Fault(ErrorCode.INVALID_PAYLOAD, "A change needs a specification.")
        await self._take_over(wanted)
        return {"revision": self._game.record.specification.revision}

    async def _take_over(self, wanted: Specification) -> None:
        server = self._server
        if wanted.revision > self._game.record.specification.revision:
            self._game.specify(wanted)
            await self._node.journal.written(Entry(specification=(server.id, wanted)))
            server.apply(server.life.hold_by(wanted.hold, server.now()))


@asynccontextmanager
async def _one_of(turns: asyncio.Semaphore | None, overtaken: asyncio.Event) -> AsyncIterator[None]:
    """One's turn among those that the node starts by itself; a person's start needs none.

    Raises:
        Overtaken: something else came first.
    """
    if turns is None:
        yield
        return
    has_turn = False

    async def wait() -> None:
        nonlocal has_turn
        await turns.acquire()
        has_turn = True

    try:
        await unless_overtaken(wait(), overtaken)
        yield
    finally:
        if has_turn:
            turns.release()


def _exit_code(container: Container | None) -> int | None:
    return None if container is None else container.exit_code
