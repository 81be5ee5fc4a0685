"""Docker's `stats` answer as a sample, on cgroup v1 and v2.

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
    )
