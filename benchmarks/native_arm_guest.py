"""One counted inference of a peer, inside the emulated userland. Imports no shoestring.

native_arm_guest.py onnxruntime|litert MODEL
"""

import ctypes
import sys

import numpy as np

START, STOP = 0x51050001, 0x51050002  # marks of tests/emulation/block_counts.c
WARM_UP = 2
SEED = 0


def onnxruntime_of(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    image = np.random.default_rng(SEED).standard_normal([n if isinstance(n, int) else 1 for n in port.shape])
    feed = {port.name: image.astype(np.float32)}
    return lambda: session.run(None, feed)


def litert_of(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    port = interpreter.get_input_details()[0]
    random = np.random.default_rng(SEED)
    is_float = port["dtype"] == np.float32
    image = random.standard_normal(port["shape"]) if is_float else random.integers(0, 100, port["shape"])
    interpreter.set_tensor(port["index"], image.astype(port["dtype"]))
    return interpreter.invoke


def main():
    invoke = {"onnxruntime": onnxruntime_of, "litert": litert_of}[sys.argv[1]](sys.argv[2])
    mark = ctypes.CDLL(None).getpriority
    for _ in range(WARM_UP):
        invoke()
    mark(0, START)
    invoke()
    mark(0, STOP)


if __name__ == "__main__":
    main()
