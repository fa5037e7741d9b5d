"""One package writes to disk, and one module opens what data named: held against the text of every module."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from opening_rules import joined_opens
from shoestring.base import disk
from writing_rules import Found, ways_to_write

ROOT = Path(disk.__file__).parents[2]
STORE = "base/disk/"

WRITERS = {
    "base/child.py": ("os.fdopen(w)", "the pipe to its own child"),
    "cli/main.py": ("os.open(w)", "/dev/null"),
    "cli/probe_verb.py": (".save", "a method of ours, which asks base.disk"),
    "cli/run_live.py": (
        ".open(w)",
        "results line by line, as to stdout; nothing is promised of them after a power cut",
    ),
    "costmodel/rss.py": (".savez", "into memory"),
    "device/pipelines/draw.py": (".save", "into memory"),
    "device/simulated/tree.py": (
        ".chmod .mkdir .replace .symlink_to .unlink .write_text os.mkfifo os.open(w) os.write",
        "a board's fake sysfs: it lasts no longer than the simulation",
    ),
    "engines/local.py": (".replace .unlink .write_bytes", "scratch of a call: gone when it ends"),
    "engines/ray_cluster.py": (".write_bytes", "likewise"),
    "engines/work.py": (".write_bytes os.fdopen(w)", "likewise, and its pipe"),
    "evaluate/dataset_npz.py": (".open(w)", "a member of an archive, to read"),
    "compress/language/store.py": (".save", "into memory"),
    "fitting/assemble.py": (".save", "into memory"),
    "fitting/fit.py": (".save", "a method of ours, which asks base.disk"),
    "fitting/language/assemble.py": (".save", "into memory"),
    "fitting/language/fit.py": (".save", "a method of ours, which asks base.disk"),
    "fitting/scoring.py": (".save", "into memory"),
    "fitting/spread.py": (".savez", "into memory"),
    "fleet/collect/sqlite.py": ("sqlite3.connect", "a database that syncs by itself at each commit; a test looks"),
    "fitting/text/fit.py": (".save", "a method of ours, which asks base.disk"),
    "importers/huggingface/folder.py": (".open(w)", "a method of ours, which opens for reading, in one folder"),
    "importers/huggingface/stored.py": (".open(w)", "the same method"),
    "importers/pytorch.py": (".open(w) .touch .unlink", "scratch, for a closed process; what lasts is stored again"),
    "importers/sources.py": (".touch", "scratch: the one file that a closed process may write"),
    "inputs/image.py": (".open(w)", "a picture, to read"),
    "probing/board_meter.py": ("tarfile.open(w)", "scratch that goes to a board"),
    "probing/ssh.py": ("tarfile.open(w)", "into memory"),
    "proving/answer_there.py": (".save", "scratch on the other board, read by whoever asked"),
    "proving/guest.py": (".mkdir .symlink_to .write_text", "what an emulated board shows its programs, made for a run"),
    "proving/place.py": (".symlink_to", "scratch of a run"),
    "proving/prove.py": (".save", "scratch of a run"),
    "proving/userland.py": (
        ".chmod .mkdir .rename .symlink_to .touch .write_text shutil.rmtree tempfile.mkdtemp",
        "a root that can be made again: in a directory of its own, which is then renamed",
    ),
    "runtimes/guard_child.py": (".write_bytes", "/proc"),
    "runtimes/guard_process.py": ("os.ftruncate", "shared memory"),
    "runtimes/guard_tensors.py": ("os.pwrite", "shared memory"),
    "runtimes/guarded.py": (".write_bytes", "shared memory"),
    "runtimes/litert.py": ("os.open(w)", "/dev/null"),
    "runtimes/native_abi.py": ("os.fdopen(w)", "memory without a name, for the loader"),
    "runtimes/ncnn_cpu.py": (".extract os.fdopen(w)", "an answer of ncnn, and memory without a name that it reads"),
    "runtimes/null_faults.py": ("os.write", "the pipe of a runtime that is to fail"),
    "training/distill.py": (".open(w)", "a method of ours, which asks base.disk"),
    "training/loop.py": (".save", "into memory, and a method of ours"),
    "training/work.py": (".save", "into memory"),
}
"""Modules beside base.disk with a call that may write: which, and why it is none of the store's business."""

OPENERS = {
    "base/landlock.py": "directories that the user named, as what a child may reach",
    "base/opens.py": "the module for it",
    "base/resident.py": "a file that the user named, to ask where its pages are",
    "bundle/opening.py": "a bundle that the user named: a pipe must not hold us up",
    "device/files.py": "likewise an input",
    "runtimes/llamacpp/keeping.py": "a socket of ours, so that it can lose its name",
    "device/slots/locking.py": "the directory of the slots, to lock it",
}
"""Modules that ask the system itself to open a file for reading."""

JOINERS = {
    "chips/operators/__init__.py": "our own data files, named by our own tables",
    "chips/published/__init__.py": "likewise",
    "chips/published/table_chips.py": "likewise",
    "device/serve/pages.py": "our own pages, named by our own table",
    "engines/local.py": "scratch, named by us",
    "native/build.py": "what our compiler made, in scratch",
    "native/emit/source.py": "our own kernels",
    "proving/guest.py": "scratch, named by us",
    "proving/prove.py": "likewise",
}
"""Modules that open a name put together from parts, none of which comes from a file that somebody sent."""


