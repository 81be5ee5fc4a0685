"""The built page's files, in memory once they were asked for, each also as gzip has it."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

BUILT = Path(__file__).parent / "built"
MOST_FILES = 256
SMALLEST_PACKED_BYTES = 1024


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    packed: bytes | None
    """None where gzip gains nothing."""
    media_type: str
    etag: str


@lru_cache(MOST_FILES)
def read(name: str) -> File | None:
    """A file of the page by its path within it; None where there is none of this name."""
    path = BUILT / name
    if ".." in Path(name).parts or not path.is_file():
        return None
    content = path.read_bytes()
    packed = gzip.compress(content, mtime=0)
    gains = len(content) >= SMALLEST_PACKED_BYTES and len(packed) < len(content)
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return File(content, packed if gains else None, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
