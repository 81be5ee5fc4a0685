"""An engine on the bench: the fake, or Docker with a real game."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.until import until
from tests.integration.agent.processes import Docker
from tests.integration.registry import archive

from ctrl_alt_play.agent.engine.base import Attachment, Change, Container, ContainerState, Engine, Image, Plan
from ctrl_alt_play.games import GAMES
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Limits, Port, Specification

OPENARENA = GAMES["openarena"]
UID = 20777 if os.geteuid() == 0 else os.getuid()
NODE = f"contract-{secrets.token_hex(4)}"


@dataclass
class Bench:
    """An engine, and plans for containers on it. `docker` is set where the engine is real."""

    engine: Engine
    folder: Path
    docker: Docker | None = None

    def plan(self, server_id: str | None = None, **changes: Any) -> Plan:
        server_id = server_id or f"contract-{secrets.token_hex(4)}"
        folder = self.folder / server_id
        folder.mkdir()
        os.chown(folder, UID, UID)
        specification = Specification(
            image=OPENARENA.image,
            startup=OPENARENA.startup,
            environment={"MODE": "test", "EMPTY": ""},
            limits=Limits(memory=OPENARENA.memory_bytes, cpu=50),
            ports=(Port(internal=OPENARENA.port, external=free_port(), protocol="udp"),),
        )
        return Plan(server_id, NODE, specification.model_copy(update=changes), folder, UID, UID)

    async def created(self, **changes: Any) -> Plan:
        plan = self.plan(**changes)
        await self.engine.ensure_image(plan.specification.image)
        await self.engine.create(plan)
        return plan

    async def running(self, **changes: Any) -> Plan:
        plan = await self.created(**changes)
        await self.engine.start(plan.server_id)
        return plan

    async def pause(self, plan: Plan) -> None:
        """By hand."""
        if isinstance(self.engine, FakeEngine):
            self.engine.pause(plan.server_id)
        elif self.docker is not None:
            self.docker.run("pause", (await self.look(plan)).id)

    def image(self) -> str:
        """A new one of a name that no other has, and of a registry that nobody runs."""
        name = f"127.0.0.1:9/contract-{secrets.token_hex(4)}:1"
        if isinstance(self.engine, FakeEngine):
            self.engine.images.add(name)
        elif self.docker is not None:
            self.docker.run("import", str(archive(self.folder, secrets.token_bytes(64))), name)
        return name

    async def listed(self, name: str) -> Image:
        (found,) = [each for each in await self.engine.list_images() if name in each.names]
        return found

    async def look(self, plan: Plan) -> Container:
        found = await self.engine.inspect(plan.server_id)
        assert found is not None
        return found

    async def has_exited(self, plan: Plan) -> Container:
        async def exited() -> Container | None:
            found = await self.look(plan)
            return found if found.state is ContainerState.EXITED else None

        found = await until(exited)
        assert found is not None
        return found


class Reading:
    """All that comes from a console."""

    def __init__(self, attachment: Attachment) -> None:
        self.data: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self.attachment = attachment
        self.task = asyncio.create_task(self._read())

    def has(self, text: str) -> bool:
        return any(text.encode() in data for data in self.data.values())

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.attachment.close()

    async def _read(self) -> None:
        while (chunk := await self.attachment.read()) is not None:
            self.data[chunk.stream] += chunk.data


async def fault_of(work: Any) -> Fault:
    with pytest.raises(Fault) as raised:
        await work
    assert raised.value.message
    return raised.value


async def code_of(work: Any) -> ErrorCode:
    return (await fault_of(work)).code


@asynccontextmanager
async def changes_of(bench: Bench) -> AsyncIterator[list[Change]]:
    """What the engine tells of from here on, as it comes."""
    seen: list[Change] = []
    subscribed = asyncio.Event()

    async def watch() -> None:
        async with aclosing(bench.engine.changes()) as changes:  # type: ignore[type-var]  # it is a generator
            async for change in changes:
                seen.append(change)
                subscribed.set()

    watching = asyncio.create_task(watch())
    await subscribed.wait()
    try:
        yield seen
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def ready(bench: Bench, plan: Plan) -> None:
    """Waits until the game answers on its console: a signal before that ends it otherwise."""
    reading = Reading(await bench.engine.attach(plan.server_id))
    try:
        await reading.attachment.write(b"status\n")
        await until(lambda: reading.has("oa_dm1"))
    finally:
        await reading.close()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port
