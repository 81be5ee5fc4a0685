"""Servers as people see them: each with its status, made of its own columns, its node's presence and its operations."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.models import INSTALLS, Node, Operation, OperationKind, OperationState, PortRange, Server
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.placement.addresses import address_of, named_ranges
from ctrl_alt_play.panel.servers import status
from ctrl_alt_play.panel.servers.figures import Figures
from ctrl_alt_play.panel.servers.schemas import CurrentOperation, ServerStatusView, ServerView
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.messages import OLDEST_VERSION
from ctrl_alt_play.protocol.specification import Hold, Recipe, Specification


@dataclass(frozen=True, slots=True)
class Present:
    """What is known at this moment, and in memory alone."""

    heard: Callable[[str], datetime | None]
    """When a node that is connected last said anything; None for one that is not."""
    measured: Callable[[str, str], tuple[Figures, datetime] | None]
    """What a server on a node was last measured to use, and when; None where it was not lately."""


async def views(session: AsyncSession, servers: Sequence[Server], present: Present) -> list[ServerView]:
    by_node = await nodes.by_ids(session, {server.node_id for server in servers})
    named = await named_ranges(session, by_node)
    related: dict[str, list[Operation]] = {server.id: [] for server in servers}
    for operation in await operations.open_or_install(session, related):
        related[operation.server_id].append(operation)
    return [
        _view(server, by_node[server.node_id], named.get(server.node_id, ()), related[server.id], present)
        for server in servers
    ]


async def view(session: AsyncSession, server: Server, present: Present) -> ServerView:
    return (await views(session, [server], present))[0]


def guarded(view: ServerView) -> ServerView:
    """For who is no administrator: of the variables they see what the server's startup shows them, for others may be secrets."""
    return view.model_copy(update={"environment": {}})


async def status_view(session: AsyncSession, server: Server, now: datetime, present: Present) -> ServerStatusView:
    node = await nodes.get(session, server.node_id)
    related = await operations.open_or_install(session, [server.id])
    known = _known(server, node, related, present)
    return ServerStatusView(
        server_id=server.id,
        age_s=max(0.0, (now - known["observed_at"]).total_seconds()),
        node_online=node.online,
        **known,
    )


def _view(
    server: Server, node: Node, named: Sequence[PortRange], related: Sequence[Operation], present: Present
) -> ServerView:
    specification = Specification.model_validate(server.specification)
    return ServerView(
        id=server.id,
        name=server.name,
        tags=server.tags,
        node_id=server.node_id,
        owner_id=server.owner_id,
        created_at=server.created_at,
        revision=server.revision,
        node_revision=server.node_revision,
        template_id=server.template_id,
        template_version=server.template_version,
        addresses=[address_of(port, node, named) for port in specification.ports],
        **_recipe(specification),
        **_known(server, node, related, present),
    )


def _recipe(specification: Specification) -> dict[str, Any]:
    """Also of a server that was made before there were all of the fields. An installer may be long, and is shown by itself."""
    recipe = specification.model_dump(include=set(Recipe.model_fields) - {"installer"})
    return {**recipe, "has_installer": specification.installer is not None}


def _known(server: Server, node: Node, related: Sequence[Operation], present: Present) -> dict[str, Any]:
    """What every view of a server tells, by the fields' names."""
    facts = _facts(server, node, related)
    current_status, since = status.derive(facts)
    unfinished = [operation for operation in related if operation.finished_at is None]
    figures, measured_at = _figures(server, present)
    return {
        "status": current_status,
        "status_since": since,
        "detail": status.explain(current_status, facts),
        "desired": server.desired,
        "observed": server.observed,
        "observed_at": _true_at(server, node, present),
        "hold": server.hold,
        "operation": CurrentOperation.model_validate(unfinished[-1]) if unfinished else None,
        "figures": figures,
        "measured_at": measured_at,
        "ready": server.ready,
        "exit_code": server.exit_code,
        "last_error": facts.reason,
        "crashes": server.crashes,
        "restart_at": server.restart_at,
    }


def _figures(server: Server, present: Present) -> tuple[Figures | None, datetime | None]:
    """The newest, of what was measured lately and what is written down from time to time."""
    newest = present.measured(server.id, server.node_id)
    if newest is not None and (server.measured_at is None or newest[1] > server.measured_at):
        return newest
    return None if server.figures is None else Figures.model_validate(server.figures), server.measured_at


def _true_at(server: Server, node: Node, present: Present) -> datetime:
    """What a node of part 2 told since it came is true until it tells otherwise, as long as it is there and sees its servers."""
    tells_all = node.online and node.protocol_version > OLDEST_VERSION and server.observed_at >= node.since
    if not tells_all or server.observed == ServerState.UNKNOWN:
        return server.observed_at
    return max(server.observed_at, present.heard(node.id) or server.observed_at)


def _facts(server: Server, node: Node, related: Iterable[Operation]) -> status.Facts:
    """`related` has the latest first."""
    installation = next((one for one in related if one.kind in INSTALLS), None)
    accepted = [one for one in related if one.state == OperationState.RUNNING]
    return status.Facts(
        observed=ServerState(server.observed),
        observed_since=server.observed_since,
        node_online=node.online,
        node_since=node.since,
        hold=Hold(server.hold),
        hold_since=server.hold_since,
        installation=None if installation is None else _work(installation),
        current=_work(accepted[-1]) if accepted else None,
        node_tells_all=node.protocol_version > OLDEST_VERSION,
        ready=server.ready,
        reason=_why_not_installed(server, installation) or server.last_error,
        exit_code=server.exit_code,
        restart_at=server.restart_at,
    )


def _why_not_installed(server: Server, installation: Operation | None) -> str | None:
    """All of it, as its operation tells; on further lines what the installer wrote last."""
    if installation is None or server.observed != ServerState.ABSENT or installation.state != OperationState.FAILED:
        return None
    return installation.message


def _work(operation: Operation) -> status.Work:
    state = OperationState(operation.state)
    since = operation.finished_at or operation.created_at
    return status.Work(OperationKind(operation.kind), state, since)
