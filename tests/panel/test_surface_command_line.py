"""The command line against a real panel and an agent of part 2: what its own tests pretend is so."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.panel.support import PanelUnderTest, unique
from tests.panel.templates import QUAKE, kept
from tests.panel.test_fetching import PUBLIC, Names, Network, answer
from tests.panel.test_rendering import template, variable
from tests.templates.test_formats import document

from ctrl_alt_play.panel.templates.fetching import Fetcher
from ctrl_alt_play.templates.reading import read

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


async def test_a_folder_of_templates_is_imported_and_one_lives_on_in_versions(
    panel: PanelUnderTest, tmp_path: Path
) -> None:
    name, folder = unique("Keep"), unique("castles")
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "good.json"
    file.write_text(json.dumps(document(name=name)))
    (tmp_path / "broken.yaml").write_text("a: [")
    code, output = await run(panel, "template", "import", str(tmp_path), "--dry-run")
    lines = output.splitlines()
    assert (code, lines[0]) == (1, "broken.yaml: FAILED")
    assert lines[1].startswith("  line 2, column 1: ")
    assert lines[2:] == [
        f"{folder}/good.json: new",
        "2 templates, 1 would be imported, 0 the same, 1 failed",
    ]
    assert await told(panel, "template", "list", name) == []
    assert (await run(panel, "template", "import", str(tmp_path)))[0] == 1
    (kept,) = await told(panel, "template", "list", "--category", folder)
    assert kept["name"] == name

    file.write_text(json.dumps(document(name=name, startup="java -jar {{JAR}} nogui")))
    code, output = await run(panel, "template", "diff", name, str(file))
    assert output.splitlines() == [
        "  startup_commands / Default: changed",
        "    -java -jar {{JAR}}",
        "    +java -jar {{JAR}} nogui",
    ]
    code, output = await run(panel, "template", "import", str(file), "--category", "moats")
    assert (code, output.splitlines()[0]) == (0, f"{file}: version 2 of {name}, 1 change")
    assert (await run(panel, "template", "import", str(file)))[1].splitlines()[0] == f"{file}: {name} is that already"
    assert [each["version"] for each in await told(panel, "template", "versions", name)] == [2, 1]
    assert (await run(panel, "template", "rollback", kept["id"], "1"))[0] == 0
    assert (await told(panel, "template", "diff", name, "--from", "1", "--to", "3")) == []
    assert (await told(panel, "template", "show", name))["shown_version"] == 3

    out = tmp_path / "out.yaml"
    code, output = await run(panel, "template", "export", name, "--format", "PTDL_v1", "--yaml", "-o", str(out))
    assert (code, output) == (0, "PTDL_v1 has no place for the names of the images.\n")
    assert read(out.read_text()).name == name
    assert (await run(panel, "template", "categorize", name, "walls"))[0] == 0
    assert "walls" in (await run(panel, "template", "list", name))[1]
    code, output = await run(panel, "template", "update", name)
    assert (code, "Nothing is known of where" in output) == (1, True)
    assert "JAR" in (await run(panel, "template", "show", name))[1]
    assert (await run(panel, "template", "remove", name))[0] == 0
    assert (await run(panel, "template", "show", name))[0] == 3


async def test_our_own_templates_are_imported_by_one_word(panel: PanelUnderTest) -> None:
    code, output = await run(panel, "template", "import", "--own")
    assert (code, output.splitlines()[-1]) == (0, "8 templates, 8 imported, 0 the same, 0 failed")
    kept = await told(panel, "template", "list", "--category", "Ctrl-Alt-Play")
    assert "OpenArena" in [each["name"] for each in kept]
    assert (await run(panel, "template", "import"))[0] == 2
    for each in kept:
        assert (await run(panel, "template", "remove", each["id"]))[0] == 0


async def test_a_template_is_imported_from_an_address_and_kept_up_to_date(
    panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, url = unique("Keep"), "https://example.org/egg.json"
    network = Network(**{PUBLIC: answer(json.dumps(document(name=name)))})
    fetcher = Fetcher(resolve=Names(example_org=[PUBLIC], **{"127.0.0.1": ["127.0.0.1"]}), backend=network)
    monkeypatch.setattr(panel.app.state.templates, "_fetcher", fetcher)
    code, output = await run(panel, "template", "import", url, "http://127.0.0.1/egg.json")
    assert (code, output.splitlines()[0]) == (1, f"{url}: new")
    assert "which is not on the public internet" in output.splitlines()[1]
    network.answers[PUBLIC] = answer(json.dumps(document(name=name, startup="newer")))
    assert "version 2" in (await run(panel, "template", "update", name, "--dry-run"))[1]
    code, output = await run(panel, "template", "update", name, "--diff")
    assert (code, "+newer" in output) == (0, True)
    (kept,) = await told(panel, "template", "list", name)
    assert (kept["version"], kept["source"]) == (2, url)


async def test_a_server_is_made_of_a_template_changed_upgraded_and_brought_back(panel: PanelUnderTest) -> None:
    agent = await panel.connected(await panel.part2_agent())
    newer = template(variable("MAP", "dm6", "max:4"), variable("TOKEN", "secret"))
    template_id = await kept(panel, QUAKE, newer)
    make = ("server", "create", "--template", template_id, "--name", unique("castle"), "--node", agent.node_id)
    code, output = await run(panel, *make, "--set", "MAP=far too long", "--dry-run")
    assert (code, output.splitlines()[-1]) == (0, "variables.MAP: must have at most 4 characters")
    made = await told(panel, *make, "--set", "MAP=own", "--memory", "1G", "--port", "game=4242/udp")
    server_id = made["server_id"]
    view = await panel.admin.get(f"/api/servers/{server_id}")
    assert [(port["external"], port["protocol"]) for port in view["ports"]] == [(4242, "udp")]
    assert (view["template_version"], view["environment"]["TOKEN"]) == (2, "secret")
    code, output = await run(panel, "server", "startup", server_id)
    assert (code, "secret" in output, "(not shown)" in output) == (0, False, True)
    assert (await told(panel, "server", "startup", server_id, "--set", "MAP=dm1"))["state"] == "succeeded"
    assert (await run(panel, "server", "startup", server_id, "--set", "MAP=long map"))[0] == 2
    code, output = await run(panel, "server", "upgrade", server_id, "--version", "1", "--dry-run")
    assert (code, "version 2 → 1" in output, "variables MOST" in output) == (0, True, True), output
    assert (await told(panel, "server", "upgrade", server_id, "--version", "1"))["state"] == "succeeded"
    assert (await run(panel, "server", "upgrade", server_id, "absent", "--version", "1"))[0] == 1
    assert (await told(panel, "server", "rollback", server_id))["state"] == "succeeded"
    view = await panel.admin.get(f"/api/servers/{server_id}")
    assert (view["template_version"], view["environment"]["MAP"]) == (2, "dm1")
    assert (await run(panel, "server", "create"))[0] == 2
