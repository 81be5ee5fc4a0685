"""Container images made from a list of files: a tar archive, `docker import`, no registry and no base image."""

import contextlib
import fcntl
import hashlib
import io
import re
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ctrl_alt_play.games.commands import BuildFailed, run

Say = Callable[[str], None]

_RECIPE = "ctrl-alt-play.recipe"
_TAG = "ctrl-alt-play.tag"
_DOCKER_FIX = "install Docker, start its engine and make sure that you may use it (`docker info` tells)"
_FOLDERS = {"/tmp": 0o1777, "/home/container": 0o1777, "/etc": 0o755, "/dev": 0o755, "/proc": 0o755, "/sys": 0o755}  # noqa: S108
_PASSWD = b"root:x:0:0::/:/nonexistent\ncontainer:x:1000:1000::/home/container:/nonexistent\n"


@dataclass
class Root:
    """The files of an image to be, by their path inside it.

    They belong to root there; of this machine's owners, times and modes only the executable bit is kept."""

    contents: dict[str, Path | bytes] = field(default_factory=lambda: {"/etc/passwd": _PASSWD})

    def add_folder(self, path: str, folder: Path, *, wanted: Callable[[PurePosixPath], bool]) -> None:
        """Add the plain files beneath a folder whose path, taken from that folder, is wanted. Links are left out."""
        for file in sorted(folder.rglob("*")):
            inside = PurePosixPath(file.relative_to(folder).as_posix())
            if wanted(inside) and file.is_file() and not file.is_symlink():
                self.contents[f"{path}/{inside}"] = file

    def add_program(self, path: str, program: Path, scratch: Path | None = None) -> None:
        """Add a program, or a library that one loads, and every shared library it needs, from `scratch` (as unpacked there) or this machine."""
        self.contents[path] = program
        for library in libraries(program, scratch):
            is_unpacked = scratch is not None and library.is_relative_to(scratch)
            self.contents[f"/{library.relative_to(scratch)}" if scratch and is_unpacked else str(library)] = library

    def write(self, archive: Path) -> None:
        """Write all of it as a tar archive: the same contents give the same bytes."""
        with tarfile.open(archive, "w") as tar:
            for name, mode in self._folders().items():
                tar.addfile(_entry(name, mode, tarfile.DIRTYPE))
            for path, content in sorted(self.contents.items()):
                data = content if isinstance(content, bytes) else content.read_bytes()
                executable = isinstance(content, Path) and content.stat().st_mode & 0o100
                entry = _entry(path, 0o755 if executable else 0o644)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))

    def _folders(self) -> dict[str, int]:
        parents = {str(parent) for path in (*self.contents, *_FOLDERS) for parent in PurePosixPath(path).parents}
        return dict(sorted((dict.fromkeys(parents - {"/"}, 0o755) | _FOLDERS).items()))


@dataclass(frozen=True)
class Recipe:
    """How an image comes about."""

    assemble: Callable[[Path, Path, Say], Root]
    """Puts the files together, given a cache to keep downloads in and an empty folder that is removed afterwards."""
    ingredients: Callable[[], Iterable[bytes]]
    """Everything of ours that decides what the image holds: when it changes, the image is out of date."""
    changes: tuple[str, ...]
    """Instructions as in a Dockerfile."""
    check: tuple[str, ...]
    """A command that ends with 0 inside a good image, under any uid and without a network."""


def libraries(program: Path, scratch: Path | None = None) -> list[Path]:
    """The shared libraries, loader included, that this machine gives to a program, by the paths the loader uses, before them those in `scratch`."""
    folders = {str(file.parent) for file in scratch.rglob("*.so*")} if scratch else ()
    search = ["env", f"LD_LIBRARY_PATH={':'.join(sorted(folders))}"] if folders else []
    listing = run(
        [*search, "ldd", program], fix="use a Linux system with glibc, such as Debian or Ubuntu", timeout_s=30
    )
    missing = [line.split()[0] for line in listing.splitlines() if line.endswith("not found")]
    if missing:
        fix = "install the packages that hold them (libstdc++.so.6 is in libstdc++6)"
        raise BuildFailed(f"{program.name} needs {', '.join(missing)}, which this machine lacks", fix)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x[0-9a-f]+\)", listing)]


def build(tag: str, recipe: Recipe, cache: Path, say: Say) -> None:
    """Make the image `tag`, unless it is there and made by this very recipe. Raises BuildFailed.

    The tag is moved only to an image that has passed its check; the image it was on is removed, unless it is in use.
    Builds that share a cache wait for each other."""
    fingerprint = _fingerprint(recipe)
    if _is_current(tag, fingerprint):
        return
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current(tag, fingerprint):
            return
        with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as scratch:
            root = recipe.assemble(cache, Path(scratch), say)
            archive = Path(scratch, "root.tar")
            root.write(archive)
            say(f"importing the image {tag} ({archive.stat().st_size / 1e6:.0f} MB)")
            _import(archive, tag, recipe, fingerprint)


def _fingerprint(recipe: Recipe) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for ingredient in (*map(str.encode, recipe.changes), *recipe.ingredients()):
        digest.update(hashlib.sha256(ingredient).digest())
    return digest.hexdigest()


def _is_current(tag: str, fingerprint: str) -> bool:
    return bool(_docker("image", "ls", "--quiet", "--filter", f"label={_RECIPE}={fingerprint}", tag))


def _import(archive: Path, tag: str, recipe: Recipe, fingerprint: str) -> None:
    labels = f"LABEL {_TAG}={tag} {_RECIPE}={fingerprint}"
    instructions = ("USER 1000:1000", "WORKDIR /home/container", *recipe.changes, labels)
    changes = (part for instruction in instructions for part in ("--change", instruction))
    candidate = _docker("import", *changes, str(archive))
    try:
        _check(candidate, recipe.check)
    except BuildFailed:
        _docker("image", "rm", "--force", candidate)
        raise
    _docker("tag", candidate, tag)
    _docker("image", "prune", "--force", "--filter", f"label={_TAG}={tag}")  # spares what containers use


def _check(candidate: str, command: tuple[str, ...]) -> None:
    name = f"ctrl-alt-play-check-{uuid.uuid4().hex[:12]}"
    limits = ("--network=none", "--read-only", "--cap-drop=ALL", "--user=20001:20001")
    fix = "report this with the name and version of your distribution"
    try:
        where = ("--name", name, "--tmpfs", "/home/container")
        run(["docker", "run", "--rm", *where, *limits, candidate, *command], fix=fix, timeout_s=60)
    except BuildFailed:
        with contextlib.suppress(BuildFailed):  # by now it may have removed itself
            _docker("rm", "--force", name)
        raise


def _docker(*arguments: str) -> str:
    return run(["docker", *arguments], fix=_DOCKER_FIX, timeout_s=300).strip()


def _entry(path: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode = mode
    entry.type = kind
    return entry
