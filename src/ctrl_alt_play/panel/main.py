"""The panel's only wiring: what there is, what each is given, in which order it starts and ends."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvloop
from fastapi import Depends, FastAPI

from ctrl_alt_play import __version__, logs
from ctrl_alt_play.clock import Clock, SystemClock
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel import api, requests
from ctrl_alt_play.panel.accounts import api as accounts_api
from ctrl_alt_play.panel.accounts.service import Accounts
from ctrl_alt_play.panel.accounts.setup import Setup
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.consoles import api as consoles_api
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.panel.events import api as events_api
from ctrl_alt_play.panel.figures import api as figures_api
from ctrl_alt_play.panel.figures.keeper import Keeper
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.figures.source import Source
from ctrl_alt_play.panel.gateway import api as gateway_api
from ctrl_alt_play.panel.gateway.door import Door
from ctrl_alt_play.panel.gateway.refusals import Refusals
from ctrl_alt_play.panel.home import api as home_api
from ctrl_alt_play.panel.images import api as images_api
from ctrl_alt_play.panel.images.service import Images
from ctrl_alt_play.panel.intake.catching_up import CatchingUp
from ctrl_alt_play.panel.intake.recorder import Recorder
from ctrl_alt_play.panel.live import api as live_api
from ctrl_alt_play.panel.live.hub import Hub
from ctrl_alt_play.panel.live.views import Views
from ctrl_alt_play.panel.metrics import api as metrics_api
from ctrl_alt_play.panel.metrics import http as metrics_http
from ctrl_alt_play.panel.metrics.counted import Counted
from ctrl_alt_play.panel.metrics.database import TimedDatabase
from ctrl_alt_play.panel.metrics.gateway import CountingGateway, CountingSink
from ctrl_alt_play.panel.metrics.known import Known
from ctrl_alt_play.panel.metrics.service import Endings
from ctrl_alt_play.panel.migrations import migrate
from ctrl_alt_play.panel.nodes import api as nodes_api
from ctrl_alt_play.panel.nodes import service as nodes_service
from ctrl_alt_play.panel.nodes.enrolment import Enrolments
from ctrl_alt_play.panel.nodes.pulls import Pulls
from ctrl_alt_play.panel.nodes.service import Nodes
from ctrl_alt_play.panel.noted import Noted
from ctrl_alt_play.panel.operations import api as operations_api
from ctrl_alt_play.panel.operations import service as operations_service
from ctrl_alt_play.panel.operations import views as operation_views
from ctrl_alt_play.panel.operations.progress import Progress
from ctrl_alt_play.panel.operations.sweeper import sweep_for_ever
from ctrl_alt_play.panel.operations.watched import Watched
from ctrl_alt_play.panel.page import api as page_api
from ctrl_alt_play.panel.placement import api as placement_api
from ctrl_alt_play.panel.placement.ranges import Ranges
from ctrl_alt_play.panel.registries import api as registries_api
from ctrl_alt_play.panel.registries.service import Registries
from ctrl_alt_play.panel.sealing import Seal
from ctrl_alt_play.panel.security import Passwords, Tokens
from ctrl_alt_play.panel.servers import api as servers_api
from ctrl_alt_play.panel.servers import template_api
from ctrl_alt_play.panel.servers.dispatch import Dispatch
from ctrl_alt_play.panel.servers.maintenance import open_node
from ctrl_alt_play.panel.servers.orders import Orders
from ctrl_alt_play.panel.servers.revisions import Revisions
from ctrl_alt_play.panel.servers.turns import Turns
from ctrl_alt_play.panel.servers.views import Present
from ctrl_alt_play.panel.serving import Server, listen, signals_once, uvicorn_config
from ctrl_alt_play.panel.sessions import Sessions
from ctrl_alt_play.panel.templates import api as templates_api
from ctrl_alt_play.panel.templates.fetching import Fetcher
from ctrl_alt_play.panel.templates.keeping import Templates
from ctrl_alt_play.settings import LiveSettings
from ctrl_alt_play.supervision import Supervisor

TICKS_BETWEEN_TELLING = 2
TICKS_BETWEEN_SEEING = 5
TICKS_BETWEEN_KEEPING = 5
COLLECT_AFTER = (10_000, 20, 20)
"""New objects before the collector looks at them, and how often before it looks at older ones: most of ours end without it."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def create_app(config: Config, clock: Clock | None = None, tick_s: float = 1.0) -> FastAPI:
    """The panel as an ASGI application. Its database must be up to date: `migrate(config)` before it is served.

    `tick_s` is how often deadlines of operations and the silence of agents are looked at.
    """
    clock = clock or SystemClock()
    app = FastAPI(
        title="Ctrl-Alt-Play",
        version=__version__,
        lifespan=_lifespan,
        dependencies=[Depends(requests.refuse_unknown), Depends(requests.refuse_unkept)],
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    _wire(app, config, clock, tick_s)
    api.install(app)
    app.add_middleware(metrics_http.CountRequests, counted=app.state.counted)
    home_api.mount_assets(app)
    for router in (
        servers_api.router,  # looked through first: most of what is asked is theirs
        template_api.router,
        consoles_api.router,
        home_api.router,
        accounts_api.setup,
        accounts_api.auth,
        accounts_api.users,
        nodes_api.router,
        nodes_api.machines,
        placement_api.router,
        images_api.router,
        registries_api.router,
        servers_api.elsewhere,
        templates_api.router,
        events_api.router,
        figures_api.router,
        metrics_api.router,
        operations_api.router,
        live_api.router,
        gateway_api.router,
        page_api.router,
    ):
        app.include_router(router)
    return app


def _wire(app: FastAPI, config: Config, clock: Clock, tick_s: float) -> None:
    state = app.state
    state.clock, state.tick_s = clock, tick_s
    state.config, state.counted = config, Counted()
    state.database = TimedDatabase(state.counted, config.database)
    signing_key = config.signing_key()
    state.tokens = Tokens(signing_key, clock)
    state.sessions = Sessions(state.database, clock)
    passwords = Passwords()
    state.accounts = Accounts(state.database, passwords, state.tokens, state.sessions, clock)
    state.setup = Setup(state.database, passwords, clock)
    state.gateway = CountingGateway(state.counted, clock, tick_s)
    refusals = Refusals(clock)
    state.door = Door(state.database, clock, config.shared_secret, refusals)
    state.consoles = Consoles(state.gateway, clock)
    state.progress = Progress()
    forget = (state.consoles.forget_node, state.progress.forget_node)
    state.meters = Meters(clock)
    pulls = Pulls()
    state.nodes = Nodes(
        state.database, state.gateway, refusals, state.meters.newest_of_node, pulls, clock, open_node, forget
    )
    state.images = Images(state.database, state.gateway)
    state.registries = Registries(state.database, state.gateway, Seal(signing_key), clock)
    state.ranges = Ranges(state.database)
    state.enrolments = Enrolments(state.database, state.gateway, clock)
    state.templates = Templates(state.database, Fetcher(config.fetch_networks), clock)
    state.present = Present(state.gateway.last_heard_at, state.meters.newest)
    shown = Views(state.nodes, operation_views.Views(state.database, state.progress), state.present)
    state.live = Hub(state.database, shown, state.consoles, clock)
    _wire_figures(app, clock)
    state.database.listen(state.live.notice)
    for of_nodes in (refusals, pulls):
        of_nodes.report_to(lambda node_id: state.live.notice({nodes_service.touched(node_id)}))
    state.progress.report_to(state.live.progressed)
    state.seen = Noted(state.database, nodes_service.mark_seen, "seen_nodes_not_written")
    watched = Watched()
    turns = Turns()
    dispatch = Dispatch(state.database, state.gateway, watched, turns, clock)
    state.orders = Orders(state.database, state.gateway, dispatch, watched, clock)
    state.revisions = Revisions(state.database, state.gateway, turns, clock)
    catching_up = CatchingUp(state.database, state.gateway, watched, turns, state.revisions, clock)
    recorder = Recorder(
        state.database,
        state.gateway,
        catching_up,
        watched,
        turns,
        state.progress,
        pulls,
        state.registries,
        state.seen,
        state.consoles,
        state.meters,
        clock,
    )
    state.gateway.report_to(CountingSink(recorder, state.counted))
    _wire_metrics(app, clock)


def _wire_figures(app: FastAPI, clock: Clock) -> None:
    state = app.state
    state.keeper = Keeper(state.database, state.meters, clock)
    state.source = Source(state.meters, state.gateway, clock)
    state.meters.report_to(state.live.take_figures_from(state.source))


def _wire_metrics(app: FastAPI, clock: Clock) -> None:
    state = app.state
    gauges = {
        "nodes_online": ("Nodes that are connected.", lambda: state.gateway.connected_nodes),
        "live_viewers": ("Connections of the live channel.", lambda: state.live.viewers),
        "waiting_facts": ("What nodes said and is still to be taken in.", lambda: state.gateway.waiting_facts),
        "waiting_figures": ("Rows of figures that are still to be written.", lambda: state.keeper.waiting),
    }
    state.known = Known(state.meters, gauges, lambda: clock.utc().timestamp())
    state.counted.registry.register(state.known)
    state.endings = Endings(state.counted, clock.utc())


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    try:
        async with state.database.writing() as session:
            now = state.clock.utc()
            await nodes_service.mark_all_away(session, now)
            await operations_service.take_over(session, now)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work, name=name) for name, work in _work(app).items()]
            yield
            await state.gateway.close()
            await end_streams(app)
            await state.source.close()
            for task in reversed(tasks):
                task.cancel()
        await state.keeper.end()
    finally:
        await state.database.close()


