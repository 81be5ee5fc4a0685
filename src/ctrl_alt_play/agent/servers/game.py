"""A server's container, folder and console on this node: how each step upon them is done. It knows no commands and decides nothing."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network

import structlog

from ctrl_alt_play.agent.consoles.console import Console, Ear
from ctrl_alt_play.agent.engine.base import Container, OnPull, Plan
from ctrl_alt_play.agent.engine.container import NETWORK, fingerprint
from ctrl_alt_play.agent.engine.faults import is_beyond_start
from ctrl_alt_play.agent.figures.meter import Meter
from ctrl_alt_play.agent.records import ServerRecord
from ctrl_alt_play.agent.servers import folder as folders
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.turns import Overtaken, give_way, unless_overtaken
from ctrl_alt_play.protocol.contents import StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Specification

KILL_TIMEOUT_S = 2.0
KILL_TRIES = 5
LAST_WORDS_S = 1.0
REOPEN_AFTER_S = 0.5
LINES_KEPT = 100
log = structlog.get_logger(__name__)


class Game:
    """What there is of one server. `container` is as it was seen last; `exited` is set while nothing runs."""

    def __init__(self, record: ServerRecord, node: Node, ear: Ear) -> None:
        self.record = record
        self.container: Container | None = None
        self.exited = asyncio.Event()
        self.folder = node.folder / "servers" / record.id
        self.meter = Meter(record.id, node.engine, self.folder, node.clock)
        log_of = node.consoles.log(record.id)
        log_of.keep(record.specification.console)
        self.console = Console(record.id, node.engine, log_of, self, node.clock, self._console_ended)
        self.last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.launched_at: datetime | None = None
        """When it was last started by this agent."""
        self._node = node
        self._ear = ear
        self._looks = self._looked = 0
        self._reopening: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def is_running(self) -> bool:
        return self.container is not None and self.container.is_running

    @property
    def is_paused(self) -> bool:
        return self.container is not None and self.container.is_paused

    @property
    def started_at_s(self) -> float:
        """What names a run of the game: when Docker says that it began, in seconds of the wall clock; 0 while nothing runs."""
        started_at = self.container.started_at if self.container else None
        return started_at.timestamp() if started_at else 0.0

    @property
    def has_said_more(self) -> bool:
        """Whether it may have written more than `last_lines` holds."""
        return len(self.last_lines) == LINES_KEPT

    def specify(self, specification: Specification) -> None:
        """Another specification, from the next start on."""
        self.record = replace(self.record, specification=specification)
        self.console.log.keep(specification.console)

    async def look(self) -> None:
        """Asks the engine how the container is. An answer that was overtaken by a later one is not believed.

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
        if self.is_running:
            self.exited.clear()
        else:
            self.exited.set()

    async def take_up_console(self) -> None:
        """Reads on where a game runs whose console nobody reads, and reads what one wrote that ended meanwhile. That of a paused one cannot be
        opened.
        """
        if self.is_running and not self.is_paused and not self.console.is_open:
            await self.console.open(is_running=True)
        elif self.container is not None and self.container.finished_at is not None and self.launched_at is None:
            await self.console.read_back()

    async def make(self, overtaken: asyncio.Event, on_progress: OnPull, *, is_spent: bool = False) -> None:
        """Makes folder and container as the specification wants them; a container that is as it should be stays, another is made anew, and so
        is one that is `is_spent`.

        Raises:
            Fault: why it cannot be made.
            Overtaken: something else came first.
        """
        engine, plan = self._node.engine, self.plan()
        if self.container is not None and not is_spent and await self._is_current(self.container, plan):
            await self.make_folder()
            return
        on_progress("image", None)
        image = engine.ensure_image(plan.specification.image, on_progress)
        await unless_overtaken(image, overtaken)
        on_progress("container", None)
        await self.make_folder()
        if self.container is not None:
            why = "container_spent" if is_spent else "container_outdated"
            log.info(why, server_id=self.id, revision=plan.specification.revision)
            await self.console.close()
            await engine.remove(self.id)
        await engine.create(plan)

    async def configure(self) -> None:
        """Sets up the game's configuration files.

        Raises:
            Fault: why they cannot be set up.
        """
        specification = self.record.specification
        if not specification.configuration:
            return
        from ctrl_alt_play.agent.servers import configuring  # noqa: PLC0415 - few games need it, and it is some MiB

        interface = await self._interface() if configuring.asks_for_interface(specification) else ""
        await asyncio.to_thread(configuring.configure, self.plan(), interface)

    async def _interface(self) -> str:
        """The node's address among its containers: Docker gives a network that it made the first of its range."""
        subnet = (await self._node.engine.info()).networks.get(NETWORK)
        return str(ip_network(subnet)[1]) if subnet else ""

    async def _is_current(self, container: Container, plan: Plan) -> bool:
        """Whether it is what a new one would be: of the same plan, and of the image that the plan's name for it means on this node now."""
        if container.fingerprint != fingerprint(plan):
            return False
        image_id = await self._node.engine.image_id(plan.specification.image)
        return image_id in {None, container.image_id}

    async def make_folder(self) -> None:
        owner = self.record.uid if self._node.owns_folders else None
        was_missing = await asyncio.to_thread(folders.make, self.folder, owner)
        if was_missing and self.container is not None:
            hint = "it was removed by hand, and the game begins without its files: put them back if they are kept elsewhere"
            log.warning("folder_was_missing", server_id=self.id, folder=str(self.folder), hint=hint)

    async def remove_half_made(self) -> None:
        """A container of ours that was made although the engine did not say so would keep its server's name for ever."""
        with suppress(Fault):
            found = await self._node.engine.inspect(self.id)
            if found is not None and (found.server_id, found.node_id) == (self.id, self._node.id):
                await self._node.engine.remove(self.id)
        with suppress(OSError):
            self.folder.rmdir()

    async def start(self, overtaken: asyncio.Event) -> None:
        """Starts the process, its console being read from before its first word.

        Raises:
            Fault: the engine refuses.
            Overtaken: something else came first.
        """
        self.last_lines.clear()
        self.launched_at = self._node.clock.utc()
        if not self.is_running:
            await self._leave_last_run()
        await self.console.open()
        try:
            give_way(overtaken)
            await self._start_or_replace()
        except (Fault, Overtaken):
            await self.console.close()
            raise
        self.meter.reset()
        await self.look()

    async def _leave_last_run(self) -> None:
        """Its console may not have ended yet, and would take lines that nobody reads."""
        await self.last_words()
        await self.console.close()

    async def _start_or_replace(self) -> None:
        """A container that Docker cannot start any more is made anew; the data is not in it."""
        try:
            await self._node.engine.start(self.id)
        except Fault as fault:
            if not is_beyond_start(fault):
                raise
            log.warning("container_replaced", server_id=self.id, reason=fault.message)
            await self.console.close()
            await self._node.engine.remove(self.id)
            await self._node.engine.create(self.plan())
            await self.console.open()
            await self._node.engine.start(self.id)

    async def thaw(self) -> None:
        """Lets a game go on that somebody has paused."""
        log.info("game_unpaused", server_id=self.id)
        await self._node.engine.unpause(self.id)
        await self.look()
        await self.take_up_console()

    async def ask_to_stop(self, payload: StopPayload) -> None:
        """By the payload's signal, or else by the server's own rule. A frozen game hears neither."""
        if self.is_paused:
            await self.thaw()
        rule = self.record.specification.stop
        if payload.signal is None and rule.command is not None:
            try:
                for line in rule.command.splitlines():
                    await self.console.write(line)
            except Fault as fault:
                log.warning("stop_command_not_written", server_id=self.id, reason=fault.message)
            else:
                return
        await self._node.engine.signal(self.id, payload.signal or rule.signal)

    async def wait_for_exit(self, timeout_s: float, overtaken: asyncio.Event) -> bool:
        """Whether the game ended in time.

        Raises:
            Overtaken: something else came first.
        """
        waits = {asyncio.create_task(event.wait()) for event in (self.exited, overtaken)}
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.exited.is_set():
            return True
        give_way(overtaken)
        await self.look()
        return self.exited.is_set()

    async def force(self) -> None:
        """Kills the game, and returns when it is dead.

        Raises:
            Fault: it does not die.
        """
        for _ in range(KILL_TRIES):
            await self._node.engine.signal(self.id, "SIGKILL")
            with suppress(TimeoutError):
                async with asyncio.timeout(KILL_TIMEOUT_S):
                    await self.exited.wait()
            await self.look()
            if self.exited.is_set():
                return
        raise Fault(
            ErrorCode.DOCKER_ERROR, "The game still runs after SIGKILL; the node's kernel or Docker is in trouble."
        )

    async def last_words(self) -> None:
        """Waits a moment for what an ended game wrote last."""
        await self.console.drained(LAST_WORDS_S)

    async def remove(self, *, keep_data: bool) -> None:
        """Removes the container, killing what runs in it, and the folder unless it is to be kept."""
        if self.container is not None:
            await self._node.engine.remove(self.id)
        if not keep_data:
            await asyncio.to_thread(folders.remove, self.folder)
        await self.console.close()
        await self._node.consoles.forget(self.id)

    async def remove_container(self) -> None:
        """Removes what there is of the game but its files; nothing of it runs."""
        if self.container is not None:
            await self.console.close()
            await self._node.engine.remove(self.id)
            await self.look()

    async def close(self) -> None:
        """Lets go of the game, which goes on."""
        if self._reopening is not None:
            self._reopening.cancel()
        await self.console.close()

    def _console_ended(self) -> None:
        """The game has ended; or Docker has let go of its console, as it does when it comes back to a game that ran on without it."""
        self._reopening = asyncio.create_task(self._take_up_again(), name=f"console again {self.id}")

    async def _take_up_again(self) -> None:
        await asyncio.sleep(REOPEN_AFTER_S)
        with suppress(Fault):
            await self.look()
            await self.take_up_console()

    def plan(self) -> Plan:
        uid, node = self.record.uid, self._node
        return Plan(self.id, node.id, self.record.specification, self.folder, uid, node.gid_of(uid), node.timezone)

    def hear(self, stream: str, text: str) -> None:
        self.last_lines.extend(text.rsplit("\n", LINES_KEPT)[-LINES_KEPT:])
        self._ear.hear(stream, text)

    def miss(self, lines: int) -> None:
        self._ear.miss(lines)
