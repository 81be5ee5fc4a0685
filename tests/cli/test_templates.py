"""`ctrl-alt-play template`."""

import json
from pathlib import Path

from tests.templates.test_formats import document
from typer.testing import CliRunner

from ctrl_alt_play.cli.main import app


def test_a_folder_is_checked_and_each_that_fails_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good.json").write_text(json.dumps(document()))
    (tmp_path / "odd.json").write_text(json.dumps(document(variables=[{"env_variable": "A", "rules": "colour"}])))
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "README.md").write_text("no template")
    done = CliRunner().invoke(app, ["template", "check", str(tmp_path)])
    lines = done.output.splitlines()
    assert done.exit_code == 1
    assert lines[0].split() == ["KIND", "FEATURE", "TEMPLATES", "SUPPORTED"]
    assert ["rule", "colour", "1", "NO"] in [line.split() for line in lines]
    assert ["parser", "properties", "2", "yes"] in [line.split() for line in lines]
    assert lines[-3].startswith("bad.yaml: line 2, column 1:")
    assert lines[-2] == "odd.json: variables[0].rules: there is no rule 'colour'"
    assert lines[-1] == "3 templates, 1 imported, 2 failed"
