"""A 64-bit Arm userland with Python and packages from PyPI, on a machine of any kind, to run the device side emulated.

    python -m shoestring.proving.userland FOLDER [PACKAGE...]

Needs Debian's apt, dpkg and archive keyring; no root, no chroot, no binfmt: packages are unpacked into FOLDER, and
Python runs under qemu-user with `-L`. Apt works in a state of its own; this machine's stays untouched.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from shoestring.base import disk
from shoestring.base.cache import default_root
from shoestring.base.canonical import digest
from shoestring.base.errors import ChildError, StorageError, UsageError

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = ("python3", "libgomp1", "libstdc++6", "libatomic1")
BARE = ("libc6", "libgcc-s1")
"""Of a userland without Python, for compiled programs alone."""

OLDEST_GLIBC, NEWEST_GLIBC = 17, 36  # 2.17 .. 2.36, that of bookworm
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LEFT_OUT = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*")
MERGED = ("bin", "sbin", "lib")
LAYOUT = 1
"""Raised when a cached userland would be made otherwise."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", nargs="*", help="wheels to install, like numpy onnxruntime")
    given = parser.parse_args()
    root = given.folder.resolve()
    if not (root / "usr/bin/python3").exists():
        make(root)
    if given.packages:
        install(root / "site", given.packages)
    print(f"{root}: Python {PYTHON} of {SUITE} for aarch64")


def cached(root: Path | None = None) -> Path:
    """The userland in the user's cache, made on first use.

    Args:
        root: of the cache; None takes the user's.

    Raises:
        UsageError, ChildError, StorageError: as `make`.
    """
    question = {"suite": SUITE, "packages": PACKAGES, "layout": LAYOUT}
    return whole((root or default_root()) / "userlands" / digest(question)[:16], make)


def cached_site(packages: Sequence[str], root: Path | None = None) -> Path:
    """A folder of wheels for the userland, in the user's cache, filled on first use.

    Args:
        packages: requirements with exact versions, `numpy==2.1.0`.
        root: of the cache; None takes the user's.

    Raises:
        ChildError, StorageError: as `install`.
    """
    question = {"packages": sorted(packages), "python": PYTHON, "glibc": NEWEST_GLIBC, "layout": LAYOUT}
    place = (root or default_root()) / "userlands" / f"site-{digest(question)[:16]}"
    return whole(place, lambda folder: install(folder, packages))


def make(root: Path, suite: str = SUITE, packages: Sequence[str] = PACKAGES) -> None:
    """Unpack packages of Debian for arm64 and what they need into `root`.

    Raises:
        UsageError: this machine has no apt, dpkg or Debian keyring.
        ChildError: apt or dpkg failed, mostly for want of a network.
        StorageError: the disk refused.
    """
    _need_tools()
    with disk.storage_errors(root):
        for name in MERGED:  # first, or the packages would make directories of these names
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            if not (root / name).exists():
                (root / name).symlink_to(f"usr/{name}")
        for name in ("tmp", "site"):
            (root / name).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shoestring-apt-") as name:
        state = Path(name)
        options = _apt_options(state, suite)
        _quiet(["apt-get", *options, "update"])
        _quiet(["apt-get", *options, "install", "-y", "--download-only", *packages])
        for package in sorted((state / "cache/archives").glob("*.deb")):
            unpack(package, root)


def unpack(package: Path, root: Path) -> None:
    """The files of a Debian package, without documentation. Raises ChildError."""
    words = ["tar", "-x", "-C", str(root), "--keep-directory-symlink", *(f"--exclude={path}" for path in LEFT_OUT)]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as reader:
        taken = subprocess.run(words, stdin=reader.stdout, check=False)
    if reader.returncode != 0 or taken.returncode != 0:
        raise ChildError(f"{package.name} cannot be unpacked", hint="is the disk full? run it again")


def install(site: Path, packages: Sequence[str]) -> None:
    """Wheels for aarch64 into a folder, by this machine's pip: nothing is emulated, nothing is compiled.

    Args:
        site: folder, on the guest's PYTHONPATH.
        packages: requirements or files of wheels.

    Raises:
        ChildError: pip failed: no network, or no such wheel.
    """
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    words = [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", str(site)]
    words += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    words += [word for name in (*platforms, "manylinux2014_aarch64") for word in ("--platform", name)]
    _quiet([*words, *packages])


def mirror(sources: str) -> str:
    """Where this machine's apt gets Debian from.

    Args:
        sources: text of apt's lists, in either format.
    """
    found = re.search(r"^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(\S+/debian)/?(?=\s|$)", sources, re.MULTILINE)
    return found[1] if found else "http://deb.debian.org/debian"


def whole(place: Path, fill: Callable[[Path], None]) -> Path:
    """`place`, filled beside it and renamed, so that it is whole or not there."""
    if place.is_dir():
        return place
    disk.make_directory(place.parent)
    with disk.storage_errors(place):
        part = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent))
    try:
        fill(part)
        with disk.storage_errors(place):
            part.chmod(0o755)
            try:
                part.rename(place)
            except OSError:
                if not place.is_dir():  # else another process was faster, and its copy is as good
                    raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place


def _need_tools() -> None:
    missing = [name for name in ("apt-get", "dpkg-deb", "tar") if shutil.which(name) is None]
    if missing:
        raise UsageError(
            f"the userland of an emulated board is made of Debian's packages, and there is no {missing[0]} here",
            hint="apt-get install apt dpkg tar debian-archive-keyring, or run shoestring prove on the board itself",
        )
    if not KEYRING.is_file():
        raise UsageError(
            f"the keys that Debian signs its packages with are not there: {KEYRING}",
            hint="apt-get install debian-archive-keyring",
        )


def _apt_options(state: Path, suite: str) -> list[str]:
    for folder in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    lists = [*Path("/etc/apt/sources.list.d").glob("*"), Path("/etc/apt/sources.list")]
    sources = "\n".join(file.read_text() for file in lists if file.is_file())
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror(sources)} {suite} main\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::parts": state / "etc/apt.conf.d",
        "Dir::Etc::preferencesparts": state / "etc/preferences.d",
    }
    return ["-q", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]


def _quiet(words: Sequence[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise StorageError(f"cannot start {words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if not line.startswith("WARNING")]
        name = "pip" if "pip" in words[:3] else words[0]
        raise ChildError(
            f"{name} failed: {' '.join(' '.join(said).split())[-400:] or 'it said nothing'}",
            hint="it needs the network for Debian's packages and PyPI's wheels, once; both are cached",
        )


if __name__ == "__main__":
    main()
