"""Registries as they travel. A password only comes in."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ctrl_alt_play.protocol.images import canonical_host, registry_of

_SCHEME = re.compile(r"^https?://")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


def _host(text: str) -> str:
    """As people copy it: also a whole address."""
    host = canonical_host(_SCHEME.sub("", text.strip()).partition("/")[0])
    if _HOST.fullmatch(host) is None or registry_of(f"{host}/image") != host:
        raise ValueError(
            "give what stands before the first slash of its images' names, such as registry.example.org:5000; docker.io is Docker Hub"
        )
    return host


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("leave out line breaks, and what cannot be printed")
    return text


Host = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_host)]
Username = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^:]*$"), AfterValidator(_one_line)]
Password = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_one_line)]


class NewRegistry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    host: Host = Field(description="what stands before the first slash of its images' names; `docker.io` is Docker Hub")
    username: Username
    password: Password = Field(repr=False, description="or an access token")


class RegistryChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    username: Username | None = None
    password: Password | None = Field(default=None, repr=False)


class RegistryView(BaseModel):
    id: str
    host: str
    username: str
    is_usable: bool = Field(description="false: JWT_SECRET was changed since, and the password has to be given again")
    created_at: datetime


class RegistryList(BaseModel):
    items: list[RegistryView]
