"""A node for a while: the agent's own servers, on this machine's engine, without a panel and in a folder that goes with it."""

import asyncio
import os
import secrets
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.engine.container import NETWORK
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import News, OperationRecord
from ctrl_alt_play.agent.servers.fleet import Fleet, operation_of
from ctrl_alt_play.agent.servers.node import Node, machine_timezone
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.contents import Action, DeletePayload, Outcome, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import CommandCompleted, OperationProgress
from ctrl_alt_play.protocol.specification import Model

LINES_KEPT = 20


class Listener:
    """Hears what the agent would tell a panel."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.on_phase: Callable[[str], None] = lambda _phase: None
        self._ends: dict[str, asyncio.Future[CommandCompleted]] = {}

    def end_of(self, command_id: str) -> asyncio.Future[CommandCompleted]:
        return self._ends.setdefault(command_id, asyncio.get_running_loop().create_future())

    def hear(self, _seq: int, news: News) -> None:
        match news.content:
            case CommandCompleted() as completed if not self.end_of(completed.command_id).done():
                self.end_of(completed.command_id).set_result(completed)

    def ended(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None: ...

    def wrote(self, _server_id: str, _stream: str, text: str) -> None:
        self.lines.extend(text.split("\n"))

    def missed(self, server_id: str, lines: int) -> None: ...

    def progress(self, progress: OperationProgress) -> None:
        self.on_phase(progress.phase)


class TrialNode:
    """Does what is ordered, and tells its end."""

    def __init__(self, fleet: Fleet, listener: Listener) -> None:
        self.fleet = fleet
        self.listener = listener
        self._under_way: str | None = None

    async def do(self, action: Action, server_id: str, payload: Model) -> dict[str, object]:
        """What its completion tells.

        Raises:
            Fault: it was refused, or failed.
        """
        command_id = secrets.token_hex(8)
        end = self.listener.end_of(command_id)
        await self.fleet.accept(operation_of(action, server_id, payload, command_id, None))
        self._under_way = command_id
        completed = await asyncio.shield(end)
        self._under_way = None
        if completed.error is not None:
            raise Fault(ErrorCode.INTERNAL, completed.error.message)
        return completed.result or {}

    async def discard(self, server_id: str) -> None:
        """Gives up what is under way, as when somebody interrupts it, and deletes the server."""
        if self._under_way is not None:
            with suppress(Fault):
                await self.fleet.cancel(server_id, self._under_way)
                await self.listener.end_of(self._under_way)
            self._under_way = None
        with suppress(Fault):
            await self.do(Action.DELETE_SERVER, server_id, DeletePayload())


@asynccontextmanager
async def trial_node(folder: Path) -> AsyncIterator[TrialNode]:
    """The network of games is removed when it ends, where it was not there before.

    Raises:
        Fault: the engine does not answer.
    """
    engine, listener, clock = DockerEngine(), Listener(), SystemClock()
    had_network = NETWORK in (await engine.info()).networks
    journal = await Journal.open(folder / "journal.db")
    journal.on_news = listener.hear
    consoles = Consoles(folder / "consoles", clock, "")
    is_root, id_ = os.geteuid() == 0, f"trial-{secrets.token_hex(4)}"
    node = Node(
        *(id_, engine, journal, listener, clock, folder),
        owns_folders=is_root,
        consoles=consoles,
        timezone=machine_timezone(),
    )
    fleet = Fleet(node, own_uid=None if is_root else os.geteuid())
    running = asyncio.create_task(fleet.run())
    try:
        await fleet.ready()
        yield TrialNode(fleet, listener)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await consoles.close()
        await journal.close()
        await engine.close()
        if not had_network:
            await asyncio.to_thread(_remove_network)


def _remove_network() -> None:
    """One that others use by now stays."""
    subprocess.run(["docker", "network", "rm", NETWORK], capture_output=True, check=False, timeout=30)
