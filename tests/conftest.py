"""What all tests share: a Docker Engine, where a test is marked to need one."""

import logging
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ctrl_alt_play.up import engine

_own_engine = pytest.StashKey[engine.OwnEngine]()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """For a test that configures logging, which belongs to the whole process: when it ends all is as it was."""
    root, ours, before = logging.getLogger(), logging.getLogger("ctrl_alt_play"), structlog.get_config()
    kept = (root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook)
    yield
    for handler in set(root.handlers) - set(kept[0]):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    sys.excepthook, threading.excepthook = kept[3:]
    logging.captureWarnings(capture=False)
    structlog.configure(**before)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes sure that an engine answers, in the way that `up` does it, before the first test that needs one."""
    if any(item.get_closest_marker("docker") for item in session.items) and not session.config.option.collectonly:
        session.config.stash[_own_engine] = engine.ensure(Path(tempfile.mkdtemp(prefix="ctrl-alt-play-engine-")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _own_engine in session.config.stash:
        session.config.stash[_own_engine].stop()
