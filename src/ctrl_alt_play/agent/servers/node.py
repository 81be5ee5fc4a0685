"""What all servers of a node share, and who is told what becomes of them."""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.engine.base import Engine
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import OperationRecord
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import Outcome, ServerState
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.part2 import OperationProgress

STARTS_AT_ONCE = 4
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOCAL_TIME = Path("/etc/localtime")


class Teller(Protocol):
    """Whoever is told what does not go through the journal. None of these waits."""

    def ended(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None:
        """An accepted action is over; what it changed has been told."""
        ...

    def wrote(self, server_id: str, stream: str, text: str) -> None:
        """A game wrote lines of one stream, joined by newlines."""
        ...

    def missed(self, server_id: str, lines: int) -> None:
        """A game wrote so many lines so fast that they were left out."""
        ...

    def progress(self, progress: OperationProgress) -> None: ...


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
    consoles: Consoles = field(kw_only=True)
    boot_id: str = ""
    """Another one after the machine was booted again."""
    timezone: str = "UTC"
    starting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STARTS_AT_ONCE))
    """A node that was booted starts its games a few at a time."""

    def gid_of(self, uid: int) -> int:
        """The group of a server's user: of the same number, or the agent's own."""
        return uid if self.owns_folders else os.getegid()


def machine_boot_id() -> str:
    """The kernel's own id of this boot; empty where there is none."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def machine_timezone() -> str:
    """As `Europe/Berlin`; where the machine names none, it has UTC."""
    return os.environ.get("TZ") or str(LOCAL_TIME.resolve()).partition("/zoneinfo/")[2] or "UTC"
