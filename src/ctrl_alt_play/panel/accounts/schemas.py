"""Accounts as they travel."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, computed_field

from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.panel.models import UserSession
from ctrl_alt_play.panel.names import Username
from ctrl_alt_play.panel.permissions import Permission, granted

Password = Annotated[str, StringConstraints(min_length=10, max_length=1024)]


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=256)
    password: str = Field(max_length=1024)


class AccessToken(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind, not a secret
    expires_in: int = Field(description="seconds")


class PasswordChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    current_password: str = Field(max_length=1024)
    new_password: Password


class FirstUser(BaseModel):
    """The owner of a panel that has no users yet."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(max_length=256, description="from the link that the panel printed at its start")
    username: Username
    password: Password


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Username
    password: Password
    is_admin: bool = False


class UserChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    username: Username | None = None
    password: Password | None = None
    is_admin: bool | None = None


class UserView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    username: str
    is_admin: bool
    created_at: datetime

    @computed_field
    def permissions(self) -> list[Permission]:
        """What they may do, on what they can see."""
        return granted(is_admin=self.is_admin)


class SessionView(BaseModel):
    """Somebody signed in from a page."""

    id: str
    created_at: datetime
    seen_at: datetime = Field(description="to within a few minutes")
    expires_at: datetime = Field(description="moves on while it is used, up to 90 days after its beginning")
    address: str
    user_agent: str
    is_current: bool = Field(description="it is the one by which this was asked")

    @classmethod
    def of(cls, session: UserSession, current_id: str | None) -> "SessionView":
        return cls(
            id=session.id,
            created_at=at_seconds(session.created_at),
            seen_at=at_seconds(session.seen_at),
            expires_at=at_seconds(session.expires_at),
            address=session.address,
            user_agent=session.user_agent,
            is_current=session.id == current_id,
        )


class SessionList(BaseModel):
    items: list[SessionView]


class SetupView(BaseModel):
    is_needed: bool = Field(description="there are no users yet")
