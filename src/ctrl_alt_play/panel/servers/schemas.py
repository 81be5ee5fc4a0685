"""Servers as they travel."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from ctrl_alt_play.panel.models import OperationKind, OperationState
from ctrl_alt_play.panel.servers.observation import Figures
from ctrl_alt_play.panel.servers.status import Status
from ctrl_alt_play.protocol.contents import LinePayload, ServerState, StopPayload
from ctrl_alt_play.protocol.specification import Desired, Hold, Limits, Port, Specification, StopRule

ServerName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]


class NewServer(Specification):
    """What the server is made of, and whose it is and where."""

    model_config = ConfigDict(alias_generator=None, extra="forbid")

    name: ServerName
    node_id: str = Field(max_length=64)
    owner_id: str | None = Field(default=None, max_length=36, description="left out: whoever makes it")

    @field_validator("ports")
    @classmethod
    def _each_once(cls, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        taken = [(port.address, port.external, port.protocol) for port in ports]
        if len(set(taken)) < len(taken):
            raise ValueError("each port of the node can be given only once")
        return ports

    def specification(self) -> Specification:
        return Specification.model_validate(
            self.model_dump(include=set(Specification.model_fields) - {"hold", "revision"})
        )


class StopRequest(StopPayload):
    """How to stop this once; what is left out follows the server's own stop rule."""

    model_config = ConfigDict(alias_generator=None, extra="forbid")


class ConsoleCommand(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: str = Field(min_length=1, max_length=8192, pattern=r"^[^\r\n\x00]*$", examples=["say hi"])

    def payload(self) -> LinePayload:
        return LinePayload(line=self.command)


class CurrentOperation(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: OperationKind
    state: OperationState
    created_at: datetime


class ServerStatusView(BaseModel):
    """What the panel last knew. `status` is made of all the rest."""

    server_id: str
    status: Status
    status_since: datetime
    desired: Desired
    observed: ServerState = Field(description="what the node last said of it")
    observed_at: datetime = Field(description="when the node last spoke of it")
    age_s: float = Field(description="seconds since then")
    hold: Hold
    node_online: bool
    operation: CurrentOperation | None = Field(description="the oldest that has not ended")
    figures: Figures | None
    measured_at: datetime | None
    exit_code: int | None
    last_error: str | None


class ServerView(BaseModel):
    id: str
    name: str
    node_id: str
    owner_id: str
    status: Status
    status_since: datetime
    desired: Desired
    observed: ServerState
    observed_at: datetime
    hold: Hold
    operation: CurrentOperation | None
    figures: Figures | None
    measured_at: datetime | None
    exit_code: int | None
    last_error: str | None
    image: str
    startup: str
    environment: dict[str, str]
    limits: Limits
    ports: list[Port]
    stop: StopRule
    created_at: datetime


class ConsoleLine(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: int
    stream: Literal["stdout", "stderr"]
    text: str
    time: datetime


class ConsoleView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    lines: list[ConsoleLine]
    cursor: str = Field(description="give it as `after` for what follows")
    missed: int = Field(description="lines after the cursor given that are not kept any more")
