"""`ctrl-alt-play template …`, of templates that the panel keeps."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table
from ctrl_alt_play.cli.values import given
from ctrl_alt_play.client import Api, ApiError, Login, as_id

app = typer.Typer()
ENDINGS = (".json", ".yaml", ".yml")
TemplateArgument = Annotated[
    str, typer.Argument(metavar="TEMPLATE", help="A template's id, or its name where only one has it.")
]
VersionOption = Annotated[int | None, typer.Option(help="The newest when left out.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")]
DiffOption = Annotated[bool, typer.Option("--diff", help="Show what is different.")]
OWN_CATEGORY = "Ctrl-Alt-Play"
_SAID = {"new": "new", "next": "version {version} of {name}", "same": "{name} is that already", "flawed": "FAILED"}


@dataclass(frozen=True, slots=True)
class _Source:
    """Something to import: what the API takes, what it is called here, and by which word its folder groups it."""

    label: str
    draft: dict[str, Any]
    category: str | None = None


@app.command("list")
def list_(
    text: Annotated[str | None, typer.Argument(help="Only those of which these words are said.")] = None,
    category: Annotated[str | None, typer.Option(help="Only those of this category.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """All templates that the panel keeps."""
    with Api(Login.load()) as api:
        templates = api.every("/api/templates", **given(text=text, category=category))
    if as_json:
        show_json(templates)
        return
    columns = ("id", "name", "category", "version", "servers", "changed_at")
    rows = [
        [each[column] or ("-" if column == "category" else each[column]) for column in columns] for each in templates
    ]
    show_table(("ID", "NAME", "CATEGORY", "VERSION", "SERVERS", "CHANGED"), rows)


@app.command()
def show(template: TemplateArgument, version: VersionOption = None, *, as_json: JsonOption = False) -> None:
    """What a template is made of."""
    with Api(Login.load()) as api:
        found = api.call("GET", f"/api/templates/{find(api, template)['id']}", version=version)
    if as_json:
        show_json(found)
        return
    content = found["content"]
    say(f"{content['name']} by {content['author'] or '-'}, version {found['shown_version']} of {found['version']}")
    say(f"{content['description']}\n" if content["description"] else "")
    show_table(("IMAGE", "NAME"), [(image, name) for name, image in content["images"].items()])
    say("")
    show_table(("STARTUP", "NAME"), [(command, name) for name, command in content["startup_commands"].items()])
    say("")
    rows = [(each["environment_name"], each["default"], "|".join(each["rules"])) for each in content["variables"]]
    show_table(("VARIABLE", "DEFAULT", "RULES"), rows)
    if found["made"]:
        say("")
        show_table(
            ("SERVER", "NAME", "VERSION"), [(each["id"], each["name"], each["version"]) for each in found["made"]]
        )


@app.command()
def versions(template: TemplateArgument, *, as_json: JsonOption = False) -> None:
    """All versions that there were of a template, the newest first."""
    with Api(Login.load()) as api:
        found = api.every(f"/api/templates/{find(api, template)['id']}/versions")
    if as_json:
        show_json(found)
        return
    show_table(
        ("VERSION", "MADE", "BY"), [(each["version"], each["created_at"], each["created_by_name"]) for each in found]
    )


@app.command("import")
def import_(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE…", help="Files, folders, or addresses (http, https).")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="For all of them; of those in a folder else the folder within it.")
    ] = None,
    *,
    own: Annotated[bool, typer.Option("--own", help="Those that come with this program as well.")] = False,
    is_new: Annotated[bool, typer.Option("--new", help="Templates of their own, whichever they are like.")] = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
) -> None:
    """Import templates: each is new, or the next version of the one that it is like. Of broken ones all is said that is wrong."""
    if not (sources or own):
        raise typer.BadParameter("name files, folders or addresses, or --own")
    counted: Counter[str] = Counter()
    with Api(Login.load()) as api:
        for source in chain(_sources(sources or []), _own() if own else ()):
            try:
                preview = api.call("POST", "/api/templates/preview", {**source.draft, "is_new": is_new})
                counted[preview["outcome"]] += 1
                _say_outcome(source.label, preview, diff=diff)
                if preview["outcome"] in ("new", "next") and not dry_run:
                    _keep(api, source, preview, category, is_new=is_new)
            except ApiError as error:
                if error.status != 422:
                    raise
                counted["flawed"] += 1
                say(f"{source.label}: FAILED: {error.message}")
    done = "would be imported" if dry_run else "imported"
    say(
        f"{counted.total()} templates, {counted['new'] + counted['next']} {done}, {counted['same']} the same, {counted['flawed']} failed"
    )
    if counted["flawed"]:
        raise typer.Exit(1)


@app.command()
def update(template: TemplateArgument, *, dry_run: DryRunOption = False, diff: DiffOption = False) -> None:
    """Look for a newer version where a template came from, and import it."""
    with Api(Login.load()) as api:
        found = find(api, template)
        preview = api.call("POST", f"/api/templates/{found['id']}/newer")
        _say_outcome(preview["source"], preview, diff=diff)
        if preview["outcome"] == "flawed":
            raise typer.Exit(1)
        if preview["outcome"] == "next" and not dry_run:
            _put(api, found["id"], preview["document"], preview["like"]["version"])


@app.command()
def export(
    template: TemplateArgument,
    version: VersionOption = None,
    format_: Annotated[
        str, typer.Option("--format", help="PTDL_v1, PTDL_v2, PLCN_v1, PLCN_v2 or PLCN_v3.")
    ] = "PLCN_v3",
    *,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="YAML in the place of JSON.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else it is printed.")] = None,
) -> None:
    """Write a template as a file that other panels read. What the format has no place for is said."""
    with Api(Login.load()) as api:
        path = f"/api/templates/{find(api, template)['id']}/document"
        syntax = "yaml" if as_yaml else "json"
        found = api.call("GET", path, version=version, format=format_, syntax=syntax)
    for lost in found["lost"]:
        say(f"{format_} has no place for {lost}.", err=True)
    if output is None:
        typer.echo(found["document"], nl=False)
    else:
        output.write_text(found["document"], encoding="utf-8")


@app.command()
def diff(
    template: TemplateArgument,
    file: Annotated[Path | None, typer.Argument(help="Compare with this document, and not with a version.")] = None,
    before: Annotated[int | None, typer.Option("--from", help="The version before --to when left out.")] = None,
    after: Annotated[int | None, typer.Option("--to", help="The newest when left out.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """What is different between two versions of a template, or between a version and a document."""
    with Api(Login.load()) as api:
        found = find(api, template)
        if file is None:
            after = after or found["version"]
            path = f"/api/templates/{found['id']}/changes"
            changes = api.call("GET", path, before=before or max(1, after - 1), after=after)["changes"]
        else:
            body = {"document": _text(file), "template_id": found["id"], "version": before}
            preview = api.call("POST", "/api/templates/preview", body)
            _say_flaws(preview)
            changes = preview["changes"]
    if as_json:
        show_json(changes)
    else:
        _say_changes(changes)


@app.command()
def rollback(template: TemplateArgument, version: Annotated[int, typer.Argument(min=1)]) -> None:
    """Make an older version of a template its next one."""
    with Api(Login.load()) as api:
        kept = api.call("POST", f"/api/templates/{find(api, template)['id']}/rollback", {"version": version})
    say(f"{kept['name']} is of version {kept['version']}, which is as version {version} was.")


@app.command()
def categorize(template: TemplateArgument, category: Annotated[str, typer.Argument(help="Empty: none.")]) -> None:
    """Say by which word a template is grouped."""
    with Api(Login.load()) as api:
        api.call("PATCH", f"/api/templates/{find(api, template)['id']}", {"category": category})


@app.command()
def remove(template: TemplateArgument) -> None:
    """Remove a template with all its versions. One that servers were made from stays."""
    with Api(Login.load()) as api:
        api.call("DELETE", f"/api/templates/{find(api, template)['id']}")


def find(api: Api, template: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = api.call("GET", f"/api/templates/{as_id(template)}")
    except ApiError as error:
        if error.status != 404:
            raise
    else:
        return found
    named = [each for each in api.every("/api/templates", text=template[:128]) if each["name"] == template]
    if len(named) != 1:
        reason = "No template" if not named else f"{len(named)} templates"
        raise ApiError("NOT_FOUND", f"{reason} of that id or name: {template}", 404 if not named else 409)
    return dict(named[0])


def _sources(given: list[str]) -> Iterator[_Source]:
    for each in given:
        if each.startswith(("http://", "https://")):
            yield _Source(each, {"url": each})
        elif Path(each).is_dir():
            folder = Path(each)
            for path in templates_in(folder):
                within = path.relative_to(folder)
                yield _Source(
                    str(within), {"document": _text(path)}, within.parts[0] if len(within.parts) > 1 else None
                )
        else:
            yield _Source(each, {"document": _text(Path(each))})


def _own() -> Iterator[_Source]:
    from ctrl_alt_play.games.own import own_templates  # noqa: PLC0415 - the games are seldom needed

    yield from (_Source(name, {"document": text}, OWN_CATEGORY) for name, text in own_templates())


def templates_in(folder: Path) -> list[Path]:
    """At any depth. Files whose name begins with a dot are passed over."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix in ENDINGS and not path.name.startswith(".")]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or " "
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error


