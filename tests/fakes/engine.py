"""An engine in memory, whose containers run programmable games. The contract test holds it to what Docker really does."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from tests.fakes.boxes import Box, Game, Running
from tests.fakes.calls import Hold
from tests.fakes.shelf import Shelf

from ctrl_alt_play.agent.engine.base import (
    INSTALLER,
    LOG_BYTES,
    Attachment,
    Change,
    Chunk,
    Container,
    ContainerState,
    EngineInfo,
    EngineSetup,
    Plan,
    Sample,
    installer_of,
)
from ctrl_alt_play.agent.engine.container import fingerprint
from ctrl_alt_play.agent.engine.faults import unavailable
from ctrl_alt_play.agent.engine.ports import port_taken
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Port, Specification

__all__ = ["FakeEngine", "Game", "Hold"]

READS_BEHIND_BYTES = 64 * 1024
"""How much input a game that does not read leaves waiting, as a pipe does."""
WRITE_TIMEOUT_S = 0.8


class FakeEngine(Shelf):
    """`images` and `games` say what is there; the rest is done through the seam, or to it by the methods that it does not have."""

    def __init__(self, game: Game | None = None) -> None:
        super().__init__()
        self.address = "127.0.0.1"
        """Where the games of containers that are made from now on are reached."""
        self.games: defaultdict[str, Game] = defaultdict(lambda: game or Game())
        self.taken_ports: set[tuple[int, str]] = set()
        self.loses_events = False
        self._watchers: list[asyncio.Queue[Change | None]] = []
        self._numbers = itertools.count(1)

    # What tests do to it

    def go_away(self, *, games_end: bool = False) -> None:
        """As by kill -9: streams end, and nothing answers. Games live on, as with live-restore, or end."""
        self.is_up = False
        for watcher in self._watchers:
            watcher.put_nowait(None)
        for box in self.boxes.values():
            self._detach(box)
            if games_end and box.running:
                self._end(box, 255, tell=False)

    def come_back(self) -> None:
        self.is_up = True

    def end_game(self, server_id: str, exit_code: int, *, oom_killed: bool = False) -> None:
        """The game ends by itself."""
        box = self.boxes[server_id]
        box.oom_killed = oom_killed
        self._end(box, exit_code)

    def pause(self, server_id: str) -> None:
        """Somebody freezes the game."""
        self.boxes[server_id].is_paused = True
        self.tell(server_id, "pause")

    def output(self, server_id: str, data: bytes, stream: str = "stdout") -> None:
        """The game writes."""
        box = self.boxes[server_id]
        has_terminal = box.plan.specification.console.tty
        chunk = Chunk("stdout", data.replace(b"\n", b"\r\n")) if has_terminal else Chunk(stream, data)
        box.kept.append((datetime.now(UTC).timestamp(), chunk))
        for attachment in box.attachments:
            attachment.chunks.put_nowait(chunk)

    # The seam

    async def info(self) -> EngineInfo:
        await self._arrive("info", "")
        return EngineInfo("20.10.24", {"bridge": "172.17.0.0/16"})

    async def setup(self) -> EngineSetup:
        await self._arrive("setup", "")
        return EngineSetup("27.0.0", "overlay2", "2", keeps_games=True)

    async def create(self, plan: Plan) -> None:
        async with self._call("create", plan.server_id):
            box, wanted = self.boxes.get(plan.server_id), fingerprint(plan)
            if box is not None and (box.plan.node_id, fingerprint(box.plan)) == (plan.node_id, wanted):
                return
            if box is not None:
                raise Fault(
                    ErrorCode.SERVER_EXISTS, f"The name {plan.server_id} is already in use by container {box.id}."
                )
            image = plan.specification.image
            if image not in self.images:
                raise Fault(ErrorCode.IMAGE_NOT_FOUND, f"No such image: {image}")
            self.boxes[plan.server_id] = Box(f"box-{next(self._numbers)}", plan, self._image_id(image), self.address)
            self.tell(plan.server_id, "create")

    async def create_installer(self, plan: Plan) -> None:
        """What the script does is the game of the installer's image."""
        name, installer = installer_of(plan.server_id), plan.specification.installer
        async with self._call("create", name):
            assert installer is not None
            if installer.image not in self.images:
                raise Fault(ErrorCode.IMAGE_NOT_FOUND, f"No such image: {installer.image}")
            if name in self.boxes:
                raise Fault(ErrorCode.SERVER_EXISTS, f"The name {name} is already in use.")
            specification = Specification(image=installer.image)
            its_plan = replace(plan, server_id=name, specification=specification)
            image_id = self._image_id(installer.image)
            self.boxes[name] = Box(f"box-{next(self._numbers)}", its_plan, image_id, self.address)

    async def start(self, server_id: str) -> None:
        async with self._call("start", server_id):
            box = self._box(server_id)
            if box.running is not None:
                return
            for port in box.plan.specification.ports:
                if (holder := self._holder_of(port)) is not None:
                    box.error = "driver failed programming external connectivity: port is already allocated"
                    raise port_taken(port, holder, f"Docker: {box.error}")
            game = self.games[box.plan.specification.image]
            box.running, box.state = Running(next(self._numbers), game, datetime.now(UTC)), ContainerState.RUNNING
            box.error, box.exit_code, box.oom_killed = "", None, False
            self.tell(server_id, "start")
            self._say(box, game.says)
            if game.ends_at_once_with is not None:
                self._end(box, game.ends_at_once_with)

    async def unpause(self, server_id: str) -> None:
        async with self._call("unpause", server_id):
            self._unpause(self._box(server_id))

    async def signal(self, server_id: str, signal: str) -> None:
        async with self._call(f"signal {signal}", server_id):
            box = self._box(server_id)
            if box.running is None:
                return
            self._unpause(box)
            if signal == "SIGKILL":
                self._end(box, 137)
            elif signal in box.running.game.exit_codes:
                self._end_in_time(box, box.running.game.exit_codes[signal])

    async def remove(self, server_id: str) -> None:
        async with self._call("remove", server_id):
            box = self.boxes.get(server_id)
            if box is None:
                return
            if box.running is not None:
                self._end(box, 137)
            self._detach(box)
            del self.boxes[server_id]
            self.tell(server_id, "destroy")

    async def inspect(self, server_id: str) -> Container | None:
        box = self.boxes.get(server_id)
        found = None if box is None else box.container()
        await self._arrive("inspect", server_id)
        return found

    async def list(self) -> "list[Container]":
        await self._arrive("list", "")
        return [box.container() for name, box in self.boxes.items() if not name.endswith(INSTALLER)]

    async def changes(self) -> AsyncIterator[Change]:
        await self._arrive("changes", "")
        watcher: asyncio.Queue[Change | None] = asyncio.Queue()
        self._watchers.append(watcher)
        try:
            yield Change("", "subscribed")
            while (change := await watcher.get()) is not None:
                yield change
        finally:
            self._watchers.remove(watcher)
        raise unavailable("the event stream ended")

    async def attach(self, server_id: str) -> Attachment:
        await self._arrive("attach", server_id)
        box = self._box(server_id)
        if box.is_paused:
            raise Fault(ErrorCode.DOCKER_ERROR, "Docker:")
        attachment = FakeAttachment(self, box)
        box.attachments.append(attachment)
        return attachment

    async def logs(
        self, server_id: str, *, since_s: float | None = None, tail: int | None = None
    ) -> AsyncIterator[Chunk]:
        await self._arrive("logs", server_id)
        kept = [chunk for at_s, chunk in self._box(server_id).kept if since_s is None or at_s >= since_s]
        left = LOG_BYTES
        for chunk in kept if tail is None else kept[len(kept) - min(tail, len(kept)) :]:
            yield chunk
            left -= len(chunk.data)
            if left <= 0:
                return

    async def sample(self, server_id: str) -> Sample | None:
        await self._arrive("sample", server_id)
        box = self.boxes.get(server_id)
        if box is None or box.running is None:
            return None
        limit = box.plan.specification.limits.memory or 2**34
        return Sample(datetime.now(UTC).timestamp(), 10_000_000, 20 * 2**20, limit, 1000, 2000, 2)

    async def written_bytes(self, server_id: str) -> int | None:
        await self._arrive("written_bytes", server_id)
        return self.boxes[server_id].written_bytes if server_id in self.boxes else None

    async def disk_bytes(self) -> int:
        await self._arrive("disk_bytes", "")
        return 10 * 2**20

    async def close(self) -> None:
        for box in self.boxes.values():
            if box.running and box.running.ending:
                box.running.ending.cancel()

    # What they are made of

    def _box(self, server_id: str) -> Box:
        if server_id not in self.boxes:
            raise Fault(ErrorCode.CONTAINER_NOT_FOUND, f"No such container: ctrl-alt-play-{server_id}")
        return self.boxes[server_id]

    def _holder_of(self, port: Port) -> str | None:
        if (port.external, port.protocol) in self.taken_ports:
            return "another program"
        for box in self.boxes.values():
            taken = {(each.external, each.protocol) for each in box.plan.specification.ports}
            if box.running and (port.external, port.protocol) in taken:
                return f"server {box.plan.server_id}"
        return None

    def _unpause(self, box: Box) -> None:
        if not box.is_paused:
            return
        box.is_paused = False
        self.tell(box.plan.server_id, "unpause")
        if box.running is not None and box.running.game.reads_console:
            data, box.running.unread = box.running.unread, b""
            self.typed(box, data)

    def _end_in_time(self, box: Box, exit_code: int) -> None:
        running = box.running
        if running is None or running.ending is not None:
            return
        if running.game.time_to_stop_s:
            loop = asyncio.get_running_loop()
            running.ending = loop.call_later(running.game.time_to_stop_s, self._end, box, exit_code)
        else:
            self._end(box, exit_code)

    def _end(self, box: Box, exit_code: int, *, tell: bool = True) -> None:
        if box.running is None:
            return
        if box.running.ending is not None:
            box.running.ending.cancel()
        if exit_code != 137:
            self._say(box, box.running.game.says_last)
        box.running, box.state, box.exit_code, box.is_paused = None, ContainerState.EXITED, exit_code, False
        box.finished_at = datetime.now(UTC)
        box.is_spent = not self.is_up and exit_code != 255
        self._detach(box)
        if tell:
            self.tell(box.plan.server_id, "die")

    def _detach(self, box: Box) -> None:
        for attachment in box.attachments:
            attachment.chunks.put_nowait(None)
        box.attachments.clear()

    def _say(self, box: Box, lines: tuple[str, ...]) -> None:
        for line in lines:
            self.output(box.plan.server_id, f"{line}\n".encode(), "stderr")

    def tell(self, server_id: str, what: str) -> None:
        if not self.loses_events and not server_id.endswith(INSTALLER):
            for watcher in self._watchers:
                watcher.put_nowait(Change(server_id, what))

    def typed(self, box: Box, data: bytes) -> bool:
        """Takes input; whether there was room for it."""
        running = box.running
        if running is None:
            raise Fault(ErrorCode.INVALID_STATE, "The game's console is closed; it has stopped.")
        if box.is_spent:
            return True
        if box.is_paused or not running.game.reads_console:
            running.unread += data
            return len(running.unread) <= READS_BEHIND_BYTES
        *lines, running.rest = (running.rest + data).split(b"\n")
        for line in lines:
            text = line.decode()
            if text == "quit":
                self._end_in_time(box, 0)
            elif answer := running.game.answer(text):
                self.output(box.plan.server_id, f"{answer}\n".encode(), "stderr")
        return True


class FakeAttachment:
    def __init__(self, engine: FakeEngine, box: Box) -> None:
        self.chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self._engine = engine
        self._box = box
        self._is_closed = False

    async def read(self) -> Chunk | None:
        return None if self._is_closed else await self.chunks.get()

    async def write(self, data: bytes) -> None:
        if self._is_closed or self not in self._box.attachments:
            raise Fault(ErrorCode.INVALID_STATE, "The game's console is closed; it has stopped.")
        await asyncio.sleep(0)
        if not self._engine.typed(self._box, data):
            await asyncio.sleep(WRITE_TIMEOUT_S)
            raise Fault(ErrorCode.TIMEOUT, "The game does not read its console: its input is full.")

    async def close(self) -> None:
        self._is_closed = True
        if self in self._box.attachments:
            self._box.attachments.remove(self)
