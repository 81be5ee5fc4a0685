"""One server on this node: one task with one inbox, so that no two actions on it ever overlap. Only a kill overtakes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import assert_never

import structlog

from ctrl_alt_play.agent.engine.base import Container, Plan
from ctrl_alt_play.agent.journal import OperationRecord, ServerRecord
from ctrl_alt_play.agent.servers import folder as folders
from ctrl_alt_play.agent.servers.console import Console
from ctrl_alt_play.agent.servers.figures import Meter
from ctrl_alt_play.agent.servers.life import FAILED, change_of, check, state_of
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.turns import Overtaken, Turns, unless_overtaken
from ctrl_alt_play.protocol.contents import Action, DeletePayload, Outcome, ServerState, StatusChanged, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

KILL_TIMEOUT_S = 2.0
KILL_TRIES = 5
LAST_WORDS_S = 1.0
log = structlog.get_logger(__name__)

_TOLD = set(ServerState) - {ServerState.STARTING, ServerState.STOPPING}
"""A change to these is news. The two others are answered to the command, and seen in the status."""


class Server:
    """One server. `run` is its task; all else returns at once or only reads."""

    def __init__(self, record: ServerRecord, node: Node, on_gone: Callable[["Server"], None]) -> None:
        self.record = record
        self.state = ServerState.UNKNOWN
        self.container: Container | None = None
        self.folder = node.folder / "servers" / record.id
        self.meter = Meter(record.id, node.engine, self.folder, node.clock)
        self.console = Console(record.id, node.engine, lambda stream, text: node.teller.line(record.id, stream, text))
        self.line_turns, self.file_turns = Turns(), Turns()
        """For what goes on beside actions, and does not wait for the other."""
        self._node = node
        self._on_gone = on_gone
        self._is_meant_to_stop = record.is_meant_to_stop
        self._told: ServerState | None = None
        self._news: ServerState | None = None
        self._waiting: deque[OperationRecord] = deque()
        self._dropped: list[OperationRecord] = []
        self._current: OperationRecord | None = None
        self._arrived = asyncio.Event()
        self._exited = asyncio.Event()
        self._overtaken = asyncio.Event()
        self._looks = self._looked = 0
        self.is_gone = False
        """It is deleted, or never came to be: nothing that is enqueued from now on will be done."""

    @property
    def id(self) -> str:
        return self.record.id

    def check(self, action: Action) -> None:
        """Whether an action is possible now.

        Raises:
            Fault: why not.
        """
        accepted = [*([self._current] if self._current else []), *self._waiting]
        check(action, self.state, [operation.action for operation in accepted])

    def enqueue(self, operation: OperationRecord) -> None:
        """Takes an accepted action into the inbox. A kill ends what is under way and what waits, but not what comes after it."""
        if operation.action is Action.KILL_SERVER:
            kills = [each for each in self._waiting if each.action is Action.KILL_SERVER]
            self._dropped += [each for each in self._waiting if each.action is not Action.KILL_SERVER]
            self._waiting = deque(kills)
            self._overtaken.set()
        self._waiting.append(operation)
        self._arrived.set()

    async def run(self) -> None:
        """Performs what is accepted, one after the other, until the server is deleted."""
        while not self.is_gone:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            self._current = operation = self._waiting.popleft()
            await self._tell_dropped()
            await self._perform(operation)

    async def look(self) -> None:
        """Asks the engine how the container is. Answers that were overtaken by a later question are not believed.

        Raises:
            Fault: the engine does not answer.
        """
        self._looks += 1
        look = self._looks
        container = await self._node.engine.inspect(self.id)
        if look < self._looked:
            return
        self._looked = look
        self.container = container
        if container is not None and container.is_running:
            self._exited.clear()
        else:
            self._exited.set()
        if (self._current is None or self.state is ServerState.UNKNOWN) and not self.is_gone:
            self._settle()

    async def adopt(self) -> None:
        """Looks, and takes up the console of a game that runs already."""
        await self.look()
        if self.container is not None and self.container.is_running and not self.console.is_open:
            await self.console.open()

    def lose_sight(self) -> None:
        """The engine is away: nothing is known of the container until it is back."""
        self._become(ServerState.UNKNOWN)

    async def close(self) -> None:
        """Lets go of the game, which goes on."""
        await self.console.close()

    async def _perform(self, operation: OperationRecord) -> None:
        self._current = operation
        self._news = None
        self._overtaken.clear()
        fault: Fault | None = None
        try:
            await self._act(operation)
        except Overtaken:
            fault = Fault(ErrorCode.INVALID_STATE, "A kill has overtaken it.")
            if operation.action is not Action.STOP_SERVER:
                self._tell_failure(operation, fault)
        except Fault as error:
            fault = error
            self._tell_failure(operation, fault)
        except Exception as error:
            log.exception("operation_broke", server_id=self.id, action=operation.action)
            fault = Fault(ErrorCode.INTERNAL, f"The agent could not do it: {error!r}. Its log says more.")
            self._tell_failure(operation, fault)
        self._current = None
        if not self.is_gone:
            self._settle()
            if fault is None and self._news is not self.state:
                self._tell(self.state)
        await self._end(operation, self._outcome(operation, fault), fault)

    async def _act(self, operation: OperationRecord) -> None:
        match operation.action:
            case Action.CREATE_SERVER:
                await self._create()
            case Action.START_SERVER:
                await self._start()
            case Action.STOP_SERVER:
                await self._stop(operation)
            case Action.RESTART_SERVER:
                if "stopped_at" not in operation.phase:
                    await self._stop(operation)
                    await self._note(operation, "stopped_at")
                await self._start()
            case Action.KILL_SERVER:
                await self._kill()
            case Action.DELETE_SERVER:
                await self._delete(operation)
            case Action.GET_STATUS | Action.SEND_COMMAND | Action.UPDATE_SERVER | Action.ADOPT_SERVER | Action.CANCEL:
                raise Fault(ErrorCode.INTERNAL, f"{operation.action} is not for the inbox.")
            case _:
                assert_never(operation.action)

    async def _create(self) -> None:
        try:
            await self._make_container()
            await self.look()
        except Fault:
            await self._remove_half_made()
            with suppress(OSError):
                self.folder.rmdir()
            await self._forget()
            raise

    async def _remove_half_made(self) -> None:
        """A container of ours that was made although the engine did not say so would keep its server's name for ever."""
        with suppress(Fault):
            found = await self._node.engine.inspect(self.id)
            if found is not None and (found.server_id, found.node_id) == (self.id, self._node.id):
                await self._node.engine.remove(self.id)

    async def _make_container(self) -> None:
        engine = self._node.engine
        await unless_overtaken(engine.ensure_image(self.record.specification.image), self._overtaken)
        uid = self.record.uid
        await asyncio.to_thread(folders.make, self.folder, uid if self._node.owns_folders else None)
        await engine.create(
            Plan(self.id, self._node.id, self.record.specification, self.folder, uid, self._node.gid_of(uid))
        )

    async def _start(self) -> None:
        await self.look()
        if self.container is None:
            await self._make_container()
        elif self.container.is_running:
            await self._mean_to_stop(stop=False)
            return
        self.state = ServerState.STARTING
        try:
            await self.console.open()
            self._give_way()
            await self._node.engine.start(self.id)
        except (Fault, Overtaken):
            await self.console.close()
            await self.look()
            raise
        await self._mean_to_stop(stop=False)
        self.meter.reset()
        await self.look()
        if self.container is None or not self.container.is_running:
            await self.console.drained(LAST_WORDS_S)
            raise Fault(
                ErrorCode.CONFIG_INVALID,
                f"The game ended at once, with exit code {_exit_code(self.container)}. Its console says why.",
            )
        self._give_way()

    async def _stop(self, operation: OperationRecord) -> None:
        """By the payload's signal, or else by the server's own rule; past the time limit by force. Resumes where a killed agent left off."""
        await self.look()
        if self.container is None or not self.container.is_running:
            return
        await self._mean_to_stop(stop=True)
        self.state = ServerState.STOPPING
        payload = operation.payload if isinstance(operation.payload, StopPayload) else StopPayload()
        timeout_s = self.record.specification.stop.timeout if payload.timeout is None else payload.timeout
        now = self._now()
        asked_at = operation.phase.get("asked_at")
        if asked_at is None:
            asked_at = now
            await self._ask_to_stop(payload)
            await self._note(operation, "asked_at")
        has_exited = await self._wait_for_exit(min(timeout_s, max(0.0, asked_at + timeout_s - now)))
        if not has_exited:
            log.warning("stop_forced", server_id=self.id, timeout_s=timeout_s)
            await self._force()
        await self._tell_stopped(forced=not has_exited)

    async def _ask_to_stop(self, payload: StopPayload) -> None:
        rule = self.record.specification.stop
        if payload.signal is None and rule.command is not None:
            try:
                await self.console.write(rule.command)
            except Fault as fault:
                log.warning("stop_command_not_written", server_id=self.id, reason=fault.message)
            else:
                return
        await self._node.engine.signal(self.id, payload.signal or rule.signal)

    async def _kill(self) -> None:
        await self.look()
        if self.container is None or not self.container.is_running:
            return
        await self._mean_to_stop(stop=True)
        await self._force()
        await self._tell_stopped(forced=True)

    async def _delete(self, operation: OperationRecord) -> None:
        """With `keep_data` the game may still save what it has; else nothing that it could save would stay."""
        keep_data = isinstance(operation.payload, DeletePayload) and operation.payload.keep_data
        if keep_data:
            await self._stop(operation)
        await self.look()
        if self.container is not None:
            await self._mean_to_stop(stop=True)
            await self._node.engine.remove(self.id)
        if not keep_data:
            await asyncio.to_thread(folders.remove, self.folder)
        self.state = ServerState.ABSENT
        await self._forget()
        deleted = StatusChanged(server_id=self.id, previous_status=self._told, current_status=Outcome.DELETED)
        self._node.teller.changed(deleted)

    async def _force(self) -> None:
        for _ in range(KILL_TRIES):
            await self._node.engine.signal(self.id, "SIGKILL")
            with suppress(TimeoutError):
                async with asyncio.timeout(KILL_TIMEOUT_S):
                    await self._exited.wait()
            await self.look()
            if self._exited.is_set():
                return
        raise Fault(
            ErrorCode.DOCKER_ERROR, "The game still runs after SIGKILL; the node's kernel or Docker is in trouble."
        )

    async def _wait_for_exit(self, timeout_s: float) -> bool:
        """Whether the game ended in time.

        Raises:
            Overtaken: a kill came first.
        """
        waits = {asyncio.create_task(event.wait()) for event in (self._exited, self._overtaken)}
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._exited.is_set():
            return True
        self._give_way()
        await self.look()
        return self._exited.is_set()

    def _give_way(self) -> None:
        """Raises `Overtaken` when a kill has come."""
        if self._overtaken.is_set():
            raise Overtaken

    async def _tell_stopped(self, *, forced: bool) -> None:
        await self.console.drained(LAST_WORDS_S)
        await self.look()
        self._become(state_of(self.container, is_meant_to_stop=True), forced=forced or None)

    async def _mean_to_stop(self, *, stop: bool) -> None:
        if self._is_meant_to_stop is not stop:
            self._is_meant_to_stop = stop
            await self._kept(self._node.journal.mean_to_stop(self.id, stop=stop))

    async def _note(self, operation: OperationRecord, what: str) -> None:
        await self._kept(self._node.journal.note_phase(operation.position, {what: self._now()}))

    async def _kept(self, writing: Awaitable[None]) -> None:
        """Waits for a note in the journal. A full disk is no reason not to stop a game."""
        try:
            await writing
        except Exception:
            log.exception("journal_not_written", server_id=self.id)

    async def _forget(self) -> None:
        self.is_gone = True
        await self.console.close()
        await self._node.journal.remove_server(self.id)
        self._on_gone(self)
        await self.drop_waiting()

    async def drop_waiting(self) -> None:
        """Ends all that waits."""
        self._dropped += self._waiting
        self._waiting.clear()
        await self._tell_dropped()

    async def _tell_dropped(self) -> None:
        """Ends what a kill or a deletion has overtaken: it was accepted, so it is told."""
        dropped, self._dropped = self._dropped, []
        fault = Fault(ErrorCode.INVALID_STATE, "A kill or a deletion has overtaken it.")
        for operation in dropped:
            self._tell_failure(operation, fault)
            await self._end(operation, FAILED[operation.action], fault)

    async def _end(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None:
        await self._kept(self._node.journal.end_operation(operation.position))
        self._node.teller.ended(operation, state, fault)

    def _now(self) -> float:
        return self._node.clock.utc().timestamp()

    def _settle(self) -> None:
        """The truth, when no action is under way."""
        self._become(state_of(self.container, is_meant_to_stop=self._is_meant_to_stop))

    def _become(self, state: ServerState, *, forced: bool | None = None) -> None:
        self.state = state
        if state in _TOLD and state is not self._told:
            self._tell(state, forced=forced)

    def _tell(self, state: ServerState, *, forced: bool | None = None) -> None:
        """Tells what the server has become. What succeeded is always told, also where nothing was seen to change: a game may have died and
        been started again within one action."""
        previous, self._told = self._told, state
        self._news = state
        self._node.teller.changed(change_of(self.id, previous, state, self.container, forced=forced))

    def _tell_failure(self, operation: OperationRecord, fault: Fault) -> None:
        log.warning(
            "operation_failed", server_id=self.id, action=operation.action, code=fault.code, reason=fault.message
        )
        self._node.teller.changed(
            StatusChanged(server_id=self.id, status=FAILED[operation.action], error=fault.message, code=fault.code)
        )

    def _outcome(self, operation: OperationRecord, fault: Fault | None) -> ServerState | Outcome:
        if fault is not None:
            return FAILED[operation.action]
        return Outcome.DELETED if operation.action is Action.DELETE_SERVER else self.state


def _exit_code(container: Container | None) -> int | None:
    return None if container is None else container.exit_code
