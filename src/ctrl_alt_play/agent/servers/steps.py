"""How far the action under way has come: told to whoever waits, and noted for the case that the agent ends in the middle of it."""

from ctrl_alt_play.agent.records import Entry
from ctrl_alt_play.agent.servers.inbox import Inbox
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.protocol.part2 import OperationProgress


class Steps:
    """The steps of one server's actions. `phase` is the one that was told last."""

    def __init__(self, server_id: str, inbox: Inbox, node: Node) -> None:
        self.phase: str | None = None
        self._percent: float | None = None
        self._message = ""
        self._server_id = server_id
        self._inbox = inbox
        self._node = node

    def tell(self, phase: str, percent: float | None = None, message: str = "", /) -> None:
        """What is under way has come so far; the message says it to people."""
        self.phase, self._percent, self._message = phase, percent, message
        if self._inbox.current is not None:
            self._tell(self._inbox.current.id, phase, percent, message)

    def repeat(self) -> None:
        """What is under way, and what waits behind it, is still being seen to."""
        for operation in self._inbox.accepted:
            if operation is not self._inbox.current:
                self._tell(operation.id, "waiting")
            elif self.phase is None:
                self._tell(operation.id, "under way")
            else:
                self._tell(operation.id, self.phase, self._percent, self._message)

    async def note(self, **phase: float) -> None:
        """Is given back with the operation when it is resumed."""
        current = self._inbox.current
        if current is not None:
            current.phase.update(phase)
            await self._node.journal.written(Entry(phase=(current.position, dict(current.phase))))

    def _tell(self, command_id: str | None, phase: str, percent: float | None = None, message: str = "") -> None:
        if command_id is not None:
            told = OperationProgress(
                command_id=command_id, server_id=self._server_id, phase=phase, percent=percent, message=message
            )
            self._node.teller.progress(told)
