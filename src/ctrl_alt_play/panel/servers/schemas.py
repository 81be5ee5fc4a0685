"""Servers as they travel."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ctrl_alt_play.panel.models import OperationKind, OperationState
from ctrl_alt_play.panel.names import Name, NodeId, Tags
from ctrl_alt_play.panel.servers import recipe
from ctrl_alt_play.panel.servers.figures import Figures
from ctrl_alt_play.panel.servers.recipe import (
    ConfigurationFile,
    ConsoleRule,
    CrashPolicy,
    Limits,
    Port,
    Query,
    Readiness,
    Recipe,
    StopRule,
)
from ctrl_alt_play.panel.servers.status import Status
from ctrl_alt_play.protocol.contents import LinePayload, ServerState, StopPayload
from ctrl_alt_play.protocol.specification import Desired, Hold, Launch, Specification

OwnerId = Annotated[str, Field(max_length=36)]


class NewServer(Recipe):
    """What the server is made of, and whose it is and where."""

    name: Name
    tags: Tags = ()
    node_id: NodeId
    owner_id: OwnerId | None = Field(default=None, description="left out: whoever makes it")
    force: bool = Field(default=False, description="also where its node has too little left to promise")


class ServerChange(Recipe):
    """What is left out, or null, stays as it is; but a `query` that is null ends the asking. `limits`, `stop`, `readiness`, `crash` and
    `console` change field by field, all else as a whole.
    """

    image: str = Field(default="", min_length=1, max_length=512)
    name: Name = ""
    tags: Tags | None = Field(default=None, description="all of them; an empty list: none any more")

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value is not None or name == "query"}

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say what is to change")
        return self

    @property
    def changes_recipe(self) -> bool:
        """A name and tags are the panel's own."""
        return not self.model_fields_set <= {"name", "tags"}

    def applied_to(self, specification: Specification) -> Specification:
        return recipe.changed(specification, self)


class HoldRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hold: Hold = Field(description="`none` ends it: what should run then starts again")


class ReinstallRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wipe: bool = Field(default=False, description="removes all files of the server first; they are gone for good")


class Adoption(BaseModel):
    """What an orphan does not tell of itself."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    owner_id: OwnerId | None = Field(default=None, description="left out: whoever adopts it")


class StopRequest(StopPayload):
    """How to stop this once; what is left out follows the server's own stop rule."""

    model_config = recipe.STRICT


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
    detail: str | None = Field(description="what the status alone does not say, for people")
    desired: Desired
    observed: ServerState = Field(description="what the node last said of it")
    observed_at: datetime = Field(
        description="when this was last known to be so: while its node is there, when that last said anything"
    )
    age_s: float = Field(description="seconds since then")
    hold: Hold
    node_online: bool
    operation: CurrentOperation | None = Field(description="the oldest that has not ended")
    figures: Figures | None
    measured_at: datetime | None
    ready: bool | None = Field(
        description="of a running one: whether it was seen to be ready; null where nobody looked"
    )
    exit_code: int | None
    last_error: str | None
    crashes: int = Field(description="within its crash policy's window, as its node counts them")
    restart_at: datetime | None = Field(description="when its node starts it again by itself")


class ServerView(BaseModel):
    id: str
    name: str
    tags: list[str]
    node_id: str
    owner_id: str
    status: Status
    status_since: datetime
    detail: str | None = Field(description="what the status alone does not say, for people")
    desired: Desired
    observed: ServerState
    observed_at: datetime
    hold: Hold
    operation: CurrentOperation | None
    figures: Figures | None
    measured_at: datetime | None
    ready: bool | None
    exit_code: int | None
    last_error: str | None
    crashes: int
    restart_at: datetime | None
    revision: int = Field(description="goes up with each change of what follows, and of the hold")
    node_revision: int | None = Field(description="what its node holds; below `revision` until the node was told")
    image: str
    startup: str
    environment: dict[str, str] = Field(description="for administrators; owners find what they may see in its startup")
    limits: Limits
    ports: list[Port]
    addresses: list[str | None] = Field(
        description="how players reach each of the ports, as host:port; null where only the port is known"
    )
    stop: StopRule
    readiness: Readiness
    crash: CrashPolicy
    query: Query | None = Field(description="how its game is asked who plays; null: nobody asks")
    console: ConsoleRule
    configuration: list[ConfigurationFile] = Field(description="files of the game, set up before each start")
    launch: Launch
    has_installer: bool
    template_id: str | None = Field(description="what it was made from; null: from no template")
    template_version: int | None
    created_at: datetime
