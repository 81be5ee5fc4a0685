"""Operations as they travel."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ctrl_alt_play.panel.models import OperationKind, OperationState


class OperationView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    server_id: str
    node_id: str
    kind: OperationKind
    state: OperationState = Field(description="queued and running go on; succeeded and failed are final")
    code: str | None = Field(description="why it failed, for programs")
    message: str | None = Field(description="what there is to say about it, for people")
    arguments: dict[str, Any]
    result: dict[str, Any] | None
    created_by: str | None
    created_at: datetime
    started_at: datetime | None = Field(description="when the node accepted it")
    finished_at: datetime | None
    deadline_at: datetime = Field(description="when it fails if nothing was heard of it by then")
