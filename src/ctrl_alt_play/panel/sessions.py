"""Sessions: who is signed in from a page, since when, and until when."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ctrl_alt_play.characters import shown
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database, Touched, touch
from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.models import User, UserSession
from ctrl_alt_play.panel.noted import Noted

LONGEST = timedelta(days=90)
UNSEEN = timedelta(days=30)
"""Nobody came with it for so long: it ends."""
SEEN_EVERY_S = 300
MOST_A_USER = 50

_SEEN = update(UserSession).where(UserSession.id == bindparam("its_id"))


class Sessions:
    """It is given hashes alone: what opens a session only its browser has."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.seen = Noted(database, _mark_seen, "seen_sessions_not_written")

    @property
    def now(self) -> int:
        return int(self._clock.utc().timestamp())

    async def begin(self, user: User, secret_hash: str, address: str, user_agent: str) -> None:
        """Those that are over go, and of the same user's those that were seen longest ago, where there are too many."""
        now = self.now
        newest = select(UserSession.id).where(UserSession.user_id == user.id).order_by(UserSession.seen_at.desc())
        is_too_much = and_(UserSession.user_id == user.id, UserSession.id.not_in(newest.limit(MOST_A_USER - 1)))
        async with self._database.writing() as session:
            await _end(session, or_(UserSession.expires_at <= now, is_too_much))
            begun = UserSession(
                id=str(uuid4()),
                user_id=user.id,
                token_version=user.token_version,
                secret_hash=secret_hash,
                created_at=now,
                seen_at=now,
                expires_at=_end_of(now, now),
                address=address[:64],
                user_agent=shown(user_agent)[:200],
            )
            session.add(begun)

    async def of_user(self, user_id: str) -> Sequence[UserSession]:
        """The newest first."""
        query = select(UserSession).where(UserSession.user_id == user_id, _stands(self.now))
        async with self._database.reading() as session:
            return (await session.scalars(query.order_by(UserSession.created_at.desc(), UserSession.id))).all()

    async def end(self, user_id: str, session_id: str) -> None:
        """Raises: NotFound, also for another's."""
        async with self._database.writing() as session:
            if not await _end(session, and_(UserSession.user_id == user_id, UserSession.id == session_id)):
                raise NotFound("There is no such session.")

    async def end_others(self, user_id: str, kept: str | None) -> None:
        """All of a user's but one."""
        async with self._database.writing() as session:
            await _end(session, and_(UserSession.user_id == user_id, UserSession.id != (kept or "")))

    def note(self, session_id: str, created_at: int, seen_at: int) -> None:
        """Somebody came with it. That is written from time to time, never by whoever came."""
        now = self.now
        if now - seen_at >= SEEN_EVERY_S:
            self.seen.note(session_id, (now, _end_of(created_at, now)))


async def _mark_seen(connection: AsyncConnection, seen: Sequence[tuple[str, tuple[int, int]]]) -> None:
    rows = [{"its_id": id_, "seen_at": at, "expires_at": until} for id_, (at, until) in seen]
    await connection.execute(_SEEN, rows)


async def carry_over(session: AsyncSession, session_id: str, token_version: int) -> None:
    """It goes on under its user's new version, as all others do not."""
    await session.execute(update(UserSession).where(UserSession.id == session_id).values(token_version=token_version))


async def standing(session: AsyncSession, session_ids: Collection[str], now: float) -> set[str]:
    """Those that are not over."""
    return set(await session.scalars(select(UserSession.id).where(UserSession.id.in_(session_ids), _stands(now))))


def _stands(now: float) -> ColumnElement[bool]:
    is_of_now = User.token_version == UserSession.token_version
    return and_(User.id == UserSession.user_id, is_of_now, UserSession.expires_at > now)


async def _end(session: AsyncSession, which: ColumnElement[bool]) -> bool:
    """Whether there was one."""
    ended = (await session.scalars(delete(UserSession).where(which).returning(UserSession.id))).all()
    touch(session, *(Touched(UserSession.__tablename__, id_, is_same=False) for id_ in ended))
    return bool(ended)


def _end_of(created_at: int, seen_at: int) -> int:
    return int(min(created_at + LONGEST.total_seconds(), seen_at + UNSEEN.total_seconds()))
