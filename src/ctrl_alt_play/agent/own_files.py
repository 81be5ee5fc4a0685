"""Small files of the agent's own: JSON, whole or not there, and for nobody else to read."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)


def read(path: Path) -> Any:
    """None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("own_file_not_read", path=str(path), reason=type(error).__name__)
        return None


def write(path: Path, content: Any) -> None:
    """Blocks. Raises: OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # which makes it ours alone: 0600
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
