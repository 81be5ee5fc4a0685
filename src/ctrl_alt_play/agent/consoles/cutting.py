"""Bytes as blocks of whole lines, however the transport cuts them. Only where a line is too long is anything done line by line in Python."""

import codecs

LONGEST_LINE = 16 * 1024


class Cutter:
    """One stream. Characters and lines that were cut are put together again; carriage returns at a line's end go."""

    def __init__(self) -> None:
        self.lost = 0
        """Lines that were left out, until somebody takes note of them and sets it to 0."""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._is_continued = False
        self._is_torn = False
        """The beginning of this line was left out, and the rest of it will be."""

    def feed(self, data: bytes) -> str | None:
        """The lines that these bytes complete, joined by newlines, those longer than `LONGEST_LINE` in pieces; None when there are none."""
        if self._is_torn:
            _, end, data = data.partition(b"\n")
            self._is_torn = not end
            self.lost += len(end)
        text = self._rest + self._decoder.decode(data)
        ended, newline, rest = text.rpartition("\n")
        if not self._is_continued and len(rest) <= LONGEST_LINE:
            whole = ended.replace("\r\n", "\n").removesuffix("\r") if "\r" in ended else ended
            if len(whole) <= LONGEST_LINE or max(map(len, whole.split("\n"))) <= LONGEST_LINE:
                self._rest = rest
                return whole if newline else None
        return _joined(self._feed_slowly(text))

    def skip(self, data: bytes) -> None:
        """Leaves these bytes out. A line that has lost a part is lost as a whole."""
        if not data:
            return
        ended = data.count(b"\n")
        self.lost += ended
        begun = data[data.rfind(b"\n") + 1 :]
        self._is_torn = len(begun) > LONGEST_LINE or not ended
        self._decoder.reset()
        self._is_continued = False
        self._rest = "" if self._is_torn else self._decoder.decode(begun)

    @property
    def is_unfinished(self) -> bool:
        return bool(self._rest)

    def flush(self) -> str | None:
        """What has come of an unfinished line, such as a prompt. Should only its end follow, that makes no line of its own."""
        rest, self._rest = self._rest.removesuffix("\r"), ""
        self._is_continued = self._is_continued or bool(rest)
        return rest or None

    def _feed_slowly(self, text: str) -> list[str]:
        *ended, self._rest = text.split("\n")
        lines: list[str] = []
        for line in ended:
            *pieces, last = _pieces(line)
            lines += pieces
            if last.removesuffix("\r") or pieces or not self._is_continued:
                lines.append(last.removesuffix("\r"))
            self._is_continued = False
        *pieces, self._rest = _pieces(self._rest)
        self._is_continued = self._is_continued and not pieces
        return lines + pieces


def _pieces(line: str) -> list[str]:
    pieces = []
    while len(line.removesuffix("\r")) > LONGEST_LINE:
        pieces.append(line[:LONGEST_LINE])
        line = line[LONGEST_LINE:]
    return [*pieces, line]


def _joined(lines: list[str]) -> str | None:
    return "\n".join(lines) if lines else None


class Cutters:
    """Both streams of a console."""

    def __init__(self) -> None:
        self._streams = {"stdout": Cutter(), "stderr": Cutter()}

    def __getitem__(self, stream: str) -> Cutter:
        return self._streams[stream]

    @property
    def is_unfinished(self) -> bool:
        return any(cutter.is_unfinished for cutter in self._streams.values())

    def flush(self) -> list[tuple[str, str]]:
        """What has come of unfinished lines, with their streams."""
        return [(name, text) for name, cutter in self._streams.items() if (text := cutter.flush()) is not None]

    def take_lost(self) -> int:
        """How many lines were left out since this was asked last."""
        lost = sum(cutter.lost for cutter in self._streams.values())
        for cutter in self._streams.values():
            cutter.lost = 0
        return lost
