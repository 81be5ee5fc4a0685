"""Ports of nodes as they travel."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctrl_alt_play.panel.names import Host, IpAddress

Number = Annotated[int, Field(ge=1, le=65535)]
Protocol = Literal["tcp", "udp", "both"]


class NewPortRange(BaseModel):
    """Ports of a node that servers are given by themselves."""

    model_config = ConfigDict(extra="forbid")

    first: Number
    last: Number
    address: IpAddress = Field(default="0.0.0.0", max_length=45, description="of the node; 0.0.0.0: all of them")  # noqa: S104 - games are meant to be reached
    protocol: Protocol = "both"
    alias: Host | None = Field(default=None, description="how players call that address; left out: as the node")


class PortRangeChange(BaseModel):
    """What is left out, or null, stays as it is; but an `alias` that is null is none any more."""

    model_config = ConfigDict(extra="forbid")

    first: Number | None = None
    last: Number | None = None
    address: IpAddress | None = Field(default=None, max_length=45)
    protocol: Protocol | None = None
    alias: Host | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value is not None or name == "alias"}


class PortRangeView(BaseModel):
    id: str
    first: int
    last: int
    address: str
    protocol: Protocol
    alias: str | None
    free: int = Field(description="numbers of it of which no server holds anything")


class AllocationView(BaseModel):
    """A port of a node, and who holds it."""

    port: int
    protocol: Literal["tcp", "udp"]
    address: str
    name: str | None = Field(description="what it is for, where the server says so")
    server_id: str
    server_name: str
