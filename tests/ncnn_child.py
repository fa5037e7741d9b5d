"""What tests of hostile ncnn files run in a child process."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np

from ncnn_models import tiny_model
from shoestring.base.errors import EngineError
from shoestring.runtimes import ncnn_cpu
from shoestring.runtimes.ncnn_file import NcnnFile

INPUT = np.ones(64, np.float32)


def trusted(request: dict[str, Any]) -> str:
    """What ncnn itself does with a text and weights that nothing has checked; it reads 64 numbers, answers `out`."""
    import ncnn

    network = NcnnFile("fp32", (), (), request["param"], bytes.fromhex(request["weights"]))
    try:
        net = ncnn_cpu._net(ncnn, network, "network", 1, vulkan=False)
    except EngineError:
        return "refused"
    with net.create_extractor() as extractor:
        extractor.input("in", ncnn.Mat(INPUT.reshape(request["dims"])).clone())
        code, answer = extractor.extract("out")
    return f"code {code}, {np.array(answer).sum() if code == 0 else None}"


def mutated(request: dict[str, Any]) -> dict[str, int]:
    """Load changed files, run those that load; how many of each kind. One that crashes takes this process with it."""
    random_ = random.Random(request["seed"])
    counts = {"refused": 0, "loaded": 0}
    whole = tiny_model() if request["model"] is None else bytes.fromhex(request["model"])
    for _ in range(request["times"]):
        try:
            with ncnn_cpu.NcnnRuntime().load(_changed(whole, random_, request["text_end"]), 1) as session:
                shapes = [tuple(n or 1 for n in spec.shape) for spec in session.inputs]
                values = [np.ones(shape, spec.dtype) for shape, spec in zip(shapes, session.inputs, strict=True)]
                session.run({spec.name: value for spec, value in zip(session.inputs, values, strict=True)})
            counts["loaded"] += 1
        except EngineError:
            counts["refused"] += 1
    return counts


def _changed(whole: bytes, random_: random.Random, text_end: int) -> bytes:
    """One to three changes: another digit in the text (half of the time), another byte anywhere."""
    made = bytearray(whole)
    digits = [place for place in range(text_end) if chr(made[place]).isdigit()]
    for _ in range(random_.randint(1, 3)):
        if random_.random() < 0.7:
            made[random_.choice(digits)] = random_.choice(b"0123456789")
        else:
            made[random_.randrange(len(made))] = random_.randrange(256)
    return bytes(made)


def crash(_: Any) -> None:
    os.abort()
