"""The rules of registries: one login a host, whose password is sealed; every node of part 2 is told all of them, and no other is."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play import logs
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, NotFound
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.models import Node, Registry
from ctrl_alt_play.panel.registries.schemas import NewRegistry, RegistryChange, RegistryView
from ctrl_alt_play.panel.sealing import Seal
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.images import MOST_REGISTRIES, RegistryLogin, RegistryLogins
from ctrl_alt_play.protocol.messages import OLDEST_VERSION

TELL_TIMEOUT_S = 10.0
FIRST_WAIT_S = 2.0
"""For a node that comes: what it has to pull it is asked after this."""
PAUSE_S = 2.0
"""Before a node that did not take them in is told again."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Registries:
    def __init__(self, database: Database, gateway: Gateway, seal: Seal, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._seal = seal
        self._clock = clock
        self._edition = 0
        """Moves on with each change."""
        self._told: dict[str, int] = {}
        """By node that is there, the edition that it keeps."""
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def list(self, session: AsyncSession) -> Sequence[RegistryView]:
        return [self._view(registry) for registry in await _all(session)]

    async def add(self, new: NewRegistry) -> RegistryView:
        """Raises: Conflict, there is one of this host, or there are too many."""
        async with self._database.writing() as session:
            if await session.scalar(select(Registry.id).where(Registry.host == new.host)):
                raise Conflict(f"There is already a login for {new.host}: change that.", "REGISTRY_EXISTS")
            if await session.scalar(select(func.count()).select_from(Registry)) == MOST_REGISTRIES:
                raise Conflict(f"There are {MOST_REGISTRIES} registries already: remove one.", "TOO_MANY_REGISTRIES")
            sealed = self._seal.close(new.password, new.host)
            registry = Registry(
                id=str(uuid4()),
                host=new.host,
                username=new.username,
                sealed_password=sealed,
                created_at=self._clock.utc(),
            )
            session.add(registry)
        return self._tell_of(registry)

    async def change(self, registry_id: str, change: RegistryChange) -> RegistryView:
        """Raises: NotFound."""
        async with self._database.writing() as session:
            registry = await _get(session, registry_id)
            registry.username = change.username if change.username is not None else registry.username
            if change.password is not None:
                registry.sealed_password = self._seal.close(change.password, registry.host)
        return self._tell_of(registry)

    async def remove(self, registry_id: str) -> None:
        """Nodes forget it, too: those that are away when they come back. Raises: NotFound."""
        async with self._database.writing() as session:
            registry = await _get(session, registry_id)
            await session.delete(registry)
        self._tell_of(registry)

    async def came(self, node_id: str) -> None:
        """A node of part 2 is there, and keeps what it was told when it was here last. Returns once it knows better, or that takes too long."""
        self._told.pop(node_id, None)
        if (before := self._telling.get(node_id)) is not None:
            before.cancel()
        await asyncio.wait({self._begin(node_id)}, timeout=FIRST_WAIT_S)

    async def tell_for_ever(self) -> None:
        """Tells nodes of each change. Nobody waits for them, nor they for each other."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for node_id in await self._there():
                    if node_id not in self._telling:
                        self._begin(node_id)
        finally:
            for task in self._telling.values():
                task.cancel()

    async def _there(self) -> Sequence[str]:
        there = select(Node.id).where(Node.online, Node.protocol_version > OLDEST_VERSION)
        async with self._database.reading() as session:
            return (await session.scalars(there)).all()

    def _begin(self, node_id: str) -> asyncio.Task[None]:
        name = f"tell registries to {node_id}"
        task = self._telling[node_id] = asyncio.create_task(self._tell(node_id), name=name, context=nothing_carried())
        return task

    async def _tell(self, node_id: str) -> None:
        """Until it keeps what there is, is away, or knows nothing of registries."""
        try:
            while self._told.get(node_id) != (edition := self._edition):
                if await self._is_done(node_id):
                    self._told[node_id] = edition
                else:
                    await asyncio.sleep(PAUSE_S)
        finally:
            if self._telling.get(node_id) is asyncio.current_task():
                del self._telling[node_id]

    async def _is_done(self, node_id: str) -> bool:
        """Whether it need not be told again. Whoever is away is told when they come."""
        try:
            async with self._database.reading() as session:
                logins = self._logins(await _all(session))
            await self._gateway.ask(node_id, Action.KEEP_REGISTRIES, "", logins, TELL_TIMEOUT_S)
        except Fault as fault:
            if fault.code in {ErrorCode.AGENT_OFFLINE, ErrorCode.UNKNOWN_ACTION}:
                return True
            log.warning("registries_not_taken", node_id=node_id, code=fault.code, reason=fault.message)
        except Exception:
            log.exception("registries_not_told", node_id=node_id)
        else:
            return True
        return False

    def _logins(self, registries: Sequence[Registry]) -> RegistryLogins:
        logins = []
        for registry in registries:
            password = self._seal.open(registry.sealed_password, registry.host)
            if password is None:
                log.warning("registry_unusable", host=registry.host, advice="give its password again")
            else:
                logs.keep_out(password)
                logins.append(RegistryLogin(host=registry.host, username=registry.username, password=password))
        return RegistryLogins(registries=tuple(logins))

    def _tell_of(self, registry: Registry) -> RegistryView:
        self._edition += 1
        self._changed.set()
        return self._view(registry)

    def _view(self, registry: Registry) -> RegistryView:
        return RegistryView(
            id=registry.id,
            host=registry.host,
            username=registry.username,
            is_usable=self._seal.open(registry.sealed_password, registry.host) is not None,
            created_at=registry.created_at,
        )


async def _all(session: AsyncSession) -> Sequence[Registry]:
    return (await session.scalars(select(Registry).order_by(Registry.host))).all()


async def _get(session: AsyncSession, registry_id: str) -> Registry:
    registry = await session.get(Registry, registry_id)
    if registry is None:
        raise NotFound("There is no such registry.")
    return registry
