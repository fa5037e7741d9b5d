"""Finds in the text of a module the files that it opens by a name put together from parts.

`folder / "model.onnx"` is a name of ours. In `folder / name`, the name may come from a manifest, a data set or an
archive, and then only `base.opens.open_within` may open it, which leaves no way out of the folder.
"""

from __future__ import annotations

import ast

from writing_rules import Found

READERS = frozenset(["open", "read_bytes", "read_text", "readlink", "iterdir", "glob", "rglob"])


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: set[Found] = set()
        self._joined: list[set[str]] = [set()]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        names = {
            target.id
            for inner in ast.walk(node)
            if isinstance(inner, ast.Assign) and _is_joined(inner.value)
            for target in inner.targets
            if isinstance(target, ast.Name)
        }
        self._joined.append(names)
        self.generic_visit(node)
        self._joined.pop()

    visit_FunctionDef = _function  # noqa: N815 - the names that ast asks for
    visit_AsyncFunctionDef = _function  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in READERS:
            self._look(function.value, f".{function.attr}", node)
            if node.args and isinstance(function.value, ast.Name) and function.value.id in ("os", "io", "Image"):
                self._look(node.args[0], f"{function.value.id}.{function.attr}", node)
        elif isinstance(function, ast.Name) and function.id == "open" and node.args:
            self._look(node.args[0], "open", node)
        self.generic_visit(node)

    def _look(self, value: ast.expr, kind: str, node: ast.Call) -> None:
        named = isinstance(value, ast.Name) and value.id in self._joined[-1]
        if named or _is_joined(value):
            self.found.add(Found(kind, node.lineno))


def _is_joined(value: ast.expr) -> bool:
    """Whether it is a path with a part that is not written out."""
    if isinstance(value, ast.Call):
        function = value.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if name in ("joinpath", "join", "Path") and len(value.args) > (name != "joinpath"):
            return any(not isinstance(part, ast.Constant) for part in value.args[(name != "joinpath") :])
        return name in ("with_name", "Path") and any(_is_joined(part) for part in value.args)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        return (not isinstance(value.right, ast.Constant) and not _own(value.right)) or _is_joined(value.left)
    return False


def _own(value: ast.expr) -> bool:
    """A constant of a module has a name in capitals."""
    return isinstance(value, ast.Name) and value.id.isupper()


def joined_opens(module: ast.Module) -> set[Found]:
    """All of them in a module."""
    finder = _Finder()
    finder.visit(module)
    return finder.found
