"""A console on the disk: files of records, each file named by the number of its first line. All of it blocks, so it belongs in a thread.

A record is whole or it is not there: its checksum tells. What is written is with the kernel, so that a killed agent loses nothing; a loss of power
may cost the newest lines, and numbering then goes on far enough ahead that no number is given twice.
"""

import errno
import os
import struct
import time
import zlib
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ctrl_alt_play.agent.consoles.part import Part, gap
from ctrl_alt_play.protocol.live import Loss
from ctrl_alt_play.protocol.specification import ConsoleRule

LEAP = 1_000_000
"""Numbers that are passed over where the newest lines may have been lost with the machine's power."""
DAY_S = 86400.0
SMALLEST, LARGEST = 64 * 1024, 4 * 2**20
"""Bytes of a file."""
_HEAD = struct.Struct("<8s20s52s")
_FENCE_AT = 8
_RECORD = struct.Struct("<IHBBQQdI")
_RECORD_SIZE = 4 * _RECORD.size // 3
"""In base 64: so a file is text as a whole, and can be searched as a whole."""
_MAGIC, _MARK = b"console1", 0x10C5
_STREAMS = ("stdout", "stderr", "node")
_LOSSES = (None, *Loss)


@dataclass(frozen=True, slots=True)
class Segment:
    """A file, as far as it holds whole records."""

    path: Path
    first: int
    size: int = _HEAD.size
    at: float = 0.0
    """When its newest line was taken in."""


class Record(NamedTuple):
    """A part whose text is still bytes."""

    offset: int
    lines: int
    at: float
    stream: str
    data: bytes
    lost: Loss | None

    def part(self) -> Part:
        text = self.data.decode() if self.lost is None else None
        return Part(self.offset, self.lines, self.at, self.stream, text, self.lost)


def records(segment: Segment) -> Iterator[Record]:
    """What a file holds, in order; nothing when it is gone."""
    yield from records_in(content(segment))


def content(segment: Segment) -> bytes:
    """The bytes of a file, in which each line stands between newlines; none when it is gone, or cannot be read."""
    with suppress(OSError), segment.path.open("rb") as file:
        return file.read(segment.size)
    return b""


def records_in(data: bytes) -> Iterator[Record]:
    for record, _ in _scan(data):
        yield record


def _scan(data: bytes) -> Iterator[tuple[Record, int]]:
    """The whole records, and where each ends."""
    place = _HEAD.size
    while len(head := _decoded(data[place : place + _RECORD_SIZE])) == _RECORD.size:
        checksum, mark, stream, lost, offset, lines, at, size = _RECORD.unpack(head)
        begin = place + _RECORD_SIZE + 1
        end = begin + size + 1
        if mark != _MARK or end > len(data) or checksum != _checksum(head, memoryview(data)[begin - 1 : end]):
            return
        yield Record(offset, lines, at, _STREAMS[stream], data[begin : end - 1], _LOSSES[lost]), end
        place = end


def _decoded(head: bytes) -> bytes:
    try:
        return a2b_base64(head)
    except ValueError:
        return b""


def _packed(part: Part) -> bytes:
    data = b"" if part.text is None else part.text.encode()
    stream, lost = _STREAMS.index(part.stream), _LOSSES.index(part.lost)
    head = _RECORD.pack(0, _MARK, stream, lost, part.offset, part.lines, part.at, len(data))
    text = b"\n" + data + b"\n"
    return b2a_base64(_checksum(head, text).to_bytes(4, "little") + head[4:], newline=False) + text


def _checksum(head: bytes, text: bytes | memoryview) -> int:
    return zlib.crc32(text, zlib.crc32(head[4:]))


