"""What all servers of a node share, and who is told what becomes of them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ctrl_alt_play.agent.engine.base import Engine
from ctrl_alt_play.agent.journal import Journal, OperationRecord
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import Outcome, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import Fault


class Teller(Protocol):
    """Whoever is told what becomes of servers. None of these waits."""

    def changed(self, change: StatusChanged) -> None:
        """A server has become something, or an attempt has failed."""
        ...

    def ended(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None:
        """An accepted action is over; what it changed has been told."""
        ...

    def line(self, server_id: str, stream: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Node:
    """What all servers of a node share."""

    id: str
    engine: Engine
    journal: Journal
    teller: Teller
    clock: Clock
    folder: Path
    owns_folders: bool
    """Whether this agent may give each server a user of its own; else all run as the agent's."""

    def gid_of(self, uid: int) -> int:
        """The group of a server's user: of the same number, or the agent's own."""
        return uid if self.owns_folders else os.getegid()
