"""A server's console as an agent of part 2 keeps it, in memory: numbered lines, of which the oldest may be gone."""

from dataclasses import dataclass, field
from typing import Any

Data = dict[str, Any]
AT = "2026-01-01T00:00:00Z"
LINES_A_PART = 500


@dataclass
class ConsoleLog:
    texts: list[str] = field(default_factory=list)
    """From line 0 on, also those that are gone."""
    first: int = 0
    """The oldest that is kept."""
    told: int | None = None
    """Up to where the panel was told; None while it is not attached."""
    asked: list[Data] = field(default_factory=list)

    @property
    def end(self) -> int:
        return len(self.texts)

    def take(self) -> list[Data]:
        """The next batch for the panel."""
        if self.told is None or self.told >= self.end:
            return []
        stop = min(self.end, self.told + LINES_A_PART)
        parts, self.told = self._parts(self.told, stop), stop
        return parts

    def answer(self, action: str, payload: Data) -> Data:
        self.asked.append({"action": action, **payload})
        match action:
            case "console_attach":
                self.told = min(payload.get("since", self.end), self.end)
                return self._page([], self.told)
            case "console_detach":
                self.told = None
                return {}
            case "console_history":
                return self._history(payload)
            case _:
                return self._search(payload)

    def _history(self, payload: Data) -> Data:
        most = min(payload["lines"], LINES_A_PART)
        if "since" in payload:
            start = min(payload["since"], self.end)
            stop = min(self.end, max(start, self.first) + most)
        else:
            stop = min(payload.get("before", self.end), self.end)
            start = max(self.first, stop - most)
        return self._page(self._parts(start, stop), stop)

    def _search(self, payload: Data) -> Data:
        found = [
            {"offset": number, "lines": 1, "at": AT, "text": text}
            for number, text in enumerate(self.texts)
            if payload["text"] in text and self.first <= number < payload.get("before", self.end)
        ][::-1]
        more = len(found) > payload["limit"]
        found = found[: payload["limit"]]
        return {"matches": found, **({"before": found[-1]["offset"]} if more else {})}

    def _page(self, parts: list[Data], next_: int) -> Data:
        return {"parts": parts, "first": self.first, "next": next_, "end": self.end}

    def _parts(self, start: int, stop: int) -> list[Data]:
        lost = max(0, min(self.first, stop) - start)
        gone = [{"offset": start, "lines": lost, "lost": "rotated"}] if lost else []
        kept = self.texts[start + lost : stop]
        text = {"offset": start + lost, "lines": len(kept), "at": AT, "stream": "stdout", "text": "\n".join(kept)}
        return [*gone, *([text] if kept else [])]
