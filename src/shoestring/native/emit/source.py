"""The whole C file, its header, and the blob of weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources

from shoestring._version import __version__
from shoestring.base.errors import UsageError
from shoestring.native.emit import moves, steps
from shoestring.native.emit.context import Context
from shoestring.native.form import Op, Port, Program, Quantize
from shoestring.native.plan import Plan, plan
from shoestring.native.targets import Target
from shoestring.native.vectors import VECTORS

ALWAYS = ("frame.h", "functions.h", "elementwise.h", "moves.h", "pool.h", "reduce.h")
FAMILIES = {"conv_i8.h": "i8", "conv_f32.h": "f32", "depthwise_i8.h": "depthwise_i8"}
MACROS = {"i8": "SS_BLOCKS_I8", "f32": "SS_BLOCKS_F32", "depthwise_i8": "SS_BLOCKS_DEPTHWISE_I8"}


@dataclass(frozen=True)
class Emitted:
    """A program as text.

    Args:
        source: the C file.
        header: the C header that it includes.
        weights: the blob.
        about: what the program says of itself.
        arena_bytes: for one thread.
        plan: that it follows.
    """

    source: str
    header: str
    weights: bytes
    about: dict[str, object]
    arena_bytes: int
    plan: Plan


def kernel(name: str) -> str:
    """Text of a file of kernels/."""
    return resources.files("shoestring.native").joinpath("kernels", name).read_text(encoding="utf-8")


def emit(program: Program, target: Target, threads: int) -> Emitted:
    """C text and weights of a program.

    Args:
        program: checked, after the passes.
        target: decides vectors and storage of codes.
        threads: most threads that `init` accepts, at least 1.

    Raises:
        UsageError: the target has no kernels.
    """
    vector = VECTORS.get(target.vector)
    if vector is None:
        raise UsageError(
            f"there are no kernels for {target.name} yet",
            hint="targets that can be compiled for: shoestring compile --list-targets",
        )
    ports = _direct_ports(program)
    laid_out = plan(program, frozenset(program.inputs[port].value for port in ports.values()))
    context = Context(program, laid_out, vector, target.signed)
    functions, calls = _functions(context, ports)
    arena = laid_out.arena_bytes(1)
    blob_for_identity = context.blob.finish(bytes(32))
    identity = hashlib.sha256(blob_for_identity + target.name.encode() + program.source_sha256.encode()).digest()
    weights = context.blob.finish(identity)
    about = _about(program, target, threads, arena, len(weights))
    values = {
        "NAME": program.name,
        "UPPER": program.name.upper(),
        "ABOUT": json.dumps(json.dumps(about, separators=(",", ":"))),
        "ARENA": str(laid_out.whole_bytes),
        "SCRATCH": str(laid_out.scratch_bytes),
        "ARENA_BYTES": str(arena),
        "WEIGHTS_BYTES": str(len(weights)),
        "THREADS": str(threads),
        "IDENTITY": ", ".join(str(byte) for byte in identity),
        "PORTS": "\n".join(_describe(program)),
    }
    parts = [
        _filled("program_top.c", values),
        f"#define SS_SIGNED {int(target.signed)}\n#define SS_FUSED {int(target.fused)}\n#define SS_THREADS {threads}\n"
        f"#define SS_WIDE_WEIGHTS {int(context.wide)}",
        *_kernels(context, target),
        *context.tables,
        *functions,
        "SS_STEP void ss_run(const ss_frame *f, char *scratch, ss_threads *pool, uint32_t thread, uint32_t threads) {\n"
        "    (void)scratch, (void)pool;\n" + "\n".join(calls) + "\n}",
        _filled("program_end.c", values),
    ]
    return Emitted("\n".join(parts), _filled("program_api.h", values), weights, about, arena, laid_out)


def _filled(name: str, values: dict[str, str]) -> str:
    text = kernel(name)
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    if name == "program_api.h":
        text = text.replace("@PROGRAM_H@", kernel("program.h"))
    return text


def _direct_ports(program: Program) -> dict[str, int]:
    """Quantize operators, by output, that can read a float image where the caller keeps it."""
    readers = program.consumers()
    outputs = {port.value for port in program.outputs}
    found = {}
    for number, port in enumerate(program.inputs):
        users = readers[port.value]
        shape = program.values[port.value].shape
        alone = len(users) == 1 and isinstance(users[0], Quantize) and port.value not in outputs
        if alone and len(shape) == 4 and shape[0] == 1:
            found[users[0].output] = number
    return found


def _functions(context: Context, ports: dict[str, int]) -> tuple[list[str], list[str]]:
    functions, calls = [], []
    program = context.program
    direct = {program.inputs[number].value for number in ports.values()}
    reads = [
        _read(context, port, number)
        for number, port in enumerate(program.inputs)
        if port.value not in direct and port.value in context.plan.offsets
    ]
    if reads:
        calls.append("    if (thread == 0) {\n" + "\n".join(reads) + "\n    }\n    SS_BARRIER;")
    numbers: dict[str, int] = {op.output: number for number, op in enumerate(program.ops)}
    for group in context.plan.groups:
        made = []
        for op in group.ops:
            one, text = steps.step(context, op, numbers[op.output], _port(op, ports))
            functions.append(text)
            made.append(one)
        if len(group.ops) > 1:
            calls.append(steps.chain(context, group, made))
        else:
            calls.append(steps.whole(context, group.ops[0], made[0]))
    writes = [moves.write_port(context, port, number) for number, port in enumerate(program.outputs)]
    calls.append("    if (thread == 0) {\n" + "\n".join(writes) + "\n    }")
    return functions, calls


def _read(context: Context, port: Port, number: int) -> str:
    edges = steps.border(context, port.value)
    if edges:
        rows = f"        const ss_range rows = {{0, {context.storage(port.value).height}}};"
        edges = ["    {", rows, *edges, "    }"]
    return "\n".join([moves.read_port(context, port, number), *edges])


def _port(op: Op, ports: dict[str, int]) -> int | None:
    return ports.get(op.output)


def _kernels(context: Context, target: Target) -> list[str]:
    texts = [kernel(name) for name in ("common.h", *context.vector.before, f"vec_{target.vector}.h")]
    texts += [kernel(name) for name in ALWAYS]
    for name in sorted(context.headers):
        family = FAMILIES.get(name)
        if family is not None:
            sizes = sorted(context.blocks[family])
            items = " ".join(f"X({', '.join(str(n) for n in size)})" for size in sizes)
            texts.append(f"#define {MACROS[family]}(X) {items}")
        texts.append(kernel(name))
    texts.append(kernel("threads.h"))
    return texts


def _about(program: Program, target: Target, threads: int, arena: int, weights: int) -> dict[str, object]:
    def port(one: Port) -> dict[str, object]:
        shape: list[int | None] = list(program.values[one.value].shape)
        return {"name": one.name, "dtype": one.dtype, "shape": [None, *shape[1:]] if one.free_batch else shape}

    return {
        "abi": 1,
        "name": program.name,
        "compiler": f"shoestring {__version__}",
        "target": target.name,
        "isa": list(target.isa),
        "source_sha256": program.source_sha256,
        "threads": threads,
        "inputs": [port(one) for one in program.inputs],
        "outputs": [port(one) for one in program.outputs],
        "arena_bytes": arena,
        "weights_bytes": weights,
    }


def _describe(program: Program) -> list[str]:
    lines = []
    for kind, ports in (("inputs", program.inputs), ("outputs", program.outputs)):
        for number, one in enumerate(ports):
            shape = " x ".join(str(n) for n in program.values[one.value].shape)
            lines.append(f" *   {kind}[{number}]: {one.dtype}, {shape}")
    return lines
