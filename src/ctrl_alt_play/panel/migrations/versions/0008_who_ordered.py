"""Who ordered something, by name: also when their account is no more."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operations", sa.Column("created_by_name", sa.String(length=64), nullable=True))
    op.execute(
        "UPDATE operations SET created_by_name = (SELECT username FROM users WHERE users.id = operations.created_by)"
        " WHERE created_by IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("operations", "created_by_name")
