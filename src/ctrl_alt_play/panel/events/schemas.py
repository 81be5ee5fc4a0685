"""Events as they travel."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ctrl_alt_play.protocol.part2 import CrashCause

HAPPENED = Field(description="by its node's clock")
RECEIVED = Field(description="by the panel's clock; later than `happened_at` by as long as the two were apart")


class EventView(BaseModel):
    id: int
    node_id: str
    server_id: str | None
    kind: str
    data: dict[str, Any]
    missing: int = Field(
        description="events just before it that its node had to give up, having been alone for too long"
    )
    happened_at: Annotated[datetime, HAPPENED]
    received_at: Annotated[datetime, RECEIVED]


class CrashReport(BaseModel):
    """Why a game ended unasked, as far as its node could see."""

    id: int = Field(description="of its event")
    server_id: str
    cause: CrashCause
    summary: str
    exit_code: int | None
    signal: str | None
    uptime_s: float | None
    last_lines: tuple[str, ...] = Field(description="of its console")
    changes: tuple[str, ...] = Field(description="what differs from its last good run, without values of variables")
    crashes: int = Field(description="within its crash policy's window, this one included")
    restart_at: datetime | None = Field(description="null: it was not started again by itself")
    crashed_at: datetime
    happened_at: Annotated[datetime, HAPPENED]
    received_at: Annotated[datetime, RECEIVED]
