"""What `template test` refuses before it touches an engine."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctrl_alt_play.cli.main import app


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-template"], "no-such-template is no file"),
        (["openarena", "--set", "MAP"], "NAME=VALUE"),
        (["{folder}/broken.yaml"], "meta"),
    ],
)
def test_what_cannot_be_tried_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "broken.yaml").write_text("name: Castle\n")
    done = CliRunner().invoke(app, ["template", "test", *(each.format(folder=tmp_path) for each in arguments)])
    assert done.exit_code == 2, done.output
    assert said in done.output
