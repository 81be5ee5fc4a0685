"""What nodes told for good: each durable event once, in the order of its number."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class Event(Base):
    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("node_id", "spool_id", "seq"), Index(None, "server_id", "id"))

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    spool_id: Mapped[str] = mapped_column(String(128))
    """The agent's journal that `seq` counts in."""
    seq: Mapped[int] = mapped_column(BigInteger)
    missing: Mapped[int] = mapped_column(default=0)
    """How many before it the agent had to give up, its spool being full."""
    server_id: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    happened_at: Mapped[datetime]
    """By the node's clock."""
    received_at: Mapped[datetime] = mapped_column(index=True)
