"""Docker's `stats` answer as a sample, on cgroup v1 and v2; and its `system df`, summed up.

Memory is what people expect: without the page cache that the kernel gives back under pressure. As `docker stats` does it: usage less
`total_inactive_file` (v1) or `inactive_file` (v2).
"""

from datetime import datetime
from typing import Any

from ctrl_alt_play.agent.engine.base import Sample


def sample_of(stats: dict[str, Any]) -> Sample | None:
    """A sample; None for a container that does not run, whose counters are empty."""
    memory = stats.get("memory_stats") or {}
    if not memory.get("usage"):
        return None
    networks = (stats.get("networks") or {}).values()
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return Sample(
        read_at_s=datetime.fromisoformat(stats["read"]).timestamp(),
        cpu_ns=stats["cpu_stats"]["cpu_usage"]["total_usage"],
        memory_bytes=memory["usage"] - cache if cache < memory["usage"] else memory["usage"],
        memory_limit_bytes=memory.get("limit", 0),
        received_bytes=sum(network["rx_bytes"] for network in networks),
        sent_bytes=sum(network["tx_bytes"] for network in networks),
        pids=(stats.get("pids_stats") or {}).get("current", 0),
        read_bytes=_moved(stats, "read"),
        written_bytes=_moved(stats, "write"),
    )


def disk_of(usage: dict[str, Any]) -> int:
    """What all that Docker keeps takes on the disk: layers that are shared count once."""
    containers = sum(each.get("SizeRw") or 0 for each in usage.get("Containers") or ())
    volumes = sum(max(0, (each.get("UsageData") or {}).get("Size", 0)) for each in usage.get("Volumes") or ())
    cache = sum(each.get("Size") or 0 for each in usage.get("BuildCache") or () if not each.get("Shared"))
    return int((usage.get("LayersSize") or 0) + containers + volumes + cache)


def _moved(stats: dict[str, Any], way: str) -> int | None:
    """Bytes read from or written to block devices; Docker writes the word now in lower case, now in upper."""
    moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive")
    return None if moved is None else sum(each["value"] for each in moved if each["op"].lower() == way)
