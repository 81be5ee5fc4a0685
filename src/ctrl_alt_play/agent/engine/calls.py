"""Calls to Docker: each has so much time, and what goes wrong is a `Fault`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

import aiohttp
from aiodocker import DockerError

from ctrl_alt_play.agent.engine.faults import fault_of, unavailable
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

CALL_TIMEOUT_S = 60.0


@asynccontextmanager
async def translated(timeout_s: float | None = CALL_TIMEOUT_S) -> AsyncIterator[None]:
    """Gives the engine so long, and turns what it throws into a `Fault`."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except DockerError as error:
        raise fault_of(error.status, error.message) from error
    except TimeoutError as error:
        raise unavailable("no answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise unavailable(error) from error


class none_for:  # noqa: N801 - reads as a statement
    """Passes over one kind of fault: what is asked for is not there, and that is an answer."""

    def __init__(self, code: ErrorCode) -> None:
        self._code = code

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, Fault) and error.code is self._code
