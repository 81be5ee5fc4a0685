"""What Docker says, in the seam's words."""

import json
from datetime import datetime
from typing import Any

from ctrl_alt_play.agent.engine.base import Change, Container, ContainerState, EngineSetup
from ctrl_alt_play.agent.engine.container import LABEL_FINGERPRINT, LABEL_NODE, LABEL_SERVER, LABEL_SPECIFICATION
from ctrl_alt_play.protocol.specification import Specification

_KINDS = {
    "created": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "paused": ContainerState.RUNNING,
    "restarting": ContainerState.RUNNING,
}


def container_of(fields: Any, network: str) -> Container:
    """A container as `inspect` tells it; its address is the one on this network."""
    state, config = fields["State"], fields["Config"]
    labels = config.get("Labels") or {}
    kind = _KINDS.get(state["Status"], ContainerState.EXITED)
    has_exited = kind is ContainerState.EXITED
    return Container(
        id=fields["Id"],
        server_id=labels.get(LABEL_SERVER, ""),
        node_id=labels.get(LABEL_NODE, ""),
        state=kind,
        is_paused=state["Status"] == "paused",
        pid=state.get("Pid") or None,
        exit_code=state.get("ExitCode") if has_exited else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        started_at=_instant(state["StartedAt"]) if kind is ContainerState.RUNNING else None,
        finished_at=_instant(state["FinishedAt"]) if has_exited else None,
        image=config.get("Image") or "",
        image_id=fields.get("Image") or "",
        address=_address(fields, network),
        uid=_uid(config.get("User") or ""),
        fingerprint=labels.get(LABEL_FINGERPRINT, ""),
        specification=_specification(labels.get(LABEL_SPECIFICATION)),
    )


def change_of(line: bytes) -> Change | None:
    """An event about one of our containers."""
    try:
        event = json.loads(line)
    except ValueError:  # the engine ended in the middle of a line
        return None
    server_id = event.get("Actor", {}).get("Attributes", {}).get(LABEL_SERVER)
    return Change(server_id, event.get("Action", "")) if server_id else None


def setup_of(fields: Any) -> EngineSetup:
    """An engine as `docker info` tells it."""
    return EngineSetup(
        version=fields.get("ServerVersion") or "",
        storage_driver=fields.get("Driver") or "",
        cgroup=fields.get("CgroupVersion") or "",
        keeps_games=fields.get("LiveRestoreEnabled"),
    )


def subnet_of(network: Any) -> str | None:
    """The first subnet of a network, if it has one."""
    ranges = (network.get("IPAM") or {}).get("Config") or []
    return ranges[0].get("Subnet") if ranges else None


def _instant(text: str) -> datetime | None:
    """Docker calls what never was the first moment of the year 1."""
    instant = datetime.fromisoformat(text)
    return instant if instant.year > 1 else None


def _address(fields: Any, network: str) -> str | None:
    networks = (fields.get("NetworkSettings") or {}).get("Networks") or {}
    return (networks.get(network) or {}).get("IPAddress") or None


def _uid(user: str) -> int | None:
    name = user.partition(":")[0]
    return int(name) if name.isdecimal() else None


def _specification(text: str | None) -> Specification | None:
    """A label may have been written by anybody."""
    try:
        return None if text is None else Specification.model_validate_json(text)
    except ValueError:
        return None
