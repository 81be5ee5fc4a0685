"""What must be there before a first start on one machine: an owner, a node, and a token for the local command line."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock, SystemClock
from ctrl_alt_play.panel.accounts.service import first_user
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.migrations import migrate
from ctrl_alt_play.panel.models import Node, User
from ctrl_alt_play.panel.nodes.schemas import NewNode
from ctrl_alt_play.panel.nodes.service import new_node
from ctrl_alt_play.panel.security import Passwords, Tokens, hash_secret, is_same, make_secret

OWNER = "admin"


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """`owner_password` only where the account was made just now; it cannot be told again. Printing this tells no secret."""

    owner_username: str
    owner_password: str | None = field(repr=False)
    node_secret: str = field(repr=False)
    access_token: str = field(repr=False)


async def bootstrap(
    config: Config,
    node_id: str,
    node_name: str,
    known_secret: str | None = None,
    token_lifetime: timedelta = timedelta(hours=12),
    clock: Clock | None = None,
) -> Bootstrapped:
    """Safe to do again, and while a panel runs on the same database. A node whose secret the caller does not know gets a new one.

    Raises:
        StartupError: the database cannot be used.
    """
    clock = clock or SystemClock()
    await migrate(config)
    database = Database(config.database)
    password = secrets.token_urlsafe(15)
    try:
        password_hash = await Passwords().hash(password)
        async with database.writing() as session:
            owner, is_new = await _owner(session, password_hash, clock)
            secret = await _node_secret(session, NewNode(id=node_id, name=node_name), known_secret, clock)
        token = Tokens(config.signing_key(), clock).mint(owner.id, owner.token_version, token_lifetime)
    finally:
        await database.close()
    return Bootstrapped(owner.username, password if is_new else None, secret, token)


async def _owner(session: AsyncSession, password_hash: str, clock: Clock) -> tuple[User, bool]:
    """The oldest administrator; made, when there is no user at all. There is always an administrator where there are users."""
    owner = await session.scalar(select(User).where(User.is_admin).order_by(User.created_at, User.id).limit(1))
    if owner is not None:
        return owner, False
    owner = first_user(OWNER, password_hash, clock.utc())
    session.add(owner)
    return owner, True


async def _node_secret(session: AsyncSession, new: NewNode, known_secret: str | None, clock: Clock) -> str:
    node = await session.get(Node, new.id)
    if node is not None and known_secret is not None and is_same(node.secret_hash, hash_secret(known_secret)):
        return known_secret
    secret = make_secret()
    if node is None:
        session.add(new_node(new, secret, clock.utc()))
    else:
        node.secret_hash = hash_secret(secret)
    return secret
