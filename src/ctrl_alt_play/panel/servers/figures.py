"""What a server uses, as its node measured it."""

from typing import Any

from pydantic import BaseModel


class Figures(BaseModel):
    """What a server uses, as measured. What was not measured is null, never 0."""

    cpu_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_limit_bytes: int | None = None
    disk_used_bytes: int | None = None
    disk_limit_bytes: int | None = None
    network_received_bytes: int | None = None
    network_sent_bytes: int | None = None
    block_read_bytes: int | None = None
    block_written_bytes: int | None = None
    pids: int | None = None
    players: int | None = None
    players_max: int | None = None
    player_names: tuple[str, ...] | None = None
    """Where the game tells them."""
    uptime_s: float | None = None


def as_stored(figures: Figures) -> dict[str, Any]:
    return figures.model_dump(mode="json", exclude_none=True)
