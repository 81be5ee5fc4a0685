"""All that a run is made of: a Docker Engine, a panel and an agent as processes, and the way between them."""

import asyncio
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from tests.fakes.until import until
from tests.faults import game
from tests.faults.disk import Disk
from tests.faults.engine import Engine
from tests.faults.orders import Api
from tests.faults.programs import Program
from tests.faults.proxy import Link

from ctrl_alt_play.panel.bootstrap import bootstrap
from ctrl_alt_play.panel.config import load

NODE = "node"
START_TIMEOUT_S = 30.0
PANEL_DISK_MIB, AGENT_DISK_MIB = 96, 32
BOOTED = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
"""For whatever it runs, the machine was booted when the file at its first argument was written."""
TOKEN_LIFETIME = timedelta(days=3650)


class LongAgo:
    """The clock that the token is made by: it stays valid when the panel's own clock jumps."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=365)


class World:
    """`open` it, and `close` it whatever happened. Root only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = Engine(folder / "engine")
        self.games = folder / "games"
        self._boot_id = folder / "boot_id"
        self._disks: list[Disk] = []
        self._programs: list[Program] = []
        self._api: Api | None = None
        self._link: Link | None = None

    async def open(self) -> None:
        panel_disk, agent_disk = self._make_disks()
        made = await bootstrap(load(data=panel_disk.folder), NODE, NODE, None, TOKEN_LIFETIME, LongAgo())
        port, agents_port = _free_port(), _free_port()
        self._link = Link(agents_port)
        await self._link.open()
        self._api = Api(f"http://127.0.0.1:{port}", made.access_token)
        ports = {"HOST": "127.0.0.1", "PORT": str(port), "WEBSOCKET_PORT": str(agents_port)}
        self.panel = Program("panel", panel_disk.folder / "panel.db", panel_disk, ports)
        settings = {
            "PANEL_URL": f"ws://127.0.0.1:{self.link.port}",
            "NODE_ID": NODE,
            "AGENT_SECRET": made.node_secret,
            "HEALTH_PORT": "0",
            "DOCKER_HOST": self.engine.host,
        }
        booted = ("unshare", "--mount", "sh", "-c", BOOTED, str(self._boot_id))
        self.agent = Program("agent", agent_disk.folder / "agent" / "journal.db", agent_disk, settings, *booted)
        self._programs = [self.agent, self.panel]
        archive = self.folder / "game.tar"
        await asyncio.to_thread(game.assemble, self.folder / "cache", archive)
        await self.panel.start()
        await self.boot()
        await self.engine.load(archive, game.IMAGE, *game.CHANGES)
        await self.wait_until_connected(START_TIMEOUT_S)

    async def lose_power(self) -> None:
        """The node's: agent, engine and games are gone in the middle of whatever they do."""
        await self.agent.kill()
        await self.engine.power_off()

    async def boot(self) -> None:
        self._boot_id.write_text(f"{uuid4()}\n")
        await self.engine.open()
        await self.agent.start()

    @property
    def api(self) -> Api:
        assert self._api is not None
        return self._api

    @property
    def link(self) -> Link:
        assert self._link is not None
        return self._link

    async def is_connected(self) -> bool:
        node = await self.api.get(f"/api/nodes/{NODE}")
        return node is not None and bool(node["online"])

    async def wait_until_connected(self, timeout_s: float) -> None:
        await until(self.is_connected, timeout_s, pause_s=0.1)

    async def close(self) -> None:
        for program in self._programs:
            await program.terminate()
        if self._api is not None:
            await self._api.close()
        if self._link is not None:
            await self._link.close()
        await self.engine.close()
        for disk in self._disks:
            disk.close()

    def keep_databases(self) -> None:
        """Copies them to where they stay when the disks are gone."""
        for program in self._programs:
            with (
                closing(sqlite3.connect(program.database)) as of,
                closing(sqlite3.connect(self.folder / program.database.name)) as to,
            ):
                of.backup(to)

    def forget(self, *, keep_logs: bool) -> None:
        """Removes what the run has written, once all is closed."""
        if not keep_logs:
            shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("engine/data", "engine/exec", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _make_disks(self) -> tuple[Disk, Disk]:
        """The games' folders are on a disk of their own, so that they can write down what happens to them."""
        panel, agent = Disk(self.folder / "panel", PANEL_DISK_MIB), Disk(self.folder / "agent", AGENT_DISK_MIB)
        self._disks = [panel, agent]
        panel.open()
        agent.open(("agent/servers", self.games))
        return panel, agent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
