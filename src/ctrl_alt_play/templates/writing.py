"""Templates in the field's formats. What is written is read back as the same template, but for what a format has no place for."""

import json
from typing import Any, Literal

import yaml

from ctrl_alt_play.templates import extension
from ctrl_alt_play.templates.model import ConfigurationFile, Template, Variable
from ctrl_alt_play.templates.placeholders import oldest

Format = Literal["PTDL_v1", "PTDL_v2", "PLCN_v1", "PLCN_v2", "PLCN_v3"]
COMMENT = "Written by Ctrl-Alt-Play"


def write(template: Template, format_: Format = "PLCN_v3", *, as_yaml: bool = False, at: str = "") -> str:
    """`at` is when, as ISO 8601."""
    document = _document(template, format_, at)
    if as_yaml:
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return json.dumps(document, indent=4, ensure_ascii=False) + "\n"


def lost(template: Template, format_: Format) -> list[str]:
    """What the format has no place for."""
    missing = []
    if format_ != "PLCN_v3":
        if len(template.startup_commands) > 1:
            missing.append("all startup commands but the first")
        if template.icon is not None:
            missing.append("the icon")
    if format_.startswith("PTDL") and template.tags:
        missing.append("the tags")
    if format_ == "PTDL_v1" and any(name != image for name, image in template.images.items()):
        missing.append("the names of the images")
    return missing


def _document(template: Template, format_: Format, at: str) -> dict[str, Any]:
    is_old = format_.startswith("PTDL")
    commands = template.startup_commands
    document: dict[str, Any] = {
        "_comment": COMMENT,
        "meta": {"version": format_, "update_url": template.update_url},
        "exported_at": at,
        "name": template.name,
        "author": template.author,
        "uuid": template.uuid,
        "description": template.description,
        "image": template.icon,
        "tags": list(template.tags),
        "features": list(template.features),
        "docker_images": template.images,
        "images": list(template.images.values()),
        "file_denylist": list(template.denied_files),
        "startup_commands": commands,
        "startup": next(iter(commands.values())),
        "config": {
            "files": _text({each.path: _file(each, is_old=is_old) for each in template.configuration}),
            "startup": _text(_readiness(template)),
            "logs": _text(template.logs),
            "stop": template.stop,
        },
        "scripts": {"installation": _installation(template)},
        "variables": [_variable(each, format_) for each in template.variables],
        extension.KEY: extension.written(template),
    }
    if not document[extension.KEY]:
        del document[extension.KEY]
    for name in _ABSENT[format_]:
        del document[name]
    return document


_ABSENT = {
    "PTDL_v1": ("image", "tags", "docker_images", "startup_commands"),
    "PTDL_v2": ("image", "tags", "images", "startup_commands"),
    "PLCN_v1": ("image", "images", "startup_commands"),
    "PLCN_v2": ("image", "images", "startup_commands"),
    "PLCN_v3": ("images", "startup"),
}


def _file(file: ConfigurationFile, *, is_old: bool) -> dict[str, Any]:
    find: dict[str, Any] = {}
    for each in file.replacements:
        value = oldest(each.value) if is_old and isinstance(each.value, str) else each.value
        if each.if_value is None:
            find[each.match] = value
        else:
            find.setdefault(each.match, {})[each.if_value] = value
    return {"parser": file.parser, "find": find}


def _readiness(template: Template) -> dict[str, Any]:
    done = template.readiness.done
    found: dict[str, Any] = {"done": done[0] if len(done) == 1 else list(done)}
    return found | ({"strip_ansi": True} if template.readiness.strip_ansi else {})


def _installation(template: Template) -> dict[str, str]:
    installer = template.installer
    if installer is None:
        return {"script": "", "container": "", "entrypoint": ""}
    return {"script": installer.script, "container": installer.image, "entrypoint": installer.entrypoint}


def _variable(variable: Variable, format_: Format) -> dict[str, Any]:
    is_text = format_.startswith("PTDL")
    found = {
        "name": variable.name,
        "description": variable.description,
        "env_variable": variable.environment_name,
        "default_value": variable.default,
        "user_viewable": variable.is_viewable,
        "user_editable": variable.is_editable,
        "rules": "|".join(variable.rules) if is_text else list(variable.rules),
        "sort": variable.position,
    }
    return found | ({"field_type": "text"} if is_text else {})


def _text(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=4, ensure_ascii=False)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # of two kinds
    """Several lines are written as several lines."""


def _of_lines(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _of_lines)
