"""The history of what servers and nodes used."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subjects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=True),
        sa.Column("node_id", sa.String(length=64), nullable=True),
        sa.Column("rolled_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_subjects_node_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_subjects_server_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subjects")),
        sa.UniqueConstraint("node_id", name=op.f("uq_subjects_node_id")),
        sa.UniqueConstraint("server_id", name=op.f("uq_subjects_server_id")),
        sqlite_autoincrement=True,
    )
    averages = ("received", "sent", "read", "written")
    op.create_table(
        "samples",
        sa.Column("subject_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("resolution", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("cpu", sa.REAL(), nullable=True),
        sa.Column("cpu_max", sa.REAL(), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("memory", "memory_max", "disk", *averages)),
        sa.Column("pids", sa.Integer(), nullable=True),
        sa.Column("players", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "resolution", "at", name=op.f("pk_samples")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("samples")
    op.drop_table("subjects")
