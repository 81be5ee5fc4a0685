"""Templates as they are kept."""

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.models import Template, TemplateVersion
from ctrl_alt_play.templates import model


async def get(session: AsyncSession, template_id: str) -> Template:
    """Raises: NotFound."""
    template = await session.get(Template, template_id)
    if template is None:
        raise NotFound("There is no such template.")
    return template


async def content(session: AsyncSession, template_id: str, version: int) -> model.Template:
    """What it is made of, in that version. Raises: NotFound."""
    found = await session.get(TemplateVersion, (template_id, version))
    if found is None:
        raise NotFound("There is no such version of that template.")
    return model.Template.model_validate(found.content)
