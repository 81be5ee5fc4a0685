"""The real agent on real Docker, spoken to by a panel that knows part 1 of the protocol and nothing else."""

import json
import logging
import secrets
import socket
import statistics
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from tests.fakes.part1 import Example, examples, is_within
from tests.fakes.until import until
from tests.foreign.panel import Agent
from tests.integration.agent.conftest import unique
from tests.integration.agent.processes import SPECIFICATION, AgentProcess, Docker, matches

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

log = logging.getLogger(__name__)
RUN = secrets.token_hex(3)
LONGEST_ANSWER_S = 1.0


# Every example of part 1, in its order, each in the state that it asks for


async def create(agent: Agent, server_id: str, **changes: Any) -> None:
    response = await agent.command(unique("create"), "create_server", server_id, **(SPECIFICATION | changes))
    assert response["success"], response
    await agent.expect(
        type="event", event="server_status_changed", data={"serverId": server_id, "currentStatus": "created"}
    )


async def run(agent: Agent, server_id: str) -> None:
    """Creates the server where it is missing, and starts it where it does not run, once all that was asked before is done."""
    if not (await agent.command(unique("status"), "get_status", server_id))["success"]:
        await create(agent, server_id)

    async def is_running() -> bool:
        await agent.command(unique("start"), "start_server", server_id)
        status = await agent.command(unique("status"), "get_status", server_id)
        return bool(status["success"] and status["data"]["status"] == "running")

    await until(is_running)


async def bring_about(agent: Agent, given: str, server_id: str) -> None:
    match given:
        case "":
            return
        case "server_456 exists and is stopped":
            await create(agent, server_id)
        case "server_789 exists" | "the file was written":
            status = await agent.command(unique("status"), "get_status", server_id)
            if not status["success"]:
                await create(agent, server_id)
        case "server_456 exists and is running" | "server_789 exists and is running":
            await run(agent, server_id)
        case "server_789 is running and answers on its console":
            await run(agent, server_id)
            await agent.expect_that(
                lambda frame: frame["type"] == "server_output" and "AAS initialized" in frame["data"]["output"]
            )
        case _:
            pytest.fail(f"no test knows how to bring about: {given}")


def ours(example: Example) -> Example:
    """The example with servers that only this run has, a real image, and a port that is free here."""
    found: Example = json.loads(
        json.dumps(example).replace("server_456", f"server_456_{RUN}").replace("server_789", f"server_789_{RUN}")
    )
    data = found["message"].get("data", {})
    if data.get("image") == "<image>":
        data |= {"image": SPECIFICATION["image"], "startup": SPECIFICATION["startup"]}
        data["ports"][0]["external"] = free_port()
        data["limits"].pop("io")  # not every kernel has weights of block I/O
    for expected in found["expect"]:
        if expected["type"] == "server_output":
            expected["data"]["stream"] = "stderr"  # where OpenArena writes all it has to say
    return found


@pytest.mark.parametrize("example", examples("panel->agent"), ids=lambda example: example["name"].replace(" ", "-"))
async def test_every_example_of_part_1(agent: Agent, example: Example) -> None:
    message = ours(example)["message"]
    server_id = message.get("serverId") or message.get("data", {}).get("serverId", "")
    if server_id != "nobody":
        await bring_about(agent, example.get("given", ""), server_id)
    if message["type"] == "server_delete":
        await bring_about(agent, "server_789 exists", server_id)
    after = len(agent.heard)
    await agent.send(message)
    for expected in ours(example)["expect"]:
        await agent.expect_that(lambda frame, expected=expected: is_within(expected, frame), after=after, timeout_s=20)  # type: ignore[misc]
    if message["type"] == "command":
        assert len(agent.responses(message["id"])) == 1


async def test_a_full_status_is_measured(agent: Agent, docker: Docker) -> None:
    server_id = unique("measured")
    await run(agent, server_id)
    await agent.send({"type": "file_write", "data": {"serverId": server_id, "path": "a/b.cfg", "content": "x" * 5000}})
    await agent.expect(type="file_content", data={"serverId": server_id, "size": 5000})

    async def full_status() -> dict[str, Any] | None:
        status: dict[str, Any] = (await agent.command(unique("status"), "get_status", server_id))["data"]
        return status if "cpu" in status["resources"] else None

    status = await until(full_status)
    assert status is not None
    found = await docker.inspect(server_id)
    assert found is not None
    assert status["containerId"] == found["Id"]
    assert status["uptime"] > 0
    resources = status["resources"]
    assert 0 < resources["memory"]["usedBytes"] < resources["memory"]["limitBytes"] == SPECIFICATION["limits"]["memory"]
    assert resources["memory"]["used"] == f"{round(resources['memory']['usedBytes'] / 2**20)}m"
    assert resources["disk"]["usedBytes"] >= 4096
    assert resources["disk"]["limitBytes"] == SPECIFICATION["limits"]["disk"]
    assert set(resources["network"]) == {"rx", "tx"}
    assert resources["cpu"] >= 0


async def test_a_frame_that_is_no_message_is_answered_and_the_connection_stays(agent: Agent) -> None:
    for text in ("{", "[]", "null"):
        after = len(agent.heard)
        await agent.send(text)
        await agent.expect(after=after, type="error", data={"code": "INVALID_MESSAGE"})
    assert not agent.closed.is_set()


