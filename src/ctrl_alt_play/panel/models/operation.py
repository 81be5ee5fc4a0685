"""What was asked of a server, and what became of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class OperationKind(StrEnum):
    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    DELETE = "delete"
    COMMAND = "command"
    STATUS = "status"
    UPDATE = "update"
    ADOPT = "adopt"
    REINSTALL = "reinstall"


class OperationState(StrEnum):
    """`queued`: not yet answered by the node, and someone waits. `running`: the node accepted it; events tell the outcome."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


INSTALLS = (OperationKind.CREATE, OperationKind.REINSTALL)
"""What fills a server's folder: while its node has nothing that could run, the newest of them says why."""
OPEN_STATES = (OperationState.QUEUED, OperationState.RUNNING)


class Operation(Base):
    """Its id is the id of the command that the node was sent. It outlives its server."""

    __tablename__ = "operations"
    __table_args__ = (
        Index(None, "server_id", "state"),
        Index(None, "state", "deadline_at"),
        UniqueConstraint("created_by", "request_key"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    server_id: Mapped[str] = mapped_column(String(36))
    node_id: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    code: Mapped[str | None] = mapped_column(String(64))
    message: Mapped[str | None] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    undo: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Of an update that has not ended: what to put back where the node refuses it. Not for anyone to see: variables may be secrets."""
    created_by: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_by_name: Mapped[str | None] = mapped_column(String(64))
    """As they were called: it stays when their account goes."""
    request_key: Mapped[str | None] = mapped_column(String(128))
    """What whoever asked calls it: asked again by the same name, it is not done again."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
    deadline_at: Mapped[datetime]
