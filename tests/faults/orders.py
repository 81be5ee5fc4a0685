"""Orders through the panel's REST, as a careful client gives them: each with a name, repeated under it until it is answered."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx

REQUEST_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 90.0
AGAIN_S = 0.25
FINAL = {"succeeded", "failed"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: there was none in all the time it had."""

    status: int
    body: dict[str, Any]

    @property
    def operation_id(self) -> str | None:
        id_ = self.body.get("operation_id") or self.body.get("id")
        return str(id_) if id_ and str(id_).startswith("cmd_") else None

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.status < 300


class Api:
    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=REQUEST_TIMEOUT_S)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """None where there is no usable answer."""
        try:
            answer = await self._client.get(path, params=query)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    async def order(self, name: str, method: str, path: str, body: Any = None) -> Answer:
        """Asks until there is an answer that means something: neither silence nor trouble of the panel's own."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                found = await self._client.request(method, path, json=body, headers={"Idempotency-Key": name})
            except httpx.TransportError:
                pass
            else:
                answer = Answer(found.status_code, _document(found))
                if answer.status < 500 or answer.operation_id is not None:
                    return answer
            await asyncio.sleep(AGAIN_S)
        return Answer(0, {})

    async def wait_for_end(self, operation_id: str, timeout_s: float) -> None:
        """Waits so long at most."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            operation = await self.get(f"/api/operations/{operation_id}")
            if operation is not None and operation["state"] in FINAL:
                return
            await asyncio.sleep(0.1)


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        return dict(answer.json())
    except ValueError:
        return {}
