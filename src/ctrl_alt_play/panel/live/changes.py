"""What was touched, read anew and told to those who look at it, and to nobody else: what nobody looks at is not read."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.live.channel import Channel
from ctrl_alt_play.panel.live.dirty import Dirty, pieces
from ctrl_alt_play.panel.live.events import EventLog
from ctrl_alt_play.panel.live.frames import Frame, frame, removed
from ctrl_alt_play.panel.live.states import Listing, OfServer, Row, State
from ctrl_alt_play.panel.live.topics import OF_A_NODE, OF_A_SERVER, Kind, Topic
from ctrl_alt_play.panel.live.views import Views
from ctrl_alt_play.panel.live.watchers import Watchers
from ctrl_alt_play.panel.models import OPEN_STATES, Operation, Server

AT_ONCE = 50
"""Others have their turn between as many."""

Tell = Callable[[AsyncSession, list[str]], Awaitable[None]]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Changes:
    def __init__(self, database: Database, watchers: Watchers, views: Views, logs: Mapping[str, EventLog]) -> None:
        self._database = database
        self._watchers = watchers
        self._views = views
        self._logs = logs

    async def tell(self, dirty: Dirty) -> None:
        """Whatever was committed before this was called."""
        watchers = self._watchers
        if dirty.nodes and (watchers.any(Kind.SERVERS) or watchers.any(Kind.OPERATIONS) or watchers.ids(OF_A_SERVER)):
            async with self._database.reading() as session:
                await _spread(session, dirty)
        is_listed = watchers.any(Kind.SERVERS)
        seen = dirty.servers if is_listed else watchers.watched(dirty.servers, *OF_A_SERVER)
        await self._each(seen, self._servers)
        await self._each(self._seen_operations(dirty), self._operations)
        counted = dirty.nodes | dirty.counts
        await self._each(
            counted if watchers.any(Kind.NODES) else watchers.watched(counted, *OF_A_NODE),
            self._nodes,
        )
        await self._each(watchers.watched(dirty.events, Kind.SERVER), self._events)

    async def _each(self, ids: Iterable[str], tell: Tell) -> None:
        for piece in pieces(ids, AT_ONCE):
            try:
                await self._piece(piece, tell)
            except Exception as error:  # noqa: BLE001 - done again one by one, which tells what is wrong
                log.debug("changes_not_told_together", error=repr(error))
                for id_ in piece:
                    await self._alone(id_, tell)

    async def _piece(self, ids: list[str], tell: Tell) -> None:
        async with self._database.reading() as session:
            await tell(session, ids)

    async def _alone(self, id_: str, tell: Tell) -> None:
        """What cannot be told is not to keep the others waiting for ever, but where the database is away."""
        try:
            await self._piece([id_], tell)
        except Exception:
            if not await self._database.is_reachable():
                raise
            log.exception("change_not_told", id=id_)

    def _seen_operations(self, dirty: Dirty) -> Iterable[str]:
        """Those of servers that are not known are looked at where anybody could see them."""
        watchers = self._watchers
        if watchers.any(Kind.OPERATIONS):
            return dirty.operations
        watched = watchers.ids((Kind.SERVER,))
        return [id_ for id_, of in dirty.operations.items() if watched and (of is None or of in watched)]

    async def _servers(self, session: AsyncSession, ids: list[str]) -> None:
        found = {server.id: server for server in await session.scalars(select(Server).where(Server.id.in_(ids)))}
        listings = self._watchers.of(Topic(Kind.SERVERS), Listing)
        watched = set(self._watchers.watched(found, Kind.SERVER))
        told = [server for server in found.values() if listings or server.id in watched]
        rows = {row.id: row for row in await self._views.servers(session, told)}
        for id_ in ids:
            self._judge(id_, found.get(id_))
            self._list(listings, id_, rows.get(id_), found[id_].owner_id if id_ in found else None)
            if (row := rows.get(id_)) is not None and id_ in watched:
                self._offer(Topic(Kind.SERVER, id_), "server", row)

    def _judge(self, id_: str, server: Server | None) -> None:
        """Who may not see it any more sees nothing more of it."""
        for subscription in self._watchers.of_server(id_):
            if server is None:
                subscription.end(removed(subscription.name, id_))
            elif not _sees(subscription.channel, server.owner_id):
                subscription.revoke()

    def _list(self, listings: list[Listing], id_: str, row: Row | None, owner_id: str | None) -> None:
        """One frame for all who see the same."""
        told: dict[bool, Frame] = {}
        for listing in listings:
            is_visible, is_admin = _sees(listing.channel, owner_id), listing.channel.actor.is_admin
            if row is not None and is_visible and is_admin not in told:
                told[is_admin] = frame("changed", Kind.SERVERS, row.seen(is_admin=is_admin))
            listing.tell(id_, told.get(is_admin), is_visible=is_visible)

    def _offer(self, topic: Topic, kind: str, row: Row, key: str | None = None) -> None:
        """Likewise."""
        told: dict[bool, Frame] = {}
        for subscription in self._watchers.of(topic, State):
            is_admin = subscription.channel.actor.is_admin
            if is_admin not in told:
                told[is_admin] = frame(kind, str(topic), row.seen(is_admin=is_admin))
            subscription.offer(key or kind, told[is_admin])

    async def _operations(self, session: AsyncSession, ids: list[str]) -> None:
        """Operations are never removed while somebody could look: those that are gone are long past."""
        query = select(Operation, Server.owner_id).outerjoin(Server, Server.id == Operation.server_id)
        owners: dict[str, str | None] = {}
        found: list[Operation] = []
        for operation, owner_id in await session.execute(query.where(Operation.id.in_(ids)).order_by(Operation.id)):
            found.append(operation)
            owners[operation.id] = owner_id
        listings = self._watchers.of(Topic(Kind.OPERATIONS), Listing)
        for operation, row in zip(found, await self._views.operations(session, found), strict=True):
            self._offer(Topic(Kind.SERVER, operation.server_id), "operation", row, operation.id)
            if listings:
                changed = frame("changed", Kind.OPERATIONS, row.json)
                for listing in listings:
                    is_own = operation.created_by == listing.channel.actor.id
                    is_visible = is_own or _sees(listing.channel, owners[operation.id])
                    listing.tell(operation.id, changed, is_visible=is_visible)

    async def _nodes(self, session: AsyncSession, ids: list[str]) -> None:
        rows = {row.id: row for row in await self._views.nodes(session, ids)}
        listings = self._watchers.of(Topic(Kind.NODES), Listing)
        for id_ in ids:
            row = rows.get(id_)
            changed = None if row is None or not listings else frame("changed", Kind.NODES, row.json)
            for listing in listings:
                listing.tell(id_, changed, is_visible=True)
            if row is not None:
                self._offer(Topic(Kind.NODE, id_), "node", row)
            else:
                for subscription in self._watchers.of_node(id_):
                    subscription.end(removed(subscription.name, id_))

    async def _events(self, session: AsyncSession, ids: list[str]) -> None:
        for id_ in ids:
            if (log := self._logs.get(id_)) is not None:
                await log.take_in(session)
                for subscription in self._watchers.of(Topic(Kind.SERVER, id_), OfServer):
                    subscription.wake()


async def _spread(session: AsyncSession, dirty: Dirty) -> None:
    """What a server is said to be depends on its node, and what an operation waits for."""
    dirty.servers.update(await session.scalars(select(Server.id).where(Server.node_id.in_(dirty.nodes))))
    query = select(Operation.id, Operation.server_id).where(Operation.node_id.in_(dirty.nodes))
    for id_, server_id in await session.execute(query.where(Operation.state.in_(OPEN_STATES))):
        dirty.note_operation(id_, server_id)


def _sees(channel: Channel, owner_id: str | None) -> bool:
    return channel.actor.is_admin or owner_id == channel.actor.id
