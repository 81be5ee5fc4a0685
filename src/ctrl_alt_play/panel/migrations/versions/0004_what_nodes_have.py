"""What a server is made of on its node while something else is wanted, and a short way to the operations that ended long ago."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("node_specification", sa.JSON(), nullable=True))
    op.create_index(op.f("ix_operations_finished_at"), "operations", ["finished_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_operations_finished_at"), "operations")
    op.drop_column("servers", "node_specification")
