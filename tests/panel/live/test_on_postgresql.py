"""The live channel where reading and writing really happen at the same time."""

import asyncio
from pathlib import Path

from tests.panel.live.support import Viewer
from tests.panel.live.test_nothing_is_lost import all_ids, crash, ids
from tests.panel.support import PanelUnderTest, make_config, unique, until
from tests.panel.test_postgresql import postgresql as postgresql  # noqa: PLC0414 - a fixture
from tests.panel.test_postgresql import pytestmark as pytestmark  # noqa: PLC0414 - where there is none


async def test_viewers_end_with_what_the_database_has(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        agent = await panel.connected(await panel.part2_agent())
        owner = await panel.person("olga")
        server_id = await panel.server(agent, owner)
        topic = f"server:{server_id}"
        async with Viewer(panel, owner) as viewer, Viewer(panel, panel.admin) as admin:
            for each in ("servers", "operations", topic):
                await viewer.subscribe(each, **({"after": 0} if each == topic else {}))
            for each in ("nodes", f"node:{agent.node_id}"):
                await admin.subscribe(each)
            told = {"commandId": "\x00", "serverId": "\x00", "phase": "pull"}
            await agent.send({"type": "event", "event": "operation_progress", "data": told})
            changing = asyncio.gather(*(_rename(panel, server_id) for _ in range(4)))
            await crash(agent, server_id, 50)
            await owner.done(f"/api/servers/{server_id}/start")
            await changing
            truth = await owner.get(f"/api/servers/{server_id}")
            await until(lambda: viewer.listed("servers")[server_id]["name"] == truth["name"])
            await until(lambda: viewer.listed("servers")[server_id]["status"] == "RUNNING")
            wanted = await all_ids(owner, server_id)
            await until(lambda: ids(viewer, topic) == wanted)
            await agent.go()
            await until(lambda: not admin.listed("nodes")[agent.node_id]["online"])
            await panel.admin.patch(f"/api/users/{owner.id}", {"password": "another good one"})
            await until(lambda: viewer.closed_with == 1008)


async def _rename(panel: PanelUnderTest, server_id: str) -> None:
    for _ in range(10):
        await panel.admin.patch(f"/api/servers/{server_id}", {"name": unique("renamed")}, 202)
