"""The same panel on PostgreSQL: the migrations, the models, and a server's life."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import select
from tests.panel import test_placement, test_ports
from tests.panel.support import SPECIFICATION, PanelUnderTest, make_config, until
from tests.panel.test_door import status
from tests.panel.test_figures import rows, sample, tell, told
from tests.panel.test_migrations import limits_of_before

from ctrl_alt_play.panel.db import make_engine
from ctrl_alt_play.panel.intake.recorder import Recorder
from ctrl_alt_play.panel.migrations import alembic_config, migrate
from ctrl_alt_play.panel.models import Event

USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

pytestmark = pytest.mark.skipif(
    not (shutil.which("initdb") and shutil.which("pg_ctl")), reason="PostgreSQL's programs are not in PATH"
)


def run(*arguments: str) -> None:
    """PostgreSQL does not run as root."""
    user = USER if os.geteuid() == 0 else None
    subprocess.run(arguments, check=True, capture_output=True, user=user, cwd="/", timeout=60)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a database in a folder that goes afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="ctrl-alt-play-postgresql-"))
    shutil.chown(folder, USER)
    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", "panel", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql://panel@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_server_lives_on_postgresql_as_on_sqlite(postgresql: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, database_url=postgresql)
    async with PanelUnderTest(config) as panel:
        agent = await panel.connected(await panel.agent(tells_legacy=True))
        owner = await panel.person("olga")
        ports = [{"internal": 1, "external": 27960, "protocol": "udp"}]
        server_id = await panel.server(agent, owner, tags=["é"], ports=ports)
        await panel.admin.post("/api/servers", panel.new(agent, ports=ports), 409)
        for action in ("start", "restart", "status", "stop", "start"):
            await owner.done(f"/api/servers/{server_id}/{action}")
        await panel.admin.done(f"/api/servers/{server_id}/kill")
        data = {"serverId": server_id, "status": "start_failed", "error": "with a \x00 in it"}
        await agent.event("server_status_changed", data)
        await panel.admin.patch(f"/api/users/{panel.admin.id}", {"is_admin": False}, 409)
        assert (await owner.get("/api/servers", name="SERVER", tag="É"))["items"][0]["id"] == server_id
        assert (await owner.get("/api/servers", tag="e"))["items"] == []
        agent.die()
        await owner.sees(server_id, "UNKNOWN")
        await agent.come()
        await owner.sees(server_id, "OFFLINE")
        await panel.admin.operation(await panel.admin.delete(f"/api/servers/{server_id}", 202))
        await owner.get(f"/api/servers/{server_id}", 404)


async def test_each_event_is_kept_once_on_postgresql_whatever_breaks(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.gateway.connection.KEEP_PAUSE_S", 0)
    finish, failures = Recorder._finish, [1]

    def lose_once(self: Recorder, *arguments: Any) -> Any:
        if failures and len(self._presences) == 1:
            failures.pop()
            raise OSError("the database went away after it committed")
        return finish(self, *arguments)

    monkeypatch.setattr(Recorder, "_finish", lose_once)
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        agent = await panel.connected(await panel.part2_agent())
        server_id = await panel.server(agent)
        agent.is_forgetting_acks = True
        await panel.admin.done(f"/api/servers/{server_id}/start")
        await agent.event(
            "command_completed", {"commandId": "\x00", "action": "?", "serverId": "\x00", "success": True}
        )
        agent.die()
        await panel.sees_node(agent, online=False)
        for turn in range(100):
            await agent.become(server_id, "stopped" if turn % 2 else "running", text="with a \x00 in it")
        await agent.come()
        for event in list(agent.spool):
            await agent.send(event)
        await until(lambda: agent.acked == agent.seq)
        async with panel.app.state.database.reading() as session:
            query = select(Event.seq).where(Event.node_id == agent.node_id).order_by(Event.id)
            assert list(await session.scalars(query)) == list(range(1, agent.seq + 1))
        await agent.become(server_id, "running", desired="on")
        await panel.admin.sees(server_id, "RUNNING")


async def test_a_line_is_kept_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        agent = await panel.connected(await panel.part2_agent(unfinished={"send_command"}))
        server_id = await panel.server(agent)
        line = await panel.admin.post(f"/api/servers/{server_id}/command", {"command": "say hi"})
        assert line["state"] == "running"
        await agent.end(agent.commands("send_command")[0], written=True)
        ended = await panel.admin.operation(line)
        assert (ended["state"], ended["result"]) == ("succeeded", {"written": True})
        assert ended["finished_at"] >= ended["created_at"]
        await until(lambda: agent.acked == agent.seq)


async def test_a_change_is_undone_or_kept_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        agent = await panel.connected(await panel.part2_agent())
        server_id = await panel.server(agent, ports=[{"internal": 1, "external": 27970}])
        path = f"/api/servers/{server_id}"
        before = {**await panel.admin.get(path), "observed_at": None}
        agent.refusals["update_server"] = ("CONFIG_INVALID", "That cannot be.")
        change = {"name": "after", "startup": "./new", "ports": [{"internal": 1, "external": 27971}]}
        await panel.admin.patch(path, change, 422)
        assert {**await panel.admin.get(path), "observed_at": None} == before
        agent.refusals["update_server"] = ("INSUFFICIENT_RESOURCES", "There is no room.")
        await panel.admin.patch(path, change, 202)
        agent.refusals.clear()

        async def has_taken(revision: int) -> None:
            async def so() -> bool:
                return (await panel.admin.get(path))["node_revision"] == revision

            await until(so)

        await has_taken(2)
        await agent.go()
        await panel.sees_node(agent, online=False)
        agent.unreadable.add("./bad")
        await panel.admin.patch(path, {"startup": "./bad", "ports": []}, 202)
        await agent.come()
        await has_taken(4)
        server = await panel.admin.get(path)
        assert (server["startup"], server["ports"][0]["external"]) == ("./new", 27971)
        problem = await panel.admin.post(f"{path}/reinstall", status=409)
        assert problem["code"] == "SERVER_INSTALLED"
        await agent.go()


async def test_migrations_make_what_the_models_say_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, database_url=postgresql)
    await migrate(config)
    engine = make_engine(config.database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda plain: command.check(alembic_config(plain)))
    await engine.dispose()


async def test_a_node_id_that_postgresql_cannot_be_asked_for_is_no_nodes(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        assert await status(f"{panel.agents_url}?nodeId=%00", "not a secret", None) == 401


async def test_figures_are_kept_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        agent = await panel.connected(await panel.part2_agent())
        server_id = await panel.server(agent)
        path = f"/api/servers/{server_id}/figures"
        players = {"online": 1, "max": 2, "list": ["with a \x00 in it"]}
        for ahead_s in (0, 1, 2, 60):
            panel.clock.ahead_s = ahead_s
            await tell(agent, sample(server_id, cpu=10 + ahead_s, rx=2**40, players=players))
            await until(lambda: told(panel.admin, server_id))
        panel.clock.ahead_s = 1000
        await until(lambda: rows(panel, 900, server_id=server_id))
        assert len(await rows(panel, 60, server_id=server_id)) >= 2
        for points in (10, 2000):
            graph = await panel.admin.get(path, points=points)
            assert any(graph["columns"]["players"])
        assert (await panel.admin.get(f"/api/servers/{server_id}"))["figures"]["players"] == 1
        async with panel.client() as api:
            assert 'ctrl_alt_play_panel_servers{status="OFFLINE"} 1.0' in (await api.get("/metrics")).text
        panel.clock.ahead_s = 400 * 24 * 3600
        await panel.app.state.keeper.forget()
        assert await rows(panel, 900, server_id=server_id) == []
        assert await rows(panel, 60, server_id=server_id) == []


async def test_places_are_as_on_sqlite(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        await test_placement.test_a_server_without_a_limit_counts_with_what_it_uses(panel)
        await test_placement.test_of_equals_the_one_that_is_used_least_is_chosen(panel)
        await test_placement.test_a_node_that_was_chosen_refuses_what_it_has_no_room_for_unless_forced(
            panel, panel.admin
        )
        await test_ports.test_ports_are_given_from_ranges_in_their_order_and_only_where_the_protocol_fits(
            panel, panel.admin
        )
        await test_ports.test_ranges_say_how_much_of_them_is_free_and_who_holds_the_rest(panel, panel.admin)
        await test_ports.test_a_range_that_servers_hold_ports_of_stays(panel, panel.admin)
        await test_ports.test_two_creations_at_once_never_get_the_same_port(panel, panel.admin)


async def test_two_creations_at_once_never_promise_the_same_room(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        node_id = await test_placement.node(panel, "scarce")
        limits = {"memory": 10 * test_placement.GIB}
        new = [
            panel.admin.api.post(
                "/api/servers", json={**SPECIFICATION, "name": "one", "node_id": node_id, "limits": limits}
            )
            for _ in "1234"
        ]
        assert sorted([answer.status_code for answer in await asyncio.gather(*new)]) == [202, 409, 409, 409]


async def test_limits_of_servers_that_were_there_are_added_up(postgresql: str) -> None:
    engine = make_engine(postgresql.replace("postgresql:", "postgresql+asyncpg:"))
    await limits_of_before(engine)
    await engine.dispose()
