"""Servers: what they are made of, what is wanted of them, and what they are seen to be, each in columns of its own."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from ctrl_alt_play.panel.db import Base

_IS_BEHIND = text("node_revision < revision")


class Server(Base):
    __tablename__ = "servers"
    __table_args__ = (
        Index("ix_servers_behind", "node_id", sqlite_where=_IS_BEHIND, postgresql_where=_IS_BEHIND),
        Index(
            "ix_servers_promised", "node_id", "memory", "cpu", "disk"
        ),  # which are added up without a look at the rows
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    tags: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """By which people group servers; of no meaning to anybody else."""
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    specification: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Without `hold` and `revision`, which are columns."""
    memory: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Its limits once more, to be added up: bytes, percent of one core, bytes. 0: none. They follow the specification by themselves."""
    cpu: Mapped[float] = mapped_column(default=0, server_default="0")
    disk: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    """Goes up with each change of the specification or the hold."""
    node_revision: Mapped[int | None]
    """What its node holds, as last told."""
    node_specification: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What it is made of on its node, where that is another revision; None where that is not known, and while nothing was changed."""
    template_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """What it was made from, which need not be there any more: it needs no template to run."""
    template_version: Mapped[int | None]
    before_upgrade: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What goes back to where it came from: `version` and `specification` as they were before its last upgrade."""
    desired: Mapped[str] = mapped_column(String(8))
    observed: Mapped[str] = mapped_column(String(16))
    observed_at: Mapped[datetime]
    """When the node last told of it."""
    observed_since: Mapped[datetime]
    """When it became what it is."""
    ready: Mapped[bool | None]
    """Of a running one: whether it was seen to be ready; None where nobody looked."""
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many in a row, as its node counts them."""
    restart_at: Mapped[datetime | None]
    """When its node starts it again by itself."""
    hold: Mapped[str] = mapped_column(String(16))
    hold_since: Mapped[datetime | None]
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    measured_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]

    @validates("specification")
    def _keep_limits(self, _: str, specification: dict[str, Any]) -> dict[str, Any]:
        limits = specification.get("limits") or {}
        self.memory, self.cpu, self.disk = (limits.get(kind) or 0 for kind in ("memory", "cpu", "disk"))
        return specification


class Allocation(Base):
    """A port of a node that a server holds."""

    __tablename__ = "allocations"
    __table_args__ = (UniqueConstraint("node_id", "protocol", "port", "address"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("servers.id", ondelete="CASCADE"), index=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id"))
    address: Mapped[str] = mapped_column(String(45))
    port: Mapped[int]
    protocol: Mapped[str] = mapped_column(String(8))


class PortRange(Base):
    """Ports of a node that servers may be given. Where a node has none, any port may be."""

    __tablename__ = "port_ranges"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(String(45))
    first: Mapped[int]
    last: Mapped[int]
    protocol: Mapped[str] = mapped_column(String(8))
    """`tcp`, `udp` or `both`."""
    alias: Mapped[str | None] = mapped_column(String(255))
    """How players call the address, such as play.example.org."""
