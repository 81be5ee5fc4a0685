"""Nodes as they travel."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctrl_alt_play.panel.models import Openness
from ctrl_alt_play.panel.names import Host, Name, NodeId, Tags
from ctrl_alt_play.protocol.doctor import Finding
from ctrl_alt_play.protocol.images import PullState

Percent = Annotated[int, Field(ge=-100, le=1000)]


class NewNode(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: NodeId
    name: Name


class NodeChange(BaseModel):
    """What is left out, or null, stays as it is; but an `address` that is null is none any more."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    enabled: bool | None = None
    address: Host | None = Field(default=None, description="how players reach it; null: by no name that is known here")
    tags: Tags | None = Field(default=None, description="all of them; an empty list: none any more")
    openness: Openness | None = Field(
        default=None,
        description="`draining`: takes no new servers; `maintenance`: those that it has are held down as well, until it is over",
    )
    extra_memory: Percent | None = Field(default=None, description="percent promised beyond it; below 0: kept back")
    extra_cpu: Percent | None = None
    extra_disk: Percent | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value is not None or name == "address"}


class System(BaseModel):
    """What the node's agent says of its machine. Nothing here is certain: an agent tells what it knows."""

    os: str | None = None
    arch: str | None = None
    memory_bytes: int | None = None
    cpu: str | None = None
    docker_version: str | None = None
    agent_version: str | None = None
    cores: int | None = None
    disk_bytes: int | None = Field(default=None, description="of the disk that servers' files are on")
    disk_path: str | None = None
    capabilities: list[str] = []
    networks: dict[str, str] = {}
    queries: list[str] | None = Field(
        default=None, description="the game queries it knows; null where it does not tell"
    )


class OrphanView(BaseModel):
    """A container that carries our labels and that the node's agent does not know. Nothing is done with it until someone adopts it."""

    server_id: str
    container_id: str
    state: str
    image: str | None
    is_adoptable: bool = Field(description="it tells itself what it is made of")


class Room(BaseModel):
    """Of one kind: bytes, or of CPU percent of one core."""

    total: int | None = Field(description="what the machine has; null where its agent does not tell")
    allowed: int | None = Field(
        description="what may be promised: `total`, with what the node gives beyond or keeps back"
    )
    promised: int = Field(description="limits of its servers; of those without one, what they were measured to use")
    used: int | None = Field(description="by all that runs there, as last written down")
    free: int | None = Field(description="what may still be promised; below 0: more was than may be")


class Capacity(BaseModel):
    memory: Room
    cpu: Room
    disk: Room


class PullView(BaseModel):
    """An image that the node was asked to pull, as it last told."""

    image: str
    state: PullState
    percent: float | None
    message: str = Field(description="how far it is, or how it ended, as a sentence")


class NodeView(BaseModel):
    id: str
    name: str
    enabled: bool
    online: bool
    since: datetime = Field(description="when it came online, or went")
    last_seen_at: datetime | None
    system: System | None
    warning: str | None = Field(description="what is wrong with its connection, as a sentence for people")
    protocol_version: int = Field(
        description="what was agreed with its agent when it last came; from 2 on nothing it tells is lost"
    )
    orphans: list[OrphanView]
    pulls: list[PullView] = Field(description="of images, since its agent began, that were asked for by themselves")
    servers: int
    address: str | None = Field(description="how players reach it")
    tags: list[str]
    openness: Openness
    openness_since: datetime | None
    extra_memory: int = Field(description="percent promised beyond what there is; below 0: kept back")
    extra_cpu: int
    extra_disk: int
    capacity: Capacity
    health: Finding = Field(description="the worst that the panel knows of it; `GET /api/nodes/{id}/doctor` tells all")
    created_at: datetime


class EnrolledNode(NodeView):
    secret: str = Field(description="the agent's AGENT_SECRET: shown this once, and kept only as a hash")


class NodeSecret(BaseModel):
    secret: str = Field(description="the agent's new AGENT_SECRET: shown this once, and kept only as a hash")


class Enrolment(BaseModel):
    token: str = Field(description="opens the node once, for whoever has it: shown this once, and kept only as a hash")
    expires_at: datetime
    package: str = Field(description="where the panel has its own program as a wheel, for a machine that has none yet")


class Redemption(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=128)


class Identity(BaseModel):
    """What an agent needs to be a node."""

    node_id: str
    secret: str = Field(description="its AGENT_SECRET: told this once, and kept only as a hash")


class Diagnosis(BaseModel):
    findings: list[Finding]
