"""Templates, and each version that there ever was of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class Template(Base):
    """What is looked for and listed; what it is made of is in its versions."""

    __tablename__ = "templates"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    uuid: Mapped[str | None] = mapped_column(String(64), index=True)
    """What the field calls it by: what comes again by the same one is its next version. Some in the field share one, so it need not be unique."""
    name: Mapped[str] = mapped_column(String(191), index=True)
    author: Mapped[str] = mapped_column(String(191))
    description: Mapped[str]
    category: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int]
    """The newest."""
    source: Mapped[str | None] = mapped_column(String(2048))
    """The address that it was had from."""
    has_icon: Mapped[bool]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class TemplateVersion(Base):
    __tablename__ = "template_versions"

    template_id: Mapped[str] = mapped_column(ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A `ctrl_alt_play.templates.model.Template`."""
    created_at: Mapped[datetime]
    created_by_name: Mapped[str | None] = mapped_column(String(64))
