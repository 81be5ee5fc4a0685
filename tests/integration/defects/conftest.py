"""What the tests of this folder share: one installation for a module's tests, and servers whose games do as they are told."""

import functools
from collections.abc import Callable, Iterator

import pytest
from tests.integration.defects import puppet as puppets
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

MakePuppet = Callable[..., Puppet]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A panel and an agent that run; a test that ends one of them starts it again."""
    made = Installation(tmp_path_factory.mktemp("installation"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="session")
def puppet_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with puppets.image(tmp_path_factory.mktemp("puppet")) as name:
        yield name


@pytest.fixture
def puppet(installation: Installation, puppet_image: str) -> MakePuppet:
    """Makes a server; takes what a creation takes, and `at_start` and `at_end`."""
    return functools.partial(Puppet, installation, puppet_image)
