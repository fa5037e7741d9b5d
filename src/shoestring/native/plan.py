"""Scheduling: which operators run band by band, where every value lies in the arena, and how much memory that takes.

A group is a chain of operators that work row by row. Its inner values never exist as a whole: each keeps a few rows in
a band buffer, the rows that the next band needs again are moved to the buffer's start. The values between groups are
whole and get fixed places in the arena, largest first (greedy by size, as in Pisarchyk and Lee, "Efficient Memory
Management for Deep Neural Net Inference", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.native.form import Op, Program
from shoestring.native.lowering import Rows, border_needed, rows_of
from shoestring.native.storage import Storage, storage_of

ALIGNMENT = 64
SLACK = 128
"""Bytes behind every buffer that vectors may read or write beyond its end."""
BAND_PIXELS = 48
"""Output pixels of a band at least: enough to fill the register blocks of a matrix product."""
FREE_FUSION = 1.02
"""Fusing stops once the arena is within this factor of the smallest one that fusing can reach."""


@dataclass(frozen=True)
class Inner:
    """A value that exists as a band only.

    Args:
        rows: of the band buffer.
        offset: in the thread's scratch memory.
    """

    rows: int
    offset: int


@dataclass(frozen=True)
class Group:
    """Operators that run together.

    Args:
        ops: in order; one, or a chain.
        inner: bands, by value.
        band: output rows a band; all rows for a lone operator.
    """

    ops: tuple[Op, ...]
    inner: dict[str, Inner]
    band: int


@dataclass(frozen=True)
class Plan:
    """A schedule with its memory.

    Args:
        storages: of all values inside the program.
        groups: in order of execution.
        offsets: of whole values in the arena.
        whole_bytes: of whole values together.
        scratch_bytes: of band buffers, for each thread.
    """

    storages: dict[str, Storage]
    groups: tuple[Group, ...]
    offsets: dict[str, int]
    whole_bytes: int
    scratch_bytes: int

    def arena_bytes(self, threads: int) -> int:
        return self.whole_bytes + threads * self.scratch_bytes


def plan(program: Program, external: frozenset[str]) -> Plan:
    """The schedule with the least fusing that comes within FREE_FUSION of the smallest arena.

    Args:
        program: checked.
        external: inputs that are read where the caller keeps them; they take no place in the arena.
    """
    storages = {name: storage_of(value, _border(name, program)) for name, value in program.values.items()}
    sizes = sorted({s.bytes for s in storages.values()}, reverse=True)
    plans = [_plan_at(program, storages, external, limit) for limit in [*sizes, 0]]
    least = min(one.arena_bytes(1) for one in plans)
    return next(one for one in plans if one.arena_bytes(1) <= FREE_FUSION * least)


def _border(name: str, program: Program) -> tuple[int, int, int, int]:
    needs = [border_needed(op, program) for op in program.ops if op.inputs and op.inputs[0] == name]
    columns = list(zip(*needs, strict=True)) if needs else [(0,)] * 4
    return (max(columns[0]), max(columns[1]), max(columns[2]), max(columns[3]))


def _plan_at(program: Program, storages: dict[str, Storage], external: frozenset[str], limit: int) -> Plan:
    groups = tuple(_group(chain, program, storages) for chain in _chains(program, storages, external, limit))
    scratch = max((_scratch(group, storages) for group in groups), default=0)
    offsets, whole = _place(program, groups, storages, external)
    return Plan(storages, groups, offsets, whole, scratch)


def _chains(
    program: Program, storages: dict[str, Storage], external: frozenset[str], limit: int
) -> list[tuple[Op, ...]]:
    """Operators in order, joined across values larger than `limit` that only the next operator reads."""
    readers = program.consumers()
    outputs = {port.value for port in program.outputs}
    chains: list[list[Op]] = []
    for op in program.ops:
        last = chains[-1][-1] if chains else None
        joins = (
            last is not None
            and op.inputs[:1] == (last.output,)
            and op.inputs.count(last.output) == 1
            and len(readers[last.output]) == 1
            and last.output not in outputs
            and rows_of(last, program) is not None
            and rows_of(op, program) is not None
            and storages[last.output].bytes > limit
        )
        if joins:
            chains[-1].append(op)
        else:
            chains.append([op])
    return [tuple(chain) for chain in chains]


def _group(chain: tuple[Op, ...], program: Program, storages: dict[str, Storage]) -> Group:
    if len(chain) == 1:
        return Group(chain, {}, storages[chain[0].output].height)
    out = storages[chain[-1].output]
    band = min(out.height, max(1, -(-BAND_PIXELS // out.width)))
    inner: dict[str, Inner] = {}
    rows, offset = band, 0
    for op, maker in zip(chain[:0:-1], chain[-2::-1], strict=True):
        need = _rows(op, program)
        rows = (rows - 1) * need.stride + need.extent
        storage = storages[maker.output]
        inner[maker.output] = Inner(rows, offset)
        offset += _aligned(rows * storage.row * storage.element_bytes + SLACK)
    return Group(chain, inner, band)


def _rows(op: Op, program: Program) -> Rows:
    need = rows_of(op, program)
    return need if need is not None else Rows()


def _scratch(group: Group, storages: dict[str, Storage]) -> int:
    return sum(
        _aligned(inner.rows * storages[name].row * storages[name].element_bytes + SLACK)
        for name, inner in group.inner.items()
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _place(
    program: Program, groups: tuple[Group, ...], storages: dict[str, Storage], external: frozenset[str]
) -> tuple[dict[str, int], int]:
    """Offsets of whole values: largest first, at the lowest place free during the value's life."""
    inner = {name for group in groups for name in group.inner}
    life: dict[str, tuple[int, int]] = {}
    for step, group in enumerate(groups):
        for op in group.ops:
            for name in (*op.inputs, op.output):
                if name not in inner and name not in external:
                    first, _ = life.get(name, (step, step))
                    life[name] = (first, step)
    for port in program.inputs:
        if port.value in life:
            life[port.value] = (-1, life[port.value][1])
    for port in program.outputs:
        if port.value in life:
            life[port.value] = (life[port.value][0], len(groups))
    placed: dict[str, tuple[int, int]] = {}
    for name in sorted(life, key=lambda name: (-storages[name].bytes, name)):
        size = _aligned(storages[name].bytes + SLACK)
        rivals = sorted(
            placed[other] for other in placed if life[other][0] <= life[name][1] and life[name][0] <= life[other][1]
        )
        offset = 0
        for start, end in rivals:
            if offset + size <= start:
                break
            offset = max(offset, end)
        placed[name] = (offset, offset + size)
    return {name: start for name, (start, _) in placed.items()}, max((end for _, end in placed.values()), default=0)