def _work(app: FastAPI) -> dict[str, Coroutine[Any, Any, None]]:
    """What goes on for as long as the panel does, by its names."""
    state, tick_s = app.state, app.state.tick_s
    return {
        "sweeper": sweep_for_ever(state.database, state.gateway, state.progress, state.clock, tick_s),
        "tell revisions": state.revisions.tell_for_ever(TICKS_BETWEEN_TELLING * tick_s),
        "tell registries": state.registries.tell_for_ever(),
        "write down seen nodes": state.seen.write_for_ever(TICKS_BETWEEN_SEEING * tick_s),
        "write down seen sessions": state.sessions.seen.write_for_ever(TICKS_BETWEEN_SEEING * tick_s),
        "keep figures": state.keeper.keep_for_ever(TICKS_BETWEEN_KEEPING * tick_s),
        "tell viewers": state.live.tell_for_ever(),
        "judge viewers": state.live.judge_for_ever(),
    }


async def end_streams(app: FastAPI) -> None:
    """What would go on for ever."""
    await app.state.live.close()
    app.state.consoles.close()


async def serve(config: Config) -> None:
    """Serves until a signal ends it. Raises: StartupError."""
    supervisor, live = Supervisor.of_environment(), LiveSettings(config)
    live.reload_on_hangup(supervisor)
    sockets = listen(config)
    ports = [bound.getsockname()[1] for bound in sockets]
    try:
        await migrate(config)
        app = create_app(config)
        await _tell_of_setup(app, config, ports[0])
        live.tell({"agent_secret"}, lambda new: _share(app, new))
        server = Server(uvicorn_config(app), app.state.gateway, lambda: end_streams(app), supervisor)
        log.info("panel_starting", version=__version__, ports=ports)
        _keep_for_good()
        informing = asyncio.create_task(supervisor.keep_informed(lambda: _status(app, ports)), name="supervisor")
        await server.serve(sockets=sockets)
        informing.cancel()
    finally:
        for bound in sockets:
            bound.close()
    log.info("panel_ended")


def _keep_for_good() -> None:
    """What is there now stays to the end. Python's collector would walk over it again and again, and nothing else goes on meanwhile."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def _tell_of_setup(app: FastAPI, config: Config, port: int) -> None:
    """Whoever starts a panel that has no users, and no log: the code is a secret."""
    if await app.state.setup.is_needed():
        link = f"{config.people_url(port)}/setup#{app.state.setup.code}"
        sys.stdout.write(f"Nobody has an account here yet. Make the first one at {link}\n")
        sys.stdout.flush()


def _share(app: FastAPI, config: Config) -> None:
    """Whoever came with the shared secret of before has to come again."""
    app.state.door.share(config.shared_secret)
    app.state.gateway.disconnect_sharing("the shared secret was changed")


def _status(app: FastAPI, ports: list[int]) -> str:
    nodes = app.state.gateway.connected_nodes
    return f"ports {', '.join(map(str, ports))}, {nodes} node{'' if nodes == 1 else 's'} connected"


def run(config: Config) -> None:
    """Runs the panel to its end. What keeps it from starting is said in one sentence, with exit code 1."""
    try:
        with signals_once(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config))
    except StartupError as error:
        logs.tell_why("panel", error)
        raise SystemExit(1) from None
