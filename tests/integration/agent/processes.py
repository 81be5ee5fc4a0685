"""The real agent as a real process, and what its tests ask the real engine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ctrl_alt_play.games import GAMES

OPENARENA = GAMES["openarena"]
SPECIFICATION: dict[str, Any] = {
    "image": OPENARENA.image,
    "startup": OPENARENA.startup,
    "environment": {"MODE": "test"},
    "limits": {"memory": OPENARENA.memory_bytes, "swap": 0, "disk": OPENARENA.disk_bytes, "cpu": 50},
}
FINAL = {"created", "running", "stopped", "crashed"}


class AgentProcess:
    """`ctrl-alt-play agent` with a folder of its own; its log stays in the folder."""

    def __init__(self, folder: Path, panel_url: str, node_id: str, **environment: str) -> None:
        self.node_id = node_id
        self.log = folder / "agent.log"
        self._folder = folder
        self._environment = {
            **os.environ,
            "PANEL_URL": panel_url,
            "NODE_ID": node_id,
            "AGENT_SECRET": "agent-secret",
            "HEALTH_PORT": "0",
            "LOG_FORMAT": "json",
            "CTRL_ALT_PLAY_DATA": str(folder / "data"),
            "CTRL_ALT_PLAY_AGENT_CONFIG": str(folder / "agent.toml"),
            **environment,
        }
        (folder / "agent.toml").touch()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def servers(self) -> Path:
        return self._folder / "data" / "agent" / "servers"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ctrl_alt_play", "agent"], env=self._environment, stdout=log, stderr=log
            )

    async def health_url(self) -> str:
        async with asyncio.timeout(10):
            while True:
                for line in self.log.read_text().splitlines():
                    if '"agent_started"' in line:
                        return f"http://127.0.0.1:{json.loads(line)['health_port']}"
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    async def terminate(self, timeout_s: float = 10) -> tuple[int, float]:
        """Gives the exit code, and how long it took."""
        began = time.monotonic()
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self._process.wait, timeout_s)
        return code, time.monotonic() - began

    async def exit_code(self, timeout_s: float = 10) -> int:
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, timeout_s)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=10)


class Docker:
    """The engine, asked behind the agent's back."""

    def __init__(self, host: str | None = None) -> None:
        self._command = ["docker", *(["--host", host] if host else [])]

    def run(self, *arguments: str, data: bytes | None = None) -> str:
        done = subprocess.run([*self._command, *arguments], input=data, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, (arguments, done.stderr.decode())
        return done.stdout.decode().strip()

    async def inspect(self, server_id: str) -> dict[str, Any] | None:
        """What Docker says of a server's container; None when there is none."""
        done = await asyncio.to_thread(
            subprocess.run,
            [*self._command, "inspect", "--type", "container", f"ctrl-alt-play-{server_id}"],
            capture_output=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            assert b"No such container" in done.stderr, done.stderr
            return None
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def inspected(self, container_id: str) -> dict[str, Any]:
        """What Docker says of a container by its own id."""
        return dict(json.loads(self.run("inspect", "--type", "container", container_id))[0])

    async def state(self, server_id: str) -> str:
        """The container's state in the protocol's words; a stop and a crash are the same to Docker: `exited`."""
        found = await self.inspect(server_id)
        return "absent" if found is None else str(found["State"]["Status"])

    async def pid(self, server_id: str) -> int:
        found = await self.inspect(server_id)
        assert found is not None
        return int(found["State"]["Pid"])

    def remove_all(self, node_id: str) -> None:
        """Removes the containers that this node's agent made, by their ids."""
        if ids := self.run("ps", "-aq", "--filter", f"label=ctrl-alt-play.node-id={node_id}").split():
            self.run("rm", "--force", "--volumes", *ids)


def matches(told: str, truth: str) -> bool:
    """Whether what the agent tells is what Docker says."""
    return told == truth or (truth == "exited" and told in {"stopped", "crashed"})
