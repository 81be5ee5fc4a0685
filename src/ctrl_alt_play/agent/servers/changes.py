"""What differs from the last run of a server that went well, in sentences. Names of variables are told, their values never."""

from collections.abc import Iterable

from ctrl_alt_play.agent.servers.words import listed, size
from ctrl_alt_play.protocol.specification import Limits, Model, Port, Specification


class GoodRun(Model):
    """What a run was made of. `at` is when it began, in seconds of the wall clock; `files` are those written through the panel since the
    last good run before it.
    """

    specification: Specification
    image_id: str = ""
    at: float = 0.0
    files: tuple[str, ...] = ()


def changes_between(good: GoodRun, now: GoodRun) -> tuple[str, ...]:
    """Sentences on what is other in `now` than in the run that went well; none where nothing is."""
    before, after = good.specification, now.specification
    found = [
        *_image(good, now),
        *(["The startup command was changed."] if before.startup != after.startup else []),
        *_limits(before.limits, after.limits),
        *_more_or_less("port", map(_port, before.ports), map(_port, after.ports)),
        *(["The rule for stopping was changed."] if before.stop != after.stop else []),
        *_environment(before.environment, after.environment),
    ]
    if now.files:
        found.append(f"Written through the panel since then: {listed(dict.fromkeys(now.files))}.")
    return tuple(found)


def _image(good: GoodRun, now: GoodRun) -> list[str]:
    before, after = good.specification.image, now.specification.image
    if before != after:
        return [f"The image was changed from {before} to {after}."]
    if good.image_id and now.image_id and good.image_id != now.image_id:
        return [f"The image {after} is another than it was, under the same name."]
    return []


def _limits(before: Limits, after: Limits) -> list[str]:
    amounts = {
        "memory": (_bytes(before.memory), _bytes(after.memory)),
        "swap": (_swap(before.swap), _swap(after.swap)),
        "disk": (_bytes(before.disk), _bytes(after.disk)),
        "CPU": (_cpu(before.cpu), _cpu(after.cpu)),
        "I/O weight": (_weight(before.io), _weight(after.io)),
    }
    return [
        f"The limit of {name} was changed from {old} to {new}." for name, (old, new) in amounts.items() if old != new
    ]


def _environment(before: dict[str, str], after: dict[str, str]) -> list[str]:
    changed = [name for name in after if name in before and before[name] != after[name]]
    return [
        *_more_or_less("environment variable", before, after),
        *([f"{_many('environment variable', changed)} changed: {listed(changed)}."] if changed else []),
    ]


def _more_or_less(what: str, before: Iterable[str], after: Iterable[str]) -> list[str]:
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    found = {"added": [name for name in new if name not in old], "removed": [name for name in old if name not in new]}
    return [f"{_many(what, names)} {how}: {listed(names)}." for how, names in found.items() if names]


def _many(what: str, names: list[str]) -> str:
    name = what[0].upper() + what[1:]
    return name if len(names) == 1 else f"{name}s"


def _port(port: Port) -> str:
    return f"{port.address}:{port.external} to {port.internal}/{port.protocol}"


def _bytes(amount: int) -> str:
    return size(amount) if amount else "none"


def _swap(amount: int) -> str:
    return "unlimited" if amount < 0 else size(amount)


def _cpu(percent: float) -> str:
    return f"{percent:g} %" if percent else "none"


def _weight(weight: int | None) -> str:
    return "none" if weight is None else str(weight)
