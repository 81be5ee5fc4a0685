"""What the panel knows at the moment at which it is asked: nodes, queues, and what servers use.

Servers are told one by one, up to `MOST_SERVERS`; what the rest uses is told in sum, as the server `_other`, and without counters, for a sum over
servers that come and go is none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ctrl_alt_play.panel.figures.meter import RECENT_S
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.figures.schemas import ServerSample
from ctrl_alt_play.panel.metrics.counted import PREFIX
from ctrl_alt_play.panel.servers.status import Status

MOST_SERVERS = 1000
OTHER_SERVERS = "_other"
"""No server is called so: ids begin with a letter or a digit."""


@dataclass(frozen=True, slots=True)
class Row:
    """A metric of servers, and where in a sample its value is."""

    name: str
    help: str
    field: str
    factor: float = 1
    is_counter: bool = False


ROWS = (
    Row("cpu_cores", "CPU that it uses: 1 is one core.", "cpu_percent", 0.01),
    Row("memory_bytes", "Memory in use, without page cache.", "memory_used_bytes"),
    Row("memory_limit_bytes", "What memory it may use.", "memory_limit_bytes"),
    Row("disk_bytes", "What its files take on the disk.", "disk_used_bytes"),
    Row("network_receive_bytes", "Received since the container started.", "network_received_bytes", is_counter=True),
    Row("network_transmit_bytes", "Sent since the container started.", "network_sent_bytes", is_counter=True),
    Row("block_read_bytes", "Read from block devices.", "block_read_bytes", is_counter=True),
    Row("block_written_bytes", "Written to block devices.", "block_written_bytes", is_counter=True),
    Row("pids", "Processes and threads.", "pids"),
    Row("players", "Players, as the game itself tells.", "players"),
    Row("players_max", "Players it takes.", "players_max"),
    Row("uptime_seconds", "Since the game was started.", "uptime_s"),
)
_NOT_SUMMED = frozenset(("uptime_seconds",))
Gauges = Mapping[str, tuple[str, Callable[[], float]]]
"""By name: what it is, and how it is found."""
Seen = tuple[str, str, ServerSample]
"""A server, its node, and what it uses."""


class Known:
    """Collects what it knew when it last had a `look`: so that it may be written out by a thread."""

    def __init__(self, meters: Meters, gauges: Gauges, now_s: Callable[[], float]) -> None:
        self._meters = meters
        self._gauges = gauges
        self._now_s = now_s
        self._values: dict[str, float] = {}
        self._statuses: Mapping[Status, int] = {}
        self._seen: list[Seen] = []

    def look(self, statuses: Mapping[Status, int]) -> None:
        """`statuses` say how many servers have them."""
        now_s = self._now_s()
        self._values = {name: value() for name, (_, value) in self._gauges.items()}
        self._statuses = statuses
        self._seen = [
            (server_id, meter.node_id, meter.newest)
            for server_id, meter in self._meters.servers()
            if meter.newest is not None and now_s - meter.taken_s <= RECENT_S
        ]

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is shows when it is collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        for name, value in self._values.items():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", self._gauges[name][0], value)
        statuses = GaugeMetricFamily(f"{PREFIX}_servers", "Servers by status.", labels=["status"])
        for status in Status:
            statuses.add_metric([status], self._statuses.get(status, 0))
        yield statuses
        for row in ROWS:
            yield _servers(row, self._seen[:MOST_SERVERS], self._seen[MOST_SERVERS:])


def _servers(row: Row, first: Sequence[Seen], rest: Sequence[Seen]) -> Metric:
    family = (CounterMetricFamily if row.is_counter else GaugeMetricFamily)(
        f"{PREFIX}_server_{row.name}", row.help, labels=["server_id", "node_id"]
    )
    for server_id, node_id, sample in first:
        if (value := _value(row, sample)) is not None:
            family.add_metric([server_id, node_id], value)
    values = [value for _, _, sample in rest if (value := _value(row, sample)) is not None]
    if values and not row.is_counter and row.name not in _NOT_SUMMED:
        family.add_metric([OTHER_SERVERS, OTHER_SERVERS], sum(values))
    return family


def _value(row: Row, sample: ServerSample) -> float | None:
    value: float | None = getattr(sample, row.field)
    return None if value is None else value * row.factor
