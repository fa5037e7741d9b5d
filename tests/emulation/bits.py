"""Runs on the board, with the device install alone: what every rung of a bundle answers to its golden inputs.

    python bits.py BUNDLE [RUNG...]

One JSON line a rung. The golden outputs are the workshop's answers: equal bits here mean equal bits on both machines.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from shoestring.base.errors import ShoestringError
from shoestring.bundle import open_bundle
from shoestring.device.golden import golden_inputs, golden_outputs
from shoestring.device.single import Single
from shoestring.runtimes import registry


def answers(bundle, rung, inputs):
    manifest = bundle.manifest
    student = manifest.student(rung.name)
    ours = manifest if student is None else student
    with registry.get(rung.candidate.runtime).load(bundle.read(rung.candidate.artefact_sha256), 1) as session:
        single = Single(session, ours.input, ours.output, manifest.preprocess, ours.preprocess)
        return np.stack([single.infer(image) for image in inputs]).astype(np.float32)


def main():
    with open_bundle(Path(sys.argv[1])) as bundle:
        inputs = golden_inputs(bundle)
        for rung in bundle.manifest.ladder.rungs:
            if sys.argv[2:] and rung.name not in sys.argv[2:]:
                continue
            wanted = golden_outputs(bundle, rung, len(inputs))
            row = {"rung": rung.name, "runtime": rung.candidate.runtime, "precision": rung.candidate.recipe.precision}
            row["tolerance"] = bundle.manifest.golden.tolerance[rung.name]
            try:
                found = answers(bundle, rung, inputs)
            except ShoestringError as error:
                row["error"] = error.message
            else:
                row |= {
                    "here": hashlib.sha256(found.tobytes()).hexdigest(),
                    "workshop": hashlib.sha256(wanted.astype(np.float32).tobytes()).hexdigest(),
                    "off": float(np.abs(found - wanted).max()),
                    "same": int((found.argmax(1) == wanted.argmax(1)).sum()),
                    "inputs": len(inputs),
                }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
