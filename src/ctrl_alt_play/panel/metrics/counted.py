"""What is counted as it happens. Labels are few and from fixed sets: whatever else comes is `other`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ctrl_alt_play.protocol.contents import Action

PREFIX = "ctrl_alt_play_panel"
OTHER = "other"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_STATEMENT_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_COMMAND_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 10)


class Counted:
    """One registry of one panel."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            f"{PREFIX}_http_requests",
            "Requests by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._request_s = self._histogram("http_request_seconds", "From a request to its answer.", _REQUEST_S, "route")
        self._events = self._counter("facts", "What nodes said and was taken in, by what it is.", "kind")
        self._failed = self._counter("facts_failed", "What nodes said and was of no use, for an error of its own.")
        self._commands = self._counter(
            "commands", "What nodes were asked, by what it was and how it was answered.", "action", "code"
        )
        self._command_s = self._histogram(
            "command_seconds", "From a command to the node's answer.", _COMMAND_S, "action"
        )
        self._database_s = self._histogram(
            "database_seconds", "Statements, with their wait for a lock.", _STATEMENT_S, "kind"
        )
        self._operations = self._counter("operations", "Operations that ended, by kind and outcome.", "kind", "outcome")

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", help_, labels, buckets=buckets, registry=self.registry)

    def request(self, route: str, method: str, status: int, took_s: float) -> None:
        self._requests.labels(route, method if method in _METHODS else OTHER, status).inc()
        self._request_s.labels(route).observe(took_s)

    def facts(self, kind: str, count: int) -> None:
        self._events.labels(kind).inc(count)

    def failed_facts(self, count: int) -> None:
        self._failed.inc(count)

    def operation(self, kind: str, outcome: str) -> None:
        self._operations.labels(kind, outcome).inc()

    def command(self, action: Action, code: str, took_s: float) -> None:
        self._commands.labels(action, code).inc()
        self._command_s.labels(action).observe(took_s)

    def statement(self, kind: str, took_s: float) -> None:
        self._database_s.labels(kind).observe(took_s)

    @contextmanager
    def timed_statement(self, kind: str) -> Iterator[None]:
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.statement(kind, time.perf_counter() - began_s)
