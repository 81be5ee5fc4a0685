"""The machines that games run on."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class Node(Base):
    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    enabled: Mapped[bool]
    online: Mapped[bool]
    since: Mapped[datetime]
    """When it came online, or went."""
    last_seen_at: Mapped[datetime | None]
    system: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What its agent said of the machine, as last told."""
    created_at: Mapped[datetime]
