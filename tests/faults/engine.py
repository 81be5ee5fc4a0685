"""A Docker Engine of this run alone, in namespaces of its own: it may be killed, and nothing else on the machine notices."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
from tests.fakes.until import until

TIED_TO_US = ("setpriv", "--pdeathsig", "KILL")
"""What begins with it dies with this process, however this process ends."""
START_TIMEOUT_S = 60.0
NAME = "ctrl-alt-play-"
HALF_REMOVED = "exec/containerd/daemon/io.containerd.runtime.v2.task/moby/.*"
"""A containerd that is killed while it removes one of these never removes it, and then cannot end the next run of that container either, nor
start another ("failed to start shim: mkdir …: file exists"): its own defect, and of no interest here.
"""


class Engine:
    """With live restore: games go on when the engine dies, and belong to it again when it is back."""

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._daemon: asyncio.subprocess.Process | None = None
        transport = httpx.AsyncHTTPTransport(uds=f"{folder}/docker.sock")
        self._api = httpx.AsyncClient(transport=transport, base_url="http://docker", timeout=30)

    async def open(self) -> None:
        self._folder.mkdir(exist_ok=True)
        await self._make_namespaces()
        await self.start()

    async def power_off(self) -> None:
        """As when the machine loses its power: engine and games are gone at once, and what is not on the disk with them."""
        self._holder.kill()
        await self._holder.wait()
        if self._daemon is not None:
            await self._daemon.wait()
        shutil.rmtree(self._folder / "exec", ignore_errors=True)
        (self._folder / "pid").unlink(missing_ok=True)

    async def start(self) -> None:
        folder = self._folder
        places = ("--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid")
        network = ("--bip", "172.30.98.1/24", "--default-address-pool", "base=172.30.99.0/24,size=24")
        command = ("dockerd", "--live-restore", "--host", self.host, *network, *map(str, places))
        with (folder / "dockerd.log").open("ab") as log:
            self._daemon = await asyncio.create_subprocess_exec(*self._inside(*command), stdout=log, stderr=log)
        await until(self.answers, START_TIMEOUT_S, pause_s=0.05)

    @property
    def is_alive(self) -> bool:
        return self._daemon is not None and self._daemon.returncode is None

    async def kill(self) -> None:
        """Kills dockerd and its containerd in the middle of whatever they do; the games' shims live on."""
        for file in (self._folder / "pid", self._folder / "exec" / "containerd" / "containerd.pid"):
            if file.exists():
                await self._run("sh", "-c", f"kill -9 {file.read_text().strip()} || true")
                file.unlink()
        if self._daemon is not None:
            await self._daemon.wait()
        for left in self._folder.glob(HALF_REMOVED):
            shutil.rmtree(left, ignore_errors=True)

    async def close(self) -> None:
        await self._api.aclose()
        if hasattr(self, "_holder") and self._holder.returncode is None:
            await self.power_off()

    async def load(self, archive: Path, image: str, *changes: str) -> None:
        options = [part for change in changes for part in ("--change", change)]
        await self._run("docker", "--host", self.host, "import", *options, str(archive), image)

    async def answers(self) -> bool:
        if not self.is_alive:
            raise RuntimeError((self._folder / "dockerd.log").read_text()[-2000:])
        try:
            return (await self._api.get("/_ping")).is_success
        except httpx.TransportError:
            return False

    async def containers(self) -> dict[str, dict[str, Any]]:
        """Docker's own word on every server's container, by the server's id."""
        found = (await self._api.get("/containers/json", params={"all": "true"})).raise_for_status().json()
        inspected = await asyncio.gather(*(self._inspect(each["Id"]) for each in found))
        return {each["Name"].removeprefix(f"/{NAME}"): each for each in inspected if each is not None}

    async def kill_game(self, server_id: str) -> bool:
        """SIGKILL from nowhere; a game that does not run stays as it is. Whether one ran."""
        return (await self._api.post(f"/containers/{NAME}{server_id}/kill", params={"signal": "KILL"})).is_success

    async def kill_process(self, pid: int) -> None:
        """SIGKILL to a game that lives on without the engine."""
        await self._run("kill", "-9", str(pid))

    async def _inspect(self, container_id: str) -> dict[str, Any] | None:
        answer = await self._api.get(f"/containers/{container_id}/json")
        return dict(answer.json()) if answer.is_success else None

    async def _make_namespaces(self) -> None:
        self._holder = await asyncio.create_subprocess_exec(
            *TIED_TO_US,
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", "ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward && exec sleep infinity"),
        )
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._first = await until(lambda: children.read_text().strip(), START_TIMEOUT_S)
        await until(lambda: Path(f"/proc/{self._first}/comm").read_text().strip() == "sleep", START_TIMEOUT_S)

    async def _run(self, *command: str) -> None:
        done = await asyncio.create_subprocess_exec(*self._inside(*command), stdout=asyncio.subprocess.DEVNULL)
        if await done.wait() != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}")

    def _inside(self, *command: str) -> tuple[str, ...]:
        return ("nsenter", "--target", self._first, "--root", "--net", "--mount", "--pid", *command)
