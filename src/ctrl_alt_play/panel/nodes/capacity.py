"""What a node has, what of that is promised to its servers, and what is used of it: facts in, figures out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, func

from ctrl_alt_play.panel.models import Node, Server
from ctrl_alt_play.panel.nodes.schemas import Capacity, Room, System


def _promised(limit: ColumnElement[Any], measured: str) -> ColumnElement[float]:
    """Without a limit a server counts with what it was last measured to use."""
    used = func.coalesce(Server.figures[measured].as_float(), 0)
    return func.coalesce(func.sum(case((limit > 0, limit), else_=used)), 0)


PROMISED = (
    _promised(Server.memory, "memory_used_bytes"),  # type: ignore[arg-type]  # a mapped column is a column
    _promised(Server.cpu, "cpu_percent"),  # type: ignore[arg-type]
    _promised(Server.disk, "disk_used_bytes"),  # type: ignore[arg-type]
)
"""Memory, CPU and disk of all servers that a query groups."""


def capacity_of(node: Node, promised: Sequence[float]) -> Capacity:
    """`promised` are `PROMISED` of its servers."""
    system = System.model_validate(node.system or {})
    figures = node.figures or {}
    memory, cpu, disk = promised
    cores = None if system.cores is None else 100 * system.cores
    return Capacity(
        memory=_room(system.memory_bytes, node.extra_memory, memory, figures.get("memory_used_bytes")),
        cpu=_room(cores, node.extra_cpu, cpu, figures.get("cpu_percent")),
        disk=_room(system.disk_bytes, node.extra_disk, disk, _disk_used(figures, system.disk_path)),
    )


def _room(total: int | None, extra: int, promised: float, used: float | None) -> Room:
    allowed = None if total is None else total * (100 + extra) // 100
    return Room(
        total=total,
        allowed=allowed,
        promised=round(promised),
        used=None if used is None else round(used),
        free=None if allowed is None else allowed - round(promised),
    )


def _disk_used(figures: dict[str, Any], path: str | None) -> int | None:
    return next((disk["used_bytes"] for disk in figures.get("disks", ()) if disk["path"] == path), None)
