"""The agent is killed, told to end, or loses its engine: games are not harmed, and what is told stays true."""

import asyncio
import json
import logging
import os
import random
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.until import until
from tests.foreign.panel import Agent, ForeignPanel
from tests.integration.agent.conftest import unique
from tests.integration.agent.processes import SPECIFICATION, AgentProcess, Docker, matches

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

log = logging.getLogger(__name__)
SEED = 20261120
CUTS = [
    (action, random.Random(SEED + number).uniform(0, longest_s))  # noqa: S311 - a point in time, the same in every run
    for number, (action, longest_s) in enumerate(
        [("create", 0.03), ("start", 0.2), ("stop", 0.15), ("restart", 0.3)] * 3
    )
]
WORDS = {"create": "created", "start": "running", "stop": "exited", "restart": "running"}


async def told(agent: Agent, server_id: str) -> str:
    response = await agent.command(unique("status"), "get_status", server_id)
    if response["success"]:
        return str(response["data"]["status"])
    assert response["error"]["code"] == "CONTAINER_NOT_FOUND"
    return "absent"


async def is_true(agent: Agent, docker: Docker, server_id: str, truth: str, timeout_s: float) -> None:
    """Waits until the agent tells the truth, and the truth is this."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = (await told(agent, server_id), await docker.state(server_id))
        if found[1] == truth and matches(*found):
            return
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


async def make(agent: Agent, server_id: str, *, running: bool) -> None:
    await agent.command(unique("create"), "create_server", server_id, **SPECIFICATION)
    await agent.expect(type="event", data={"serverId": server_id, "currentStatus": "created"})
    if running:
        await agent.command(unique("start"), "start_server", server_id)
        await agent.expect(type="event", data={"serverId": server_id, "currentStatus": "running"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bystander(panel: ForeignPanel, process: AgentProcess) -> str:
    """A game that runs all the while, and that nothing is asked of."""
    server_id = unique("bystander")
    await make(await panel.agent(), server_id, running=True)
    return server_id


@pytest.mark.parametrize(
    ("action", "delay_s"), CUTS, ids=lambda value: f"{value:.3f}s" if isinstance(value, float) else value
)
async def test_an_agent_killed_in_the_middle_carries_on_and_harms_no_game(
    panel: ForeignPanel, process: AgentProcess, docker: Docker, bystander: str, action: str, delay_s: float
) -> None:
    agent = await panel.agent()
    server_id, pid = unique(action), await docker.pid(bystander)
    if action != "create":
        await make(agent, server_id, running=action in {"stop", "restart"})
    before = await docker.pid(server_id) if action == "restart" else None
    await agent.command(unique(action), f"{action}_server", server_id, **(SPECIFICATION if action == "create" else {}))
    await asyncio.sleep(delay_s)  # the point in time is what is tested
    process.kill()
    await agent.closed.wait()
    began = time.monotonic()
    process.start()
    agent = await panel.agent(len(panel.agents))
    await is_true(agent, docker, server_id, WORDS[action], 5)
    log.info("killed %.3f s into %s: true %.2f s after its restart", delay_s, action, time.monotonic() - began)
    assert time.monotonic() - began < 5
    assert await told(agent, server_id) != "crashed"
    assert await docker.pid(bystander) == pid
    if before is not None:
        assert await docker.pid(server_id) not in {0, before}


async def test_a_game_that_crashed_while_the_agent_was_dead_is_told(
    panel: ForeignPanel, process: AgentProcess, docker: Docker
) -> None:
    agent = await panel.agent()
    server_id = unique("crash")
    await make(agent, server_id, running=True)
    process.kill()
    await agent.closed.wait()
    docker.run("kill", "--signal", "SIGTERM", f"ctrl-alt-play-{server_id}")
    process.start()
    agent = await panel.agent(len(panel.agents))
    await is_true(agent, docker, server_id, "exited", 5)
    assert await told(agent, server_id) == "crashed"


async def test_a_second_agent_on_the_same_folder_is_refused_with_a_sentence(
    panel: ForeignPanel, process: AgentProcess, tmp_path: Path
) -> None:
    agent = await panel.agent()
    second = AgentProcess(tmp_path, panel.url, process.node_id, CTRL_ALT_PLAY_DATA=str(process.servers.parents[1]))
    second.start()
    try:
        assert await second.exit_code() == 1
    finally:
        second.close()
    assert "Another agent uses" in second.log.read_text()
    assert "Traceback" not in second.log.read_text()
    assert not agent.closed.is_set()


async def test_the_agents_end_is_quick_and_leaves_games_running(
    panel: ForeignPanel, process: AgentProcess, docker: Docker, bystander: str
) -> None:
    await panel.agent()
    pid = await docker.pid(bystander)
    code, took_s = await process.terminate()
    log.info("ended within %.2f s", took_s)
    assert (code, took_s < 3) == (0, True)
    assert "Traceback" not in process.log.read_text()
    assert await docker.pid(bystander) == pid
    number = len(panel.agents)
    process.start()
    assert await told(await panel.agent(number), bystander) == "running"


@pytest_asyncio.fixture(loop_scope="module")
async def hanging_engine(tmp_path: Path) -> AsyncIterator[str]:
    """An engine that takes connections, and never answers."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(hang, tmp_path / "docker.sock")
    yield f"unix://{tmp_path}/docker.sock"
    server.close()


