"""What a node tells of figures, as the panel keeps it. A number that cannot be is none."""

import math
from datetime import UTC, datetime

from ctrl_alt_play.panel.figures.bucket import Reading
from ctrl_alt_play.panel.figures.meter import Counters, RatesOf
from ctrl_alt_play.panel.figures.schemas import DiskSample, NodeSample, ServerSample
from ctrl_alt_play.protocol.live import NodeFigures, ServerFigures

MOST_BYTES = 2**53
MOST_COUNT = 2**31 - 1
MOST_PERCENT = 1e6
LONGEST_NAME = 64


def server_counters(told: ServerFigures) -> Counters:
    return _whole(told.rx), _whole(told.tx), _whole(told.read), _whole(told.written)


def node_counters(told: NodeFigures) -> Counters:
    return _whole(told.rx), _whole(told.tx), None, None


def server_sample(told: ServerFigures, rates: RatesOf, now: datetime) -> ServerSample:
    received, sent, read, written = server_counters(told)
    players = told.players
    return ServerSample(
        measured_at=now,
        cpu_percent=_real(told.cpu, MOST_PERCENT),
        memory_used_bytes=_whole(told.memory),
        memory_limit_bytes=_whole(told.memory_limit),
        disk_used_bytes=_whole(told.disk),
        network_received_bytes=received,
        network_sent_bytes=sent,
        block_read_bytes=read,
        block_written_bytes=written,
        pids=_whole(told.pids, MOST_COUNT),
        uptime_s=_real(told.uptime, MOST_BYTES),
        players=_whole(players.online, MOST_COUNT) if players else None,
        players_max=_whole(players.max, MOST_COUNT) if players else None,
        player_names=tuple(map(_name, players.list)) if players and players.list else None,
        **_named(rates),
    )


def node_sample(told: NodeFigures, rates: RatesOf, now: datetime) -> NodeSample:
    received, sent, _, _ = node_counters(told)
    return NodeSample(
        measured_at=now,
        cpu_percent=_real(told.cpu, MOST_PERCENT),
        cpu_cores=_whole(told.cores, MOST_COUNT),
        memory_used_bytes=_whole(told.memory),
        memory_total_bytes=_whole(told.memory_total),
        load=told.load if told.load and all(map(math.isfinite, told.load)) else None,
        disks=[
            DiskSample(path=disk.path, used_bytes=disk.used, total_bytes=disk.total)
            for disk in told.disks
            if _whole(disk.used) is not None and _whole(disk.total) is not None
        ],
        docker_disk_bytes=_whole(told.docker_disk),
        network_received_bytes=received,
        network_sent_bytes=sent,
        servers_running=_whole(told.servers_running, MOST_COUNT),
        clock_ahead_s=_ahead_s(told.clock, now),
        **_named(rates),
    )


def server_reading(sample: ServerSample, rates: RatesOf) -> Reading:
    used = sample.memory_used_bytes
    return Reading(sample.cpu_percent, used, *rates, sample.disk_used_bytes, sample.pids, sample.players)


def node_reading(sample: NodeSample, rates: RatesOf) -> Reading:
    disk = sum(disk.used_bytes for disk in sample.disks) if sample.disks else None
    return Reading(sample.cpu_percent, sample.memory_used_bytes, *rates, disk, None, None)


def moment_s(at: datetime | None, now_s: float) -> float:
    """When it was measured, by the node's clock; by ours where it has none that any calendar holds."""
    try:
        return now_s if at is None else at.timestamp()
    except (OverflowError, ValueError):
        return now_s


def _named(rates: RatesOf) -> dict[str, float | None]:
    received, sent, read, written = (None if rate is None else round(rate, 1) for rate in rates)
    return {
        "network_received_bytes_per_s": received,
        "network_sent_bytes_per_s": sent,
        "block_read_bytes_per_s": read,
        "block_written_bytes_per_s": written,
    }


def _ahead_s(clock: datetime | None, now: datetime) -> float | None:
    try:
        return None if clock is None else round((clock.astimezone(UTC) - now).total_seconds(), 3)
    except (OverflowError, ValueError):
        return None


def _whole(value: int | None, most: int = MOST_BYTES) -> int | None:
    return value if value is not None and 0 <= value <= most else None


def _real(value: float | None, most: float) -> float | None:
    return value if value is not None and 0 <= value <= most else None


def _name(name: str) -> str:
    """PostgreSQL keeps no NUL."""
    return name.replace("\x00", "")[:LONGEST_NAME]
