"""Who may come in: an agent shows its node's secret before the connection is upgraded."""

from sqlalchemy import select

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Forbidden, PanelError, Unauthenticated
from ctrl_alt_play.panel.gateway.base import Admission
from ctrl_alt_play.panel.gateway.refusals import Reason, Refusals
from ctrl_alt_play.panel.models import Node
from ctrl_alt_play.panel.security import Attempts, hash_secret, is_same
from ctrl_alt_play.protocol.messages import OLDEST_VERSION


class Door:
    """Counts failures only once they are certain: after a restart of the panel many agents may stand before it at one address."""

    def __init__(self, database: Database, clock: Clock, shared_secret: str | None, refusals: Refusals) -> None:
        self._database = database
        self._shared_secret = shared_secret
        self._attempts = Attempts(clock)
        self._refusals = refusals

    def share(self, secret: str | None) -> None:
        """From now on this is the secret that all nodes may come with; None: there is none."""
        self._shared_secret = secret

    async def admit(self, address: str, authorization: str | None, node_id: str | None) -> Admission:
        """The node that stands at the door.

        Raises:
            Unauthenticated: 401, a missing secret, or one that no node has.
            Forbidden: 403, a node that is unknown, disabled, or another's secret.
            TooManyAttempts: 429, instead of these, for an address that failed often. A right secret always opens: many nodes
                may share an address, and one that is set up wrongly must not keep the others out. A shared secret may be guessed, so with one
                the address has to wait.
        """
        if self._shared_secret is not None:
            self._attempts.check(address)
        try:
            admission = await self._judge(address, authorization, node_id)
        except PanelError:
            self._attempts.begin(address)
            raise
        self._refusals.forget(admission.node_id)
        return admission

    async def _judge(self, address: str, authorization: str | None, node_id: str | None) -> Admission:
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        is_given = scheme.lower() == "bearer" and bool(secret)
        secret_hash = hash_secret(secret)
        async with self._database.reading() as session:
            node = await session.get(Node, node_id) if node_id and "\x00" not in node_id else None
            holder = await session.scalar(select(Node.id).where(Node.secret_hash == secret_hash)) if is_given else None
        is_shared = is_given and self._shared_secret is not None and is_same(secret, self._shared_secret)

        def refused(reason: Reason, error: PanelError) -> PanelError:
            if node is not None:
                self._refusals.note(node.id, reason, address)
            return error

        if not is_given:
            sentence = "Send the node's secret as `Authorization: Bearer …`."
            raise refused(Reason.NONE_SHOWN, Unauthenticated(sentence, "AUTH_FAILED"))
        if holder is None and not is_shared:
            raise refused(Reason.WRONG, Unauthenticated("That is not the secret of any node.", "AUTH_FAILED"))
        if node is None:
            raise Forbidden("Say which node this is, by X-Node-Id or ?nodeId=: no node of that id is enrolled.")
        if not is_shared and not is_same(node.secret_hash, secret_hash):
            raise refused(Reason.OF_ANOTHER, Forbidden(f"That is another node's secret, not that of {node.id}."))
        if not node.enabled:
            raise refused(Reason.DISABLED, Forbidden(f"Node {node.id} is disabled in the panel."))
        return Admission(node.id, None if is_shared else secret_hash, node.protocol_version > OLDEST_VERSION)
