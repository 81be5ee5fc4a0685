"""What viewers say."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctrl_alt_play.panel.errors import Invalid

LARGEST_BYTES = 64 * 1024
Place = Annotated[int, Field(ge=0, lt=2**63)]


class Token(BaseModel):
    """The first message, where no header told it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str


class Wish(BaseModel):
    """One of three."""

    model_config = ConfigDict(extra="forbid", strict=True)

    subscribe: str | None = None
    after: Place | None = None
    unsubscribe: str | None = None
    ping: int | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(said is not None for said in (self.subscribe, self.unsubscribe, self.ping)) != 1:
            raise ValueError("say either subscribe, unsubscribe or ping")
        if self.after is not None and self.subscribe is None:
            raise ValueError("`after` goes with subscribe")
        return self


def read_wish(text: str) -> Wish:
    """Raises: Invalid."""
    try:
        return Wish.model_validate_json(text)
    except ValidationError as error:
        raise _unreadable(error) from error


def read_token(text: str) -> str:
    """Raises: Invalid."""
    try:
        return Token.model_validate_json(text).token
    except ValidationError as error:
        raise Invalid('Say who you are first: {"token": "…"}.') from error


def _unreadable(error: ValidationError) -> Invalid:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:64]
    reason = str(first["msg"]).removeprefix("Value error, ")
    return Invalid(f"This cannot be read: {place + ': ' if place else ''}{reason}"[:500])