def test_only_the_store_writes() -> None:
    found = {name: {way.kind for way in ways if way.kind != "os.open"} for name, ways in _all(ways_to_write).items()}
    found = {name: kinds - {"dir_fd"} for name, kinds in found.items() if not name.startswith(STORE)}
    listed = {name: set(kinds.split()) for name, (kinds, _reason) in WRITERS.items()}
    assert {name: kinds for name, kinds in found.items() if kinds} == listed, "new, or no longer there"


def test_only_few_ask_the_system_to_open_and_one_below_a_directory() -> None:
    found = _all(ways_to_write)
    kinds = {name: {way.kind for way in ways} for name, ways in found.items() if name != f"{STORE}kernel.py"}
    assert {name for name, ways in kinds.items() if "os.open" in ways} == set(OPENERS)
    assert {name for name, ways in kinds.items() if "dir_fd" in ways} == {"base/opens.py"}


def test_only_names_of_ours_are_put_together_and_opened() -> None:
    assert set(_all(joined_opens)) == set(JOINERS), "a name that data gave is opened by base.opens.open_within"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("open('a', 'w')", "open(w)"),
        ("open('a', mode='ab')", "open(w)"),
        ("open('a', how)", "open(w)"),
        ("import io\nio.open('a', 'x')", "io.open(w)"),
        ("path.open('r+b')", ".open(w)"),
        ("path.open(mode='w')", ".open(w)"),
        ("path.write_bytes(b'')", ".write_bytes"),
        ("(root / 'a').write_text('')", ".write_text"),
        ("path.touch()", ".touch"),
        ("path.unlink(missing_ok=True)", ".unlink"),
        ("path.rename(other)", ".rename"),
        ("path.replace(other)", ".replace"),
        ("path.mkdir(parents=True)", ".mkdir"),
        ("path.rmdir()", ".rmdir"),
        ("path.symlink_to(other)", ".symlink_to"),
        ("path.hardlink_to(other)", ".hardlink_to"),
        ("path.chmod(0o600)", ".chmod"),
        ("list(map(Path.unlink, paths))", ".unlink"),
        ("import os\nos.open(path, os.O_WRONLY)", "os.open(w)"),
        ("import os\nos.open(path, os.O_RDONLY | os.O_CREAT)", "os.open(w)"),
        ("import os\nos.open(path, flags)", "os.open(w)"),
        ("import os as system\nsystem.rename(a, b)", "os.rename"),
        ("import os\ncall(os.unlink)", "os.unlink"),
        ("from os import replace", "from os import replace"),
        ("import os\nos.truncate(a, 0)", "os.truncate"),
        ("import os\nos.link(a, b)", "os.link"),
        ("import os\nos.makedirs(a)", "os.makedirs"),
        ("import os\nos.fdopen(descriptor, 'wb')", "os.fdopen(w)"),
        ("import shutil\nshutil.copy(a, b)", "shutil.copy"),
        ("from shutil import rmtree", "from shutil import rmtree"),
        ("import tempfile\ntempfile.mkstemp()", "tempfile.mkstemp"),
        ("import tempfile\ntempfile.NamedTemporaryFile(delete=False)", "tempfile.NamedTemporaryFile"),
        ("import zipfile\nzipfile.ZipFile(path, 'w')", "zipfile.ZipFile(w)"),
        ("import tarfile\ntarfile.open(path, mode='w:gz')", "tarfile.open(w)"),
        ("archive.extractall(path)", ".extractall"),
        ("import numpy as np\nnp.save(path, array)", ".save"),
        ("array.tofile(path)", ".tofile"),
        ("import sqlite3\nsqlite3.connect(path)", "sqlite3.connect"),
        ("import os\nos.open(name, os.O_RDONLY, dir_fd=folder)", "dir_fd"),
        ("import os\nos.open(name, os.O_RDONLY)", "os.open"),
    ],
)
def test_saboteur_each_way_to_write_is_seen(text: str, kind: str) -> None:
    assert kind in {way.kind for way in ways_to_write(ast.parse(text))}


@pytest.mark.parametrize(
    "text",
    [
        "open('a')",
        "path.open('rb')",
        "disk.write_bytes(path, b'')",
        "text.replace('a', 'b')",
        "import dataclasses\ndataclasses.replace(noun, field=1)",
        "import shutil\nshutil.which('cc')",
        "import os\nos.environ.get('HOME')",
        "# path.unlink()\n'os.rename'",
    ],
)
def test_what_reads_is_let_be(text: str) -> None:
    assert ways_to_write(ast.parse(text)) == set()


@pytest.mark.parametrize(
    "text",
    [
        "def f(root, manifest):\n    return (root / manifest.name).read_bytes()",
        "def f(root, name):\n    path = root / name\n    return path.open('rb')",
        "def f(root, name):\n    return open(root / 'a' / name)",
        "def f(root, name):\n    return open(os.path.join(root, name))",
        "def f(root, name):\n    return root.joinpath(name).read_text()",
        "def f(path, name):\n    return path.with_name(f'{name}')" + ".read_text() if 0 else (path / f'{name}').open()",
    ],
)
def test_saboteur_each_name_from_data_is_seen(text: str) -> None:
    assert joined_opens(ast.parse(text))


def test_names_of_ours_are_let_be() -> None:
    assert not joined_opens(ast.parse("def f(root):\n    return (root / 'a' / RECORD).read_bytes()"))


@functools.cache
def _modules() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@functools.cache
def _all(rule: Callable[[ast.Module], set[Found]]) -> dict[str, set[Found]]:
    found = {name: rule(module) for name, module in _modules().items()}
    return {name: ways for name, ways in found.items() if ways}
