"""The figures for Prometheus, in its conventions: base units, counters that count since the container, or the node, started.

Servers are told one by one, up to `MOST_SERVERS`; what the rest uses is told in sum, as the server `_other`, and without counters, for a sum over
servers that come and go is none.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ctrl_alt_play.agent.figures.meter import Figures
from ctrl_alt_play.agent.figures.sampler import Sampler
from ctrl_alt_play.agent.figures.subject import Subject
from ctrl_alt_play.protocol.live import NodeFigures, PlayersSeen

MOST_SERVERS = 1000
OTHER = "_other"
"""No server is called so: ids begin with a letter or a digit."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one server."""

    subject: Subject
    figures: Figures | None
    players: PlayersSeen | None


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of servers, and where its value is found."""

    name: str
    help: str
    value: Callable[[Seen], float | None]
    is_counter: bool = False


def _of_sample(name: str, factor: float = 1) -> Callable[[Seen], float | None]:
    def value(seen: Seen) -> float | None:
        found = getattr(seen.figures.sample, name) if seen.figures else None
        return None if found is None else found * factor

    return value


ROWS = (
    Row("cpu_seconds", "CPU time since the container started.", _of_sample("cpu_ns", 1e-9), is_counter=True),
    Row("memory_bytes", "Memory in use, without page cache.", _of_sample("memory_bytes")),
    Row("memory_limit_bytes", "What memory it may use.", _of_sample("memory_limit_bytes")),
    Row("disk_bytes", "What its files take on the disk.", lambda seen: seen.subject.meter.disk_bytes),
    Row(
        "network_receive_bytes", "Received since the container started.", _of_sample("received_bytes"), is_counter=True
    ),
    Row("network_transmit_bytes", "Sent since the container started.", _of_sample("sent_bytes"), is_counter=True),
    Row("block_read_bytes", "Read from block devices.", _of_sample("read_bytes"), is_counter=True),
    Row("block_written_bytes", "Written to block devices.", _of_sample("written_bytes"), is_counter=True),
    Row("pids", "Processes and threads.", _of_sample("pids")),
    Row("players", "Players, as the game itself tells.", lambda seen: seen.players.online if seen.players else None),
    Row("players_max", "Players it takes.", lambda seen: seen.players.max if seen.players else None),
    Row("start_time_seconds", "When the game was started, since 1970.", lambda seen: seen.subject.started_at_s or None),
)
_NOT_SUMMED = {"start_time_seconds"}


class Exposition:
    """Collects when it is asked, from what was measured last."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is shows when it is collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        sampler = self._sampler
        seen = [Seen(each, each.meter.last, sampler.players(each.id)) for each in sampler.subjects()]
        for row in ROWS:
            yield _servers(row, seen[:MOST_SERVERS], seen[MOST_SERVERS:])
        if sampler.node is not None:
            yield from _node(sampler.node, sampler.node_cpu_s)


def _servers(row: Row, seen: Sequence[Seen], rest: Sequence[Seen]) -> Metric:
    family = _family(row.is_counter, f"ctrl_alt_play_server_{row.name}", row.help, "server_id")
    for each in seen:
        if (value := row.value(each)) is not None:
            family.add_metric([each.subject.id], value)
    values = [value for each in rest if (value := row.value(each)) is not None]
    if values and not row.is_counter and row.name not in _NOT_SUMMED:
        family.add_metric([OTHER], sum(values))
    return family


def _node(node: NodeFigures, cpu_s: float | None) -> Iterator[Metric]:
    gauges = (
        ("cpu_cores", "Cores of the node.", node.cores),
        ("memory_bytes", "Memory in use, without page cache.", node.memory),
        ("memory_total_bytes", "Memory of the node.", node.memory_total),
        ("load1", "Load over one minute.", node.load[0] if node.load else None),
        ("docker_disk_bytes", "What images, containers and volumes take.", node.docker_disk),
    )
    counters = (
        ("cpu_seconds", "CPU time of all cores since the node booted.", cpu_s),
        ("network_receive_bytes", "Received since the node booted.", node.rx),
        ("network_transmit_bytes", "Sent since the node booted.", node.tx),
    )
    for is_counter, rows in ((False, gauges), (True, counters)):
        for name, help_, value in rows:
            family = _family(is_counter, f"ctrl_alt_play_node_{name}", help_)
            if value is not None:
                family.add_metric([], value)
                yield family
    used = _family(False, "ctrl_alt_play_node_disk_used_bytes", "Used of a disk.", "path")  # noqa: FBT003 - as above
    total = _family(False, "ctrl_alt_play_node_disk_total_bytes", "What a disk holds.", "path")  # noqa: FBT003 - as above
    for disk in node.disks:
        used.add_metric([disk.path], disk.used)
        total.add_metric([disk.path], disk.total)
    yield from (used, total)


def _family(
    is_counter: bool,  # noqa: FBT001 - private
    name: str,
    help_: str,
    *labels: str,
) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if is_counter else GaugeMetricFamily
    return kind(name, help_, labels=labels)
