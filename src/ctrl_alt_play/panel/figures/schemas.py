"""Figures as they travel."""

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from ctrl_alt_play.panel.servers.figures import Figures


class Rates(BaseModel):
    """Since the sample before; null where there is none to compare with."""

    network_received_bytes_per_s: float | None = None
    network_sent_bytes_per_s: float | None = None
    block_read_bytes_per_s: float | None = None
    block_written_bytes_per_s: float | None = None


class ServerSample(Figures, Rates):
    """What a running server uses, as its node measured it."""

    measured_at: datetime = Field(description="by the panel's clock")


class DiskSample(BaseModel):
    path: str
    used_bytes: int
    total_bytes: int


class NodeSample(Rates):
    """What a node itself uses."""

    measured_at: datetime = Field(description="by the panel's clock")
    cpu_percent: float | None = Field(default=None, description="of one core: 400 is four cores busy")
    cpu_cores: int | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    load: tuple[float, float, float] | None = None
    disks: list[DiskSample] = []
    docker_disk_bytes: int | None = Field(default=None, description="what images, containers and volumes take")
    network_received_bytes: int | None = None
    network_sent_bytes: int | None = None
    servers_running: int | None = None
    clock_ahead_s: float | None = Field(
        default=None, description="the node's clock against the panel's, with the way that the message took"
    )


class Columns(BaseModel):
    """A value for each step; null where nothing was measured."""

    cpu_percent: list[float | None]
    cpu_percent_max: list[float | None]
    memory_used_bytes: list[int | None]
    memory_used_bytes_max: list[int | None]
    disk_used_bytes: list[int | None] = Field(description="at most; as are pids and players")
    network_received_bytes_per_s: list[int | None]
    network_sent_bytes_per_s: list[int | None]
    block_read_bytes_per_s: list[int | None]
    block_written_bytes_per_s: list[int | None]
    pids: list[int | None]
    players: list[int | None]


Newest = TypeVar("Newest", bound=BaseModel)


class Graph(BaseModel, Generic[Newest]):
    """What was used over a time: averages, and where it says so the most, in steps of one length."""

    start: datetime = Field(description="when the first step begins; the others follow without a gap")
    step_s: int
    resolution_s: int = Field(description="of the measurements that the steps are made of: 1, 60 or 900")
    columns: Columns
    newest: Newest | None = Field(description="as last measured; null where nothing was within a minute")
