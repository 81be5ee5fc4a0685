"""How long a request takes that goes to the agent and back, beside a bare route; one of each in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

ROUNDS, WARM_UP = 400, 50


@dataclass(frozen=True)
class Times:
    """Milliseconds."""

    p50: float
    p99: float


def compare(ours: Callable[[], httpx.Response], bare: Callable[[], httpx.Response]) -> tuple[Times, Times]:
    """The times of both, measured in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(WARM_UP + ROUNDS):
        for times, call in zip(taken, (ours, bare), strict=True):
            began = time.perf_counter()
            call().raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
    return _times(taken[0][WARM_UP:]), _times(taken[1][WARM_UP:])


def _times(milliseconds: list[float]) -> Times:
    cuts = statistics.quantiles(milliseconds, n=100)
    return Times(cuts[49], cuts[98])
