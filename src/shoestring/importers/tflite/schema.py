"""The published schema of TensorFlow Lite, as LiteRT's package carries it; imported in the child process alone."""

from __future__ import annotations

from shoestring.base.errors import MissingExtraError

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError as error:
    raise MissingExtraError("ai_edge_litert", "litert") from error

__all__ = ["OPERATORS", "OPTIONS", "TYPES", "schema"]


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATORS = _names(schema.BuiltinOperator)
OPTIONS = {**_names(schema.BuiltinOptions), 0: ""}
TYPES = _names(schema.TensorType)
