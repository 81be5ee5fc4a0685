"""`ctrl-alt-play template`."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ctrl_alt_play.cli import stored
from ctrl_alt_play.cli.output import say, show_table

app = typer.Typer(no_args_is_help=True)
app.add_typer(stored.app)
FOLDER = typer.Argument(exists=True, file_okay=False, help="With templates as .json, .yaml or .yml, at any depth.")


@app.command("check")
def check_folder(folder: Annotated[Path, FOLDER]) -> None:
    """Say what the templates in a folder use, and whether all of it can be imported. Files whose name begins with a dot are passed over."""
    from ctrl_alt_play.templates.features import Feature, features  # noqa: PLC0415
    from ctrl_alt_play.templates.reading import Flaw, NotATemplate, examine  # noqa: PLC0415

    used: Counter[Feature] = Counter()
    failed: list[tuple[Path, list[Flaw]]] = []
    paths = stored.templates_in(folder)
    for path in paths:
        flaws: list[Flaw] = []
        try:
            template, flaws = examine(path.read_text(encoding="utf-8"))
        except NotATemplate as error:
            flaws = error.flaws
        except (OSError, UnicodeDecodeError) as error:
            flaws = [Flaw("", f"it cannot be read: {error}")]
        else:
            used.update(features(template))
        if flaws:
            failed.append((path.relative_to(folder), flaws))
    if used:
        rows = [[each.kind, each.name, used[each], "yes" if each.is_supported else "NO"] for each in sorted(used)]
        show_table(["KIND", "FEATURE", "TEMPLATES", "SUPPORTED"], rows)
    for name, found in failed:
        say(f"{name}: {'; '.join(map(str, found))}")
    say(f"{len(paths)} templates, {len(paths) - len(failed)} imported, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)
