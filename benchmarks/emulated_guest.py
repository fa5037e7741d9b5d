"""On the board, with the device install alone: engines answer the same inputs as the workshop's did.

    python emulated_guest.py QUESTIONS.json

QUESTIONS.json lists {"name", "engine", "file", "inputs", "wanted"}: a runtime, its model file, and arrays (.npy). Each
gives one JSON line.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

from shoestring.base.errors import ShoestringError
from shoestring.runtimes import registry


def answers(engine, data, inputs):
    """Float32 outputs of one input after the other, each in a batch of one."""
    with registry.get(engine).load(data, 1) as session:
        name, out = session.inputs[0].name, session.outputs[0].name
        return np.concatenate([session.run({name: one[None]})[out] for one in inputs]).astype(np.float32)


def compared(question):
    inputs, wanted = np.load(question["inputs"]), np.load(question["wanted"])
    found = answers(question["engine"], Path(question["file"]).read_bytes(), inputs)
    return {
        "here": hashlib.sha256(found.tobytes()).hexdigest(),
        "wanted": hashlib.sha256(wanted.tobytes()).hexdigest(),
        "off": float(np.abs(found - wanted).max()),
        "same": int((found.argmax(1) == wanted.argmax(1)).sum()),
        "inputs": len(inputs),
    }


def main():
    for question in json.loads(Path(sys.argv[1]).read_text()):
        child = os.fork()  # an engine may take its process down, and a new Python takes seconds here
        if child == 0:
            try:
                row = compared(question)
            except ShoestringError as error:
                row = {"error": error.message}
            print(json.dumps({"name": question["name"], **row}), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            print(json.dumps({"name": question["name"], "code": 128 - code if code < 0 else code}), flush=True)


if __name__ == "__main__":
    main()
