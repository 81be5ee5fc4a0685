"""What is measured at this time, in memory: the newest of each server and each node. It is bounded by what exists, for who is not known is
looked up first, and who is not measured any more is forgotten.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.figures import reading
from ctrl_alt_play.panel.figures.meter import Meter
from ctrl_alt_play.panel.figures.schemas import NodeSample, ServerSample
from ctrl_alt_play.panel.servers.figures import Figures
from ctrl_alt_play.protocol.live import NodeFigures, Samples, ServerFigures

FORGET_S = 120.0
LOOK_AGAIN_S = 2.0
"""How often it is looked up who a node tells of."""
MOST_STRANGERS = 1000
"""Of one node, that wait for it."""


class Viewers(Protocol):
    """Told of each sample, as it comes."""

    def tell_server(self, server_id: str, sample: ServerSample) -> None: ...

    def tell_node(self, node_id: str, sample: NodeSample) -> None: ...


class Meters:
    """A node speaks for itself and for its own servers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._servers: dict[str, Meter[ServerSample]] = {}
        self._nodes: dict[str, Meter[NodeSample]] = {}
        self._strangers: dict[str, Samples] = {}
        self._looked_at: dict[str, float] = {}
        self._viewers: Viewers | None = None
        self.are_strange = asyncio.Event()
        """Somebody is to be looked up."""

    def report_to(self, viewers: Viewers) -> None:
        self._viewers = viewers

    def take(self, node_id: str, told: Samples) -> None:
        now = self._clock.utc()
        at_s = reading.moment_s(told.at, now.timestamp())
        strange = [figures for figures in told.servers if not self._take_server(node_id, figures, at_s, now)]
        strange_node = None if told.node is None or self._take_node(node_id, told.node, at_s, now) else told.node
        if strange or strange_node:
            self._ask_for(node_id, Samples(at=told.at, servers=tuple(strange), node=strange_node))

    def _take_server(self, node_id: str, told: ServerFigures, at_s: float, now: datetime) -> bool:
        meter = self._servers.get(told.server_id)
        if meter is None or meter.node_id != node_id:
            return False
        rates = meter.rates(reading.server_counters(told), at_s)
        sample = reading.server_sample(told, rates, now)
        meter.keep(sample, reading.server_reading(sample, rates), now.timestamp())
        if self._viewers is not None:
            self._viewers.tell_server(told.server_id, sample)
        return True

    def _take_node(self, node_id: str, told: NodeFigures, at_s: float, now: datetime) -> bool:
        meter = self._nodes.get(node_id)
        if meter is None:
            return False
        rates = meter.rates(reading.node_counters(told), at_s)
        sample = reading.node_sample(told, rates, now)
        meter.keep(sample, reading.node_reading(sample, rates), now.timestamp())
        if self._viewers is not None:
            self._viewers.tell_node(node_id, sample)
        return True

    def _ask_for(self, node_id: str, strange: Samples) -> None:
        """Of each the newest waits until its node's turn comes."""
        if (waiting := self._strangers.get(node_id)) is not None:
            servers = {figures.server_id: figures for figures in (*waiting.servers, *strange.servers)}
            kept = tuple(servers.values())[:MOST_STRANGERS]
            strange = Samples(at=strange.at, servers=kept, node=strange.node or waiting.node)
        self._strangers[node_id] = strange
        if self._may_ask(node_id):
            self.are_strange.set()

    def _may_ask(self, node_id: str) -> bool:
        return self._clock.monotonic() - self._looked_at.get(node_id, -LOOK_AGAIN_S) >= LOOK_AGAIN_S

    def take_strangers(self) -> dict[str, Samples]:
        """Who is to be looked up, by the node that tells of them; then `know` those that are its own."""
        self.are_strange.clear()
        strangers = {node_id: told for node_id, told in self._strangers.items() if self._may_ask(node_id)}
        now = self._clock.monotonic()
        self._looked_at = {node_id: at for node_id, at in self._looked_at.items() if now - at < LOOK_AGAIN_S}
        for node_id in strangers:
            del self._strangers[node_id]
            self._looked_at[node_id] = now
        return strangers

    def know(self, node_id: str, told: Samples, servers: Mapping[str, int], node: int | None) -> None:
        """`servers` are those of this node that are to be known from here on, and `node` is itself, with their subjects' numbers."""
        for server_id, subject_id in servers.items():
            self._servers[server_id] = Meter(subject_id, node_id)
        if node is not None:
            self._nodes[node_id] = Meter(node, node_id)
        known = tuple(figures for figures in told.servers if figures.server_id in servers)
        self.take(node_id, Samples(at=told.at, servers=known, node=None if node is None else told.node))

    def server(self, server_id: str, node_id: str | None = None) -> Meter[ServerSample] | None:
        """None where it was not measured lately; also where another node did."""
        meter = self._servers.get(server_id)
        return meter if meter is not None and node_id in (None, meter.node_id) else None

    def newest(self, server_id: str, node_id: str) -> tuple[Figures, datetime] | None:
        """What it was last measured to use, and when."""
        meter = self.server(server_id, node_id)
        sample = None if meter is None else meter.newest
        return None if sample is None else (Figures.model_validate(sample, from_attributes=True), sample.measured_at)

    def newest_of_node(self, node_id: str) -> NodeSample | None:
        meter = self._nodes.get(node_id)
        return None if meter is None else meter.newest

    def node(self, node_id: str) -> Meter[NodeSample] | None:
        return self._nodes.get(node_id)

    def servers(self) -> list[tuple[str, Meter[ServerSample]]]:
        return list(self._servers.items())

    def nodes(self) -> list[tuple[str, Meter[NodeSample]]]:
        return list(self._nodes.items())

    def take_rows(self, *, is_end: bool = False) -> list[dict[str, Any]]:
        """What is to be written down of all; whoever was not measured for long is forgotten with it."""
        now_s = self._clock.utc().timestamp()
        rows: list[dict[str, Any]] = []
        for server in self._servers.values():
            rows += server.take_rows(now_s, is_end=is_end)
        for node in self._nodes.values():
            rows += node.take_rows(now_s, is_end=is_end)
        _forget(self._servers, now_s)
        _forget(self._nodes, now_s)
        return rows


def _forget(meters: dict[str, Meter[ServerSample]] | dict[str, Meter[NodeSample]], now_s: float) -> None:
    """Also where the clock was put back."""
    for id_ in [id_ for id_, meter in meters.items() if abs(now_s - meter.taken_s) > FORGET_S]:
        del meters[id_]
