"""A stand-in for the Edge TPU's compiler: a program of its name that prints logs in its format and writes its file.

The format is that of public logs, https://github.com/google-coral/edgetpu/issues/427 and /572 (versions 15.0.340273435
and 16.0.384591198); numbers and operators are our own.
"""

from __future__ import annotations

import sys
from pathlib import Path

LOG = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1379 ms.

Input model: {model}
Input size: 4.41MiB
Output model: {out}
Output size: 5.49MiB
On-chip memory used for caching model parameters: 1.92MiB
On-chip memory remaining for caching model parameters: 1.75KiB
Off-chip memory used for streaming uncached model parameters: 3.23MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 36
Operation log: model_edgetpu.log

A part of the model will run on the CPU.
Number of operations that will run on Edge TPU: 3
Number of operations that will run on CPU: 33

Operator                       Count      Status

MAX_POOL_2D                    6          More than one subgraph is not supported
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to some unspecified \
limitation
QUANTIZE                       1          Mapped to Edge TPU
CONV_2D                        2          Mapped to Edge TPU
CONV_2D                        12         More than one subgraph is not supported
LEAKY_RELU                     11         Operation not supported
CONCATENATION                  2          More than one subgraph is not supported
Compilation child process completed within timeout period.
Compilation succeeded!
"""
KINDS = ("good", "refuses", "silent", "garbled", "sleeps", "hungry")


def install(folder: Path, kind: str = "good") -> Path:
    """Write the program into `folder`; what it does depends on its kind."""
    folder.mkdir(exist_ok=True)
    script = folder / "edgetpu_compiler"
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys, time, pathlib\n"
        f"kind, log = {kind!r}, {LOG!r}\n"
        "assert sys.argv[1:3] == ['-s', '-o'], sys.argv\n"
        "out, model = pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])\n"
        "assert model.read_bytes()\n"
        "if kind == 'sleeps': time.sleep(600)\n"
        "if kind == 'hungry': bytearray(1 << 36)\n"
        "if kind == 'refuses': print('Invalid model: x\\nModel not quantized'); sys.exit(1)\n"
        "made = out / (model.stem + '_edgetpu.tflite')\n"
        "if kind != 'silent': made.write_bytes(b'TFL3')\n"
        "print('nothing to read' if kind == 'garbled' else log.format(model=model, out=made))\n"
    )
    script.chmod(0o755)
    return script
