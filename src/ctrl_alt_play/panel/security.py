"""Who someone is: passwords, access tokens and sessions, secrets, limits on guessing, and the one dependency by which routes name a permission."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, cast

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.browsers import SAFE_METHODS, ensure_same_origin, secret_of
from ctrl_alt_play.panel.db import database_of
from ctrl_alt_play.panel.errors import Forbidden, NotFound, TooManyAttempts, Unauthenticated
from ctrl_alt_play.panel.permissions import Permission, is_granted
from ctrl_alt_play.panel.sessions import Sessions

AUDIENCE = "ctrl-alt-play:api"
"""What an access token is for; a token made for another use is refused."""
TOKEN_LIFETIME = timedelta(hours=12)
ATTEMPTS_A_MINUTE = 10
ADDRESSES_KEPT = 10_000
TOKENS_KEPT = 1_000

_EXPIRED = "The access token has expired: sign in again."


class Passwords:
    """Argon2 in threads, a few at a time: each costs 64 MiB for as long as it takes."""

    def __init__(self, at_once: int = 4) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(at_once)

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Takes as long for a user who does not exist (`None`) as for one who does."""
        async with self._turns:
            right = await asyncio.to_thread(self._verify, password_hash, password)
        return right and password_hash is not None

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))

    def _verify(self, password_hash: str | None, password: str) -> bool:
        nobody = self._nobody  # made at the first of all attempts, whoever makes it
        try:
            return self._hasher.verify(password_hash or nobody, password)
        except (VerificationError, InvalidHashError):
            return False


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks, as far as rules need to know."""

    id: str
    username: str
    is_admin: bool
    session_id: str | None = None
    """By which they ask, where it is none of their access tokens."""


@dataclass(frozen=True, slots=True)
class Claims:
    """By what someone says who they are: an access token, or a session, whose version and end may change."""

    user_id: str
    token_version: int | None
    ends_at_s: float
    session_id: str | None = None


class Tokens:
    """Access tokens: signed, short-lived, and worth nothing once the user's password has changed."""

    def __init__(self, key: str, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._seen: OrderedDict[str, Claims] = OrderedDict()

    def mint(self, user_id: str, token_version: int, lifetime: timedelta = TOKEN_LIFETIME) -> str:
        now = self._clock.utc()
        claims = {"sub": user_id, "ver": token_version, "aud": AUDIENCE, "iat": now, "exp": now + lifetime}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def read(self, token: str) -> Claims:
        """What a token of ours says. One that was read before is known by its text: it need not be verified at each request.

        Raises:
            Unauthenticated: it is not ours, or its time is over.
        """
        claims = self._seen.get(token) or self._learn(token)
        if claims.ends_at_s <= self._clock.utc().timestamp():
            self._seen.pop(token, None)
            raise Unauthenticated(_EXPIRED)
        return claims

    def _learn(self, token: str) -> Claims:
        claims = self._seen[token] = self._verify(token)
        if len(self._seen) > TOKENS_KEPT:
            self._seen.popitem(last=False)
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["sub", "exp", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated(_EXPIRED) from error
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("The access token is not valid: sign in again.") from error
        return Claims(str(claims["sub"]), claims.get("ver"), float(claims["exp"]))


class Attempts:
    """Counts attempts by key in the last minute, in a table that cannot grow without end."""

    def __init__(self, clock: Clock, limit: int = ATTEMPTS_A_MINUTE, window_s: float = 60.0) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._seen: OrderedDict[object, deque[float]] = OrderedDict()

    def check(self, key: object) -> None:
        """Raises: TooManyAttempts."""
        now = self._clock.monotonic()
        times = self._seen.get(key, ())
        recent = [time for time in times if time > now - self._window_s]
        if len(recent) >= self._limit:
            raise TooManyAttempts("Too many failed attempts; wait a minute.", recent[0] + self._window_s - now)

    def count(self, key: object) -> None:
        self._seen.setdefault(key, deque(maxlen=self._limit)).append(self._clock.monotonic())
        self._seen.move_to_end(key)
        if len(self._seen) > ADDRESSES_KEPT:
            self._seen.popitem(last=False)

    def begin(self, key: object) -> None:
        """Counts an attempt before it is judged, so that many at once do not slip through; `succeeded` takes it back.

        Raises:
            TooManyAttempts: it is not to be judged at all.
        """
        self.check(key)
        self.count(key)

    def succeeded(self, key: object) -> None:
        """The latest attempt was a good one and does not count."""
        if times := self._seen.get(key):
            times.pop()


def make_secret() -> str:
    """A node's or a session's: 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """SHA-256: what has 256 random bits cannot be guessed, so a slow hash would protect nothing and cost time at each connection."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Compares in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and by what; and whose the server is that they ask about."""

    actor: Actor
    claims: Claims
    owner_id: str | None


_bearer = HTTPBearer(
    auto_error=False,
    description="The `access_token` that `POST /api/auth/login` gives; or else the cookie that `POST /api/auth/sessions` sets.",
)


async def identify(connection: HTTPConnection) -> Identity:
    """By an access token, or else by a session. A browser adds a session's cookie to whatever any page asks, so what may change something
    has to come from ours.

    Raises: Unauthenticated; Forbidden, another page asks.
    """
    return await _identify(connection, await _bearer(connection))


async def _identify(connection: HTTPConnection, bearer: HTTPAuthorizationCredentials | None) -> Identity:
    if bearer is not None:
        return await _by_token(connection, bearer.credentials)
    secret = secret_of(connection)
    if secret is None:
        raise Unauthenticated(
            "Sign in first: on the panel's page, or with an access token as `Authorization: Bearer …`."
        )
    if connection.scope.get("method") not in SAFE_METHODS:
        await ensure_same_origin(connection)
    return await _by_session(connection, secret)


async def _by_token(connection: HTTPConnection, token: str) -> Identity:
    claims = cast("Tokens", connection.app.state.tokens).read(token)
    asked = {"user_id": claims.user_id, "server_id": connection.path_params.get("server_id")}
    found = await database_of(connection).row(_OF_USER, **asked)
    if found is None or found[2] != claims.token_version:
        raise Unauthenticated("The access token is no longer valid: sign in again.")
    username, is_admin, _, owner_id = found
    return Identity(Actor(claims.user_id, username, bool(is_admin)), claims, owner_id)


async def _by_session(connection: HTTPConnection, secret: str) -> Identity:
    sessions = cast("Sessions", connection.app.state.sessions)
    asked = {"secret_hash": hash_secret(secret), "server_id": connection.path_params.get("server_id")}
    found = await database_of(connection).row(_OF_SESSION, **asked, now=sessions.now)
    if found is None:
        raise Unauthenticated("You are signed out: sign in again.")
    user_id, username, is_admin, version, owner_id, session_id, created_at, seen_at, expires_at = found
    sessions.note(session_id, created_at, seen_at)
    claims = Claims(user_id, version, expires_at, session_id)
    return Identity(Actor(user_id, username, bool(is_admin), session_id), claims, owner_id)


_OF_USER = """
SELECT users.username, users.is_admin, users.token_version, servers.owner_id
FROM users LEFT JOIN servers ON servers.id = :server_id
WHERE users.id = :user_id
"""
"""Whoever asks, and the owner of the server that they ask about: one question to the database a request."""
_OF_SESSION = """
SELECT users.id, users.username, users.is_admin, users.token_version, servers.owner_id,
    sessions.id, sessions.created_at, sessions.seen_at, sessions.expires_at
FROM sessions
JOIN users ON users.id = sessions.user_id AND users.token_version = sessions.token_version
LEFT JOIN servers ON servers.id = :server_id
WHERE sessions.secret_hash = :secret_hash AND sessions.expires_at > :now
"""


class Allowed:
    """The dependency by which a route names its permission; it gives the route whoever asks.

    On a route about one server, someone who cannot see that server is told that it does not exist, whatever else they may not do.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self,
        connection: HTTPConnection,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Actor:
        identity = await _identify(connection, bearer)
        actor = identity.actor
        if "server_id" in connection.path_params and not _can_see(actor, identity.owner_id):
            raise NotFound("There is no such server.")
        if not is_granted(self.permission, is_admin=actor.is_admin):
            raise Forbidden("That is for administrators.")
        return actor

    async def again(self, connection: HTTPConnection) -> Actor:
        """The same question later: for replies that go on, while rights may end."""
        return await self(connection, await _bearer(connection))


def _can_see(actor: Actor, owner_id: str | None) -> bool:
    return owner_id is not None and (actor.is_admin or owner_id == actor.id)


async def public() -> None:
    """The dependency by which a route says that it is for everybody."""
