"""What takes a question to the database: how many servers have which status, and which operations ended since the last look."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.metrics.counted import Counted
from ctrl_alt_play.panel.models import INSTALLS, OPEN_STATES, Node, Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.servers.status import Facts, Status, Work, derive
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.messages import OLDEST_VERSION
from ctrl_alt_play.protocol.specification import Hold

OVERLAP = timedelta(seconds=30)
"""An operation may be committed so much later than it was named."""
MOST_LOOKED_AT = 10_000
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


async def statuses(session: AsyncSession) -> Mapping[Status, int]:
    """By the same rule by which each is shown; alone what a node of part 1 is doing just now is not looked at."""
    installation = (
        select(Operation.state)
        .where(Operation.server_id == Server.id, Operation.kind.in_(INSTALLS))
        .order_by(Operation.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    installed = case((Server.observed == ServerState.ABSENT, installation))
    columns = (Server.observed, Server.hold, Node.online, Node.protocol_version, installed.label("installed"))
    query = select(*columns, func.count()).join(Node, Node.id == Server.node_id)
    found: Counter[Status] = Counter()
    for observed, hold, online, version, installation_state, count in await session.execute(
        query.group_by(*columns[:-1], "installed")
    ):
        facts = Facts(
            observed=ServerState(observed),
            observed_since=_ANY_TIME,
            node_online=online,
            node_since=_ANY_TIME,
            hold=Hold(hold),
            installation=None
            if installation_state is None
            else Work(OperationKind.CREATE, OperationState(installation_state), _ANY_TIME),
            node_tells_all=version > OLDEST_VERSION,
        )
        found[derive(facts)[0]] += count
    return found


class Endings:
    """Counts each operation that ended once, from the moment at which this was made on; whoever ended it."""

    def __init__(self, counted: Counted, now: datetime) -> None:
        self._counted = counted
        self._after = operations.make_id(now)
        self._open: set[str] | None = None
        self._seen: set[str] = set()
        """Those that are counted and may be found again."""

    async def look(self, session: AsyncSession, now: datetime) -> None:
        if self._open is None:
            still_open = select(Operation.id).where(Operation.state.in_(OPEN_STATES)).limit(MOST_LOOKED_AT)
            self._open = set(await session.scalars(still_open))
        query = select(Operation.id, Operation.kind, Operation.state).where(
            or_(Operation.id > self._after, Operation.id.in_(sorted(self._open)))
        )
        for id_, kind, state in await session.execute(query.order_by(Operation.id).limit(MOST_LOOKED_AT)):
            self._take(id_, kind, state)
        self._after = max(self._after, operations.make_id(now - OVERLAP))
        self._seen = {id_ for id_ in self._seen if id_ > self._after}

    def _take(self, id_: str, kind: str, state: str) -> None:
        if self._open is None or id_ in self._seen:
            return
        if state in OPEN_STATES:
            self._open.add(id_)
            return
        self._open.discard(id_)
        self._seen.add(id_)
        self._counted.operation(kind, state)
