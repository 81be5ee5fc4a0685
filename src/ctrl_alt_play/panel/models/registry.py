"""Where private images come from."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from ctrl_alt_play.panel.db import Base


class Registry(Base):
    __tablename__ = "registries"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), unique=True)
    """As it stands before the first slash of an image's name."""
    username: Mapped[str] = mapped_column(String(255))
    sealed_password: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted by the panel's own key: nodes need it as it is."""
    created_at: Mapped[datetime]
