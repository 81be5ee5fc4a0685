"""What this machine is, measured."""

import asyncio
import platform

import psutil

from ctrl_alt_play import __version__
from ctrl_alt_play.agent.engine.base import EngineInfo
from ctrl_alt_play.agent.figures.host import disk_of
from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.protocol.contents import SystemInfo
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.messages import OLDEST_VERSION, VERSION
from ctrl_alt_play.protocol.part2 import ProtocolRange

CAPABILITIES = ["docker", "monitoring", "console", "files"]
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


async def system_info(node: Node) -> SystemInfo:
    """The machine's memory, cores, disk and Docker. An engine that does not answer has no version, and the capability `docker` is left out."""
    try:
        info: EngineInfo | None = await node.engine.info()
    except Fault:
        info = None
    cores = psutil.cpu_count() or 1
    disk = await asyncio.to_thread(disk_of, node.folder)
    return SystemInfo(
        node_id=node.id,
        os=platform.system().lower(),
        arch=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        memory=psutil.virtual_memory().total,
        cpu=f"{cores} cores" if cores != 1 else "1 core",
        docker_version=info.version if info else "",
        capabilities=CAPABILITIES if info else [c for c in CAPABILITIES if c != "docker"],
        networks=info.networks if info else {},
        agent_version=__version__,
        protocol=ProtocolRange(version=VERSION, minimum=OLDEST_VERSION),
        boot_id=node.boot_id or None,
        spool_id=node.journal.spool_id,
        clock=node.clock.utc(),
        queries=sorted(QUERIES),
        cores=cores,
        disk=disk.total if disk else None,
        disk_path=disk.path if disk else None,
    )
