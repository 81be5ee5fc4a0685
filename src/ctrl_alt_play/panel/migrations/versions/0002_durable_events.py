"""Durable events, the revisions of specifications, orphans, and names for requests."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("protocol_version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("nodes", sa.Column("spool_id", sa.String(length=128), nullable=True))
    op.add_column("nodes", sa.Column("acked_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("nodes", sa.Column("orphans", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("servers", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.add_column("servers", sa.Column("node_revision", sa.Integer(), nullable=True))
    op.add_column("servers", sa.Column("ready", sa.Boolean(), nullable=True))
    op.add_column("servers", sa.Column("crashes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("servers", sa.Column("restart_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("operations") as operations:
        operations.add_column(sa.Column("request_key", sa.String(length=128), nullable=True))
        operations.create_unique_constraint(op.f("uq_operations_created_by_request_key"), ["created_by", "request_key"])
    _make_events()


def downgrade() -> None:
    op.drop_table("events")
    with op.batch_alter_table("operations") as operations:
        operations.drop_constraint(op.f("uq_operations_created_by_request_key"), type_="unique")
        operations.drop_column("request_key")
    for column in ("restart_at", "crashes", "ready", "node_revision", "revision"):
        op.drop_column("servers", column)
    for column in ("orphans", "acked_seq", "spool_id", "protocol_version"):
        op.drop_column("nodes", column)


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("spool_id", sa.String(length=128), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_events_node_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("node_id", "spool_id", "seq", name=op.f("uq_events_node_id_spool_id_seq")),
    )
    op.create_index(op.f("ix_events_server_id_events_id"), "events", ["server_id", "id"])
    op.create_index(op.f("ix_events_received_at"), "events", ["received_at"])
