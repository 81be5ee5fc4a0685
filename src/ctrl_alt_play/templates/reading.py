"""Templates from the field's formats: PTDL_v1 and v2, PLCN_v1 to v3, as JSON or YAML.

What the formats hold is told by the programs that write them: `EggExporterService` and `EggImporterService` of github.com/pelican-dev/panel and
github.com/pterodactyl/panel.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from ctrl_alt_play.protocol import specification
from ctrl_alt_play.templates import extension, rules
from ctrl_alt_play.templates.model import (
    ConfigurationFile,
    Installer,
    Readiness,
    Replacement,
    Scalar,
    Template,
    Variable,
)
from ctrl_alt_play.templates.placeholders import newest, unknown
from ctrl_alt_play.templates.startup import named

FORMATS = ("PTDL_v1", "PTDL_v2", "PLCN_v1", "PLCN_v2", "PLCN_v3")
PARSERS = ("file", "properties", "ini", "json", "yaml", "toml", "xml")
USUAL = "Default"
DEEPEST = 100
LARGEST_BYTES = 8 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,190}")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a template, and where: `variables[3].rules`, or a line of the file."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class NotATemplate(ValueError):
    """A document that cannot be read as a template; it has all that was found wrong."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__("; ".join(str(flaw) for flaw in flaws))
        self.flaws = flaws


def read(text: str) -> Template:
    """Raises: NotATemplate."""
    template, flaws = examine(text)
    if flaws:
        raise NotATemplate(flaws)
    return template


def examine(text: str) -> tuple[Template, list[Flaw]]:
    """A template as far as it can be read, and what is wrong with it.

    Raises:
        NotATemplate: nothing of it can be read.
    """
    if len(text) > LARGEST_BYTES:
        raise NotATemplate([Flaw("", f"it is larger than {LARGEST_BYTES // 1024 // 1024} MiB")])
    document = _loaded(text)
    if not isinstance(document, dict):
        raise NotATemplate(
            [Flaw("", "it is no template: a template is an object with name, startup, variables and more")]
        )
    reader = _Reader()
    return reader.template(document), reader.flaws


def _loaded(text: str) -> Any:
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            return json.loads(text.lstrip("\ufeff"))
        except json.JSONDecodeError as error:
            raise NotATemplate([Flaw(f"line {error.lineno}, column {error.colno}", error.msg)]) from error
        except RecursionError as error:
            raise NotATemplate([Flaw("", "it is too deep")]) from error
        except ValueError as error:
            raise NotATemplate([Flaw("", f"it cannot be read: {error}")]) from error
    try:
        _ensure_flat(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe one, see there
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise NotATemplate([Flaw(place, error.problem or "it is neither JSON nor YAML")]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NotATemplate([Flaw("", f"it is neither JSON nor YAML: {error}")]) from error


_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_FAST):  # type: ignore[misc]  # of two kinds
    """Dates stay texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the class has it
        first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":timestamp")]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _ensure_flat(text: str) -> None:
    """No template has aliases or is deep; a few of either make a document that takes all memory, or the stack.

    Raises: NotATemplate.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_FAST):
        line = event.start_mark.line + 1 if event.start_mark else 0
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise NotATemplate([Flaw(f"line {line}", "aliases are not taken")])
        if depth > DEEPEST:
            raise NotATemplate([Flaw(f"line {line}", f"it is deeper than {DEEPEST}")])


