"""Templates as they travel."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ctrl_alt_play.panel.names import Category
from ctrl_alt_play.templates.model import Template
from ctrl_alt_play.templates.writing import Format

Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048)]
Source = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s@]+$")]
Document = Annotated[str, Field(min_length=1)]
Outcome = Literal["new", "next", "same", "flawed"]
Syntax = Literal["json", "yaml"]


class Draft(BaseModel):
    """A template, by exactly one of `document`, `url` and `content`."""

    model_config = ConfigDict(extra="forbid")

    document: Document | None = Field(default=None, description="as a file has it: JSON or YAML, in any known format")
    url: Url | None = Field(default=None, description="where the panel is to have it from")
    content: Template | None = Field(default=None, description="in parts, as `GET /api/templates/{id}` gives it")
    source: Source | None = Field(default=None, description="of a `document`: the address that it was had from")

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if [self.document, self.url, self.content].count(None) != 2:
            raise ValueError("give exactly one of document, url and content")
        return self


class Examined(Draft):
    template_id: str | None = Field(
        default=None, max_length=36, description="whose next version it would be; left out: that of the one it is like"
    )
    version: int | None = Field(
        default=None, ge=1, le=10**9, description="of that template, to compare it with; left out: the newest"
    )
    is_new: bool = Field(default=False, description="a template of its own, whichever it is like")


class Imported(Draft):
    category: Category | None = Field(default=None, description="left out: as it is")
    is_new: bool = Field(default=False, description="a template of its own, whichever it is like")
    compared_with: int | None = Field(
        default=None,
        ge=0,
        le=10**9,
        description="the newest version that a preview told of, 0 where there was none; if it is another by now, nothing is done (412)",
    )


class CategoryChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    category: Category


class Rollback(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=10**9, description="what it was then, it is again: as its next version")


class TemplateView(BaseModel):
    id: str
    uuid: str | None
    name: str
    author: str
    description: str
    category: str
    version: int = Field(description="the newest")
    source: str | None = Field(description="the address that it was had from")
    has_icon: bool
    servers: int = Field(description="that were made from it")
    created_at: datetime
    changed_at: datetime


class MadeServer(BaseModel):
    id: str
    name: str
    version: int | None


class TemplateDetail(TemplateView):
    shown_version: int
    content: Template
    made: list[MadeServer] = Field(description="servers made from it, by name; the first 100")


class KeptTemplate(TemplateView):
    outcome: Outcome = Field(description="`same`: it is that already, and no version was made of it")


class VersionView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    version: int
    created_at: datetime
    created_by_name: str | None


class CategoryView(BaseModel):
    name: str
    templates: int


class CategoryList(BaseModel):
    items: list[CategoryView]


class FlawView(BaseModel):
    place: str
    message: str


class ChangeView(BaseModel):
    """`before` and `after` are null where there is nothing; in their place there are `lines`, as `diff -u` has them, of long texts."""

    path: list[str]
    kind: Literal["added", "removed", "changed", "reordered"]
    before: Any = None
    after: Any = None
    lines: list[str] | None = None


class Difference(BaseModel):
    changes: list[ChangeView]


class LikeView(BaseModel):
    id: str
    name: str
    author: str
    version: int = Field(description="the newest")
    by: Literal["choice", "uuid", "name"] = Field(description="how it was found: by name means name and author")


class Preview(BaseModel):
    outcome: Outcome
    like: LikeView | None = Field(description="whose next version it would be")
    content: Template | None = Field(description="as far as it can be read")
    flaws: list[FlawView]
    changes: list[ChangeView]
    source: str | None = Field(description="the address that it was had from")
    document: str | None = Field(
        description="what was there; give it as `document`, with `source`, to import just this"
    )


class ExportView(BaseModel):
    file_name: str
    document: str
    format: Format
    lost: list[str] = Field(description="what the format has no place for")
