"""`ctrl-alt-play template`."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrl_alt_play.cli import stored
from ctrl_alt_play.cli.output import say, show_table

if TYPE_CHECKING:
    from ctrl_alt_play.templates.model import Template

app = typer.Typer(no_args_is_help=True)
app.add_typer(stored.app)
FOLDER = typer.Argument(exists=True, file_okay=False, help="With templates as .json, .yaml or .yml, at any depth.")
NAMES = typer.Argument(help="Files, folders, or names of our own templates; none: all of our own.")
OWN_NAMES = typer.Argument(help="Names of our own templates; none: all.")
SET = typer.Option("--set", metavar="NAME=VALUE", help="A variable's value; may be given again.")
TIMEOUT = typer.Option("--ready-timeout", min=1, help="Seconds that a game has to become ready.")


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


@app.command("build")
def build_images(names: Annotated[list[str] | None, OWN_NAMES] = None) -> None:
    """Build the images of our own templates on this machine, which is to be their servers' node. One that is current stays."""
    from ctrl_alt_play.games.commands import BuildFailed  # noqa: PLC0415
    from ctrl_alt_play.games.own import build_own  # noqa: PLC0415
    from ctrl_alt_play.paths import data_folder  # noqa: PLC0415

    for name, text in _texts(names or []):
        template = _read(name, text)
        images = [*template.images.values(), *((template.installer.image,) if template.installer else ())]
        try:
            built = [
                image for image in images if build_own(image, data_folder() / "cache", lambda words: say(f"  {words}"))
            ]
        except BuildFailed as error:
            say(f"{name}: {error}", err=True)
            raise typer.Exit(1) from error
        say(f"{name}: {', '.join(built) or 'no image of ours'}")


@app.command("test")
def try_templates(
    names: Annotated[list[str] | None, NAMES] = None,
    *,
    settings: Annotated[list[str] | None, SET] = None,
    ready_timeout: Annotated[float, TIMEOUT] = 60,
) -> None:
    """Take templates the whole way on this machine's Docker: image, install, start, ready, query, stop. Nothing stays but images."""
    from ctrl_alt_play import logs  # noqa: PLC0415
    from ctrl_alt_play.cli import trials  # noqa: PLC0415
    from ctrl_alt_play.errors import StartupError  # noqa: PLC0415
    from ctrl_alt_play.protocol.errors import Fault  # noqa: PLC0415

    logs.configure(logs.LogSettings(level="error"))
    values = dict(_pair(each) for each in settings or ())
    wanted = [trials.Trial(name, _read(name, text), values, ready_timeout) for name, text in _texts(names or [])]
    try:
        failed = asyncio.run(trials.run(wanted, say))
    except (Fault, StartupError) as error:
        say(str(error), err=True)
        raise typer.Exit(5) from error
    raise typer.Exit(1 if failed else 0)


def _texts(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Of our own templates by their names, of others by their files and folders; all of our own where none is named."""
    from ctrl_alt_play.games.own import own_templates  # noqa: PLC0415

    own = dict(own_templates())
    for name in names or own:
        path = Path(name)
        if name in own:
            yield name, own[name]
        elif path.exists():
            files = [path] if path.is_file() else stored.templates_in(path)
            yield from ((file.stem, file.read_text(encoding="utf-8")) for file in files)
        else:
            raise typer.BadParameter(f"{name} is no file, no folder and none of our own: {', '.join(own)}")


def _read(name: str, text: str) -> "Template":
    from ctrl_alt_play.templates.reading import NotATemplate, read  # noqa: PLC0415

    try:
        return read(text)
    except NotATemplate as error:
        raise typer.BadParameter(f"{name}: {error}") from error


def _pair(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise typer.BadParameter(f"{setting!r}: give NAME=VALUE", param_hint="--set")
    return name, value
