"""Bits of one tensor element by ONNX's type name (https://onnx.ai/onnx/repo-docs/IR.html, "Tensor Element Types").

Kept here without importing onnx, because two rooms that may not import each other need it. Strings have no fixed size.
"""

ELEMENT_BITS: dict[str, int] = {
    name: bits
    for bits, names in {
        2: ("UINT2", "INT2"),
        4: ("UINT4", "INT4", "FLOAT4E2M1"),
        8: ("UINT8", "INT8", "BOOL", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0"),
        16: ("UINT16", "INT16", "FLOAT16", "BFLOAT16"),
        32: ("FLOAT", "INT32", "UINT32"),
        64: ("DOUBLE", "INT64", "UINT64", "COMPLEX64"),
        128: ("COMPLEX128",),
    }.items()
    for name in names
}