class _Reader:
    """Gathers all that is wrong, and goes on without it."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []

    def wrong(self, place: str, message: str) -> None:
        self.flaws.append(Flaw(place, message))

    def template(self, document: dict[str, Any]) -> Template:
        meta = self.mapping(document, "meta")
        version = meta.get("version")
        if version not in FORMATS:
            self.wrong("meta.version", f"is {version!r}: known are {', '.join(FORMATS)}")
            raise NotATemplate(self.flaws)
        config = self.mapping(document, "config")
        own, wrongs = extension.read(document.get(extension.KEY))
        for place, message in wrongs:
            self.wrong(place, message)
        return Template(
            uuid=self.text(document, "uuid") or None,
            name=self.text(document, "name", is_needed=True),
            author=self.text(document, "author"),
            description=self.text(document, "description"),
            icon=(self.text(document, "image") or None) if version != "PTDL_v1" else None,
            update_url=self.text(meta, "update_url", "meta.") or None,
            tags=self.texts(document, "tags"),
            features=self.texts(document, "features"),
            images=self.images(document, version),
            startup_commands=self.startup_commands(document),
            stop=self.text(config, "stop", "config."),
            readiness=self.readiness(self.parsed(config, "startup", "config.")),
            configuration=tuple(self.configuration(self.parsed(config, "files", "config."))),
            logs={
                str(key): value for key, value in self.parsed(config, "logs", "config.").items() if _is_scalar(value)
            },
            denied_files=self.texts(document, "file_denylist"),
            installer=self.installer(document),
            variables=tuple(self.variables(document)),
            ports=own.ports,
            query=own.query,
            stop_timeout=own.stop_timeout,
        )

    def images(self, document: dict[str, Any], version: str) -> dict[str, str]:
        found = document.get("docker_images")
        if version == "PTDL_v1" or not found:
            found = document.get("images") or document.get("docker_images") or [document.get("image")]
        if isinstance(found, list):
            found = {str(image): image for image in found if image}
        if not isinstance(found, dict) or not found or not all(isinstance(image, str) for image in found.values()):
            self.wrong("docker_images", "names no image")
            return {}
        return {str(name): image.strip() for name, image in found.items()}

    def startup_commands(self, document: dict[str, Any]) -> dict[str, str]:
        found = document.get("startup_commands") or {USUAL: document.get("startup")}
        if isinstance(found, list):
            found = {str(command): command for command in found}
        if not isinstance(found, dict) or not all(isinstance(command, str) and command for command in found.values()):
            self.wrong("startup", "names no command")
            return {}
        for command in found.values():
            try:
                named(command)
            except ValueError as error:
                self.wrong("startup", str(error))
        return {str(name): command for name, command in found.items()}

    def readiness(self, told: dict[str, Any]) -> Readiness:
        done = self.texts(told, "done", "config.startup.")
        try:
            specification.Readiness(text=done)
        except ValidationError as error:
            self.wrong("config.startup.done", error.errors()[0]["msg"].removeprefix("Value error, "))
        return Readiness(done=done, strip_ansi=bool(told.get("strip_ansi")))

    def configuration(self, files: dict[str, Any]) -> Iterator[ConfigurationFile]:
        for path, told in files.items():
            place = f"config.files[{path!r}]"
            if not isinstance(told, dict):
                self.wrong(place, "is no object with parser and find")
                continue
            parser = "yaml" if told.get("parser") == "yml" else told.get("parser")
            if parser not in PARSERS:
                self.wrong(f"{place}.parser", f"is {parser!r}: known are {', '.join(PARSERS)}")
            find = told.get("find") or {}
            if not isinstance(find, dict):
                self.wrong(f"{place}.find", "is no object of what is to be set")
                continue
            replacements = tuple(self.replacements(find, f"{place}.find"))
            yield ConfigurationFile(path=str(path), parser=str(parser), replacements=replacements)

    def replacements(self, find: dict[str, Any], place: str) -> Iterator[Replacement]:
        for match, value in find.items():
            pairs = value.items() if isinstance(value, dict) else [(None, value)]
            for if_value, each in pairs:
                if not _is_scalar(each):
                    self.wrong(f"{place}[{match!r}]", "is no text, number, true, false or null")
                    continue
                named = newest(each) if isinstance(each, str) else each
                for name in unknown(named) if isinstance(named, str) else []:
                    self.wrong(f"{place}[{match!r}]", f"{{{{{name}}}}} stands for nothing")
                yield Replacement(match=str(match), value=named, if_value=None if if_value is None else str(if_value))

    def installer(self, document: dict[str, Any]) -> Installer | None:
        scripts = self.mapping(document, "scripts", is_needed=False)
        told = self.mapping(scripts, "installation", "scripts.", is_needed=False)
        place = "scripts.installation."
        script = self.text(told, "script", place).replace("\r\n", "\n")
        if not script.strip():
            return None
        image = self.text(told, "container", place, is_needed=True)
        return Installer(image=image, entrypoint=self.text(told, "entrypoint", place) or "ash", script=script)

    def variables(self, document: dict[str, Any]) -> Iterator[Variable]:
        found = document.get("variables") or []
        if not isinstance(found, list):
            self.wrong("variables", "is no list")
            return
        names: set[str] = set()
        for at, told in enumerate(found):
            place = f"variables[{at}]"
            if not isinstance(told, dict):
                self.wrong(place, "is no object")
                continue
            name = self.text(told, "env_variable", f"{place}.", is_needed=True).strip()
            if name and not _NAME.fullmatch(name):
                self.wrong(f"{place}.env_variable", f"{name!r} is no name of letters, digits and _")
            elif name in names:
                self.wrong(f"{place}.env_variable", f"{name!r} is there twice")
            names.add(name)
            yield Variable(
                name=self.text(told, "name", f"{place}.") or name,
                description=self.text(told, "description", f"{place}."),
                environment_name=name,
                default=_default(told.get("default_value")),
                is_viewable=bool(told.get("user_viewable", True)),
                is_editable=bool(told.get("user_editable", True)),
                rules=self.rules(told.get("rules"), f"{place}.rules"),
                position=told["sort"] if isinstance(told.get("sort"), int) else None,
            )

    def rules(self, told: object, place: str) -> tuple[str, ...]:
        pieces = map(str, told) if isinstance(told, list) else rules.split(str(told or ""))
        found = tuple(rule.strip() for rule in pieces if rule.strip())
        for rule in found:
            try:
                rules.check(rule)
            except rules.BadRule as error:
                self.wrong(place, str(error))
        return found

    def mapping(self, holder: dict[str, Any], key: str, inside: str = "", *, is_needed: bool = True) -> dict[str, Any]:
        found = holder.get(key)
        if isinstance(found, dict):
            return found
        if is_needed or found:
            self.wrong(f"{inside}{key}", "is missing" if found is None else "is no object")
        return {}

    def parsed(self, holder: dict[str, Any], key: str, inside: str) -> dict[str, Any]:
        """JSON in a text, or the object itself. A list with nothing in it is how PHP writes an object with nothing in it."""
        found = holder.get(key)
        if isinstance(found, str) and found.strip():
            try:
                found = json.loads(found)
            except (ValueError, RecursionError) as error:
                self.wrong(f"{inside}{key}", f"is no JSON: {error}")
                return {}
        if isinstance(found, dict):
            return found
        if found:
            self.wrong(f"{inside}{key}", "is no object")
        return {}

    def text(self, holder: dict[str, Any], key: str, inside: str = "", *, is_needed: bool = False) -> str:
        found = holder.get(key)
        if found is None or found == "":
            if is_needed:
                self.wrong(f"{inside}{key}", "is missing")
            return ""
        if not isinstance(found, str | int | float) or isinstance(found, bool):
            self.wrong(f"{inside}{key}", "is no text")
            return ""
        return str(found)

    def texts(self, holder: dict[str, Any], key: str, inside: str = "") -> tuple[str, ...]:
        found = holder.get(key)
        if isinstance(found, str):
            found = [found]
        if not found:
            return ()
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            self.wrong(f"{inside}{key}", "is no list of texts")
            return ()
        return tuple(each for each in found if each)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value))


def _default(value: Scalar) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case _:
            return str(value)
