"""Alembic runs this; the connection is given to it, and so is the transaction around it."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from ctrl_alt_play.panel import models
from ctrl_alt_play.panel.db import Base, UtcDateTime

assert models.Server.metadata is Base.metadata  # noqa: S101 - importing the models is what fills the metadata


def _plain_type(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Migrations stand by themselves: they name no type of ours, which may change."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=_plain_type,
)
with context.begin_transaction():
    context.run_migrations()
