"""What is wanted of a server by those who gave it commands: by the last that was accepted, for as long as it waits, and by what became of it."""

from ctrl_alt_play.agent.records import DESIRES, OperationRecord
from ctrl_alt_play.agent.servers.inbox import Inbox
from ctrl_alt_play.agent.servers.life import Life
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Desired


class Wish:
    """Knows what was wanted before the commands that have not ended, for when they are called off."""

    def __init__(self, life: Life, inbox: Inbox) -> None:
        self._inbox = inbox
        self._wanted = life.desired
        self._planned: Life | None = None
        """As it was when a start was planned that a command then took the place of."""

    def keep(self, life: Life) -> None:
        """A command is about to be accepted."""
        if not self._inbox.actions:
            self._wanted = life.desired
        if life.restart_at is not None:
            self._planned = life

    def after(self, life: Life, operation: OperationRecord, fault: Fault | None) -> Desired:
        """What is wanted now: what the last of those that wait asks for, or else what this one has made of it. A start that a person asked for
        and that failed, or was cancelled under way, is not repeated. What was not even tried, for want of an engine or because it was cancelled
        while it waited, has changed nothing.
        """
        desired = DESIRES.get(operation.action)
        is_cancelled = fault is not None and fault.code is ErrorCode.CANCELLED and operation is not self._inbox.current
        is_undone = is_cancelled or (fault is not None and fault.code is ErrorCode.DOCKER_UNAVAILABLE)
        if desired is not None and not is_undone:
            self._wanted = desired if fault is None else Desired.OFF
        elif desired is None:
            self._wanted = life.desired if self._inbox.is_empty else self._wanted
        wanted = [DESIRES[each] for each in self._inbox.waiting_actions() if each in DESIRES]
        return wanted[-1] if wanted else self._wanted

    def without(self, life: Life, operation: OperationRecord, fault: Fault | None, now: float) -> Life:
        """The life that follows when a command that waited is dropped. A kill that drops others says itself what is wanted."""
        desired = self.after(life, operation, fault)
        is_cancelled = fault is not None and fault.code is ErrorCode.CANCELLED
        return life.want(desired, now, self._planned) if is_cancelled else life
