"""A registry that wants a user name and a password: Debian's `docker-registry`, with a folder and a port of its own."""

import base64
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from tests.integration.installation import docker, free_port
from tests.waiting import until

USERNAME, PASSWORD = "games", "open-sesame-please"
_PASSWORDS = f"{USERNAME}:$2b$04$Ku6EgfDzBj4Rs2DmwcDHOuvircNyOLNPzz90jBUSAtFtCvs1kg/C2\n"
"""As `htpasswd -B` writes it."""
_SETTINGS = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: {host}}}
auth: {{htpasswd: {{realm: tests, path: {folder}/passwords}}}}
"""


class Registry:
    """`host` is what its images' names begin with."""

    def __init__(self, folder: Path) -> None:
        self.host = f"127.0.0.1:{free_port()}"
        self._folder = folder
        (folder / "passwords").write_text(_PASSWORDS)
        (folder / "config.yml").write_text(_SETTINGS.format(folder=folder, host=self.host))
        self._program: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("docker-registry")
        assert program is not None
        with (self._folder / "log").open("ab") as log:
            command = [program, "serve", str(self._folder / "config.yml")]
            self._program = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, f"the registry answers; its log: {(self._folder / 'log').read_text()[-2000:]}", 20)

    def stop(self) -> None:
        if self._program is not None:
            self._program.kill()
            self._program.wait()
            self._program = None

    def push(self, name: str, archive: Path, *changes: str) -> str:
        """A new image of this registry, of an archive's files; gives its name. It is in no engine any more."""
        reference = f"{self.host}/{name}"
        docker("import", *(part for change in changes for part in ("--change", change)), str(archive), reference)
        login = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        (self._folder / "config.json").write_text(json.dumps({"auths": {self.host: {"auth": login}}}))
        docker("--config", str(self._folder), "push", reference)
        docker("image", "rm", reference)
        return reference

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://{self.host}/v2/").status_code == 401
        except httpx.TransportError:
            return False


def archive(folder: Path, content: bytes) -> Path:
    """An archive of one file."""
    (folder / "content").write_bytes(content)
    with tarfile.open(folder / "content.tar", "w") as made:
        made.add(folder / "content", "content")
    return folder / "content.tar"


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("there is no registry here: apt-get install docker-registry")
    made = Registry(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        for line in docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines():
            reference, id_ = line.split()
            if reference.startswith(f"{made.host}/"):
                with suppress(subprocess.CalledProcessError):  # where a test failed, a container may have it still
                    docker("image", "rm", id_ if reference.endswith(":<none>") else reference)
