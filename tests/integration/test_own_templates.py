"""Each template of our own goes the whole way on a real engine, and its game answers as the template says."""

from pathlib import Path

import pytest
from tests.integration.installation import docker
from tests.integration.trying import step, tried

from ctrl_alt_play.games.own import own_images, own_templates
from ctrl_alt_play.templates.features import features
from ctrl_alt_play.templates.model import Template
from ctrl_alt_play.templates.reading import read

TEXTS = dict(own_templates())
ASKED = {"ddnet", "minecraft", "mumble", "openarena", "sauerbraten", "teeworlds"}


@pytest.fixture(params=TEXTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_is_read_and_all_that_it_uses_is_supported(name: str) -> None:
    template = read(TEXTS[name])
    assert [each for each in features(template) if not each.is_supported] == []
    assert set(_images(template)) <= own_images().keys()
    assert template.ports


@pytest.mark.docker
@pytest.mark.timeout(900)
async def test_it_goes_the_whole_way(name: str, own_data: Path) -> None:
    limit = {"mumble": "MAX_USERS"}.get(name, "MAX_PLAYERS")
    failed, said = await tried(name, TEXTS[name], **{limit: "7", "SERVER_NAME": "It's here & there"})
    assert failed == 0, said
    assert step(said, "query") == ("0 of 7 players" if name in ASKED else None)
    assert not docker("ps", "--all", "--quiet", "--filter", f"name=ctrl-alt-play-trial-{name}-")


def _images(template: Template) -> list[str]:
    return [*template.images.values(), *([template.installer.image] if template.installer else [])]
