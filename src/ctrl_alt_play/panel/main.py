"""The panel's only wiring: what there is, what each is given, in which order it starts and ends."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
import uvloop
from fastapi import FastAPI

from ctrl_alt_play import __version__
from ctrl_alt_play.clock import Clock, SystemClock
from ctrl_alt_play.panel import api
from ctrl_alt_play.panel.accounts import api as accounts_api
from ctrl_alt_play.panel.accounts.service import Accounts
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import StartupError
from ctrl_alt_play.panel.gateway import api as gateway_api
from ctrl_alt_play.panel.gateway.door import Door
from ctrl_alt_play.panel.gateway.local import LocalGateway
from ctrl_alt_play.panel.home import api as home_api
from ctrl_alt_play.panel.migrations import migrate
from ctrl_alt_play.panel.nodes import api as nodes_api
from ctrl_alt_play.panel.nodes import service as nodes_service
from ctrl_alt_play.panel.nodes.service import Nodes
from ctrl_alt_play.panel.operations import api as operations_api
from ctrl_alt_play.panel.operations import service as operations_service
from ctrl_alt_play.panel.operations.sweeper import sweep_for_ever
from ctrl_alt_play.panel.security import Passwords, Tokens
from ctrl_alt_play.panel.servers import api as servers_api
from ctrl_alt_play.panel.servers.console import Consoles
from ctrl_alt_play.panel.servers.orders import Orders
from ctrl_alt_play.panel.servers.recorder import Recorder
from ctrl_alt_play.panel.serving import Server, listen, signals_once, uvicorn_config

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
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    _wire(app, config, clock, tick_s)
    api.install(app)
    home_api.mount_assets(app)
    for router in (
        home_api.router,
        accounts_api.auth,
        accounts_api.users,
        nodes_api.router,
        servers_api.router,
        operations_api.router,
        gateway_api.router,
    ):
        app.include_router(router)
    return app


def _wire(app: FastAPI, config: Config, clock: Clock, tick_s: float) -> None:
    state = app.state
    state.clock, state.tick_s = clock, tick_s
    state.database = Database(config.database)
    state.tokens = Tokens(config.signing_key(), clock)
    state.accounts = Accounts(state.database, Passwords(), state.tokens, clock)
    state.gateway = LocalGateway(clock, tick_s)
    shared = config.agent_secret.get_secret_value() if config.agent_secret else None
    state.door = Door(state.database, clock, shared)
    state.nodes = Nodes(state.database, state.gateway, clock)
    state.consoles = Consoles()
    state.orders = Orders(state.database, state.gateway, clock)
    state.gateway.report_to(Recorder(state.database, state.gateway, state.consoles, clock))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    try:
        async with state.database.writing() as session:
            now = state.clock.utc()
            await nodes_service.mark_all_away(session, now)
            await operations_service.take_over(session, now)
        async with asyncio.TaskGroup() as group:
            sweeper = group.create_task(sweep_for_ever(state.database, state.clock, state.tick_s), name="sweeper")
            yield
            await state.gateway.close()
            sweeper.cancel()
    finally:
        await state.database.close()


async def serve(config: Config) -> None:
    """Serves until a signal ends it. Raises: StartupError."""
    sockets = listen(config)
    try:
        await migrate(config)
        app = create_app(config)
        server = Server(uvicorn_config(app), app.state.gateway)
        log.info("panel_starting", version=__version__, ports=[bound.getsockname()[1] for bound in sockets])
        await server.serve(sockets=sockets)
    finally:
        for bound in sockets:
            bound.close()
    log.info("panel_ended")


def run(config: Config) -> None:
    """Runs the panel to its end. What keeps it from starting is said in one sentence, with exit code 1."""
    try:
        with signals_once(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config))
    except StartupError as error:
        _exit(error)


def _exit(error: StartupError) -> NoReturn:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(1)
