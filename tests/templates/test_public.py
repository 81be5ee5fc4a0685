"""Real templates from the field, where there are any."""

from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from ctrl_alt_play.cli.main import app
from ctrl_alt_play.templates.features import features
from ctrl_alt_play.templates.model import Template
from ctrl_alt_play.templates.reading import read
from ctrl_alt_play.templates.writing import Format, lost, write

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "templates"
PATHS = [
    path
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in (".json", ".yaml", ".yml") and not path.name.startswith(".")
]
pytestmark = pytest.mark.skipif(not PATHS, reason="there are no templates beside this project")


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return {path.name: read(path.read_text()) for path in PATHS}


@pytest.mark.parametrize("format_", get_args(Format))
def test_each_is_written_and_read_back(templates: dict[str, Template], format_: Format) -> None:
    dropped = {"all startup commands but the first": "startup_commands", "the icon": "icon", "the tags": "tags"}
    dropped["the names of the images"] = "images"
    for name, template in templates.items():
        without = {dropped[each] for each in lost(template, format_)}
        for as_yaml in (False, True):
            again = read(write(template, format_, as_yaml=as_yaml))
            assert again.model_dump(exclude=without) == template.model_dump(exclude=without), name


def test_nothing_that_they_use_is_unknown(templates: dict[str, Template]) -> None:
    unknown = {
        (name, each) for name, template in templates.items() for each in features(template) if not each.is_supported
    }
    assert unknown == set()


def test_the_command_counts_them() -> None:
    done = CliRunner().invoke(app, ["template", "check", str(FOLDER)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"{len(PATHS)} templates, {len(PATHS)} imported, 0 failed"
