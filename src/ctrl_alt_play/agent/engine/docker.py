"""Docker behind the seam, by its HTTP API."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import structlog
from aiodocker import Docker
from aiodocker.containers import DockerContainer

from ctrl_alt_play.agent.engine import images
from ctrl_alt_play.agent.engine.attachment import DockerAttachment
from ctrl_alt_play.agent.engine.base import (
    LOG_BYTES,
    Attachment,
    Change,
    Chunk,
    Container,
    EngineInfo,
    EngineSetup,
    Image,
    LoginFor,
    OnPull,
    OnPulled,
    Plan,
    Sample,
    installer_of,
)
from ctrl_alt_play.agent.engine.calls import none_for, translated
from ctrl_alt_play.agent.engine.container import (
    LABEL_MANAGED,
    LABEL_SERVER,
    LABEL_SPECIFICATION,
    NETWORK,
    command,
    container_body,
    container_name,
)
from ctrl_alt_play.agent.engine.documents import change_of, container_of, setup_of, subnet_of
from ctrl_alt_play.agent.engine.faults import unavailable
from ctrl_alt_play.agent.engine.installer import identity, installer_body, script_archive
from ctrl_alt_play.agent.engine.ports import conflict, wanted_ports
from ctrl_alt_play.agent.engine.pull import Pull
from ctrl_alt_play.agent.engine.stats import disk_of, sample_of
from ctrl_alt_play.agent.engine.streams import frames, lines, raw
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Launch

DEFAULT_HOST = "unix:///var/run/docker.sock"
INFO_TIMEOUT_S = 2.0
PULL_TIMEOUT_S = 1800.0
EVENTS_TIMEOUT_S = 5.0
LOG_PAUSE_S = 10.0
DISK_TIMEOUT_S = 300.0
LOOKS_AT_ONCE = 16
log = structlog.get_logger(__name__)
_WATCHED = ["create", "start", "pause", "unpause", "die", "destroy", "oom"]


async def _told(container: DockerContainer) -> Any:
    """What Docker says of it, for who asks and nobody else."""
    fields = await container.show()
    _forget(container)
    return fields


def _forget(container: DockerContainer) -> None:
    """aiodocker keeps with a container all that it heard of it, 20 KiB: for as long as its console is attached, or the collector lets it be."""
    container._container = {}  # noqa: SLF001 - it has no other way


class DockerEngine:
    """One Docker Engine, found by `DOCKER_HOST` or at its usual socket. It need not run yet."""

    def __init__(
        self, host: str | None = None, login_for: LoginFor | None = None, on_pulled: OnPulled | None = None
    ) -> None:
        self._login_for = login_for
        self._on_pulled = on_pulled
        self._host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._client: Docker | None = None
        self._ids: dict[str, str] = {}
        """Of the servers' containers, as they were found last."""
        self._has_network = False

    def _connect(self) -> Docker:
        """aiodocker's own pool of 100 connections would fill up with consoles and hang everything, so ours has no bound."""
        path = self._host.removeprefix("unix://")
        if path == self._host:
            return Docker(url=self._host)
        return Docker(
            url="http://localhost", session=aiohttp.ClientSession(connector=aiohttp.UnixConnector(path, limit=0))
        )

    @property
    def _docker(self) -> Docker:
        if self._client is None:
            self._client = self._connect()
        return self._client

    async def _container(self, server_id: str) -> DockerContainer:
        """A server's container, once found by its label, for people rename containers. What was found may be gone: an `inspect` looks anew."""
        if server_id not in self._ids:
            self._ids[server_id] = await self._find(server_id)
        return self._docker.containers.container(self._ids[server_id])

    async def _find(self, server_id: str) -> str:
        """The id of its container; should there be several, the one of the usual name is it."""
        label, name = identity(server_id)
        filters = {"label": [f"{LABEL_MANAGED}=true", label]}
        found = await self._docker.containers.list(all=True, filters=json.dumps(filters))
        if not found:
            raise Fault(ErrorCode.CONTAINER_NOT_FOUND, f"Docker has no container of server {server_id} on this node.")
        return next((each for each in found if f"/{name}" in (each["Names"] or ())), found[0]).id

    async def info(self) -> EngineInfo:
        async with translated(INFO_TIMEOUT_S):
            version = await self._docker.version()
            networks = await self._docker.networks.list()
        return EngineInfo(version["Version"], {n["Name"]: subnet for n in networks if (subnet := subnet_of(n))})

    async def setup(self) -> EngineSetup:
        async with translated(INFO_TIMEOUT_S):
            return setup_of(await self._docker.system.info())

    async def ensure_image(self, image: str, on_progress: OnPull | None = None) -> None:
        if await self.image_id(image) is not None:
            return
        try:
            await self.pull_image(image, on_progress)
        except Fault as fault:
            if fault.code is ErrorCode.DOCKER_UNAVAILABLE or await self.image_id(image) is None:
                raise
            log.warning("local_image_used", image=image, reason=fault.message)
            if on_progress is not None:
                on_progress("image", None, f"{fault.message} It has come to this node meanwhile, and is used.")

    async def pull_image(self, image: str, on_progress: OnPull | None = None) -> str:
        login = self._login_for(image) if self._login_for is not None else None
        try:
            async with translated(PULL_TIMEOUT_S):
                await images.pull(self._docker, image, Pull(on_progress), login)
        except Fault as fault:
            raise images.not_pulled(image, fault, has_login=login is not None) from fault
        id_ = await self.image_id(image)
        if id_ is None:
            raise unavailable("the pull broke off")
        if self._on_pulled is not None:
            await self._on_pulled(id_)
        return id_

    async def list_images(self) -> "list[Image]":
        async with translated():
            return await images.listed(self._docker)

    async def image_bytes(self) -> int:
        async with translated():
            return int((await self._usage("image"))["LayersSize"] or 0)

    async def remove_image(self, image: Image) -> None:
        *names, _ = image.names or ("",)
        for reference in (*names, image.id):
            with none_for(ErrorCode.IMAGE_NOT_FOUND):
                async with translated():
                    await self._docker.images.delete(reference)

    async def image_id(self, image: str) -> str | None:
        with none_for(ErrorCode.IMAGE_NOT_FOUND):
            async with translated():
                found = await self._docker.images.inspect(image)
            return str(found["Id"])
        return None

    async def create(self, plan: Plan) -> None:
        await self._ensure_network()
        body = container_body(plan)
        if plan.specification.launch is Launch.IMAGE and not await self._has_program(plan.specification.image):
            body["Cmd"] = command(plan)
        if await self._is_made(plan.server_id, body["Labels"]):
            return
        try:
            async with translated():
                made = await self._docker.containers.create(body, name=container_name(plan.server_id))
            self._ids[plan.server_id] = made.id
        except Fault as fault:
            if fault.code is not ErrorCode.SERVER_EXISTS or not await self._is_made(plan.server_id, body["Labels"]):
                raise

    async def create_installer(self, plan: Plan) -> None:
        installer = plan.specification.installer
        if installer is None:
            raise Fault(ErrorCode.INTERNAL, f"Server {plan.server_id} has no installer.")
        await self._ensure_network()
        called = installer_of(plan.server_id)
        async with translated():
            made = await self._docker.containers.create(installer_body(plan, installer), name=identity(called)[1])
            await made.put_archive("/", script_archive(installer))  # type: ignore[no-untyped-call]  # as aiodocker has it
        self._ids[called] = made.id

    async def _has_program(self, image: str) -> bool:
        """Whether containers of the image know by themselves what to run."""
        async with translated():
            config = (await self._docker.images.inspect(image))["Config"]
        return bool(config.get("Entrypoint") or config.get("Cmd"))

    async def _is_made(self, server_id: str, labels: dict[str, str]) -> bool:
        """Whether the container was made by us from a plan that makes the very same: its labels hold a fingerprint of it.

        Raises:
            Fault: `SERVER_EXISTS`, when there is another one of this server.
        """
        wanted = {name: value for name, value in labels.items() if name != LABEL_SPECIFICATION}
        with none_for(ErrorCode.CONTAINER_NOT_FOUND):
            async with translated(10):
                found = await _told(await self._container(server_id))
            if wanted.items() <= found["Config"]["Labels"].items():
                return True
            name = found["Name"].removeprefix("/")
            raise Fault(ErrorCode.SERVER_EXISTS, f"Server {server_id} has another container already: {name}.")
        return False

    async def _ensure_network(self) -> None:
        """One bridge for all servers, on which they cannot reach each other."""
        if self._has_network:
            return
        options = {"com.docker.network.bridge.enable_icc": "false"}
        body = {
            "Name": NETWORK,
            "Driver": "bridge",
            "CheckDuplicate": True,
            "Options": options,
            "Labels": {LABEL_MANAGED: "true"},
        }
        try:
            async with translated():
                await self._docker.networks.create(body)
        except Fault as fault:
            if "already exists" not in fault.message:
                raise
        self._has_network = True

    async def start(self, server_id: str) -> None:
        async with translated():
            container = await self._container(server_id)
        try:
            async with translated():
                await container.start()
        except Fault as fault:
            if fault.code is ErrorCode.PORT_CONFLICT:
                raise await self._port_conflict(container, fault.message) from fault
            if "network" not in fault.message or "not found" not in fault.message:
                raise
            await self._join_network_anew(container)
            async with translated():
                await container.start()

    async def _port_conflict(self, container: DockerContainer, message: str) -> Fault:
        async with translated(10):
            wanted = wanted_ports((await _told(container))["HostConfig"])
            return conflict(wanted, await self._docker.containers.list(), message)

    async def _join_network_anew(self, container: DockerContainer) -> None:
        """A network without running containers is lost to `docker network prune`, and containers remember it by its id."""
        self._has_network = False
        await self._ensure_network()
        async with translated():
            network = await self._docker.networks.get(NETWORK)
            await network.disconnect({"Container": container.id, "Force": True})
            await network.connect({"Container": container.id})

    async def unpause(self, server_id: str) -> None:
        try:
            async with translated(10):
                await (await self._container(server_id)).unpause()
        except Fault as fault:
            if "is not paused" not in fault.message:
                raise

    async def signal(self, server_id: str, signal: str) -> None:
        try:
            async with translated(10):
                await (await self._container(server_id)).kill(signal=signal)
        except Fault as fault:
            if "is not running" not in fault.message:
                raise

    async def remove(self, server_id: str) -> None:
        with none_for(ErrorCode.CONTAINER_NOT_FOUND):
            async with translated():
                await (await self._container(server_id)).delete(force=True, v=True)
        self._ids.pop(server_id, None)

    async def inspect(self, server_id: str) -> Container | None:
        with none_for(ErrorCode.CONTAINER_NOT_FOUND):
            async with translated(10):
                return container_of(await _told(await self._container(server_id)), NETWORK)
        has_gone = self._ids.pop(server_id, None) is not None
        return await self.inspect(server_id) if has_gone else None

    async def list(self) -> list[Container]:
        filters = {"label": [f"{LABEL_MANAGED}=true", LABEL_SERVER]}
        async with translated(10):
            found = await self._docker.containers.list(all=True, filters=json.dumps(filters))
        gate = asyncio.Semaphore(LOOKS_AT_ONCE)
        looks = await asyncio.gather(*(self._look(each, gate) for each in found), return_exceptions=True)
        for look in looks:
            if isinstance(look, BaseException):
                raise look
        return [look for look in looks if isinstance(look, Container)]

    async def _look(self, container: DockerContainer, gate: asyncio.Semaphore) -> Container | None:
        with none_for(ErrorCode.CONTAINER_NOT_FOUND):
            async with gate, translated(10):
                return container_of(await _told(container), NETWORK)
        return None

    async def changes(self) -> AsyncIterator[Change]:
        """Our own request, for aiodocker's event channel neither ends with the engine nor comes back."""
        filters = json.dumps({"type": ["container"], "label": [f"{LABEL_MANAGED}=true"], "event": _WATCHED})
        async with translated(None):
            endless = aiohttp.ClientTimeout(total=None, sock_connect=5)
            query = self._docker._do_query("events", "GET", params={"filters": filters}, timeout=endless)  # noqa: SLF001 - see above
            async with asyncio.timeout(EVENTS_TIMEOUT_S):
                opened = await query
            async with opened as response:
                yield Change("", "subscribed")
                async for line in lines(response.content):
                    if change := change_of(line):
                        yield change
        raise unavailable("the event stream ended")

    async def attach(self, server_id: str) -> Attachment:
        async with translated(10):
            container = await self._container(server_id)
            stream = container.attach(stdin=True, stdout=True, stderr=True)
            await stream.__aenter__()
            _forget(container)
        return DockerAttachment(stream)

    async def logs(
        self, server_id: str, *, since_s: float | None = None, tail: int | None = None
    ) -> AsyncIterator[Chunk]:
        params = {"stdout": "true", "stderr": "true", "tail": "all" if tail is None else str(tail)}
        if since_s is not None:
            params["since"] = f"{since_s:.6f}"
        left = LOG_BYTES
        async with translated(10):
            container = await self._container(server_id)
            path = f"containers/{container.id}/logs"
            has_terminal = (await _told(container))["Config"]["Tty"]
        async with translated(None):
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=LOG_PAUSE_S)
            query = self._docker._do_query(path, "GET", params=params, timeout=timeout)  # noqa: SLF001 - aiodocker mixes the streams
            async with await query as response:
                async for chunk in raw(response.content) if has_terminal else frames(response.content):
                    yield chunk
                    left -= len(chunk.data)
                    if left <= 0:
                        return

    async def sample(self, server_id: str) -> Sample | None:
        with none_for(ErrorCode.CONTAINER_NOT_FOUND):
            async with translated(5):
                path = f"containers/{(await self._container(server_id)).id}/stats"
                params = {"stream": "false", "one-shot": "true"}
                query = self._docker._do_query(path, "GET", params=params)  # noqa: SLF001 - aiodocker cannot ask for one shot
                async with await query as response:
                    return sample_of(await response.json())
        return None

    async def written_bytes(self, server_id: str) -> int | None:
        with none_for(ErrorCode.CONTAINER_NOT_FOUND):
            async with translated():
                fields = await (await self._container(server_id)).show(size="true")
            return int(fields.get("SizeRw") or 0)
        return None

    async def disk_bytes(self) -> int:
        async with translated(DISK_TIMEOUT_S):
            return disk_of(await self._usage())

    async def _usage(self, *kinds: str) -> dict[str, Any]:
        timeout, params = aiohttp.ClientTimeout(total=DISK_TIMEOUT_S), {"type": list(kinds)}
        query = self._docker._do_query("system/df", "GET", params=params, timeout=timeout)  # noqa: SLF001 - aiodocker does not know it
        async with await query as response:
            return dict(await response.json())

    async def close(self) -> None:
        if self._client is not None:
            await self._client.session.close()
            await self._client.close()
