"""What all tests share: a Docker Engine, where a test is marked to need one."""

import tempfile
from pathlib import Path

import pytest

from ctrl_alt_play.up import engine

_own_engine = pytest.StashKey[engine.OwnEngine]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes sure that an engine answers, in the way that `up` does it, before the first test that needs one."""
    if any(item.get_closest_marker("docker") for item in session.items) and not session.config.option.collectonly:
        session.config.stash[_own_engine] = engine.ensure(Path(tempfile.mkdtemp(prefix="ctrl-alt-play-engine-")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _own_engine in session.config.stash:
        session.config.stash[_own_engine].stop()