def _keep(api: Api, source: _Source, preview: dict[str, Any], category: str | None, *, is_new: bool) -> None:
    """Just what was looked at, though it be another by now where it came from."""
    draft = source.draft
    if preview["document"] is not None:
        draft = {"document": preview["document"], "source": preview["source"]}
    like = preview["like"]
    chosen = category if category is not None else (source.category if like is None else None)
    body = {**draft, "is_new": is_new, "category": chosen, "compared_with": like["version"] if like else 0}
    api.call("POST", "/api/templates", body)


def _put(api: Api, template_id: str, document: str, version: int) -> None:
    api.call("PUT", f"/api/templates/{template_id}", {"document": document}, made_from=version)


def _say_outcome(label: str, preview: dict[str, Any], *, diff: bool) -> None:
    like = preview["like"]
    known = {"name": like["name"], "version": like["version"] + 1} if like else {}
    outcome = _SAID[preview["outcome"]].format(**known)
    count = len(preview["changes"])
    say(f"{label}: {outcome}{f', {count} changes' if count > 1 else ', 1 change' if count else ''}")
    _say_flaws(preview)
    if diff:
        _say_changes(preview["changes"])


def _say_flaws(preview: dict[str, Any]) -> None:
    for flaw in preview["flaws"]:
        say(f"  {flaw['place']}: {flaw['message']}" if flaw["place"] else f"  {flaw['message']}")


def _say_changes(changes: list[dict[str, Any]]) -> None:
    for change in changes:
        say(f"  {' / '.join(change['path'])}: {change['kind']}")
        lines = change["lines"]
        if lines is None:
            sides = (("-", change["before"]), ("+", change["after"]))
            lines = [f"{sign}{value}" for sign, value in sides if value is not None]
        for line in lines:
            say(f"    {line}")
