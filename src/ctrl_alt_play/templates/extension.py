"""What is our own in a template: the field's formats carry it under one key, which other panels pass over."""

import re
from typing import Any

from pydantic import Field, ValidationError, model_validator

from ctrl_alt_play.templates.model import Part, Port, Query, Template

KEY = "ctrl_alt_play"


class Extension(Part):
    """As in `Template`."""

    ports: tuple[Port, ...] = Field(default=(), max_length=64)
    query: Query | None = None
    stop_timeout: float | None = Field(default=None, ge=0, le=3600)

    @model_validator(mode="after")
    def _ports_have_names_of_their_own(self) -> "Extension":
        names = [port.name for port in self.ports]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two ports are called {twice!r}")
        if self.query is not None and self.query.port is not None and self.query.port not in names:
            raise ValueError(f"the query asks at the port {self.query.port!r}, which there is not")
        return self


def read(told: object) -> tuple[Extension, list[tuple[str, str]]]:
    """With what is wrong: the place, and why."""
    try:
        return Extension.model_validate({} if told is None else told), []
    except ValidationError as error:
        return Extension(), [(_place(each["loc"]), _reason(each)) for each in error.errors()]


def written(template: Template) -> dict[str, Any]:
    """What stands under the key; nothing where there is nothing of our own."""
    fields = template.model_dump(mode="json", include=set(Extension.model_fields))
    return Extension.model_validate(fields).model_dump(mode="json", exclude_defaults=True)


def _place(location: tuple[int | str, ...]) -> str:
    return KEY + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not known here"
    return re.sub(r"^(Value error, |Input )", "", str(error["msg"]))
