"""A table that never falls moves behind a max pool: the largest code of a window is found first, then looked up once.

Requires: nothing. Ensures: no max pool alone reads a table whose entries never fall. Results are the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoestring.native.form import Op, Pool, Program, Table


def delay_tables(program: Program) -> Program:
    """See the module."""
    readers = program.consumers()
    outputs = {port.value for port in program.outputs}
    values = dict(program.values)
    instead: dict[str, tuple[Op, ...]] = {}
    for op in program.ops:
        alone = isinstance(op, Table) and len(readers[op.output]) == 1 and op.output not in outputs
        if not alone or not isinstance(op, Table) or np.any(np.diff(op.table.astype(np.int16)) < 0):
            continue
        pool = readers[op.output][0]
        if not isinstance(pool, Pool) or pool.function != "max" or op.inputs[0] not in program.values:
            continue
        name = f"{op.output}/pooled"
        values[name] = replace(program.values[op.inputs[0]], name=name, shape=program.values[pool.output].shape)
        instead[op.output] = ()
        instead[pool.output] = (
            replace(pool, inputs=op.inputs, output=name),
            replace(op, inputs=(name,), output=pool.output),
        )
        del values[op.output]
    ops = tuple(one for op in program.ops for one in instead.get(op.output, (op,)))
    return replace(program, ops=ops, values=values)
