"""A 64-bit Arm userland with Python and packages from PyPI, on a machine of any kind, to run other engines emulated.

    python tests/boards/userland.py FOLDER [PACKAGE...]

Needs Debian with apt, dpkg and the package qemu-user-static; no root, no chroot, no binfmt: packages are unpacked into
FOLDER and Python runs under qemu-user with `-L`. Apt works in a state of its own; this machine's stays untouched.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = ("python3", "libgomp1", "libstdc++6", "libatomic1")
OLDEST_GLIBC, NEWEST_GLIBC = 17, 36  # 2.17 .. 2.36, that of bookworm
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LEFT_OUT = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*")
MERGED = ("bin", "sbin", "lib")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", nargs="*", help="wheels to install, like numpy onnxruntime")
    given = parser.parse_args()
    root = given.folder.resolve()
    if not (root / "usr/bin/python3").exists():
        make(root)
    if given.packages:
        install(root, given.packages)
    print(f"{root}: Python {PYTHON} of {SUITE} for aarch64")


def make(root: Path) -> None:
    """Unpack Debian's Python for arm64 and what it needs into `root`."""
    for name in MERGED:  # first, or the packages would make directories of these names
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "site"):
        (root / name).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shoestring-apt-") as name:
        state = Path(name)
        options = _apt_options(state)
        _quiet(["apt-get", *options, "update"])
        _quiet(["apt-get", *options, "install", "-y", "--download-only", *PACKAGES])
        for package in sorted((state / "cache/archives").glob("*.deb")):
            unpack(package, root)


def unpack(package: Path, root: Path) -> None:
    """The files of a Debian package, without documentation."""
    words = ["tar", "-x", "-C", str(root), "--keep-directory-symlink", *(f"--exclude={path}" for path in LEFT_OUT)]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as reader:
        subprocess.run(words, stdin=reader.stdout, check=True)
    if reader.returncode != 0:
        raise RuntimeError(f"dpkg-deb cannot read {package.name}")


def install(root: Path, packages: Sequence[str]) -> None:
    """Wheels for aarch64, laid into the userland by this machine's pip: nothing is emulated, nothing is compiled."""
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    words = [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", str(root / "site")]
    words += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    words += [word for name in (*platforms, "manylinux2014_aarch64") for word in ("--platform", name)]
    subprocess.run([*words, *packages], check=True)


def mirror(sources: str) -> str:
    """Where this machine's apt gets Debian from.

    Args:
        sources: text of apt's lists, in either format.
    """
    found = re.search(r"^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(\S+/debian)/?(?=\s|$)", sources, re.MULTILINE)
    return found[1] if found else "http://deb.debian.org/debian"


def _apt_options(state: Path) -> list[str]:
    for folder in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    lists = [*Path("/etc/apt/sources.list.d").glob("*"), Path("/etc/apt/sources.list")]
    sources = "\n".join(file.read_text() for file in lists if file.is_file())
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror(sources)} {SUITE} main\n")
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
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")


if __name__ == "__main__":
    main()
