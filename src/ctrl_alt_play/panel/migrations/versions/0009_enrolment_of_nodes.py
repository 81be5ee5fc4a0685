"""Tokens by which machines become nodes."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("enrolment_hash", sa.String(length=64), nullable=True))
    op.add_column("nodes", sa.Column("enrolment_expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_nodes_enrolment_hash", "nodes", ["enrolment_hash"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_nodes_enrolment_hash", "nodes")
    op.drop_column("nodes", "enrolment_expires_at")
    op.drop_column("nodes", "enrolment_hash")
