"""What servers and nodes used, as it was measured: a row for each second, minute or quarter of an hour in which it was."""

from sqlalchemy import REAL, BigInteger, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class Subject(Base):
    """What is measured, by a short number: a server or a node. When that goes, its samples are of no use, and go in pieces."""

    __tablename__ = "subjects"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("servers.id", ondelete="SET NULL"), unique=True
    )
    node_id: Mapped[str | None] = mapped_column(String(64), ForeignKey("nodes.id", ondelete="SET NULL"), unique=True)
    rolled_at: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Up to when its minutes were summed up to quarters of an hour, in seconds since 1970."""


class Sample(Base):
    """Without a row of its own in an index: the table is its primary key. No foreign key either, for each would cost a look at each row."""

    __tablename__ = "samples"
    __table_args__ = ({"sqlite_with_rowid": False},)

    subject_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    resolution: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Seconds that it is about."""
    at: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """When they begin, in seconds since 1970, by the panel's clock."""
    count: Mapped[int]
    """How many measurements it is made of."""
    cpu: Mapped[float | None] = mapped_column(REAL)
    """Percent of one core, on average."""
    cpu_max: Mapped[float | None] = mapped_column(REAL)
    memory: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes, on average."""
    memory_max: Mapped[int | None] = mapped_column(BigInteger)
    disk: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes, at most; as are `pids` and `players`."""
    received: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes a second, on average; as is what follows."""
    sent: Mapped[int | None] = mapped_column(BigInteger)
    read: Mapped[int | None] = mapped_column(BigInteger)
    written: Mapped[int | None] = mapped_column(BigInteger)
    pids: Mapped[int | None]
    players: Mapped[int | None]
