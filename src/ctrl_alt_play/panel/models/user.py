"""Who may come in."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class User(Base):
    """An account. Names are kept in lower case, so that two that look alike are one."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_admin: Mapped[bool]
    token_version: Mapped[int]
    """Goes up with each change of password; tokens that carry an older one are worth nothing."""
    created_at: Mapped[datetime]
