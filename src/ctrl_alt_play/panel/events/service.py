"""The rules of reading events: a server's are those that its own node told, the latest first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.events.schemas import CrashReport, EventView
from ctrl_alt_play.panel.models import Event, Server
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.paging import read_number_cursor
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.protocol.contents import EVENTS
from ctrl_alt_play.protocol.part2 import ServerCrashed

CRASHED = "server_crashed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which kinds, and when it happened; what is None does not matter."""

    kinds: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_of_server(
    session: AsyncSession, actor: Actor, server_id: str, wanted: Wanted, limit: int, cursor: str | None
) -> Sequence[Event]:
    """One more than `limit`. What another node told under the server's id is not among them."""
    query = (
        select(Event)
        .join(Server, (Server.id == Event.server_id) & (Server.node_id == Event.node_id))
        .where(Server.id == server_id)
    )
    if not actor.is_admin:
        query = query.where(Server.owner_id == actor.id)
    return await _page(session, query, wanted, limit, cursor)


async def list_of_node(
    session: AsyncSession, node_id: str, wanted: Wanted, limit: int, cursor: str | None
) -> Sequence[Event]:
    """One more than `limit`. Raises: NotFound."""
    await nodes.get(session, node_id)
    return await _page(session, select(Event).where(Event.node_id == node_id), wanted, limit, cursor)


async def after(session: AsyncSession, server_id: str, node_id: str, place: int, limit: int) -> Sequence[Event]:
    """What its node told of a server after the event of this id, in the order in which it was told."""
    query = select(Event).where(Event.server_id == server_id, Event.node_id == node_id, Event.id > place)
    return (await session.scalars(query.order_by(Event.id).limit(limit))).all()


async def newest(session: AsyncSession, server_id: str, node_id: str) -> int:
    """The id of the last of them; 0 where there is none."""
    query = select(Event.id).where(Event.server_id == server_id, Event.node_id == node_id)
    return await session.scalar(query.order_by(Event.id.desc()).limit(1)) or 0


def view(event: Event) -> EventView:
    return EventView(
        id=event.id,
        node_id=event.node_id,
        server_id=event.server_id,
        kind=event.kind,
        data=_told(event),
        missing=event.missing,
        happened_at=event.happened_at,
        received_at=event.received_at,
    )


def crash_report(event: Event) -> CrashReport:
    told = {name: value for name, value in event.data.items() if name not in {"serverId", "server_id"}}
    crash = ServerCrashed.model_validate({**told, "server_id": event.server_id})
    return CrashReport(
        id=event.id,
        uptime_s=crash.uptime,
        crashed_at=crash.crashed_at or event.happened_at,
        happened_at=event.happened_at,
        received_at=event.received_at,
        **crash.model_dump(exclude={"uptime", "crashed_at"}),
    )


async def _page(
    session: AsyncSession, query: Select[Event], wanted: Wanted, limit: int, cursor: str | None
) -> Sequence[Event]:
    if wanted.kinds is not None:
        query = query.where(Event.kind.in_(wanted.kinds))
    if wanted.since is not None:
        query = query.where(Event.happened_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Event.happened_at < wanted.until)
    if (before := read_number_cursor(cursor)) is not None:
        query = query.where(Event.id < before)
    return (await session.scalars(query.order_by(Event.id.desc()).limit(limit + 1))).all()


def _told(event: Event) -> dict[str, object]:
    """As all of this API calls things; of a kind that the panel does not know, in the node's own words."""
    shape = EVENTS.get(event.kind)
    try:
        return (
            event.data if shape is None else shape.model_validate(event.data).model_dump(mode="json", exclude_none=True)
        )
    except ValidationError:
        return event.data
