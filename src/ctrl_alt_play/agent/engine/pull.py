"""How far the pull of an image is, from what Docker streams of each of its layers."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ctrl_alt_play.agent.engine.base import OnPull
from ctrl_alt_play.doctor import size

DOWNLOAD, UNPACK = "download", "unpack"


@dataclass
class Layer:
    """Its size is unknown until its download begins. What is done of it, from 0 to 1."""

    size: int = 0
    downloaded: float = 0.0
    unpacked: float = 0.0


class Pull:
    """Adds up the layers, and tells when the phase or the whole percent has changed. Neither ever goes back."""

    def __init__(self, on_progress: OnPull | None) -> None:
        self._on_progress = on_progress
        self._layers: dict[str, Layer] = {}
        self._phase = DOWNLOAD
        self._told: tuple[str, float | None] | None = None

    def take(self, document: dict[str, Any]) -> None:
        """Takes a document of Docker's stream. Those that say nothing of a layer change nothing."""
        if not self._learn(document):
            return
        layers = list(self._layers.values())
        if self._phase == DOWNLOAD and all(layer.downloaded == 1 for layer in layers):
            self._phase = UNPACK
        done = [layer.downloaded if self._phase == DOWNLOAD else layer.unpacked for layer in layers]
        self._tell(_percent(layers, done), _sentence(self._phase, layers, done))

    def _learn(self, document: dict[str, Any]) -> bool:
        id_, detail = document.get("id", ""), document.get("progressDetail") or {}
        status = document.get("status")
        if status == "Pulling fs layer":
            self._layers.setdefault(id_, Layer())
            return True
        layer = self._layers.get(id_)
        if layer is None:
            return False
        current, total = detail.get("current") or 0, detail.get("total") or 0
        match status:
            case "Downloading":
                layer.size = max(layer.size, total)
                layer.downloaded = _part(current, total, layer.downloaded)
            case "Download complete" | "Verifying Checksum":
                layer.downloaded = 1.0
            case "Extracting":
                layer.downloaded = 1.0
                layer.unpacked = _part(current, total, layer.unpacked)
            case "Pull complete" | "Already exists":
                layer.downloaded = layer.unpacked = 1.0
            case _:
                return False
        return True

    def _tell(self, percent: float | None, sentence: str) -> None:
        if self._told is not None and self._told[0] == self._phase:
            before = self._told[1]
            if before is not None and (percent is None or percent < before):
                percent = before
        if (told := (self._phase, percent)) != self._told:
            self._told = told
            if self._on_progress is not None:
                self._on_progress(*told, sentence)


def _part(current: int, total: int, before: float) -> float:
    return max(before, min(1.0, current / total)) if total > 0 else before


def _percent(layers: list[Layer], done: list[float]) -> float | None:
    """By size; a layer of unknown size counts as an average one. None while no size is known."""
    sizes = [layer.size for layer in layers if layer.size]
    if not sizes:
        return None
    average = sum(sizes) / len(sizes)
    weights = [layer.size or average for layer in layers]
    return float(int(100 * sum(map(float.__mul__, done, map(float, weights))) / sum(weights)))


def _sentence(phase: str, layers: Collection[Layer], done: Collection[float]) -> str:
    """Such as "Downloading the image: 12 MiB of 80 MiB." Bytes are those of the layers whose size is known yet."""
    act = "Downloading" if phase == DOWNLOAD else "Unpacking"
    whole = sum(layer.size for layer in layers)
    if not whole:
        return f"{act} the image."
    come = sum(layer.size * part for layer, part in zip(layers, done, strict=True))
    is_all = all(layer.size or layer.downloaded == 1 for layer in layers)
    return f"{act} the image: {size(come)} of {'' if is_all else 'more than '}{size(whole)}."
