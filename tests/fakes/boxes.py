"""Containers in memory, and the games that run in them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ctrl_alt_play.agent.engine.base import Chunk, Container, ContainerState, Plan
from ctrl_alt_play.agent.engine.container import fingerprint


@dataclass(frozen=True)
class Game:
    """How a game behaves. By default it is OpenArena: ends with 1 on SIGTERM and SIGINT, and with 0 on `quit`."""

    says: tuple[str, ...] = ("AAS initialized.",)
    says_last: tuple[str, ...] = ("----- Server Shutdown (Received signal 15) -----",)
    exit_codes: dict[str, int] = field(default_factory=lambda: {"SIGTERM": 1, "SIGINT": 1, "SIGHUP": 1, "SIGQUIT": 131})
    """What it ends with, by signal. It ignores the signals that are missing here; SIGKILL it cannot ignore."""
    time_to_stop_s: float = 0.0
    ends_at_once_with: int | None = None
    reads_console: bool = True
    answer: Callable[[str], str | None] = lambda line: {"status": "map: oa_dm1"}.get(line, f"unknown command: {line}")


class Running:
    """A container's game while it runs."""

    def __init__(self, pid: int, game: Game, started_at: datetime) -> None:
        self.pid = pid
        self.game = game
        self.started_at = started_at
        self.unread = b""
        self.rest = b""
        self.ending: asyncio.TimerHandle | None = None


class Listener(Protocol):
    """Whoever is attached to a container's console."""

    chunks: asyncio.Queue[Chunk | None]


@dataclass
class Box:
    """A container."""

    id: str
    plan: Plan
    image_id: str
    address: str
    state: ContainerState = ContainerState.CREATED
    running: Running | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    is_spent: bool = False
    """Its game ended while Docker was dead: the next one finds its input at its end, as with the real one."""
    finished_at: datetime | None = None
    written_bytes: int = 0
    """Beside its folders."""
    is_paused: bool = False
    attachments: list["Listener"] = field(default_factory=list)
    kept: list[tuple[float, Chunk]] = field(default_factory=list)
    """The output, and when it was written."""

    def container(self) -> Container:
        running = self.running
        return Container(
            id=self.id,
            server_id=self.plan.server_id,
            node_id=self.plan.node_id,
            state=self.state,
            is_paused=self.is_paused,
            pid=running.pid if running else None,
            exit_code=self.exit_code if self.state is ContainerState.EXITED else None,
            oom_killed=self.oom_killed,
            error=self.error,
            finished_at=self.finished_at if self.state is ContainerState.EXITED else None,
            fingerprint=fingerprint(self.plan),
            image=self.plan.specification.image,
            image_id=self.image_id,
            address=self.address if running else None,
            uid=self.plan.uid,
            specification=self.plan.specification,
            started_at=running.started_at if running else None,
        )
