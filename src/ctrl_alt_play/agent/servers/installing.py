"""A server's installer: a script that fills the server's folder, in a container of its own, before there is the game's.

What is about to be done is noted before, and what became of it is read from the container itself, which stays until the end of the command is
written down: so an agent that was killed in the middle goes on with an installer that still runs, tells how one ended, or that it is gone.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from ctrl_alt_play.agent.consoles.console import Console
from ctrl_alt_play.agent.engine.base import Container, ContainerState, installer_of
from ctrl_alt_play.agent.figures.meter import folder_bytes
from ctrl_alt_play.agent.records import OperationRecord
from ctrl_alt_play.agent.servers import folder as folders
from ctrl_alt_play.agent.servers import verdicts
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.telling import Result
from ctrl_alt_play.agent.servers.turns import Overtaken, give_way, unless_overtaken
from ctrl_alt_play.agent.servers.verdicts import Use
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import NODE, Loss

if TYPE_CHECKING:
    from ctrl_alt_play.agent.servers.server import Server

PREPARED, BEGAN, DONE = "preparing_at", "installer_at", "installed_at"
"""Notes: what was there is being taken away; the container is made and about to be started; the folder is filled and handed over."""
IS_EMPTY = "is_empty"
CHECK_EVERY_S = 2.0
CHECK_SHARE = 20
"""Looking at what was written may take so little of the time."""
DRAIN_S = 10.0
SETTLE_S = 0.1
"""An engine ends the output of a container before it says that the container has ended."""
log = structlog.get_logger(__name__)


class Installing:
    """`is_left`: the container of an installer may be there that nobody waits for."""

    def __init__(self, server: "Server", node: Node, *, is_left: bool) -> None:
        self.is_left = is_left
        self._server = server
        self._game = server.game
        self._node = node
        self._engine = node.engine
        self._overtaken = server.inbox.overtaken
        self._name = installer_of(server.id)
        self._has_ended = asyncio.Event()
        self._is_heard = self._was_cut_off = False
        self._console = Console(
            self._name, node.engine, self._game.console.log, server, node.clock, on_end=self._has_ended.set
        )

    async def fetch_images(self, operation: OperationRecord) -> None:
        """Both are here before anything is taken away.

        Raises:
            Fault: `IMAGE_NOT_FOUND`.
            Overtaken: something else came first.
        """
        specification = self._game.record.specification
        if PREPARED in operation.phase:
            return
        self._server.steps.tell("image")
        images = [] if specification.installer is None else [specification.installer.image]
        for image in (*images, specification.image):
            await unless_overtaken(self._engine.ensure_image(image, self._server.steps.tell), self._overtaken)

    async def run(self, operation: OperationRecord, *, wipe: bool) -> Result:
        """Fills the folder, once; gives what there is to say of it.

        Raises:
            Fault: it did not work, and what is in the folder now is not to be run.
            Overtaken: something else came first, and nothing runs any more.
        """
        await self._game.console.log.open()
        await self._console.close()
        self._is_heard = False
        try:
            if DONE not in operation.phase:
                await self._install(operation, wipe=wipe)
            await self.clear()
        except Overtaken:
            with suppress(Fault):
                await self.clear()
            self._say("The installation was ended before it was done.")
            raise
        except Fault as fault:
            self._was_cut_off = fault.code is ErrorCode.DOCKER_UNAVAILABLE
            raise
        return {"warning": verdicts.EMPTY} if operation.phase.get(IS_EMPTY) else {}

    async def clear(self) -> None:
        """Removes an installer's container, whatever it is at.

        Raises:
            Fault: the engine does not answer.
        """
        await self._engine.remove(self._name)
        await self._console.drained(DRAIN_S)
        await self._console.close()
        self.is_left = False

    async def close(self) -> None:
        """Lets go of an installer, which goes on."""
        await self._console.close()

    async def _install(self, operation: OperationRecord, *, wipe: bool) -> None:
        server, installer = self._server, self._game.record.specification.installer
        if BEGAN in operation.phase:
            server.apply(server.life.begin_installing())  # which is not known any more, where the engine was away
        else:
            await self._prepare(wipe=wipe)
        if installer is not None:
            server.steps.tell("installing")
            began_at = operation.phase[BEGAN]
            await self._judge(await self._follow(began_at), began_at)
        server.steps.tell("files")
        uid = self._game.record.uid
        is_empty = await asyncio.to_thread(folders.hand_over, self._game.folder, uid, self._node.gid_of(uid))
        is_empty = is_empty and installer is not None
        server.apply(server.life.end_installing())
        await server.steps.note(**{DONE: server.now(), IS_EMPTY: float(is_empty)})
        self._say(verdicts.EMPTY if is_empty else "It is installed.")

    async def _prepare(self, *, wipe: bool) -> None:
        """Takes away what was there, and makes the installer's container."""
        server, game = self._server, self._game
        give_way(self._overtaken)
        server.apply(server.life.begin_installing())
        await server.steps.note(**{PREPARED: server.now()})
        await game.remove_container()
        await self.clear()
        await game.make_folder()
        if wipe:
            server.steps.tell("wipe")
            await asyncio.to_thread(folders.empty, game.folder)
        installer = game.record.specification.installer
        if installer is not None:
            self._say(f"Installing with {installer.image}.")
            self.is_left = True
            await self._engine.create_installer(game.plan())
            await server.steps.note(**{BEGAN: server.now()})

    async def _follow(self, began_at: float) -> Container:
        """Starts the installer, if it was not, and reads what it writes until it has ended.

        Raises:
            Fault: it is gone, or the engine is.
            Overtaken: something else came first.
        """
        next_check_s, is_deaf = 0.0, False
        while True:
            give_way(self._overtaken)
            found = await self._engine.inspect(self._name)
            if found is None:
                raise Fault(ErrorCode.INSTALL_FAILED, verdicts.GONE)
            if found.state is ContainerState.EXITED:
                await self._hear_out(began_at)
                return found
            if found.state is ContainerState.CREATED:
                await self._listen()
                await self._engine.start(self._name)
                continue
            if not self._console.is_open and (is_deaf or not self._is_heard):
                await self._listen(began_at)
            is_deaf = not self._console.is_open
            if self._node.clock.monotonic() >= next_check_s:
                next_check_s = await self._check(began_at)
            await self._wait(SETTLE_S if is_deaf else CHECK_EVERY_S)

    async def _listen(self, began_at: float | None = None) -> None:
        """From the start on; or, with the moment of that, in the middle."""
        self._has_ended.clear()
        await self._console.open(is_running=began_at is not None, began_at=began_at)
        self._is_heard = True

    async def _hear_out(self, began_at: float) -> None:
        """All that it wrote is in the log: also what nobody read. What one writes that ends while Docker is dead Docker loses (seen with 20.10)."""
        if not self._is_heard:
            await self._console.read_back(began_at)
        await self._console.drained(DRAIN_S)
        if self._was_cut_off and not self._is_heard:
            self._game.console.log.lose(0, Loss.AWAY)

    async def _wait(self, timeout_s: float) -> None:
        """So long, or until something happened."""
        waits = {asyncio.create_task(event.wait()) for event in (self._has_ended, self._overtaken)}
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._has_ended.clear()

    async def _check(self, began_at: float) -> float:
        """Kills an installer that takes too much; gives when to look again."""
        began_s = self._node.clock.monotonic()
        if verdicts.excess(self._game.record.specification, await self._use(self._server.now() - began_at)) is not None:
            await self._engine.signal(self._name, "SIGKILL")
        now_s = self._node.clock.monotonic()
        return now_s + max(CHECK_EVERY_S, CHECK_SHARE * (now_s - began_s))

    async def _use(self, seconds: float) -> Use:
        has_limit = self._game.record.specification.limits.disk > 0
        in_folder = await asyncio.to_thread(folder_bytes, self._game.folder) if has_limit else 0
        return Use(seconds, in_folder, await self._engine.written_bytes(self._name) or 0)

    async def _judge(self, container: Container, began_at: float) -> None:
        """Raises: Fault, it failed."""
        ended_at = container.finished_at.timestamp() if container.finished_at else None
        seconds = (ended_at or self._server.now()) - began_at
        use = await self._use(seconds) if container.exit_code == verdicts.KILLED else Use(seconds, 0, 0)
        specification = self._game.record.specification
        fault = verdicts.failure(specification, container, use, await self._last_lines(container))
        first_line, _, _ = (fault.message if fault else verdicts.success(use)).partition("\n")
        self._say(first_line)
        if fault is not None:
            raise fault

    async def _last_lines(self, container: Container) -> list[str]:
        if container.exit_code == 0:
            return []
        with suppress(Fault):
            chunks = [chunk.data async for chunk in self._engine.logs(self._name, tail=verdicts.MOST_LINES)]
            return b"".join(chunks).decode(errors="replace").splitlines()
        return []

    def _say(self, sentence: str) -> None:
        """In the console, where the installer's own words are."""
        log.info("installing", server_id=self._server.id, what=sentence)
        self._game.console.log.append(NODE, sentence)
