"""The program as a wheel, made of what runs here: a machine that becomes a node installs the version that its panel has, and asks nobody
else for it.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import ctrl_alt_play

NAME = "ctrl_alt_play"
LEFT_OUT = {"__pycache__", "built"}
"""What is made where it is used, and the panel's page: an agent needs neither."""
_WHEEL = "Wheel-Version: 1.0\nGenerator: ctrl-alt-play\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""No time is in it, so that the same program is the same wheel."""


def file_name() -> str:
    return f"{NAME}-{ctrl_alt_play.__version__}-py3-none-any.whl"


@cache
def content() -> bytes:
    """Blocks for some tenths of a second the first time."""
    records = [f"{_information()}/RECORD,,"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in _files():
            wheel.writestr(zipfile.ZipInfo(name, _FIRST_DAY), data, zipfile.ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            records.append(f"{name},sha256={digest},{len(data)}")
        wheel.writestr(zipfile.ZipInfo(f"{_information()}/RECORD", _FIRST_DAY), "\n".join([*records, ""]))
    return packed.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    package = Path(ctrl_alt_play.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and not LEFT_OUT.intersection(path.relative_to(package).parts):
            yield f"{NAME}/{path.relative_to(package).as_posix()}", path.read_bytes()
    installed = distribution("ctrl-alt-play")
    for name in ("METADATA", "entry_points.txt"):
        yield f"{_information()}/{name}", (installed.read_text(name) or "").encode()
    yield f"{_information()}/WHEEL", _WHEEL.encode()


def _information() -> str:
    return f"{NAME}-{ctrl_alt_play.__version__}.dist-info"
