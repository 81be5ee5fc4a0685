"""Which node takes a server."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.doctor import size
from ctrl_alt_play.panel.errors import Conflict, FieldProblem
from ctrl_alt_play.panel.models import Node, Openness, Server
from ctrl_alt_play.panel.nodes.capacity import PROMISED, capacity_of
from ctrl_alt_play.panel.nodes.schemas import Capacity, Room
from ctrl_alt_play.protocol.specification import Limits

MOST_REASONS = 10
_SHUT = {Openness.DRAINING: "is draining", Openness.MAINTENANCE: "is in maintenance"}
_ALL = select(Node, *PROMISED).outerjoin(Server, Server.node_id == Node.id).group_by(Node.id).order_by(Node.id)


async def choose(session: AsyncSession, limits: Limits, tags: Sequence[str] = ()) -> Node:
    """Of the nodes that are there, take servers, have all of the tags and have room, the one whose scarcest kind has the greatest share left;
    of equals, the one of which least is used.

    Nothing is held by that: whoever makes the server looks again whether there is room, with the node locked.

    Raises:
        Conflict: there is none; it says why of each, first of those that would take it if they had room.
    """
    fitting: list[tuple[Node, Capacity]] = []
    full: list[str] = []
    others: list[str] = []
    for node, *promised in await session.execute(_ALL):
        capacity = capacity_of(node, promised)
        if reason := _unfit(node, tags):
            others.append(f"{node.name} {reason}")
        elif reason := lacking(capacity, limits):
            full.append(f"{node.name} {reason}")
        else:
            fitting.append((node, capacity))
    if not fitting:
        raise _none([*full, *others])
    return max(fitting, key=lambda one: _merit(one[1], limits))[0]


def ensure_open(node: Node) -> None:
    """Raises: Conflict, it takes no new servers."""
    if reason := _SHUT.get(Openness(node.openness)):
        sentence = f"Node {node.name} takes no servers: it {reason}. Open it, or choose another."
        raise Conflict(sentence, "NODE_NOT_OPEN", (FieldProblem("node_id", reason),))


async def ensure_room(session: AsyncSession, node: Node, limits: Limits) -> None:
    """Raises: Conflict, with the figures."""
    promised = (await session.execute(select(*PROMISED).where(Server.node_id == node.id))).one()
    if reason := lacking(capacity_of(node, promised), limits):
        advice = "Ask for less, choose another, let more of it be promised, or make it all the same with force."
        raise Conflict(f"Node {node.name} {reason}. {advice}", "NO_ROOM", (FieldProblem("node_id", reason),))


def lacking(capacity: Capacity, limits: Limits) -> str | None:
    """What it has too little of for a server of these limits. What a node does not tell is not held against it."""
    missing = [text for name, room, asked in _asked(capacity, limits) if (text := _short(name, room, asked))]
    return " and ".join(missing) or None


def _asked(capacity: Capacity, limits: Limits) -> Iterator[tuple[str, Room, float]]:
    yield "memory", capacity.memory, limits.memory
    yield "CPU", capacity.cpu, limits.cpu
    yield "disk", capacity.disk, limits.disk


def _short(name: str, room: Room, asked: float) -> str | None:
    """A machine may be full though little of it is promised; but its cores are shared, and are free again in a moment."""
    unused = None if room.total is None or room.used is None or name == "CPU" else room.total - room.used
    if room.free is not None and (room.free < asked or room.free <= 0):
        return f"has {_amount(name, max(0, room.free))} of {name} left to promise{_of(name, asked)}"
    if unused is not None and unused < asked:
        return f"has {_amount(name, max(0, unused))} of {name} unused{_of(name, asked)}"
    return None


def _of(name: str, asked: float) -> str:
    return f" where {_amount(name, asked)} is asked for" if asked else ""


def _amount(name: str, count: float) -> str:
    return f"{count:g} %" if name == "CPU" else size(count)


def _unfit(node: Node, tags: Sequence[str]) -> str | None:
    if not node.enabled:
        return "is disabled"
    if not node.online:
        return "is away"
    if shut := _SHUT.get(Openness(node.openness)):
        return shut
    if missing := [tag for tag in tags if tag not in node.tags]:
        return f"lacks the tag{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    return None


def _merit(capacity: Capacity, limits: Limits) -> tuple[float, float]:
    """In whole percent, so that what is nearly equal is judged by its use. Of what is not told, nothing is left."""
    asked = list(_asked(capacity, limits))
    left = [(room.free - wanted) / room.allowed if room.free and room.allowed else 0.0 for _, room, wanted in asked]
    unused = [1 - room.used / room.total if room.used is not None and room.total else 0.0 for _, room, _ in asked]
    return round(min(left), 2), min(unused)


def _none(reasons: Sequence[str]) -> Conflict:
    told = [*reasons[:MOST_REASONS], *([f"{len(reasons) - MOST_REASONS} more"] if len(reasons) > MOST_REASONS else [])]
    why = f" {'; '.join(told)}." if told else " There are no nodes."
    return Conflict(f"No node takes it.{why}", "NO_NODE")
