"""Templates that tests put into a panel as they are kept there."""

from typing import Any
from uuid import uuid4

from tests.panel.support import PanelUnderTest
from tests.panel.test_rendering import template, variable

from ctrl_alt_play.panel.models import Template, TemplateVersion
from ctrl_alt_play.templates import model

QUAKE = template(
    variable("MAP", "dm17", "required|string|max:10"),
    variable("MOST", "8", "required|integer|between:1,64", is_editable=False),
    variable("RCON_PASSWORD", "hunter2", "nullable|string", is_viewable=False, is_editable=False),
    startup_commands={"Usual": "./quake +map {{MAP}} +rcon {{RCON_PASSWORD}}", "Other": "./other"},
)


async def kept(panel: PanelUnderTest, *versions: model.Template) -> str:
    """The id of a template of these versions."""
    now, template_id = panel.clock.utc(), str(uuid4())
    newest = versions[-1]
    told: dict[str, Any] = {"name": newest.name, "author": newest.author, "description": newest.description}
    async with panel.app.state.database.writing() as session:
        session.add(
            Template(
                id=template_id,
                category="games",
                has_icon=False,
                version=len(versions),
                created_at=now,
                changed_at=now,
                **told,
            )
        )
        await session.flush()
        for number, content in enumerate(versions, 1):
            session.add(
                TemplateVersion(
                    template_id=template_id, version=number, content=content.model_dump(mode="json"), created_at=now
                )
            )
    return template_id
