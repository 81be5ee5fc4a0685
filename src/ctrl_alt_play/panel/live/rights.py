"""What viewers may see, looked at again while they look: when it changes, and from time to time."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Forbidden, Unauthenticated
from ctrl_alt_play.panel.live.channel import Channel, Ending
from ctrl_alt_play.panel.live.dirty import pieces
from ctrl_alt_play.panel.live.frames import frame
from ctrl_alt_play.panel.live.states import Listing
from ctrl_alt_play.panel.live.topics import NEEDED, OF_A_SERVER, Kind
from ctrl_alt_play.panel.live.watchers import Watchers
from ctrl_alt_play.panel.models import Server, User
from ctrl_alt_play.panel.permissions import granted, is_granted
from ctrl_alt_play.panel.security import Actor, Claims
from ctrl_alt_play.panel.sessions import standing

POLICY = 1008
AT_ONCE = 500
SIGNED_OUT = Ending(POLICY, "UNAUTHENTICATED", "You are signed out: sign in again.")


async def actor(session: AsyncSession, claims: Claims, now: float) -> Actor:
    """Whoever has these claims, as they are now. Raises: Unauthenticated."""
    found = (await _actors(session, [claims], now)).get(claims)
    if found is None:
        raise Unauthenticated(SIGNED_OUT.message)
    return found


def ensure(actor: Actor, kind: Kind) -> None:
    """Raises: Forbidden. Which servers someone may see is another question."""
    if not _may(actor, kind):
        raise Forbidden("That is for administrators.")


def about(actor: Actor) -> dict[str, Any]:
    """What viewers are told of themselves: when they come (`hello`), and when it changes (`rights`)."""
    return {"user": actor.username, "permissions": granted(is_admin=actor.is_admin)}


def _may(actor: Actor, kind: Kind) -> bool:
    return all(is_granted(permission, is_admin=actor.is_admin) for permission in NEEDED[kind])


async def judge(session: AsyncSession, channels: Iterable[Channel], now: float) -> set[str]:
    """Ends those whose token or session is worth nothing any more, and takes over what others are by now. Servers of theirs are to be looked at."""
    doubtful: set[str] = set()
    theirs = list(channels)
    found = await _actors(session, {channel.claims for channel in theirs}, now)
    for channel in theirs:
        if (now_is := found.get(channel.claims)) is None:
            channel.end(SIGNED_OUT)
        else:
            doubtful |= become(channel, now_is)
    return doubtful


def become(channel: Channel, actor: Actor) -> set[str]:
    """Its viewer is this by now; the servers of theirs are to be looked at."""
    is_another = channel.actor.is_admin != actor.is_admin
    channel.actor = actor
    if not is_another:
        return set()
    channel.answer(frame("rights", **about(actor)))
    for subscription in list(channel.subscriptions.values()):
        if not _may(actor, subscription.topic.kind):
            subscription.revoke()
        elif isinstance(subscription, Listing):
            channel.add(subscription.anew())
    return {topic.id for topic in channel.subscriptions if topic.kind in OF_A_SERVER}


async def doubtful_servers(session: AsyncSession, watchers: Watchers) -> set[str]:
    """Those whose owner is another than somebody who sees them, or that are no more."""
    seers: dict[str, set[str]] = {server_id: set() for server_id in watchers.ids(OF_A_SERVER)}
    for channel in watchers.channels:
        if not channel.actor.is_admin:
            for server_id in _servers_of(channel):
                seers.setdefault(server_id, set()).add(channel.actor.id)
    owners: dict[str, str] = {}
    for piece in pieces(seers, AT_ONCE):
        found = await session.execute(select(Server.id, Server.owner_id).where(Server.id.in_(piece)))
        owners.update((id_, owner_id) for id_, owner_id in found)
    return {server_id for server_id, who in seers.items() if server_id not in owners or who - {owners[server_id]}}


def _servers_of(channel: Channel) -> Iterable[str]:
    for topic, subscription in channel.subscriptions.items():
        if topic.kind in OF_A_SERVER:
            yield topic.id
        elif topic.kind is Kind.SERVERS and isinstance(subscription, Listing):
            yield from subscription.known or ()


async def _actors(session: AsyncSession, claims: Collection[Claims], now: float) -> dict[Claims, Actor]:
    """Those that are still worth something, each with whoever has them, as they are now."""
    users = await _users(session, {each.user_id for each in claims})
    sessions: set[str] = set()
    for piece in pieces({each.session_id for each in claims if each.session_id is not None}, AT_ONCE):
        sessions |= await standing(session, piece, now)
    found: dict[Claims, Actor] = {}
    for each in claims:
        is_now, version = users.get(each.user_id, (None, None))
        is_good = version == each.token_version and each.ends_at_s > now
        if is_now is not None and (is_good if each.session_id is None else each.session_id in sessions):
            found[each] = is_now
    return found


async def _users(session: AsyncSession, user_ids: Collection[str]) -> dict[str, tuple[Actor, int]]:
    columns = select(User.id, User.username, User.is_admin, User.token_version)
    found: dict[str, tuple[Actor, int]] = {}
    for piece in pieces(user_ids, AT_ONCE):
        for id_, username, is_admin, version in await session.execute(columns.where(User.id.in_(piece))):
            found[id_] = Actor(id_, username, is_admin), version
    return found
