"""An agent without its link: a fleet over a real journal and a fake engine, which can be killed and begun again."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.engine import FakeEngine, Game
from tests.fakes.teller import Ended, FakeTeller
from tests.fakes.until import until

from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.servers.fleet import Fleet, operation_of
from ctrl_alt_play.agent.servers.node import Node, Teller
from ctrl_alt_play.agent.servers.server import Server
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.contents import PAYLOADS, Action, LinePayload, ServerState
from ctrl_alt_play.protocol.messages import read
from ctrl_alt_play.protocol.specification import CrashPolicy, Model, Specification

SPECIFICATION = Specification(image="game", crash=CrashPolicy(restart=False))


CREATE, START, STOP = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER
RESTART, KILL, DELETE = Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER
STUBBORN = Game(exit_codes={})


class Household:
    """`begin` and `kill` may be called again and again; engine, teller and folder stay."""

    def __init__(
        self,
        folder: Path,
        engine: FakeEngine,
        make_teller: Callable[[Journal], Teller] | None = None,
        *,
        owns_folders: bool = False,
    ) -> None:
        self.engine = engine
        self.teller = FakeTeller()
        self.boot_id = "first boot"
        self.make_teller = make_teller or (lambda _: self.teller)
        self._folder = folder
        self._owns_folders = owns_folders
        self._numbers = itertools.count(1)

    async def begin(self) -> None:
        self.journal = await Journal.open(self._folder / "journal.db")
        self.journal.on_news = self.teller.hear
        self.consoles = Consoles(self._folder / "consoles", SystemClock(), self.boot_id)
        self.node = Node(
            "node-1",
            self.engine,
            self.journal,
            self.make_teller(self.journal),
            SystemClock(),
            self._folder,
            owns_folders=self._owns_folders,
            consoles=self.consoles,
            boot_id=self.boot_id,
        )
        self.fleet = Fleet(self.node, own_uid=None)
        self._task = asyncio.create_task(self.fleet.run())
        await self.fleet.ready()

    async def say(self, server_id: str, line: str) -> None:
        payload = LinePayload(line=line)
        await self.fleet.send_line(operation_of(Action.SEND_COMMAND, server_id, payload, None, None), payload)

    async def kill(self) -> None:
        """What was not with the journal or the engine is lost."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.consoles.close()
        await self.journal.close()

    async def ask(
        self, action: Action, server_id: str = "one", payload: Model | None = None, message_id: str | None = None
    ) -> str:
        """Has an action accepted; gives its id.

        Raises:
            Fault: it was refused.
        """
        command_id = None if message_id else f"command-{next(self._numbers)}"
        content = payload or read(PAYLOADS[action], SPECIFICATION.model_dump())
        await self.fleet.accept(operation_of(action, server_id, content, command_id, message_id))
        return command_id or ""

    async def done(self, command_id: str, timeout_s: float = 5.0) -> Ended:
        return await until(lambda: self.teller.ending(command_id), timeout_s)

    async def do(self, action: Action, server_id: str = "one", payload: Model | None = None) -> Ended:
        """Has an action accepted, and waits for its end."""
        return await self.done(await self.ask(action, server_id, payload))

    async def running(self, server_id: str = "one", specification: Specification = SPECIFICATION) -> Server:
        """A new server that runs."""
        await self.do(Action.CREATE_SERVER, server_id, specification)
        ended = await self.do(Action.START_SERVER, server_id)
        assert ended.state is ServerState.RUNNING, ended.fault
        return self.server(server_id)

    def server(self, server_id: str = "one") -> Server:
        return self.fleet.servers[server_id]


@asynccontextmanager
async def household(
    folder: Path, engine: FakeEngine | None = None, *, owns_folders: bool = False
) -> AsyncIterator[Household]:
    home = Household(folder, engine or FakeEngine(), owns_folders=owns_folders)
    await home.begin()
    try:
        yield home
    finally:
        await home.kill()
        await home.engine.close()
