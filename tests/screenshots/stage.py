"""A panel with servers in all the states that a picture should show."""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

from ctrl_alt_play.games.own import own_templates
from ctrl_alt_play.panel.config import DATABASE_FILE

LONG = "a-name-of-sixty-four-characters-without-a-space-at-which-to-brea"
MIB = 1024 * 1024
WORLD = r"""
printf '\033[36m[12:00:01]\033[0m [main/INFO]: Loading the world\n'
printf '\033[33m[12:00:02]\033[0m [main/WARN]: No moat was found\n'
printf '\033[31m[12:00:03]\033[0m [main/ERROR]: A dragon was found\n'
printf '\033[32m[12:00:04]\033[0m [main/INFO]: Done. Players may come\n'
i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "[12:01:$i] [Server thread/INFO]: Saving chunk $i of 60"; done
(while :; do x=0; while [ $x -lt 4000 ]; do x=$((x+1)); done; busybox sleep 0.2; done) &
"""
MINUTES_KEPT = 24 * 60


class Stage:
    """`servers` by the names they have in the pictures."""

    def __init__(self, installation: Installation, image: str) -> None:
        self.installation = installation
        self.servers: dict[str, Puppet] = {}
        self.templates: dict[str, str] = {}
        self._image = image

    def fill(self) -> None:
        castle = self._server("Castle", 25565, at_start=WORLD, memory=512, cpu=150, tags=["survival", "public"])
        castle.does("start")
        crashed = self._server("Skyblock", 25566, memory=256, tags=["survival"], crash={"restart": False})
        crashed.does("start")
        crashed.types("echo 'java.lang.OutOfMemoryError: there is no room'; exit 3")
        self._server("Lobby", 25567, memory=256, cpu=100, tags=["public"])
        self._server("Arena", 27960, memory=128, tags=["public"]).does("start")
        self._server(LONG, 25570)
        held = self._server("Museum", 25571)
        held.is_held("suspended")
        self._measure(castle, 40, 380)
        self._templates()
        answer = self.installation.api.post("/api/nodes", json={"id": "attic", "name": "Attic"})
        assert answer.is_success, answer.text

    def _templates(self) -> None:
        """Ours; and a server of one, played by the puppet."""
        for name, text in own_templates():
            document = text.replace("ctrl-alt-play/openarena:demo", self._image) if name == "openarena" else text
            answer = self.installation.api.post("/api/templates", json={"document": document, "category": "Ours"})
            assert answer.is_success, answer.text
            self.templates[name] = answer.json()["id"]
        path = f"/api/templates/{self.templates['openarena']}/servers"
        self.duel = str(self.installation.do("POST", path, {"name": "Duel"})["server_id"])
        registry = {"host": "registry.example.org", "username": "games", "password": "a password"}
        assert self.installation.api.post("/api/registries", json=registry).is_success
        ports = {"address": "0.0.0.0", "first": 27000, "last": 27999, "protocol": "both", "alias": "play.example.org"}
        assert self.installation.api.post(f"/api/nodes/{self.installation.node_id}/ports", json=ports).is_success

    def _server(self, name: str, port: int, *, memory: int = 0, cpu: float = 0, **recipe: Any) -> Puppet:
        limits = {"memory": memory * MIB, "cpu": cpu}
        ports = [{"internal": port, "external": port}]
        made = Puppet(self.installation, self._image, name=name, limits=limits, ports=ports, **recipe)
        self.servers[name] = made
        return made

    def _measure(self, server: Puppet, cpu: float, memory: float) -> None:
        """What a day would have measured, for nobody waits for that."""
        now = int(time.time()) // 60 * 60
        with sqlite3.connect(self.installation.folder / DATABASE_FILE, timeout=30) as database:
            database.execute("INSERT OR IGNORE INTO subjects (server_id, rolled_at) VALUES (?, 0)", (server.id,))
            (subject,) = database.execute("SELECT id FROM subjects WHERE server_id = ?", (server.id,)).fetchone()
            rows = []
            for minute in range(1, MINUTES_KEPT):
                if 500 < minute < 560:
                    continue
                wave = 1 + 0.5 * math.sin(minute / 90) + 0.2 * math.sin(minute / 7)
                load, used = cpu * wave, int(memory * (0.7 + 0.2 * wave) * MIB)
                rows.append((subject, now - 60 * minute, load, load * 1.6, used, used, int(20000 * wave), 8))
            database.executemany(
                "INSERT OR IGNORE INTO samples (subject_id, resolution, at, count, cpu, cpu_max, memory, memory_max, received, sent,"
                " players) VALUES (?, 60, ?, 60, ?, ?, ?, ?, ?, 15000, ?)",
                rows,
            )


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        image = stack.enter_context(puppet.image(folder))
        data = folder / "data"
        data.mkdir()
        installation = Installation(data)
        stack.callback(installation.close)
        installation.start()
        yield Stage(installation, image)
