"""What is written on consoles, on its way from the container to those who look: how much and how late, for more viewers and for floods."""

import contextlib
import json
import math
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.waiting import until

from bench.place import Place, remark
from bench.viewers import END

TICK_S = 0.02
SECONDS = 10
LINE = b"@%d a player said something, and so did another one\n"
KEPT_BYTES = 2**30
VIEWERS = {1: 10_000, 10: 1000, 100: 1000, 1000: 100}
"""And the lines a second that each of so many is told."""
FLOODS = (1000, 10_000, 50_000, 200_000)
Row = dict[str, float]


def measure(place: Place) -> None:
    with puppet.image(place.folder) as image:
        rows = [_watched(place, image, viewers, lines_s) for viewers, lines_s in VIEWERS.items()]
        _show("viewers of one console", "viewers", rows, ("docker p99 ms", "p99 ms", "panel %"))
        floods = [_flooded(place, image, lines_s) for lines_s in FLOODS]
        _show("one console floods", "asked lines/s", floods, ("agent %", "panel %", "other p99 ms", "command p95 ms"))
        remark(
            f"{SECONDS} s each; % of one core; `seen` by each viewer, of what `docker logs -f` shows in the same run"
        )


@contextlib.contextmanager
def _servers(place: Place, image: str, count: int) -> Iterator[list[Puppet]]:
    made = [Puppet(place.installation, image, console={"keep_bytes": KEPT_BYTES}) for _ in range(count)]
    try:
        for each in made:
            each.does("start")
        yield made
    finally:
        for each in made:
            place.installation.do("DELETE", each.path)


def _watched(place: Place, image: str, viewers: int, lines_s: int) -> Row:
    with (
        _servers(place, image, 1) as (server,),
        _viewers(place, {"loud": (server, viewers)}, server) as result,
        _used(place) as used,
    ):
        Writer(server, lines_s).join()
        seen = result()
    ours, docker = seen["loud"], seen["docker"]
    return {
        "viewers": viewers,
        "lines/s": docker["lines_s"],
        "seen": ours["lines"] / viewers / max(1, docker["lines"]),
        "p50 ms": ours["p50_ms"],
        "p99 ms": ours["p99_ms"],
        "docker p50 ms": docker["p50_ms"],
        "docker p99 ms": docker["p99_ms"],
        **used,
    }


def _flooded(place: Place, image: str, lines_s: int) -> Row:
    with _servers(place, image, 3) as (loud, quiet, idle):
        with _viewers(place, {"loud": (loud, 1), "quiet": (quiet, 1)}, loud) as result, _used(place) as used:
            writers = Writer(loud, lines_s), Writer(quiet, 50)
            commands = _commands(idle)
            for each in writers:
                each.join()
            seen = result()
        written, kept = writers[0].lines, _kept(loud)
    return {
        "asked lines/s": lines_s,
        "lines/s": seen["docker"]["lines_s"],
        "kept": kept / written,
        "dropped": 1 - kept / written,
        "seen": seen["loud"]["lines"] / written,
        "p99 ms": seen["loud"]["p99_ms"],
        "docker p99 ms": seen["docker"]["p99_ms"],
        "other p99 ms": seen["quiet"]["p99_ms"],
        "other most ms": seen["quiet"]["p100_ms"],
        "command p50 ms": statistics.median(commands),
        "command p95 ms": statistics.quantiles(commands, n=20)[-1],
        **used,
    }


class Writer(threading.Thread):
    """Lets a game write as many lines a second as it can, and at most so many, each with the time of its writing. `lines` is how many it wrote."""

    def __init__(self, server: Puppet, lines_s: int) -> None:
        super().__init__(daemon=True)
        self.lines = 0
        self._lines = int(lines_s * TICK_S)
        name = f"feed-{secrets.token_hex(4)}"
        server.types(f"busybox mkfifo -m 666 {name}; busybox cat {name}")
        self._feed = server.installation.folder / "agent" / "servers" / server.id / name
        until(self._feed.exists, "the game reads what it is to write")
        self.start()

    def run(self) -> None:
        with self._feed.open("wb", buffering=0) as feed:
            began, due = time.monotonic(), time.monotonic()
            while (now := time.monotonic()) < began + SECONDS:
                time.sleep(max(0.0, due - now))
                due += TICK_S
                feed.write(LINE % time.time_ns() * self._lines)
                self.lines += self._lines
            feed.write(END + b"\n")


def _commands(idle: Puppet) -> list[float]:
    """Milliseconds from asking until a line was written to a third server's console, while the others write."""
    found, deadline = [], time.monotonic() + SECONDS - 1
    while time.monotonic() < deadline:
        began = time.monotonic()
        idle.types("echo here")
        found.append((time.monotonic() - began) * 1000)
    return found


def _offset(server: Puppet) -> int:
    return int(server.installation.get(f"{server.path}/console", lines=1)["cursor"])


def _kept(server: Puppet) -> int:
    """How many of the written lines its node has."""
    with server.installation.api.stream("GET", f"{server.path}/console/download", timeout=60) as download:
        return sum(chunk.count(b"@") for chunk in download.iter_bytes())


@contextlib.contextmanager
def _viewers(
    place: Place, consoles: dict[str, tuple[Puppet, int]], beside: Puppet
) -> Iterator[Callable[[], dict[str, Row]]]:
    """Those who look, all of them there; gives what asks them for what they saw."""
    api = place.installation.api
    asked = {
        "url": str(api.base_url),
        "token": api.headers["Authorization"].removeprefix("Bearer "),
        "container": f"ctrl-alt-play-{beside.id}",
        "consoles": {
            name: {"path": f"{server.path}/console/stream?after={_offset(server)}", "viewers": viewers}
            for name, (server, viewers) in consoles.items()
        },
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.viewers", json.dumps(asked)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    output = process.stdout
    try:
        assert output.readline().strip() == "ready"
        yield lambda: dict(json.loads(output.readline()))
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _used(place: Place) -> Iterator[Row]:
    """Filled at the end: CPU, in percent of one core."""
    assert place.installation.agent is not None
    programs = {"panel %": place.panel, "agent %": psutil.Process(place.installation.agent.pid)}
    before = {name: sum(program.cpu_times()[:2]) for name, program in programs.items()}
    began, used = time.monotonic(), Row()
    yield used
    seconds = time.monotonic() - began
    used |= {name: (sum(program.cpu_times()[:2]) - before[name]) * 100 / seconds for name, program in programs.items()}


def _show(title: str, over: str, rows: Sequence[Row], sloped: Sequence[str]) -> None:
    """A table, and below it how what costs grows: 1 is as fast as the first column, 0 not at all."""
    print(f"\n{title}")
    print("  ".join(f"{name:>14}" for name in rows[0]))
    for row in rows:
        print("  ".join(f"{_figure(value):>14}" for value in row.values()))
    slopes = (f"{name} {_slope([(row[over], row[name]) for row in rows]):.2f}" for name in sloped)
    remark(f"slopes over {over}: {', '.join(slopes)}")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through the logarithms."""
    return statistics.linear_regression(
        [math.log(x) for x, _ in points], [math.log(max(y, 0.01)) for _, y in points]
    ).slope
