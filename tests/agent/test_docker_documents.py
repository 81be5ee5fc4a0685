"""What Docker tells of a container is long, and is not kept."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ctrl_alt_play.agent.engine.container import LABEL_SERVER
from ctrl_alt_play.agent.engine.docker import DockerEngine

ID = "c0ffee"
TOLD = {
    "Id": ID, "Name": "/game", "Image": "sha256:1", "NetworkSettings": {"Networks": {}},
    "Config": {"Labels": {LABEL_SERVER: "quake"}, "Tty": False, "Image": "game"},
    "State": {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z"},
}  # fmt: skip


async def version(_: web.Request) -> web.Response:
    return web.json_response({"ApiVersion": "1.41"})


async def found(_: web.Request) -> web.Response:
    return web.json_response([{"Id": ID, "Names": ["/game"]}])


async def inspected(_: web.Request) -> web.Response:
    return web.json_response(TOLD)


async def attached(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "tcp"})
    await response.prepare(request)
    return response


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[DockerEngine]:
    app = web.Application()
    app.router.add_get("/version", version)
    app.router.add_get("/{version}/containers/json", found)
    app.router.add_get(f"/{{version}}/containers/{ID}/json", inspected)
    app.router.add_post(f"/{{version}}/containers/{ID}/attach", attached)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "docker.sock")).start()
    engine = DockerEngine(f"unix://{tmp_path}/docker.sock")
    yield engine
    await engine.close()
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def kept() -> list[dict[str, Any]]:
    return [each for each in gc.get_objects() if type(each) is dict and each == TOLD and each is not TOLD]


async def test_what_was_asked_for_is_gone_once_it_is_read(engine: DockerEngine) -> None:
    assert [each.server_id for each in await engine.list()] == ["quake"]
    assert await engine.inspect("quake") is not None
    assert kept() == []


async def test_a_console_keeps_nothing_of_it(engine: DockerEngine) -> None:
    attachment = await engine.attach("quake")
    try:
        assert kept() == []
    finally:
        await attachment.close()
