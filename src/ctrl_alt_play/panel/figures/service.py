"""The rules of graphs: which measurements they are made of, and where nothing was measured there is nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.panel.errors import FieldProblem, Invalid
from ctrl_alt_play.panel.figures import history
from ctrl_alt_play.panel.figures.meter import MINUTE, QUARTER, SECOND, Meter
from ctrl_alt_play.panel.figures.schemas import Columns, Graph, NodeSample, ServerSample

MOST_POINTS = 2000
LONGEST = timedelta(days=366)
USUAL = timedelta(hours=1)

_COLUMNS = {
    "cpu": "cpu_percent",
    "cpu_max": "cpu_percent_max",
    "memory": "memory_used_bytes",
    "memory_max": "memory_used_bytes_max",
    "disk": "disk_used_bytes",
    "received": "network_received_bytes_per_s",
    "sent": "network_sent_bytes_per_s",
    "read": "block_read_bytes_per_s",
    "written": "block_written_bytes_per_s",
    "pids": "pids",
    "players": "players",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A time in steps of one length. All in seconds, the first since 1970."""

    start: int
    step: int
    steps: int
    resolution: int

    @property
    def end(self) -> int:
        return self.start + self.step * self.steps


def span(
    since: datetime | None, until: datetime | None, points: int, now: datetime, often_since_s: float | None = None
) -> Span:
    """What a graph of so many points shows: made of the coarsest measurements that do, and of the finest that are kept so long.

    `often_since_s` is since when there are measurements for each second. Raises: Invalid.
    """
    until = until or now
    since = since or until - USUAL
    if since >= until:
        raise Invalid.of([FieldProblem("since", "let it be before `until`")])
    if until - since > LONGEST:
        raise Invalid.of([FieldProblem("since", f"ask for {LONGEST.days} days at most")])
    first, last, now_s = since.timestamp(), until.timestamp(), now.timestamp()
    usable = [one for one, kept_s in history.KEPT_S.items() if now_s - first <= kept_s + MINUTE] or [QUARTER]
    if SECOND in usable and (often_since_s is None or often_since_s > first + MINUTE):
        usable.remove(SECOND)
    wanted = (last - first) / points
    resolution = max((one for one in usable if one <= wanted), default=min(usable))
    step = max(1, math.ceil(wanted / resolution)) * resolution
    start = math.floor(first) // step * step
    return Span(start, step, max(1, math.ceil((last - start) / step)), resolution)


async def of_server(
    session: AsyncSession, server_id: str, spanned: Span, meter: Meter[ServerSample] | None, now: datetime
) -> Graph[ServerSample]:
    columns = await _columns(session, history.is_server(server_id), spanned, meter)
    return Graph[ServerSample](**_of(spanned), columns=columns, newest=_newest(meter, now))


async def of_node(
    session: AsyncSession, node_id: str, spanned: Span, meter: Meter[NodeSample] | None, now: datetime
) -> Graph[NodeSample]:
    columns = await _columns(session, history.is_node(node_id), spanned, meter)
    return Graph[NodeSample](**_of(spanned), columns=columns, newest=_newest(meter, now))


def _of(spanned: Span) -> dict[str, Any]:
    return {"start": at_seconds(spanned.start), "step_s": spanned.step, "resolution_s": spanned.resolution}


def _newest(meter: Meter[Any] | None, now: datetime) -> Any:
    """Of either kind, as the meter is."""
    recent = meter.recent(now.timestamp()) if meter is not None else ()
    return recent[-1] if recent else None


async def _columns(
    session: AsyncSession, subject: ColumnElement[bool], spanned: Span, meter: Meter[Any] | None
) -> Columns:
    """One question to the database; and what it was not told yet, where it has nothing in its place."""
    query = history.graph(subject, spanned.resolution, spanned.start, spanned.end, spanned.step)
    steps: dict[int, Sequence[Any]] = {row[0]: row[1:] for row in await session.execute(query)}
    for row in meter.running(spanned.resolution) if meter is not None else ():
        steps.setdefault(row["at"] // spanned.step * spanned.step, [row[name] for name in history.GRAPHED])
    return _in_columns(steps, range(spanned.start, spanned.end, spanned.step))


def _in_columns(steps: Mapping[int, Sequence[Any]], places: Iterable[int]) -> Columns:
    nothing = [None] * len(history.GRAPHED)
    rows = [steps.get(place, nothing) for place in places]
    columns = {
        _COLUMNS[name]: list(values) for name, values in zip(history.GRAPHED, zip(*rows, strict=True), strict=True)
    }
    return Columns.model_construct(**cast("dict[str, Any]", columns))  # as the database has them, they are right
