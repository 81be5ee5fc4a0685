"""Nodes as they travel."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ctrl_alt_play.panel.names import Name, NodeId
from ctrl_alt_play.protocol.doctor import Finding


class NewNode(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: NodeId
    name: Name


class NodeChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    enabled: bool | None = None


class System(BaseModel):
    """What the node's agent says of its machine. Nothing here is certain: an agent tells what it knows."""

    os: str | None = None
    arch: str | None = None
    memory_bytes: int | None = None
    cpu: str | None = None
    docker_version: str | None = None
    agent_version: str | None = None
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
    servers: int
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
