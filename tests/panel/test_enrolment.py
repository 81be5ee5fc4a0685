"""Tokens by which machines become nodes."""

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from sqlalchemy import select
from tests.panel.support import PanelUnderTest, Person, until
from tests.panel.test_door import status

from ctrl_alt_play import __version__
from ctrl_alt_play.panel.models import Node
from ctrl_alt_play.panel.security import hash_secret


async def begin(admin: Person, node_id: str) -> str:
    return str((await admin.post(f"/api/nodes/{node_id}/enrolment", status=201))["token"])


async def test_a_token_is_exchanged_once_for_the_nodes_secret(panel: PanelUnderTest, admin: Person) -> None:
    agent, machine = await panel.agent(), await panel.visitor()
    token = await begin(admin, agent.node_id)
    identity = await machine.post("/api/enrolment", {"token": token}, 200)
    assert identity["node_id"] == agent.node_id
    assert await status(panel.agents_url, agent.secret, agent.node_id) == 401
    agent.secret = identity["secret"]
    await panel.connected(agent)
    assert (await machine.post("/api/enrolment", {"token": token}, 403))["code"] == "WRONG_TOKEN"


async def test_of_two_at_once_one_gets_the_secret(panel: PanelUnderTest, admin: Person) -> None:
    agent, machine = await panel.agent(), await panel.visitor()
    token = await begin(admin, agent.node_id)
    asked = (machine.api.post("/api/enrolment", json={"token": token}) for _ in range(4))
    assert sorted(answer.status_code for answer in await asyncio.gather(*asked)) == [200, 403, 403, 403]


async def test_the_token_is_kept_as_a_hash_and_goes_with_its_use(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.agent()
    token = await begin(admin, agent.node_id)
    kept = select(Node.enrolment_hash).where(Node.id == agent.node_id)
    async with panel.app.state.database.reading() as session:
        assert await session.scalar(kept) == hash_secret(token)
    await (await panel.visitor()).post("/api/enrolment", {"token": token}, 200)
    async with panel.app.state.database.reading() as session:
        assert await session.scalar(kept) is None


async def test_a_token_lasts_an_hour(own_panel: PanelUnderTest) -> None:
    agent, machine = await own_panel.agent(), await own_panel.visitor()
    token = await begin(own_panel.admin, agent.node_id)
    own_panel.clock.ahead_s += 3600
    await machine.post("/api/enrolment", {"token": token}, 403)


async def test_a_new_token_replaces_the_one_before(panel: PanelUnderTest, admin: Person) -> None:
    agent, machine = await panel.agent(), await panel.visitor()
    old, new = [await begin(admin, agent.node_id) for _ in range(2)]
    await machine.post("/api/enrolment", {"token": old}, 403)
    await machine.post("/api/enrolment", {"token": new}, 200)


async def test_whoever_was_the_node_before_is_sent_away(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent())
    token = await begin(admin, agent.node_id)
    assert (await admin.get(f"/api/nodes/{agent.node_id}"))["online"]
    await (await panel.visitor()).post("/api/enrolment", {"token": token}, 200)
    await until(lambda: agent.closed_with)


async def test_a_disabled_node_is_not_enrolled_and_its_token_not_used_up(panel: PanelUnderTest, admin: Person) -> None:
    agent, machine = await panel.agent(), await panel.visitor()
    token = await begin(admin, agent.node_id)
    await admin.patch(f"/api/nodes/{agent.node_id}", {"enabled": False})
    assert (await machine.post("/api/enrolment", {"token": token}, 403))["code"] == "NODE_DISABLED"
    await admin.patch(f"/api/nodes/{agent.node_id}", {"enabled": True})
    await machine.post("/api/enrolment", {"token": token}, 200)


async def test_who_guesses_has_to_wait(own_panel: PanelUnderTest) -> None:
    machine = await own_panel.visitor()
    for _ in range(10):
        await machine.post("/api/enrolment", {"token": "a guess"}, 403)
    await machine.post("/api/enrolment", {"token": "a guess"}, 429)


async def test_tokens_are_made_by_administrators(panel: PanelUnderTest, admin: Person, owner: Person) -> None:
    agent = await panel.agent()
    await owner.post(f"/api/nodes/{agent.node_id}/enrolment", status=403)
    await admin.post("/api/nodes/no-such-node/enrolment", status=404)


async def test_an_agent_can_ask_whether_it_would_be_let_in(panel: PanelUnderTest) -> None:
    agent, machine = await panel.agent(), await panel.visitor()

    async def judged(secret: str) -> tuple[bool, str | None]:
        headers = {"Authorization": f"Bearer {secret}", "X-Node-Id": agent.node_id}
        told = (await machine.api.get("/api/agents/admittance", headers=headers)).json()
        return told["is_admitted"], told["reason"]

    assert await judged(agent.secret) == (True, None)
    assert await judged("not the right one") == (False, "That is not the secret of any node.")


async def test_the_panel_gives_out_its_own_program_and_that_runs(
    panel: PanelUnderTest, admin: Person, tmp_path: Path
) -> None:
    agent, machine = await panel.agent(), await panel.visitor()
    package = (await admin.post(f"/api/nodes/{agent.node_id}/enrolment", status=201))["package"]
    wheel = tmp_path / package.rpartition("/")[2]
    wheel.write_bytes((await machine.api.get(package)).content)
    with zipfile.ZipFile(wheel) as files:
        assert not [name for name in files.namelist() if "/built/" in name or name.endswith(".pyc")]
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", target, wheel]
    await asyncio.to_thread(subprocess.run, install, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    show = "import ctrl_alt_play; print(ctrl_alt_play.__file__)"
    for arguments, told in (["-c", show], str(target)), (["-m", "ctrl_alt_play", "--version"], __version__):
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True
        )
        assert told in done.stdout
    await machine.get("/api/enrolment/another-0.1-py3-none-any.whl", 404)