async def test_an_engine_that_hangs_keeps_the_agent_neither_from_its_panel_nor_from_its_end(
    hanging_engine: str, tmp_path: Path
) -> None:
    async with ForeignPanel() as panel:
        process = AgentProcess(tmp_path, panel.url, "hanging", DOCKER_HOST=hanging_engine)
        process.start()
        try:
            agent = await panel.agent(timeout_s=15)
            info = await agent.expect(type="system_info", timeout_s=10)
            assert info["data"]["dockerVersion"] == ""
            code, took_s = await process.terminate()
            assert (code, took_s < 3) == (0, True)
            process.start()
            await asyncio.sleep(1)
            code, took_s = await process.terminate()
            assert (code in {0, -15}, took_s < 3) == (True, True)
        finally:
            process.close()


# An engine of its own


class OwnEngine:
    """A dockerd in namespaces of its own: it meets neither the machine's engine nor its firewall, and all of it ends with its first process."""

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/docker.sock"
        self.docker = Docker(self.host)
        self._folder = folder

    async def open(self) -> None:
        self._holder = await asyncio.create_subprocess_exec(
            "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            "sh", "-c", "ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward && exec sleep 1000",
        )  # fmt: skip
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._first = await until(lambda: children.read_text().strip())
        await until(lambda: Path(f"/proc/{self._first}/comm").read_text().strip() == "sleep")
        await self.start()

    async def start(self) -> None:
        folder = self._folder
        with (folder / "dockerd.log").open("ab") as log:
            self._daemon = await asyncio.create_subprocess_exec(
                *self._inside("dockerd", "--live-restore", "--host", self.host, "--bip", "172.30.99.1/24"),
                *(
                    "--data-root",
                    str(folder / "data"),
                    "--exec-root",
                    str(folder / "exec"),
                    "--pidfile",
                    str(folder / "pid"),
                ),
                stdout=log,
                stderr=log,
            )
        await until(self._answers, 40, pause_s=0.05)

    async def kill(self) -> None:
        """Kills dockerd and its containerd; the games' shims live on."""
        for file in (self._folder / "pid", self._folder / "exec" / "containerd" / "containerd.pid"):
            await self.end(int(file.read_text()))
            file.unlink()
        await self._daemon.wait()

    async def end(self, pid: int) -> None:
        """Kills a process of this engine, by the id that it has there."""
        killing = await asyncio.create_subprocess_exec(*self._inside("sh", "-c", f"kill -9 {pid}"))
        assert await killing.wait() == 0

    async def close(self) -> None:
        self._holder.kill()
        await self._holder.wait()
        await self._daemon.wait()

    def _inside(self, *command: str) -> tuple[str, ...]:
        return ("nsenter", "--target", self._first, "--root", "--net", "--mount", "--pid", *command)

    async def _answers(self) -> bool:
        assert self._daemon.returncode is None, (self._folder / "dockerd.log").read_text()[-2000:]
        asking = await asyncio.create_subprocess_exec(
            *("docker", "--host", self.host, "version"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await asking.wait() == 0


@pytest_asyncio.fixture(loop_scope="module")
async def engine(docker: Docker, tmp_path: Path) -> AsyncIterator[OwnEngine]:
    if os.geteuid() != 0:
        pytest.skip("only root can run an engine of its own")
    engine = OwnEngine(tmp_path)
    try:
        await engine.open()
        docker.run("save", "--output", str(tmp_path / "image.tar"), SPECIFICATION["image"])
        engine.docker.run("load", "--input", str(tmp_path / "image.tar"))
        yield engine
    finally:
        await engine.close()


async def test_an_engine_killed_under_the_agent_and_started_again(engine: OwnEngine, tmp_path: Path) -> None:
    async with ForeignPanel() as panel:
        process = AgentProcess(tmp_path, panel.url, f"own-{secrets.token_hex(3)}", DOCKER_HOST=engine.host)
        process.start()
        try:
            agent = await panel.agent()
            for server_id in ("lives", "dies"):
                await make(agent, server_id, running=True)
            pids = {server_id: await engine.docker.pid(server_id) for server_id in ("lives", "dies")}
            after = len(agent.heard)
            await engine.kill()
            await agent.expect(
                after=after, type="event", data={"serverId": "lives", "currentStatus": "unknown"}, timeout_s=10
            )
            response = await agent.command("while away", "create_server", "other", **SPECIFICATION)
            assert response["error"]["code"] == "DOCKER_UNAVAILABLE"
            await engine.end(pids["dies"])
            await engine.start()
            began = time.monotonic()
            await is_true(agent, engine.docker, "lives", "running", 10)
            await agent.expect(after=after, type="event", data={"serverId": "dies", "currentStatus": "running"})
            await is_true(agent, engine.docker, "dies", "running", 10)
            log.info("true %.2f s after the engine answered again", time.monotonic() - began)
            assert await engine.docker.pid("lives") == pids["lives"]
            assert await engine.docker.pid("dies") not in {0, pids["dies"]}
            after = len(agent.heard)
            await agent.send({"type": "server_command", "data": {"serverId": "lives", "command": "status"}})
            await agent.expect_that(
                lambda frame: frame["type"] == "server_output" and "oa_dm1" in frame["data"]["output"], after=after
            )
            assert not agent.closed.is_set()
            events = [json.dumps(event) for event in agent.events("lives")]
            assert sum('"running"' in event and '"currentStatus": "running"' in event for event in events) == 2
        finally:
            process.close()
