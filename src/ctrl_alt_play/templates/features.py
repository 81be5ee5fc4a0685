"""What templates use of the field's formats, and whether it is supported."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ctrl_alt_play.templates import extension, rules
from ctrl_alt_play.templates.model import Template
from ctrl_alt_play.templates.placeholders import ENVIRONMENT, NAMES, PLACEHOLDER
from ctrl_alt_play.templates.reading import PARSERS
from ctrl_alt_play.templates.startup import needs_bash
from ctrl_alt_play.templates.stopping import parsed

_SHELL = re.compile(r"\$\(|`|[|&;<>]")
ENTRYPOINTS = ("ash", "bash", "sh")


@dataclass(frozen=True, slots=True, order=True)
class Feature:
    kind: str
    name: str
    is_supported: bool = True


def features(template: Template) -> frozenset[Feature]:
    return frozenset(
        {
            *_configuration(template),
            *_console(template),
            *_startup(template),
            *_variables(template),
            *_install(template),
            *(Feature("ctrl_alt_play", name) for name in extension.written(template)),
        }
    )


def _configuration(template: Template) -> Iterator[Feature]:
    for file in template.configuration:
        yield Feature("parser", file.parser, file.parser in PARSERS)
        for each in file.replacements:
            if file.parser not in ("file", "properties"):
                if "*" in each.match:
                    yield Feature("path", "wildcard *")
                if re.search(r"\[\d+\]", each.match):
                    yield Feature("path", "list entry [0]")
                yield Feature("path", "dots" if "." in each.match else "key")
            if each.if_value is not None:
                yield Feature("condition", "expression" if each.if_value.startswith("regex:") else "exact value")
            for name in PLACEHOLDER.findall(str(each.value)):
                is_variable = name.startswith(ENVIRONMENT)
                yield Feature("placeholder", f"{ENVIRONMENT}…" if is_variable else name, is_variable or name in NAMES)


def _console(template: Template) -> Iterator[Feature]:
    stop = parsed(template.stop)
    yield Feature("stop", template.stop if template.stop.startswith("^") else f"{len(stop.lines)} line(s)")
    done = template.readiness.done
    yield Feature("readiness", ("several texts" if len(done) > 1 else "text") if done else "none")
    if any(each.startswith("regex:") for each in done):
        yield Feature("readiness", "expression")
    if template.readiness.strip_ansi:
        yield Feature("readiness", "strip_ansi")


def _startup(template: Template) -> Iterator[Feature]:
    for command in template.startup_commands.values():
        if "{{" in command:
            yield Feature("startup", "{{VARIABLE}}")
        if re.search(r"\$\{?\w", command):
            yield Feature("startup", "${VARIABLE}")
        if needs_bash(command):
            yield Feature("startup", "bash")
        if any("." in name for name in PLACEHOLDER.findall(command)):
            yield Feature("startup", "{{dotted.name}}")
        if _SHELL.search(re.sub(r"\$\{\w+\}", "", command)):
            yield Feature("startup", "shell")
    if len(template.startup_commands) > 1:
        yield Feature("startup", "several commands")
    if len(template.images) > 1:
        yield Feature("startup", "several images")


def _variables(template: Template) -> Iterator[Feature]:
    for variable in template.variables:
        for rule in variable.rules:
            name = rule.partition(":")[0].strip().lower()
            yield Feature("rule", name, name in rules.NAMES)


def _install(template: Template) -> Iterator[Feature]:
    if template.installer is not None:
        shell = template.installer.entrypoint.split("/")[-1]
        yield Feature("installer", shell, shell in ENTRYPOINTS)
