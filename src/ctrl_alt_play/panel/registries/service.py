"""The rules of registries: one login a host, whose password is sealed; every node of part 2 is told all of them, and no other is."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play import logs
from ctrl_alt_play.clock import Clock
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

TOLD_AT_ONCE = 16
TELL_TIMEOUT_S = 10.0

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
        """A node of part 2 is there: it keeps whatever it was told when it was here last."""
        self._told.pop(node_id, None)
        with suppress(Fault):
            await self._tell(node_id)

    async def tell_for_ever(self, pause_s: float) -> None:
        """Tells nodes of each change; those that did not take it in are told again. Nobody waits for them."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell_all()
            except Exception:
                log.exception("registries_not_told")
                self._changed.set()
            await asyncio.sleep(pause_s)

    async def _tell_all(self) -> None:
        async with self._database.reading() as session:
            there = select(Node.id).where(Node.online, Node.protocol_version > OLDEST_VERSION)
            node_ids = (await session.scalars(there)).all()
        turns = asyncio.Semaphore(TOLD_AT_ONCE)

        async def tell(node_id: str) -> None:
            async with turns:
                try:
                    await self._tell(node_id)
                except Fault:
                    self._changed.set()

        async with asyncio.TaskGroup() as group:
            for node_id in node_ids:
                group.create_task(tell(node_id), name=f"tell registries to {node_id}")

    async def _tell(self, node_id: str) -> None:
        """Raises: Fault, it has not taken them in, and is to be told again."""
        edition = self._edition
        if self._told.get(node_id) == edition:
            return
        try:
            async with self._database.reading() as session:
                logins = self._logins(await _all(session))
            await self._gateway.ask(node_id, Action.KEEP_REGISTRIES, "", logins, TELL_TIMEOUT_S)
        except Fault as fault:
            if fault.code not in {ErrorCode.AGENT_OFFLINE, ErrorCode.UNKNOWN_ACTION}:
                log.warning("registries_not_taken", node_id=node_id, code=fault.code, reason=fault.message)
                raise
            return  # it is told when it comes, or knows nothing of them
        self._told[node_id] = edition

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
