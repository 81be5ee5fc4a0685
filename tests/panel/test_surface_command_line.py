"""The command line against a real panel and an agent of part 2: what its own tests pretend is so."""

import asyncio
import json
import os
import sys
from typing import Any

import pytest
from tests.panel.support import PanelUnderTest, unique

pytestmark = pytest.mark.timeout(180)  # each command is a program of its own


async def run(panel: PanelUnderTest, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was printed."""
    token = panel.admin.api.headers["Authorization"].removeprefix("Bearer ")
    login = {"CTRL_ALT_PLAY_URL": f"http://127.0.0.1:{panel.people_port}", "CTRL_ALT_PLAY_TOKEN": token}
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ctrl_alt_play", *arguments),
        env={**os.environ, **login},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await program.communicate()
    return program.returncode or 0, output.decode()


async def told(panel: PanelUnderTest, *arguments: str) -> Any:
    code, output = await run(panel, *arguments, "--json")
    assert code == 0, output
    return json.loads(output)


async def test_a_server_is_changed_held_and_looked_back_upon(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent)
    updated = await told(
        panel, "server", "update", server_id, "--memory", "1G", "--env", "MOTD=hi", "--ready-text", "Up"
    )
    assert (updated["state"], updated["arguments"]["revision"]) == ("succeeded", 2)
    sent = agent.commands("update_server")[0]["payload"]
    assert (sent["environment"], sent["limits"]["cpu"]) == ({"MODE": "duel", "MOTD": "hi"}, 100)
    assert (await told(panel, "server", "hold", server_id))["state"] == "succeeded"
    assert (await run(panel, "server", "start", server_id))[0] == 1
    assert (await told(panel, "server", "release", server_id))["arguments"]["hold"] == "none"
    events = await told(panel, "server", "events", server_id, "--kind", "command_completed", "-n", "2")
    assert [event["data"]["action"] for event in events] == ["update_server", "update_server"]
    assert (await told(panel, "operation", "show", updated["id"]))["id"] == updated["id"]
    assert (await run(panel, "operation", "cancel", updated["id"]))[0] == 1


async def test_an_orphan_is_found_and_adopted(panel: PanelUnderTest) -> None:
    lost, name = unique("lost"), unique("found")
    orphan = {"serverId": lost, "containerId": "4cd1", "state": "running", "isAdoptable": True}
    agent = await panel.part2_agent(orphans=[{**orphan, "specification": {"image": "games/quake:1"}}])
    await panel.connected(agent)
    assert [each["server_id"] for each in await told(panel, "node", "orphans", agent.node_id)] == [lost]
    adopted = await told(panel, "node", "adopt", agent.node_id, lost, "--name", name)
    assert (adopted["kind"], adopted["state"]) == ("adopt", "succeeded")
    code, printed = await run(panel, "server", "crashes", name)
    assert (code, printed.startswith("CRASHED")) == (0, True)
