"""Debian and Ubuntu packages, downloaded and unpacked beside the system: nothing is installed, root is not needed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctrl_alt_play.games.commands import BuildFailed, run
from ctrl_alt_play.games.image import Say

_FIX = "check on a Debian or Ubuntu machine that its package mirrors can be reached (Ubuntu: with `universe`)"
_CONFIGURATION = """\
Dir::Cache "{cache}";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::http::Timeout "30";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True)
class Archive:
    """A package file as the mirror offers it."""

    name: str
    size_bytes: int


def unpack(names: Sequence[str], target: Path, cache: Path, say: Say) -> None:
    """Unpack the newest version of these packages, without what they depend on, beneath `target`.

    Package files stay in `cache` and are not fetched twice. The system's package lists are used where they are good
    enough, otherwise private ones. Raises BuildFailed."""
    for archive in _fetch(names, _Apt(cache.absolute()), say):
        run(["dpkg", "-x", archive, target], fix="remove the cache folder and build again", timeout_s=120)


def needed(names: Sequence[str], cache: Path, say: Say) -> list[str]:
    """These packages, and those among what they depend on that this machine does not have. Raises BuildFailed."""
    apt = _Apt(cache.absolute())
    try:
        missing = apt.missing(names)
    except BuildFailed:
        say("updating the package lists")
        apt.update()
        missing = apt.missing(names)
    return sorted({*names, *missing})


def _fetch(names: Sequence[str], apt: "_Apt", say: Say) -> list[Path]:
    try:
        return apt.download(names, say)
    except BuildFailed:  # the lists are absent or outdated, as in a fresh container
        say("updating the package lists")
        apt.update()
        return apt.download(names, say)


class _Apt:
    """apt with a configuration of its own, so that it neither changes the system nor needs rights over it."""

    def __init__(self, cache: Path) -> None:
        self._lists = cache / "apt" / "lists"
        self._archives = cache / "packages"
        self._configuration = cache / "apt" / "apt.conf"
        (cache / "apt" / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        self._archives.mkdir(exist_ok=True)
        self._configure()

    def update(self) -> None:
        """Fetch private package lists. That some source fails is no matter as long as another has the packages."""
        (self._lists / "partial").mkdir(parents=True, exist_ok=True)
        self._configure()
        self._run("update", timeout_s=300, folder=self._lists)

    def download(self, names: Sequence[str], say: Say) -> list[Path]:
        """The packages' files, fetched where they are not here yet; apt verifies them against the signed lists."""
        # Run where no package is: apt-get does not list a file that the working directory already has.
        listing = self._run("download", "--print-uris", *names, timeout_s=60, folder=self._configuration.parent)
        wanted = parse_uris(listing)
        missing = [archive for archive in wanted if not self._is_here(archive)]
        if missing:
            say(f"fetching {len(missing)} packages ({sum(archive.size_bytes for archive in missing) / 1e6:.0f} MB)")
            self._run("download", *names, timeout_s=1800, folder=self._archives)
        return [self._archives / archive.name for archive in wanted]

    def missing(self, names: Sequence[str]) -> list[str]:
        """What an installation of the packages would bring."""
        options = ("--print-uris", "--no-install-recommends")
        listing = self._run("install", *options, *names, timeout_s=60, folder=self._configuration.parent)
        return [archive.name.partition("_")[0] for archive in parse_uris(listing)]

    def _is_here(self, archive: Archive) -> bool:
        file = self._archives / archive.name
        return file.is_file() and file.stat().st_size == archive.size_bytes

    def _configure(self) -> None:
        lines = _CONFIGURATION.format(cache=self._configuration.parent / "cache")
        if self._lists.is_dir():
            lines += f'Dir::State::lists "{self._lists}";\n'
        self._configuration.write_text(lines, encoding="utf-8")

    def _run(self, *arguments: str, timeout_s: float, folder: Path) -> str:
        command: list[str | Path] = ["apt-get", "--config-file", self._configuration, "-qq", *arguments]
        return run(command, fix=_FIX, timeout_s=timeout_s, folder=folder)


def parse_uris(listing: str) -> list[Archive]:
    """What `apt-get --print-uris` prints, a line a file: quoted address, file name, size in bytes, checksum."""
    return [
        Archive(name, int(size))
        for line in listing.splitlines()
        if line.startswith("'")
        for _, name, size, *_ in [shlex.split(line)]
    ]
