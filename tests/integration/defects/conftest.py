"""What the tests of this folder share: one installation, and servers whose games do as they are told."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from tests.integration.defects import puppet as puppets
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

MakePuppet = Callable[..., Puppet]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("installation"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def installation(programs: Installation) -> Installation:
    """A panel and an agent that run. A test that ends one of them starts it again; where it failed in the middle, this does."""
    for program, start in ((programs.panel, programs.start_panel), (programs.agent, programs.start_agent)):
        if program is None or program.poll() is not None:
            start()
    programs.wait_for_panel()
    programs.wait_for_node()
    return programs


@pytest.fixture(scope="session")
def puppet_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with puppets.image(tmp_path_factory.mktemp("puppet")) as name:
        yield name


@pytest.fixture
def puppet(installation: Installation, puppet_image: str) -> Iterator[MakePuppet]:
    """Makes a server for the length of a test; takes what a creation takes, and `at_start` and `at_end`."""
    made: list[Puppet] = []

    def make(**recipe: Any) -> Puppet:
        made.append(Puppet(installation, puppet_image, **recipe))
        return made[-1]

    yield make
    for each in made:
        with suppress(httpx.TransportError):
            installation.api.delete(each.path)
