"""What the agent counts about itself, for Prometheus. Labels are few and from fixed sets."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """One registry of one agent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        prefix = "ctrl_alt_play_agent"
        self.connected = Gauge(f"{prefix}_connected", "1 while the panel is connected.", registry=self.registry)
        self.engine_up = Gauge(f"{prefix}_docker_up", "1 while the Docker Engine answers.", registry=self.registry)
        self.servers = Gauge(f"{prefix}_servers", "Servers of this node by state.", ["state"], registry=self.registry)
        self.orphans = Gauge(
            f"{prefix}_unknown_containers", "Labelled containers that no server owns.", registry=self.registry
        )
        self.unacknowledged = Gauge(
            f"{prefix}_unacknowledged_events", "Durable events that the panel has not kept yet.", registry=self.registry
        )
        self.journal_writable = Gauge(
            f"{prefix}_journal_writable", "1 while the journal can be written.", registry=self.registry
        )
        self.sessions = Counter(f"{prefix}_sessions", "Connections made to the panel.", registry=self.registry)
        self.frames = Counter(f"{prefix}_frames", "Frames by what they were.", ["kind"], registry=self.registry)
        self.requests = Counter(
            f"{prefix}_requests", "Requests by action and result code.", ["action", "code"], registry=self.registry
        )
        self.answer_s = Histogram(
            f"{prefix}_answer_seconds",
            "From a request's arrival to its answer.",
            buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=self.registry,
        )
        self.dropped_lines = Counter(
            f"{prefix}_dropped_lines", "Lines of games' output that were not sent.", registry=self.registry
        )
