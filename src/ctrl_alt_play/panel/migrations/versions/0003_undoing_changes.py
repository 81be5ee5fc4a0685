"""What a server was before a change that its node may still refuse, and a short way to the servers that are behind."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BEHIND = sa.text("node_revision < revision")


def upgrade() -> None:
    op.add_column("operations", sa.Column("undo", sa.JSON(), nullable=True))
    op.create_index("ix_servers_behind", "servers", ["node_id"], sqlite_where=_BEHIND, postgresql_where=_BEHIND)


def downgrade() -> None:
    op.drop_index("ix_servers_behind", "servers")
    op.drop_column("operations", "undo")
