"""Servers of templates as they travel."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ctrl_alt_play.panel.names import Name, NodeId, Tags
from ctrl_alt_play.panel.operations.schemas import OperationView
from ctrl_alt_play.panel.servers.recipe import AskedPort, Limits, Recipe
from ctrl_alt_play.panel.servers.schemas import OwnerId
from ctrl_alt_play.protocol.specification import EnvironmentName, EnvironmentValue
from ctrl_alt_play.templates.inputs import Kind

MOST_AT_ONCE = 100
_STRICT = ConfigDict(extra="forbid")
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
ChoiceName = Annotated[str, Field(max_length=512)]
PortName = Annotated[str, Field(min_length=1, max_length=32)]


class Decided(BaseModel):
    """What is left out is as the template, or the server, has it."""

    model_config = _STRICT

    image: ChoiceName | None = Field(default=None, description="by the name that the template gives it")
    startup: ChoiceName | None = Field(default=None, description="likewise")
    variables: dict[EnvironmentName, EnvironmentValue] = Field(default={}, max_length=512)


class PortChoice(BaseModel):
    """What is left out is as the template has it for a port of that name; the number is then a free one of the node."""

    model_config = _STRICT

    name: PortName = Field(description="what it is for: one of the template's, or another")
    external: int | None = Field(default=None, ge=1, le=65535)
    internal: int | None = Field(default=None, ge=1, le=65535)
    protocol: Literal["tcp", "udp", "both"] | None = None
    address: str | None = Field(default=None, max_length=45)


class ServerDraft(Decided):
    """A server of a template, as far as it is decided."""

    name: Name | None = None
    tags: Tags = ()
    node_id: NodeId | None = Field(default=None, description="left out: the one with the most room")
    node_tags: Tags = Field(default=(), description="which the node has to have that is chosen for it")
    force: bool = Field(default=False, description="also where the chosen node has too little left to promise")
    owner_id: OwnerId | None = Field(default=None, description="left out: whoever makes it")
    version: Version | None = Field(default=None, description="left out: the newest")
    limits: Limits = Limits()
    ports: tuple[PortChoice, ...] = Field(default=(), max_length=32)


class ServerOfTemplate(ServerDraft):
    name: Name


class StartupChange(Decided):
    """What is left out stays."""


class UpgradeRequest(Decided):
    """What is left out stays as it was chosen, or follows the template where nobody chose."""

    version: Version | None = Field(default=None, description="left out: the newest")


class UpgradesRequest(BaseModel):
    model_config = _STRICT

    version: Version | None = Field(default=None, description="left out: the newest")
    servers: list[Annotated[str, Field(max_length=36)]] = Field(min_length=1, max_length=MOST_AT_ONCE)


class Problem(BaseModel):
    field: str
    message: str


class TemplateOfServer(BaseModel):
    id: str
    name: str
    version: int
    newest: int


class Option(BaseModel):
    name: str
    value: str


class Choice(BaseModel):
    """An image, or a startup command."""

    name: str | None = Field(description="by which the template has it; null: none of its own")
    value: str
    options: list[Option]


class InputView(BaseModel):
    kind: Kind = Field(description="how it is best asked for; a switch has two options: off and on")
    options: list[str]
    least: float | None
    most: float | None
    is_required: bool


class VariableView(BaseModel):
    name: str
    description: str
    environment_name: str
    value: str
    default: str
    rules: list[str]
    is_viewable: bool = Field(description="by the server's owner")
    is_editable: bool = Field(description="likewise; administrators see and change all")
    input: InputView


class InstallerView(BaseModel):
    image: str
    entrypoint: str
    script: str


class StartupView(BaseModel):
    """What of a server's start is decided, as far as whoever asks may see it."""

    template: TemplateOfServer | None
    image: Choice
    startup: Choice
    command: str = Field(description="with the variables' values, to look at")
    variables: list[VariableView]
    installer: InstallerView | None = Field(description="for administrators")


class ServerStartupView(StartupView):
    revision: int
    rollback: int | None = Field(description="the version that it was of before its last upgrade, for administrators")


class StartupPreview(ServerStartupView):
    """As it would be, and what is wrong with that."""

    problems: list[Problem]


class PreviewView(BaseModel):
    """What would be made, and what is wrong with it."""

    node_id: str | None
    ports: list[AskedPort]
    recipe: Recipe | None = Field(description="null where none can be made of it")
    startup: StartupView | None
    problems: list[Problem]


class UpgradeChange(BaseModel):
    part: str = Field(
        description="image, startup, variables, ports, stop, readiness, query, configuration, installer, launch"
    )
    name: str | None = Field(description="of a variable, a port or a file")
    before: str | None = Field(description="null: it was not there")
    after: str | None = Field(description="null: it is not there any more")


class UpgradeView(BaseModel):
    """What an upgrade would make of a server."""

    server_id: str
    version: int
    to: int
    changes: list[UpgradeChange]
    kept: list[UpgradeChange] = Field(
        description="what is none of the template's, and stays: `before` is what it is, `after` the template's"
    )
    problems: list[Problem] = Field(description="what has to be decided first")
    startup: StartupView = Field(description="as it would be")


class Upgradable(BaseModel):
    server_id: str
    name: str
    version: int
    changes: int = Field(description="how many parts of it would be others")
    problems: list[Problem]


class Upgradables(BaseModel):
    version: int = Field(description="to which they can go")
    items: list[Upgradable]


class Upgraded(BaseModel):
    server_id: str
    operation: OperationView | None
    problem: str | None = Field(description="why nothing was done")
    fields: list[Problem]


class UpgradesView(BaseModel):
    items: list[Upgraded]
