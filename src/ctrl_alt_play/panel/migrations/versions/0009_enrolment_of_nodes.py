"""Tokens by which machines become nodes."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("nodes") as nodes:
        nodes.add_column(sa.Column("enrolment_hash", sa.String(length=64), nullable=True))
        nodes.add_column(sa.Column("enrolment_expires_at", sa.DateTime(timezone=True), nullable=True))
        nodes.create_unique_constraint("uq_nodes_enrolment_hash", ["enrolment_hash"])


def downgrade() -> None:
    with op.batch_alter_table("nodes") as nodes:
        nodes.drop_constraint("uq_nodes_enrolment_hash")
        nodes.drop_column("enrolment_expires_at")
        nodes.drop_column("enrolment_hash")
