"""What figures cost the panel: 200 servers on 20 nodes that are all measured every second, and graphs of a server with a year of history."""

import sqlite3
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bench.place import Place, remark, show
from bench.swarm import Swarm, settled

NODES, SERVERS_A_NODE = 20, 10
SERVERS = NODES * SERVERS_A_NODE
SECONDS = 130
"""Two whole minutes are written down meanwhile."""
SUBJECTS = 20
"""So many have a year of history, for the graphs."""
DAY_S = 24 * 3600
STRETCHES = ((1, 600), (60, 7 * DAY_S), (900, 365 * DAY_S))
GRAPHS = (
    ("1 minute by the second", timedelta(seconds=50)),
    ("an hour", timedelta(hours=1)),
    ("a day", timedelta(days=1)),
    ("a week", timedelta(days=7)),
    ("a month", timedelta(days=30)),
    ("a year", timedelta(days=365)),
)
POINTS = (500, 2000)
ROUNDS = 15


def measure(place: Place) -> None:
    place.add_nodes(NODES)
    place.add_servers(NODES, SERVERS_A_NODE)
    ours = _cpu_percent(place, place.panel.pid, place.agents_url, is_panel=True)
    bare = _cpu_percent(place, place.bare.pid, place.bare_url)
    show(f"CPU, {SERVERS} servers every second", ours, bare, "%")
    remark(f"{NODES} nodes, {SECONDS} s, of one core; with all that is written down")


def _cpu_percent(place: Place, pid: int, url: str, *, is_panel: bool = False) -> float:
    how = {"agents": NODES, "part": 2, "kind": "samples", "servers": SERVERS_A_NODE, "events": SECONDS, "pace_s": 1}
    with Swarm(url, place.secret, **how) as swarm:
        swarm.expect("connected")
        before = settled(pid)
        swarm.go_on()
        swarm.expect("sent")
        after = settled(pid, at_once=True)
        if is_panel:
            _show_rows(place)
            _show_graphs(place)
        swarm.go_on()
    return (after.cpu_s - before.cpu_s) * 100 / (after.at_s - before.at_s)


def _show_rows(place: Place) -> None:
    with place.database() as database:
        counted = dict(database.execute("SELECT resolution, count(*) FROM samples GROUP BY resolution").fetchall())
    remark(f"rows after {SECONDS} s: {counted.get(1, 0)} of a second, {counted.get(60, 0)} of a minute")


def _show_graphs(place: Place) -> None:
    server_id = "swarm-0-0"
    bytes_a_row = _fill(place)
    a_day = SERVERS * (DAY_S // 60 + DAY_S // 900)
    a_year = SERVERS * sum(length_s // resolution for resolution, length_s in STRETCHES[1:])
    remark(
        f"{bytes_a_row:.0f} bytes a row; {SERVERS} servers that always run write {a_day * bytes_a_row / 1e6:.1f} MB a day"
    )
    remark(
        f"and hold {a_year * bytes_a_row / 1e6:.0f} MB once a year is over; all that are watched {SERVERS * 600 * bytes_a_row / 1e6:.0f} MB more"
    )
    bare_ms = _took_ms(lambda: place.bare.api.get("/bare"))
    for name, length in GRAPHS:
        for points in POINTS:
            until = datetime.now(UTC)
            asked = {"since": (until - length).isoformat(), "until": until.isoformat(), "points": points}
            took_ms = _took_ms(lambda asked=asked: place.installation.get(f"/api/servers/{server_id}/figures", **asked))
            show(f"graph of {name}, {points} points", took_ms, bare_ms, "ms")


def _fill(place: Place) -> float:
    """A year of history for some; how many bytes a row takes."""
    now_s = int(time.time())
    with place.database() as database:
        before = _size_bytes(database)
        query = "SELECT id FROM subjects WHERE server_id IS NOT NULL ORDER BY server_id LIMIT ?"
        subjects = [row[0] for row in database.execute(query, (SUBJECTS,))]
    written = 0
    for subject_id in subjects:
        rows = [
            (
                subject_id,
                resolution,
                at_s,
                4,
                12.34,
                56.78,
                10**9 + at_s,
                2 * 10**9,
                10**10,
                12345,
                54321,
                4096,
                8192,
                42,
                7,
            )
            for resolution, length_s in STRETCHES
            for at_s in range((now_s - length_s) // resolution * resolution, now_s - 120, resolution)
        ]
        with place.database() as database:
            database.executemany(f"INSERT OR IGNORE INTO samples VALUES ({', '.join('?' * 15)})", rows)  # noqa: S608 - of our own words
        written += len(rows)
    with place.database() as database:
        return (_size_bytes(database) - before) / written


def _size_bytes(database: sqlite3.Connection) -> int:
    (pages,), (size,), (free,) = (
        database.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size", "freelist_count")
    )
    return int((pages - free) * size)


def _took_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
