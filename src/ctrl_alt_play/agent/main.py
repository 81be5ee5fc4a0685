"""The agent's wiring: the only place where its parts meet."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from ctrl_alt_play import __version__
from ctrl_alt_play.agent.config import LINK_SETTINGS, AgentConfig
from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.agent.figures.census import Census
from ctrl_alt_play.agent.figures.exposition import Exposition
from ctrl_alt_play.agent.figures.host import Host
from ctrl_alt_play.agent.figures.sampler import Sampler
from ctrl_alt_play.agent.health import Health
from ctrl_alt_play.agent.images import Images
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.link import Link
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.outbox import Outbox
from ctrl_alt_play.agent.pulled import Pulled
from ctrl_alt_play.agent.registries import Registries
from ctrl_alt_play.agent.servers import status, telling
from ctrl_alt_play.agent.servers.fleet import Fleet
from ctrl_alt_play.agent.servers.node import Node, machine_boot_id, machine_timezone
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.settings import LiveSettings
from ctrl_alt_play.supervision import Supervisor

READY_TIMEOUT_S = 5.0
log = structlog.get_logger(__name__)


async def run(config: AgentConfig) -> None:
    """Runs the agent until it is told to end by SIGTERM or SIGINT. Games go on.

    Raises:
        StartupError: it cannot run as configured; the message says why.
    """
    supervisor, live = Supervisor.of_environment(), LiveSettings(config)
    live.reload_on_hangup(supervisor)
    with _own_folder(config.folder):
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        journal = await Journal.open(config.folder / "journal.db")
        registries, pulled = Registries(config.folder / "registries.json"), Pulled(config.folder / "pulled.json")
        engine = DockerEngine(config.docker_host, registries.login_for, pulled.note)
        try:
            await _run_parts(live, supervisor, journal, engine, registries, pulled, stop)
        finally:
            await engine.close()
            await journal.close()
            log.info("agent_ended")


async def _run_parts(
    live: LiveSettings[AgentConfig],
    supervisor: Supervisor,
    journal: Journal,
    engine: DockerEngine,
    registries: Registries,
    pulled: Pulled,
    stop: asyncio.Event,
) -> None:
    config, clock, metrics = live.current, SystemClock(), Metrics()
    consoles = Consoles(config.folder / "consoles", clock, machine_boot_id())
    outbox = Outbox(clock, journal, metrics.dropped_lines.inc, consoles.feed)
    node = _node(config, engine, journal, outbox, consoles)
    fleet = Fleet(node, own_uid=None if node.owns_folders else os.geteuid())
    sampler = sampler_of(node, fleet, outbox)
    metrics.registry.register(Exposition(sampler))
    images = Images(engine, fleet, registries, pulled, clock, outbox.image_pull)
    link = Link(config, node, fleet, images, outbox, metrics, sampler)
    live.tell(LINK_SETTINGS, link.reconfigure)
    live.heed(link.hurry)
    health = Health(config, node, fleet, link.connection, metrics)
    port = await health.start()
    log.info("agent_started", version=__version__, node_id=config.node_id, panel=config.panel_url, health_port=port)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(fleet.run(), name="fleet"),
                tasks.create_task(sampler.run(), name="sampler"),
                tasks.create_task(journal.guard(), name="journal guard"),
                tasks.create_task(_run_when_ready(link, fleet, supervisor), name="link"),
                tasks.create_task(supervisor.keep_informed(lambda: _status(link, fleet)), name="supervisor"),
            ]
            await stop.wait()
            supervisor.stopping()
            for task in reversed(running):
                task.cancel()
    finally:
        await images.close()
        await health.stop()
        await consoles.close()


def _node(config: AgentConfig, engine: DockerEngine, journal: Journal, outbox: Outbox, consoles: Consoles) -> Node:
    return Node(
        *(config.node_id, engine, journal, outbox, SystemClock(), config.folder),
        owns_folders=os.geteuid() == 0,
        consoles=consoles,
        boot_id=machine_boot_id(),
        timezone=machine_timezone(),
    )


def sampler_of(node: Node, fleet: Fleet, outbox: Outbox) -> Sampler:
    """Measures what the fleet runs; figures go to the panel that is connected, joins and leaves into the journal."""
    clock, journal = node.clock, node.journal
    census = Census(clock, lambda changed: journal.put(telling.players(changed, clock.utc())))
    host = Host(node.engine, node.folder, clock)
    return Sampler(lambda: status.running(fleet.servers.values()), host, census, clock, outbox.samples)


async def _run_when_ready(link: Link, fleet: Fleet, supervisor: Supervisor) -> None:
    """The panel is told what is true; but an engine that hangs keeps nobody from it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_TIMEOUT_S):
            await fleet.ready()
    supervisor.ready()
    await link.run()


def _status(link: Link, fleet: Fleet) -> str:
    panel = "connected" if link.connection.is_up else "away"
    engine = "answers" if fleet.is_engine_up else "does not answer"
    servers = len(fleet.servers)
    return f"panel {panel}, engine {engine}, {servers} server{'' if servers == 1 else 's'}"


@contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Holds the folder for this agent alone; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(
            f"The agent's folder {folder} cannot be used: {error.strerror}. Set CTRL_ALT_PLAY_DATA to one of yours."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StartupError(
            f"Another agent uses {folder} already. Stop it first, or set CTRL_ALT_PLAY_DATA to another folder."
        ) from error
    finally:
        os.close(descriptor)
