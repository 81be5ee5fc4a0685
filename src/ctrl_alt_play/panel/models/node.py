"""The machines that games run on."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class Openness(StrEnum):
    """`draining`: it takes no new servers. `maintenance`: nor may those run that it has."""

    OPEN = "open"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"


class Node(Base):
    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    enrolment_hash: Mapped[str | None] = mapped_column(String(64), unique=True, index=True)
    """Of the token that makes an agent this node, once."""
    enrolment_expires_at: Mapped[datetime | None]
    enabled: Mapped[bool]
    online: Mapped[bool]
    since: Mapped[datetime]
    """When it came online, or went."""
    last_seen_at: Mapped[datetime | None]
    system: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What its agent said of the machine, as last told."""
    protocol_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """What was agreed with its agent when it last came."""
    spool_id: Mapped[str | None] = mapped_column(String(128))
    """Whose durable events `acked_seq` counts: the agent's journal. A new journal counts from the beginning."""
    acked_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    orphans: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, server_default="[]")
    """Containers that carry our labels and that its agent does not know, as last told."""
    address: Mapped[str | None] = mapped_column(String(255))
    """How players reach it; None: as its agent's ports say."""
    tags: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """What servers may ask of their node."""
    openness: Mapped[str] = mapped_column(String(16), default=Openness.OPEN, server_default="open")
    openness_since: Mapped[datetime | None]
    """None: it always was."""
    extra_memory: Mapped[int] = mapped_column(default=0, server_default="0")
    """Percent of what the machine has that may be promised beyond it; below 0: that is kept back. As are `extra_cpu` and `extra_disk`."""
    extra_cpu: Mapped[int] = mapped_column(default=300, server_default="300")
    """Many games may use a core that each needs for a moment."""
    extra_disk: Mapped[int] = mapped_column(default=0, server_default="0")
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What it was last measured to use, as written down from time to time."""
    created_at: Mapped[datetime]
