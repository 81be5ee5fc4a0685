"""Writes the API's types for the page, from the panel's own OpenAPI document; with `--check` it only says whether they are stale."""

import json
import sys
import tempfile
from pathlib import Path

from npm import UI, npm

from ctrl_alt_play.panel.config import load
from ctrl_alt_play.panel.main import create_app

TYPES = UI / "src" / "api" / "schema.d.ts"


def main(*, only_checks: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        document, made = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        document.write_text(json.dumps(create_app(load(data=Path(folder))).openapi()))
        npm("exec", "--", "openapi-typescript", str(document), "--output", str(made), "--silent")
        types = made.read_text()
    if not only_checks:
        TYPES.write_text(types)
    elif types != TYPES.read_text():
        sys.exit("The page's types of the API are stale: run `scripts/check --fix`.")


if __name__ == "__main__":
    main(only_checks="--check" in sys.argv)
