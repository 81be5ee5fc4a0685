"""An agent of part 2, and servers whose games write what a test types."""

import secrets
import shlex
from pathlib import Path
from typing import Any

from tests.fakes.until import until
from tests.foreign.panel import Agent, ForeignPanel
from tests.integration.agent.processes import AgentProcess

WELCOME = {
    "type": "welcome",
    "data": {"protocol": {"version": 2, "minimum": 1}, "ackedSeq": 0, "servers": []},
    "timestamp": "2026-11-20T12:00:00Z",
}
PACED = 'BEGIN { for (i = 0; i < %d; i++) { print "line " i; if (i %% 1000 == 999) { fflush(); system("busybox sleep %g") } } }'


def numbered(lines: int, pause_s: float) -> str:
    """A shell's command that writes so many numbered lines, with a pause after each thousand."""
    return f"busybox awk {shlex.quote(PACED % (lines, pause_s))}"


class Stage:
    """A panel that speaks part 2, and one agent."""

    def __init__(self, panel: ForeignPanel, process: AgentProcess, image: str) -> None:
        self.panel = panel
        self.process = process
        self._image = image
        self.agent: Agent

    async def meet(self) -> Agent:
        """The agent that connects next, and speaks part 2."""
        self.agent = await self.panel.agent(len(self.panel.agents))
        return await self._welcome()

    async def begin(self) -> None:
        self.process.start()
        self.agent = await self.panel.agent()
        await self._welcome()

    async def restart(self) -> None:
        self.process.kill()
        await self.agent.closed.wait()
        self.process.start()
        await self.meet()

    async def _welcome(self) -> Agent:
        await self.agent.send(WELCOME)
        await self.agent.expect(type="state_snapshot")
        return self.agent

    async def running(self, **recipe: Any) -> str:
        server_id = f"console-{secrets.token_hex(3)}"
        await self.asked("create_server", server_id, image=self._image, startup="/bin/sh /puppet", **recipe)
        await self.agent.expect(type="event", data={"serverId": server_id, "currentStatus": "created"}, timeout_s=20)
        await self.asked("start_server", server_id)
        await self.agent.expect(type="event", data={"serverId": server_id, "currentStatus": "running"}, timeout_s=20)
        return server_id

    async def asked(self, action: str, server_id: str, **payload: Any) -> dict[str, Any]:
        response = await self.agent.command(secrets.token_hex(8), action, server_id, **payload)
        assert response["success"], response
        return dict(response["data"])

    async def type(self, server_id: str, line: str) -> None:
        await self.asked("send_command", server_id, line=line)

    def file(self, server_id: str, name: str) -> Path:
        return self.process.servers / server_id / name

    async def is_done(self, server_id: str, name: str, timeout_s: float = 30) -> None:
        await until(lambda: self.file(server_id, name).exists(), timeout_s, pause_s=0.05)

    async def history(self, server_id: str, since: int = 0) -> list[dict[str, Any]]:
        """All parts from a line on."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.asked("console_history", server_id, since=since, lines=10_000)
            if not page["parts"]:
                return found
            assert page["parts"][0]["offset"] == since
            found += page["parts"]
            since = page["next"]

    async def has_written(self, server_id: str, last: str, timeout_s: float = 30) -> list[dict[str, Any]]:
        """The whole history, once this is its last line."""

        async def is_so() -> bool:
            page = await self.asked("console_history", server_id, lines=1)
            return bool(page["parts"]) and page["parts"][-1].get("text") == last

        await until(is_so, timeout_s, pause_s=0.1)
        return await self.history(server_id)


def texts(parts: list[dict[str, Any]]) -> list[str]:
    return [line for part in parts if "text" in part for line in part["text"].split("\n")]


def gaps(parts: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(part["lines"], part["lost"]) for part in parts if "lost" in part]
