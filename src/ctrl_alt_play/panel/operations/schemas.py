"""Operations as they travel."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ctrl_alt_play.panel.models import OperationKind, OperationState


class ProgressView(BaseModel):
    """How far it is, as its node last told; not kept."""

    model_config = ConfigDict(from_attributes=True)

    phase: str
    percent: float | None
    message: str


class OperationView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    server_id: str
    node_id: str
    kind: OperationKind
    state: OperationState = Field(
        description="queued: not accepted by its node yet; running: accepted; succeeded and failed are final"
    )
    code: str | None = Field(description="why it failed, for programs")
    message: str | None = Field(description="what there is to say about it, for people")
    arguments: dict[str, Any]
    result: dict[str, Any] | None = Field(description="what its node answered, in the node's own words")
    progress: ProgressView | None = None
    created_by: str | None = Field(
        description="a user's id; null for what the panel does by itself, and where the account is no more"
    )
    created_by_name: str | None = Field(description="as they were called then; null for what the panel does by itself")
    created_at: datetime
    started_at: datetime | None = Field(description="when the node accepted it")
    finished_at: datetime | None
    deadline_at: datetime = Field(description="when it fails if nothing was heard of it by then")
