"""How a machine becomes a node: a token that is good once and for an hour is exchanged for the node's secret, which nobody sees."""

from datetime import timedelta

from sqlalchemy import select

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Forbidden
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.models import Node
from ctrl_alt_play.panel.nodes import wheel
from ctrl_alt_play.panel.nodes.schemas import Enrolment, Identity
from ctrl_alt_play.panel.nodes.service import get
from ctrl_alt_play.panel.security import Attempts, hash_secret, make_secret

LIFETIME = timedelta(hours=1)


class Enrolments:
    def __init__(self, database: Database, gateway: Gateway, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._attempts = Attempts(clock)

    async def begin(self, node_id: str) -> Enrolment:
        """A token for a node. One that was made before is worth nothing from here on; the node's secret holds until a token is redeemed.

        Raises: NotFound.
        """
        token, expires_at = make_secret(), self._clock.utc() + LIFETIME
        async with self._database.writing() as session:
            node = await get(session, node_id)
            node.enrolment_hash, node.enrolment_expires_at = hash_secret(token), expires_at
        return Enrolment(token=token, expires_at=expires_at, package=f"/api/enrolment/{wheel.file_name()}")

    async def redeem(self, token: str, address: str) -> Identity:
        """Makes whoever has the token the node's only agent. Of two at once one is.

        Raises:
            Forbidden: it is not the token of a node, was used, is past its time, or the node is disabled.
            TooManyAttempts: from this address.
        """
        self._attempts.begin(address)
        secret = make_secret()
        async with self._database.writing() as session:
            held = select(Node).where(Node.enrolment_hash == hash_secret(token)).with_for_update()
            node = await session.scalar(held)
            if node is None or node.enrolment_expires_at is None or node.enrolment_expires_at <= self._clock.utc():
                raise Forbidden(
                    "This enrolment was used already, or is past its hour: make a new command on the node's page.",
                    "WRONG_TOKEN",
                )
            if not node.enabled:
                raise Forbidden(f"Node {node.id} is disabled in the panel: enable it first.", "NODE_DISABLED")
            node.secret_hash = hash_secret(secret)
            node.enrolment_hash = node.enrolment_expires_at = None
            identity = Identity(node_id=node.id, secret=secret)
        self._attempts.succeeded(address)
        self._gateway.disconnect(identity.node_id, "this node has a new secret")
        return identity