class Segments:
    """The files of one console. One thread writes; `found` may be read by any other."""

    def __init__(self, folder: Path, boot_id: str) -> None:
        self.found: tuple[Segment, ...] = ()
        """The oldest first."""
        self.end = 0
        self.rule = ConsoleRule()
        self._is_open = False
        self._folder = folder
        self._boot = boot_id.encode()[:52].ljust(52)

    @property
    def first(self) -> int:
        """The oldest line that is kept."""
        return self.found[0].first if self.found else self.end

    def open(self) -> None:
        """Finds what is there, and cuts off what was not written whole.

        Raises:
            OSError: the disk.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = sorted(self._folder.glob("*.log"))
        found = [Segment(path, int(path.stem), (seen := path.stat()).st_size, seen.st_mtime) for path in paths]
        if found:
            self.found = tuple(found[:-1])
            self._open_newest(found[-1])
        self._is_open = True
        self.prune()

    def _open_newest(self, newest: Segment) -> None:
        data = newest.path.read_bytes()
        self.end, size, at = newest.first, _HEAD.size, newest.at
        for record, place in _scan(data):
            self.end, size, at = record.offset + record.lines, place, record.at
        magic, digits, boot = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (b"", b"0", b"")
        fence = int(digits) if digits.isdigit() else 0
        if magic != _MAGIC:
            newest.path.unlink()
        else:
            os.truncate(newest.path, size)
            self.found += (replace(newest, size=size, at=at),)
        if boot == self._boot:
            self.end = max(self.end, fence)
            self._set_fence(0)
        elif fence != self.end or not fence:
            lines = max(fence - self.end, 0) + LEAP
            self._begin()
            self._is_open = True
            self.write([gap(self.end, lines, time.time(), Loss.AWAY)])
        else:
            self._begin()

    def write(self, parts: Sequence[Part]) -> None:
        """Writes parts, the first of which begins at `end` or later.

        Raises:
            OSError: the disk; some of the parts may be written, and `end` is after all of them.
        """
        if not self._is_open:
            raise OSError(errno.EIO, "what was kept before could not be read, and is not to be written over")
        end = parts[-1].next
        try:
            waiting: list[bytes] = []
            size, at = 0, 0.0
            for part in parts:
                if waiting and self._size + size >= self._largest:
                    self._append(b"".join(waiting), at)
                    waiting, size = [], 0
                if not waiting and (not self.found or self._size >= self._largest):
                    self.end = part.offset
                    self._begin()
                waiting.append(_packed(part))
                size, at = size + len(waiting[-1]), part.at
            self._append(b"".join(waiting), at)
        except FileNotFoundError:
            self.found = ()
            raise
        except OSError:
            with suppress(OSError):
                self._set_fence(end)
            raise
        finally:
            self.end = end
        self.prune()

    def seal(self) -> None:
        """Says that nothing is missing here; and sees to it that the disk has it all."""
        with suppress(OSError):
            self._set_fence(self.end, is_lasting=True)

    def prune(self) -> None:
        """Has the oldest files go, for size or for age."""
        oldest_s = time.time() - self.rule.keep_days * DAY_S
        with suppress(OSError):
            if self.found and self._size > _HEAD.size and self.found[-1].at < oldest_s:
                self._begin()
        found = list(self.found)
        size = sum(segment.size for segment in found)
        while len(found) > 1 and (size > self.rule.keep_bytes or found[0].at < oldest_s):
            size -= found[0].size
            with suppress(OSError):
                found[0].path.unlink()
            del found[0]
        self.found = tuple(found)

    @property
    def _size(self) -> int:
        return self.found[-1].size

    @property
    def _largest(self) -> int:
        return min(max(self.rule.keep_bytes // 16, SMALLEST), LARGEST)

    def _begin(self) -> None:
        """Another file, from `end` on."""
        path = self._folder / f"{self.end:020}.log"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(_HEAD.pack(_MAGIC, _digits(0), self._boot))
        path.chmod(0o600)
        kept = tuple(segment for segment in self.found if segment.path != path)
        self.found = (*kept, Segment(path, self.end, at=time.time()))

    def _append(self, data: bytes, at: float) -> None:
        newest = self.found[-1]
        with closing(_File(newest.path)) as file:
            try:
                file.write(data, newest.size)
            except OSError:
                file.cut(newest.size)
                raise
        self.found = (*self.found[:-1], replace(newest, size=newest.size + len(data), at=at))

    def _set_fence(self, end: int, *, is_lasting: bool = False) -> None:
        """Numbers below the fence were given, whatever the records say. It takes no room that is not there already."""
        if self.found:
            with closing(_File(self.found[-1].path)) as file:
                file.write(_digits(end), _FENCE_AT)
                if is_lasting:
                    os.fsync(file.number)


def _digits(number: int) -> bytes:
    return b"%020d" % number


class _File:
    """Written at places, not at its end."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, data: bytes, place: int) -> None:
        left = memoryview(data)
        while left:
            written = os.pwrite(self.number, left, place)
            left, place = left[written:], place + written

    def cut(self, size: int) -> None:
        with suppress(OSError):
            os.ftruncate(self.number, size)

    def close(self) -> None:
        os.close(self.number)
