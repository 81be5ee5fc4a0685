"""What a server was asked to do and has not ended, in the order of acceptance. A kill overtakes all before it; a cancelled one is dropped."""

import asyncio
from collections import deque

from ctrl_alt_play.agent.records import OperationRecord
from ctrl_alt_play.agent.servers.life import INSTALLS, LEADS_TO
from ctrl_alt_play.protocol.contents import Action, ReinstallPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Hold, Specification

KILLED = Fault(ErrorCode.INVALID_STATE, "A kill has overtaken it.")
DROPPED = Fault(ErrorCode.INVALID_STATE, "A kill or a deletion has overtaken it.")
CANCELLED = Fault(ErrorCode.CANCELLED, "It was cancelled.")
CANCELLED_AT, DROPPED_AT = "cancelled_at", "dropped_at"
"""Notes on a command that was cancelled while it was under way, or before it was; both are for the agent that comes after this one."""
DELETED = Fault(ErrorCode.INVALID_STATE, "A deletion has overtaken it.")
_OVERTAKEN = {
    *(Action.START_SERVER, Action.STOP_SERVER, Action.RESTART_SERVER, Action.DELETE_SERVER, Action.REINSTALL_SERVER)
}
"""What a kill overtakes: all that is about the game's life, and not what is about its specification."""
_CANCELLABLE = {*INSTALLS, Action.START_SERVER}
"""What can be undone while it is under way, or at least ended. A game that was told to end cannot be told otherwise."""


class Inbox:
    """`overtaken` is set while what is under way has to give way; `arrived` when there is something new to look at."""

    def __init__(self) -> None:
        self.current: OperationRecord | None = None
        self.overtaken = asyncio.Event()
        self.arrived = asyncio.Event()
        self.reason = KILLED
        """Why what is under way has to give way."""
        self.is_closed = False
        """Nothing that comes from now on will be done."""
        self._waiting: deque[OperationRecord] = deque()
        self._dropped: list[tuple[OperationRecord, Fault | None]] = []

    @property
    def accepted(self) -> list[OperationRecord]:
        """What is under way and what waits, in order."""
        return [*([self.current] if self.current else []), *self._waiting]

    @property
    def actions(self) -> list[Action]:
        return [operation.action for operation in self.accepted]

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    @property
    def has_other_plans(self) -> bool:
        """Whether something waits that changes what the server is, or holds it."""
        return any(operation.action in LEADS_TO or _holds(operation) for operation in self._waiting)

    def waiting_actions(self) -> list[Action]:
        return [operation.action for operation in self._waiting]

    def put(self, operation: OperationRecord) -> None:
        """Takes an accepted command. A kill ends what is under way and what waits, but not what comes after it; a deletion does not wait for
        the end of an installation.
        """
        if operation.action is Action.KILL_SERVER:
            for each in list(self._waiting):
                if each.action in _OVERTAKEN:
                    self._drop(each, DROPPED)
            self.overtake(KILLED)
        self._waiting.append(operation)
        self._give_way_to(operation.action)
        self.arrived.set()

    def take(self) -> OperationRecord:
        """The next one, which is under way from now on."""
        self.current = self._waiting.popleft()
        self.overtaken.clear()
        for action in self.waiting_actions():
            self._give_way_to(action)
        return self.current

    def resume(self, operation: OperationRecord) -> None:
        """Takes back what was accepted before the agent died."""
        self.put(operation)
        if DROPPED_AT in operation.phase:
            self._drop(operation, CANCELLED)

    def cancel(self, command_id: str) -> tuple[OperationRecord, str]:
        """Drops what waits, or has it give way; gives it, and the name of what happened to it.

        Raises:
            Fault: `INVALID_STATE`, it has ended or cannot be undone any more.
        """
        for operation in self._waiting:
            if operation.id == command_id:
                self._drop(operation, CANCELLED)
                self.arrived.set()
                return operation, DROPPED_AT
        current = self.current
        if current is None or current.id != command_id:
            raise Fault(ErrorCode.INVALID_STATE, "It has ended already, or was never accepted.")
        if current.action not in _CANCELLABLE:
            raise Fault(ErrorCode.INVALID_STATE, "It is under way and cannot be undone any more.")
        self.overtake(CANCELLED)
        return current, CANCELLED_AT

    def overtake(self, reason: Fault) -> None:
        """Has what is under way give way."""
        self.reason = reason
        self.overtaken.set()

    def close(self) -> None:
        """There is nothing any more that anything could be done to."""
        self.is_closed = True
        self.drop_all()

    def drop_all(self) -> None:
        """A kill that finds nothing left has nothing to do, and is done."""
        for operation in list(self._waiting):
            self._drop(operation, None if operation.action is Action.KILL_SERVER else DROPPED)

    def take_dropped(self) -> list[tuple[OperationRecord, Fault | None]]:
        """What was dropped since this was asked last, with the reason: it was accepted, so its end is to be told."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _give_way_to(self, action: Action) -> None:
        """An installation that is under way ends for these: also after the agent that took them has died."""
        reason = {Action.KILL_SERVER: KILLED, Action.DELETE_SERVER: DELETED}.get(action)
        if reason is not None and self.current is not None and _has_installer(self.current):
            self.overtake(reason)

    def _drop(self, operation: OperationRecord, reason: Fault | None) -> None:
        self._waiting.remove(operation)
        self._dropped.append((operation, reason))


def _has_installer(operation: OperationRecord) -> bool:
    payload = operation.payload
    return isinstance(payload, ReinstallPayload) or (isinstance(payload, Specification) and bool(payload.installer))


def _holds(operation: OperationRecord) -> bool:
    return isinstance(operation.payload, Specification) and operation.payload.hold is not Hold.NONE
