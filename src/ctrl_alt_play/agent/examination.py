"""Looks at the agent's own machine. Each look has a deadline, and none of them changes anything."""

import asyncio
import os
import ssl
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from yarl import URL

from ctrl_alt_play import doctor
from ctrl_alt_play.agent import checks
from ctrl_alt_play.agent.checks import AgentSeen, EngineSeen, FolderSeen, PanelSeen
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.engine.base import Engine
from ctrl_alt_play.agent.engine.docker import DEFAULT_HOST, DockerEngine
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.protocol.doctor import Finding
from ctrl_alt_play.protocol.errors import Fault

LOOK_TIMEOUT_S = 5.0
TICK_S = 0.5
"""A Date header tells whole seconds: on average it is half of one late."""


async def of_node(node: Node) -> list[Finding]:
    """What an agent that runs, and is connected, can say of its node."""
    journal = node.journal
    return [
        *checks.engine(await _engine(node.engine, "")),
        *await asyncio.to_thread(_machine, node.folder),
        checks.journal(is_lost=journal.is_lost, is_stuck=journal.is_stuck),
    ]


async def of_machine(config: AgentConfig) -> list[Finding]:
    """What can be said of a machine from outside of its agent, which may run or not."""
    engine = DockerEngine(config.docker_host)
    try:
        seen = await _engine(engine, config.docker_host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST)
    finally:
        await engine.close()
    timeout = aiohttp.ClientTimeout(total=LOOK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as client:
        panel, agent = await asyncio.gather(_panel(client, config), _agent(client, config))
    return [
        *checks.panel(panel),
        checks.agent(agent, config.node_id),
        *checks.engine(seen),
        *await asyncio.to_thread(_machine, config.folder),
    ]


async def _engine(engine: Engine, host: str) -> EngineSeen:
    try:
        return EngineSeen(await engine.setup())
    except Fault:
        return EngineSeen(is_forbidden=await asyncio.to_thread(_is_forbidden, host))


def _is_forbidden(host: str) -> bool:
    socket = Path(host.removeprefix("unix://"))
    return host.startswith("unix://") and socket.exists() and not os.access(socket, os.R_OK | os.W_OK)


def _machine(folder: Path) -> list[Finding]:
    memory, found = psutil.virtual_memory(), _folder(folder)
    usage = psutil.disk_usage(str(_nearest(folder)))
    return [
        *checks.folder(found),
        doctor.disks([(str(folder), usage.used, usage.used + usage.free)]),
        doctor.memory(memory.total - memory.available, memory.total),
    ]


def _folder(folder: Path) -> FolderSeen:
    """One that is not there yet is made when the agent starts, if what is above it can be written."""
    is_root = os.geteuid() == 0
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            return FolderSeen(folder, is_root=is_root)
    except OSError as error:
        return FolderSeen(folder, error.strerror or str(error), is_root)


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


async def _panel(client: aiohttp.ClientSession, config: AgentConfig) -> PanelSeen:
    address = http_address(config.url)
    headers = {"Authorization": f"Bearer {config.agent_secret.get_secret_value()}", "X-Node-Id": config.node_id}
    try:
        options = tls_options(config)
        health = await _ask(client, address / "api/health", options=options)
        if health is None or not isinstance(health[0], dict) or "version" not in health[0]:
            return PanelSeen(str(address))
        told = await _ask(client, address / "api/agents/admittance", options=options, headers=headers)
    except aiohttp.ClientConnectorCertificateError as error:
        return PanelSeen(str(address), str(error.certificate_error), is_distrusted=True)
    except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as error:
        return PanelSeen(str(address), str(error) or "no answer in time")
    verdict: dict[str, Any] = told[0] if told is not None and isinstance(told[0], dict) else {}
    return PanelSeen(
        str(address),
        is_panel=True,
        clock_ahead_s=health[1],
        is_admitted=verdict.get("is_admitted"),
        reason=verdict.get("reason") or "",
    )


async def _ask(
    client: aiohttp.ClientSession, url: URL, *, options: dict[str, Any], headers: dict[str, str] | None = None
) -> tuple[Any, float | None] | None:
    """What answers, and by how much our clock is ahead of its; None where the answer is no good one in JSON."""
    began = datetime.now(UTC)
    async with client.get(url, headers=headers, allow_redirects=False, **options) as answer:
        ahead_s = _ahead_s(answer.headers.get("Date"), began + (datetime.now(UTC) - began) / 2)
        try:
            return (await answer.json(), ahead_s) if answer.ok else None
        except (ValueError, aiohttp.ContentTypeError):
            return None


def _ahead_s(told: str | None, ours: datetime) -> float | None:
    if told is None:
        return None
    with suppress(ValueError, TypeError):
        return (ours - parsedate_to_datetime(told)).total_seconds() - TICK_S
    return None


async def _agent(client: aiohttp.ClientSession, config: AgentConfig) -> AgentSeen:
    """Whatever has the port; where nothing has, the agent could have it."""
    port = config.health_port
    try:
        async with client.get(URL.build(scheme="http", host=config.health_host, port=port, path="/health")) as answer:
            told = await answer.json()
            return AgentSeen(port, told["nodeId"], is_connected=bool(told["connected"]))
    except aiohttp.ClientConnectorError:
        return AgentSeen(port)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError):
        return AgentSeen(port, is_taken=True)


def http_address(url: URL) -> URL:
    """Where a panel's API is, by its WebSocket address."""
    return url.with_scheme({"ws": "http", "wss": "https"}.get(url.scheme, url.scheme)).with_path("/")


def tls_options(config: AgentConfig) -> dict[str, Any]:
    """As the agent's own connection is made. Raises: OSError, the file of authorities cannot be read."""
    if config.panel_ca_file is None:
        return {}
    return {"ssl": ssl.create_default_context(cafile=str(config.panel_ca_file))}
