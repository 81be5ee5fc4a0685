"""Templates and their versions, what servers were made from, ports and places of nodes, and registries of images."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_LIMITS = {"memory": sa.BigInteger, "cpu": sa.Double, "disk": sa.BigInteger}


def upgrade() -> None:
    _templates()
    _servers()
    _nodes()
    op.create_table(
        "registries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("sealed_password", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("host"),
    )


def _templates() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("uuid", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=191), nullable=False),
        sa.Column("author", sa.String(length=191), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=2048), nullable=True),
        sa.Column("has_icon", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in ("category", "name", "uuid"):
        op.create_index(f"ix_templates_{name}", "templates", [name])
    op.create_table(
        "template_versions",
        sa.Column("template_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_name", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("template_id", "version"),
    )


def _servers() -> None:
    op.add_column("servers", sa.Column("template_id", sa.String(length=36), nullable=True))
    op.add_column("servers", sa.Column("template_version", sa.Integer(), nullable=True))
    op.add_column("servers", sa.Column("before_upgrade", sa.JSON(), nullable=True))
    op.create_index("ix_servers_template_id", "servers", ["template_id"])
    for name, type_ in _LIMITS.items():
        op.add_column("servers", sa.Column(name, type_(), server_default="0", nullable=False))
    servers = sa.table("servers", sa.column("specification", sa.JSON), *map(sa.column, _LIMITS))
    given = {name: servers.c.specification["limits", name].as_float() for name in _LIMITS}
    told: dict[str, Any] = {name: sa.cast(sa.func.coalesce(given[name], 0), type_) for name, type_ in _LIMITS.items()}
    op.execute(servers.update().values(told))
    op.drop_index("ix_servers_node_id", "servers")
    op.create_index("ix_servers_promised", "servers", ["node_id", *_LIMITS])


def _nodes() -> None:
    op.add_column("nodes", sa.Column("address", sa.String(length=255), nullable=True))
    op.add_column("nodes", sa.Column("tags", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("nodes", sa.Column("openness", sa.String(length=16), server_default="open", nullable=False))
    op.add_column("nodes", sa.Column("openness_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("nodes", sa.Column("figures", sa.JSON(), nullable=True))
    for name, usual in (("extra_memory", "0"), ("extra_cpu", "300"), ("extra_disk", "0")):
        op.add_column("nodes", sa.Column(name, sa.Integer(), server_default=usual, nullable=False))
    op.create_table(
        "port_ranges",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(length=8), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_port_ranges_node_id", "port_ranges", ["node_id"])


def downgrade() -> None:
    op.drop_table("registries")
    op.drop_table("port_ranges")
    for name in ("extra_disk", "extra_cpu", "extra_memory", "figures", "openness_since", "openness", "tags", "address"):
        op.drop_column("nodes", name)
    op.drop_index("ix_servers_promised", "servers")
    op.create_index("ix_servers_node_id", "servers", ["node_id"])
    op.drop_index("ix_servers_template_id", "servers")
    for name in ("disk", "cpu", "memory", "before_upgrade", "template_version", "template_id"):
        op.drop_column("servers", name)
    op.drop_table("template_versions")
    op.drop_table("templates")
