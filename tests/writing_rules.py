"""Finds in the text of a module every way to write to a disk, and every odd way to open a file.

It reads the syntax tree, so comments and strings do not matter; it follows `import ... as` and `from ... import`. What
it cannot see: a name put together at run time, a library that writes by itself, a command that is run.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

OS_CALLS = frozenset(
    [
        "chmod",
        "chown",
        "copy_file_range",
        "fchmod",
        "fchown",
        "fdatasync",
        "fsync",
        "ftruncate",
        "lchmod",
        "lchown",
        "link",
        "makedirs",
        "mkdir",
        "mkfifo",
        "mknod",
        "posix_fallocate",
        "pwrite",
        "pwritev",
        "remove",
        "removedirs",
        "removexattr",
        "rename",
        "renames",
        "replace",
        "rmdir",
        "sendfile",
        "setxattr",
        "symlink",
        "sync",
        "truncate",
        "unlink",
        "utime",
        "write",
        "writev",
    ]
)
SHUTIL_READS = frozenset(["which", "disk_usage", "get_terminal_size", "copyfileobj"])  # the last into what is open
TEMPFILE_KEEPS = frozenset(["mkstemp", "mkdtemp", "mktemp", "NamedTemporaryFile", "SpooledTemporaryFile"])
PATH_CALLS = frozenset(
    [
        "chmod",
        "hardlink_to",
        "lchmod",
        "link_to",
        "mkdir",
        "rename",
        "rmdir",
        "symlink_to",
        "touch",
        "unlink",
        "write_bytes",
        "write_text",
    ]
)
LIBRARY_CALLS = frozenset(
    ["extract", "extractall", "open_memmap", "memmap", "save", "savetxt", "savez", "savez_compressed", "tofile"]
)
MODULES = {"os": OS_CALLS, "tempfile": TEMPFILE_KEEPS, "sqlite3": frozenset({"connect"})}
OPEN_FLAGS = frozenset(["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_EXCL", "O_TMPFILE"])
READ_FLAGS = frozenset(["O_RDONLY", "O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_PATH"])
OPENERS = frozenset(
    ["open", "fdopen", "ZipFile", "TarFile", "GzipFile", "BZ2File", "LZMAFile", "FileIO", "FileHandler"]
)
IN_MEMORY = frozenset({"disk"})
"""What these names are asked to do is no writing of the module's own: base.disk."""


@dataclass(frozen=True, order=True)
class Found:
    """One way to write.

    Args:
        kind: what it is called, such as "os.rename" or ".unlink".
        line: in the file.
    """

    kind: str
    line: int


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: set[Found] = set()
        self._modules: dict[str, str] = {}

    def _note(self, kind: str, node: ast.AST) -> None:
        self.found.add(Found(kind, getattr(node, "lineno", 0)))

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self._modules[name.asname or name.name.partition(".")[0]] = name.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            if _forbidden(node.module or "", name.name):
                self._note(f"from {node.module} import {name.name}", node)
            if name.name in ("path", "kernel") or node.module in MODULES:
                self._modules[name.asname or name.name] = f"{node.module}.{name.name}"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        module = self._module(node.value)
        if _forbidden(module, node.attr):
            self._note(f"{module}.{node.attr}", node)
        elif isinstance(node.value, ast.Name) and node.value.id in ("Path", "PosixPath") and _path_call(node.attr):
            self._note(f".{node.attr}", node)  # handed on, not called
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func)
        elif isinstance(node.func, ast.Name) and node.func.id in OPENERS and _writes(_mode(node, 1)):
            self._note(f"{node.func.id}(w)", node)
        if any(word.arg == "dir_fd" or (word.arg or "").endswith("_dir_fd") for word in node.keywords):
            self._note("dir_fd", node)
        self.generic_visit(node)

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        name, module = function.attr, self._module(function.value)
        if module == "os" and name == "open":
            self._flags(node)
        elif (
            module in ("os", "io", "gzip", "bz2", "lzma", "tarfile", "zipfile", "logging", "codecs") and name in OPENERS
        ):
            if _writes(_mode(node, 1)):
                self._note(f"{module}.{name}(w)", node)
        elif name == "open" and _writes(_mode(node, 0)):
            self._note(".open(w)", node)
        elif isinstance(function.value, ast.Name) and function.value.id in IN_MEMORY:
            return
        elif (not module and (name in PATH_CALLS or name in LIBRARY_CALLS)) or (module and name in LIBRARY_CALLS):
            self._note(f".{name}", node)
        elif not module and name == "replace" and len(node.args) == 1 and not node.keywords:
            self._note(".replace", node)  # a string's takes two, a dataclass's takes names

    def _flags(self, node: ast.Call) -> None:
        value = node.args[1] if len(node.args) > 1 else None
        names = {inner.attr for inner in ast.walk(value) if isinstance(inner, ast.Attribute)} if value else set()
        if not names or names & OPEN_FLAGS or not names <= READ_FLAGS:
            self._note("os.open(w)", node)
        else:
            self._note("os.open", node)

    def _module(self, value: ast.expr) -> str:
        """The module that a name stands for, or nothing."""
        return self._modules.get(value.id, "") if isinstance(value, ast.Name) else ""


def _forbidden(module: str, name: str) -> bool:
    if module in ("shutil", "posix"):
        return name not in SHUTIL_READS
    return name in MODULES.get(module, ())


def _path_call(name: str) -> bool:
    return name in PATH_CALLS or name == "replace"


def _mode(node: ast.Call, place: int) -> ast.expr | None:
    """The mode that a file is opened with; None where none is given."""
    for word in node.keywords:
        if word.arg == "mode":
            return word.value
    return node.args[place] if len(node.args) > place else None


def _writes(mode: ast.expr | None) -> bool:
    """Whether a mode writes; one that is not written out may."""
    if mode is None:
        return False
    if isinstance(mode, ast.Constant):
        return isinstance(mode.value, str) and bool(set(mode.value) & set("wax+")) and len(mode.value) <= 4
    return True


def ways_to_write(module: ast.Module) -> set[Found]:
    """All of them in a module."""
    finder = _Finder()
    finder.visit(module)
    return finder.found
