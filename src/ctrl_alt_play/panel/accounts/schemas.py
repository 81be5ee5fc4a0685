"""Accounts as they travel."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ctrl_alt_play.panel.names import Username

Password = Annotated[str, StringConstraints(min_length=10, max_length=1024)]


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=256)
    password: str = Field(max_length=1024)


class AccessToken(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind, not a secret
    expires_in: int = Field(description="seconds")


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
