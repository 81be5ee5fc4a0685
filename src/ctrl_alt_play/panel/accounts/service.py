"""The rules of accounts: names are single, there is always an administrator, and a new password ends old tokens and sessions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.accounts.schemas import Credentials, NewUser, PasswordChange, UserChange
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, Forbidden, NotFound, Unauthenticated
from ctrl_alt_play.panel.models import Server, User
from ctrl_alt_play.panel.paging import read_cursor
from ctrl_alt_play.panel.security import (
    TOKEN_LIFETIME,
    Actor,
    Attempts,
    Passwords,
    Tokens,
    hash_secret,
    make_secret,
)
from ctrl_alt_play.panel.sessions import Sessions, carry_over

_FIRST_ID = "00000000-0000-4000-8000-000000000001"


class Accounts:
    def __init__(
        self, database: Database, passwords: Passwords, tokens: Tokens, sessions: Sessions, clock: Clock
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self._sessions = sessions
        self._clock = clock
        self._attempts = Attempts(clock)

    async def sign_in(self, credentials: Credentials, address: str) -> tuple[str, timedelta]:
        """An access token and how long it lasts. Raises: as `check`."""
        user = await self.check(credentials, address)
        return self._tokens.mint(user.id, user.token_version), TOKEN_LIFETIME

    async def begin_session(self, user: User, address: str, user_agent: str) -> str:
        """The secret that opens it. It is worth nothing where the password was changed since the user was read."""
        secret = make_secret()
        await self._sessions.begin(user, hash_secret(secret), address, user_agent)
        return secret

    async def check(self, credentials: Credentials, address: str) -> User:
        """Whose credentials these are.

        Raises:
            Unauthenticated: the same, after the same time, for a wrong password and for an unknown name.
            TooManyAttempts: for this name from this address.
        """
        username = credentials.username.strip().lower()
        self._attempts.begin((username, address))
        async with self._database.reading() as session:
            user = await session.scalar(select(User).where(User.username == username))
        if not await self._passwords.is_right(credentials.password, user.password_hash if user else None) or not user:
            raise Unauthenticated("The username or the password is wrong.", "WRONG_CREDENTIALS")
        self._attempts.succeeded((username, address))
        return user

    async def change_own_password(self, actor: Actor, change: PasswordChange, address: str) -> User:
        """Of all that was signed in with the old one only the session by which it is changed goes on.

        Raises:
            Forbidden: the current password is wrong, or was changed in this moment.
            TooManyAttempts: as at signing in, and counted together with that.
        """
        try:
            known = await self.check(Credentials(username=actor.username, password=change.current_password), address)
        except Unauthenticated as error:
            raise Forbidden("The current password is wrong.", "WRONG_CREDENTIALS") from error
        password_hash = await self._passwords.hash(change.new_password)
        async with self._database.writing() as session:
            user = await session.get(User, actor.id, with_for_update={"key_share": True})
            if user is None or user.password_hash != known.password_hash:
                raise Forbidden("The password was just changed: sign in again.", "WRONG_CREDENTIALS")
            _set_password(user, password_hash)
            if actor.session_id is not None:
                await carry_over(session, actor.session_id, user.token_version)
        return user

    async def create(self, new: NewUser) -> User:
        password_hash = await self._passwords.hash(new.password)
        async with self._database.writing() as session:
            await _ensure_free(session, new.username)
            user = _new(str(uuid4()), new.username, password_hash, self._clock.utc(), is_admin=new.is_admin)
            session.add(user)
        return user

    async def change(self, user_id: str, change: UserChange) -> User:
        password_hash = await self._passwords.hash(change.password) if change.password is not None else None
        async with self._database.writing() as session:
            user = await get(session, user_id)
            if change.username is not None and change.username != user.username:
                await _ensure_free(session, change.username)
                user.username = change.username
            if change.is_admin is not None and change.is_admin != user.is_admin:
                await _ensure_another_admin(session, user)
                user.is_admin = change.is_admin
            if password_hash is not None:
                _set_password(user, password_hash)
        return user

    async def delete(self, user_id: str) -> None:
        async with self._database.writing() as session:
            user = await get(session, user_id)
            await _ensure_another_admin(session, user)
            owned = await session.scalar(select(func.count()).where(Server.owner_id == user_id))
            if owned:
                raise Conflict(
                    f"{user.username} owns {owned} server{'s' if owned > 1 else ''}: delete them first.",
                    "USER_OWNS_SERVERS",
                )
            await session.delete(user)


async def has_users(session: AsyncSession) -> bool:
    return await session.scalar(select(User.id).limit(1)) is not None


def first_user(username: str, password_hash: str, now: datetime) -> User:
    """The owner of a panel that has no users yet. Of two that are made at once the database keeps one: both have the same id."""
    return _new(_FIRST_ID, username, password_hash, now, is_admin=True)


async def get(session: AsyncSession, user_id: str) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


async def list_page(session: AsyncSession, limit: int, cursor: str | None) -> Sequence[User]:
    """One more than `limit`, by name."""
    query = select(User).order_by(User.username).limit(limit + 1)
    if after := read_cursor(cursor, 1):
        query = query.where(User.username > after[0])
    return (await session.scalars(query)).all()


def _new(id_: str, username: str, password_hash: str, now: datetime, *, is_admin: bool) -> User:
    return User(
        id=id_, username=username, password_hash=password_hash, is_admin=is_admin, token_version=1, created_at=now
    )


def _set_password(user: User, password_hash: str) -> None:
    user.password_hash = password_hash
    user.token_version += 1


async def _ensure_free(session: AsyncSession, username: str) -> None:
    if await session.scalar(select(User.id).where(User.username == username)):
        raise Conflict(f"There is already a user named {username}.", "USERNAME_TAKEN")


async def _ensure_another_admin(session: AsyncSession, user: User) -> None:
    """Locks the administrators' rows, so that two at once cannot each count on the other."""
    if not user.is_admin:
        return
    admins = (await session.scalars(select(User.id).where(User.is_admin).order_by(User.id).with_for_update())).all()
    if set(admins) <= {user.id}:
        raise Conflict(f"{user.username} is the last administrator: make another one first.", "LAST_ADMIN")
