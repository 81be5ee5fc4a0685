"""The reference: the least that FastAPI and uvicorn can do, set up as the panel sets them up. `python -m bench.bare PORT`."""

import sqlite3
import sys
import tempfile
from functools import cache
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

app = FastAPI()


class Line(BaseModel):
    command: str


@app.get("/bare")
async def bare() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/bare", status_code=202)
async def bare_post(line: Line) -> Line:
    return line


@app.websocket("/")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


@app.websocket("/kept")
async def echo_what_is_kept(websocket: WebSocket) -> None:
    """Each is a row that is committed before it is echoed."""
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            database().execute("INSERT INTO kept (text) VALUES (?)", (text,))
            await websocket.send_text(text)
    except WebSocketDisconnect:
        return


@cache
def database() -> sqlite3.Connection:
    """It waits for the disk as little as the panel's does. Its files have no names any more, and end with the process."""
    with tempfile.TemporaryDirectory() as folder:
        made = sqlite3.connect(Path(folder) / "kept.db", isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "CREATE TABLE kept (text TEXT)"):
            made.execute(statement)
        return made


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        ws="websockets-sansio",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        log_level="warning",
    )