async def test_a_port_that_is_taken_is_told(agent: Agent) -> None:
    port = [{"internal": 27960, "external": free_port(), "protocol": "udp"}]
    first, second = unique("first"), unique("second")
    await create(agent, first, ports=port)
    await create(agent, second, ports=port)
    await run(agent, first)
    assert (await agent.command(unique("start"), "start_server", second))["success"]
    failed = await agent.expect(type="event", data={"serverId": second, "status": "start_failed"})
    assert f"is taken on this node by server {first}" in failed["data"]["error"]
    assert (await agent.command(unique("status"), "get_status", second))["data"]["status"] == "created"


# Many at once

SERVERS = 20
SCRIPT = [
    "start_server",
    "get_status",
    "stop_server",
    "get_status",
    "fly",
    "get_status",
    "start_server",
    "get_status",
    "get_status",
]
LAST = ["stop_server", "kill_server"]
"""A stop waits for its turn; a kill does not, so it may come before the game has started at all."""


async def test_two_hundred_commands_at_once_are_each_answered_once_in_time_and_never_overlap(
    agent: Agent, docker: Docker, process: AgentProcess
) -> None:
    servers = [unique(f"many{number}") for number in range(SERVERS)]
    for server_id in servers:
        await agent.send(agent.command_frame(f"create-{server_id}", "create_server", server_id, **SPECIFICATION))
    for server_id in servers:
        await agent.expect(type="event", data={"serverId": server_id, "currentStatus": "created"}, timeout_s=20)
    since = time.time()
    frames = [
        agent.command_frame(f"{server_id}-{step}", action, server_id)
        for step in range(len(SCRIPT) + 1)
        for number, server_id in enumerate(servers)
        for action in [[*SCRIPT, LAST[number % 2]][step]]
    ]
    assert len(frames) == 200
    sent = {frame["id"]: await agent.send(frame) for frame in frames}
    for id_ in sent:
        await agent.expect(type="response", id=id_, timeout_s=20)
    took_s = sorted(agent.responses(id_)[0].at - at for id_, at in sent.items())
    log.info("200 commands: worst %.3f s, median %.3f s", took_s[-1], statistics.median(took_s))
    assert took_s[-1] < LONGEST_ANSWER_S

    stopped = servers[::2]
    for server_id in stopped:
        await agent.expect_that(
            lambda _, server_id=server_id: words(agent, server_id).count("stopped") == 2, timeout_s=30
        )  # type: ignore[misc]
    assert set(Counter(heard.frame["id"] for heard in agent.heard if heard.frame["type"] == "response").values()) == {1}
    for server_id in servers:
        assert await docker.state(server_id) in ({"exited"} if server_id in stopped else {"exited", "created"})
        status = await agent.command(unique("status"), "get_status", server_id)
        assert matches(status["data"]["status"], await docker.state(server_id))
        check_chain(agent, server_id)
    check_engine_events(docker, process.node_id, since)


def words(agent: Agent, server_id: str) -> list[str]:
    return [event["currentStatus"] for event in agent.events(server_id) if "currentStatus" in event]


def check_chain(agent: Agent, server_id: str) -> None:
    """Each change told begins where the one before ended."""
    changes = [event for event in agent.events(server_id) if "currentStatus" in event]
    for before, after in pairwise(changes):
        assert after["previousStatus"] == before["currentStatus"]


def check_engine_events(docker: Docker, node_id: str, since: float) -> None:
    """A container starts and dies in turns: two operations at once would show as two of one kind."""
    text = docker.run(
        "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", "--filter", f"label=ctrl-alt-play.node-id={node_id}",
        "--filter", "event=start", "--filter", "event=die", "--format", "{{.Actor.ID}} {{.Action}}",
    )  # fmt: skip
    lives: dict[str, list[str]] = {}
    for line in text.splitlines():
        container, action = line.split()
        lives.setdefault(container, []).append(action)
    assert len(lives) >= SERVERS / 2
    for life in lives.values():
        assert all(one != other for one, other in pairwise(life)), life


async def test_a_flood_on_one_console_delays_nobody(agent: Agent) -> None:
    loud, quiet = unique("loud"), unique("quiet")
    await run(agent, loud)
    await run(agent, quiet)
    for _ in range(300):
        await agent.send({"type": "server_command", "data": {"serverId": loud, "command": "cvarlist"}})
    took_s = []
    for _ in range(10):
        began = time.monotonic()
        assert (await agent.command(unique("status"), "get_status", quiet))["success"]
        took_s.append(time.monotonic() - began)
    log.info("responses during a flood: worst %.3f s", max(took_s))
    assert max(took_s) < LONGEST_ANSWER_S
    await agent.expect_that(lambda frame: frame["type"] == "server_output" and "total cvars" in frame["data"]["output"])
    after = len(agent.heard)
    assert (await agent.command(unique("kill"), "kill_server", loud))["success"]
    await agent.expect(after=after, type="event", data={"serverId": loud, "currentStatus": "stopped", "forced": True})


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port
