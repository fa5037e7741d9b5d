"""One contestant in a process of its own: loads a model, then runs blocks of inferences when asked.

    python native_child.py '{"engine": ..., "model": ..., "threads": ..., "shape": [...]}'

Speaks JSON lines. First it says {"version", "loaded_ms"} or {"failed"}; then, for every {"count": n} on its input,
{"ms": median time of one inference, "times": all of them}; for {"memory": true}, {"peak_kb"}. Only the engine
`native` needs shoestring; the others run under any Python that has their package.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Infer = Callable[[], object]
SEED = 3
Loaded = tuple[Infer, str]


def image(shape: list[int]) -> Any:
    return np.random.default_rng(SEED).standard_normal(shape, np.float32)


def native(request: dict[str, Any]) -> Loaded:
    from shoestring.runtimes import registry

    runtime = registry.get("native")
    session = runtime.load(Path(request["model"]), request["threads"])
    feeds = {spec.name: image([length or 1 for length in spec.shape]) for spec in session.inputs}
    return lambda: session.run(feeds), runtime.version()


def onnxruntime(request: dict[str, Any]) -> Loaded:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = request["threads"], 1
    session = ort.InferenceSession(request["model"], options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    feeds = {port.name: image(port.shape)}
    return lambda: session.run(None, feeds), ort.__version__


def openvino(request: dict[str, Any]) -> Loaded:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": request["threads"],
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the process is pinned from outside
    }
    if "precision" in request:
        settings["INFERENCE_PRECISION_HINT"] = request["precision"]
    compiled = core.compile_model(core.read_model(request["model"]), "CPU", settings)
    call = compiled.create_infer_request()
    call.set_input_tensor(openvino.Tensor(image(list(compiled.inputs[0].shape))))
    return call.infer, openvino.__version__.split("-")[0]


def litert(request: dict[str, Any]) -> Loaded:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(request["model"], num_threads=request["threads"])
    interpreter.allocate_tensors()
    port = interpreter.get_input_details()[0]
    value = image(list(port["shape"]))
    if port["dtype"] != np.float32:
        scale, zero = port["quantization"]
        value = np.clip(np.rint(value / scale) + zero, -128, 127).astype(port["dtype"])
    interpreter.set_tensor(port["index"], value)
    return interpreter.invoke, version("ai-edge-litert")


def ncnn(request: dict[str, Any]) -> Loaded:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = request["threads"]
    if request.get("precision") == "f32":
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(net.opt, f"use_{name}", False)
    elif request.get("precision") == "bf16":
        net.opt.use_bf16_packed = net.opt.use_bf16_storage = True
    model = Path(request["model"])
    if net.load_param(str(model.with_suffix(".param"))) or net.load_model(str(model.with_suffix(".bin"))):
        raise RuntimeError("ncnn refuses the files that pnnx wrote")
    pixels = ncnn.Mat(image(request["shape"][1:]))
    source, results = net.input_names()[0], net.output_names()

    def infer() -> object:
        run = net.create_extractor()
        run.input(source, pixels)
        answers = [run.extract(name) for name in results]
        if any(code for code, _ in answers):
            raise RuntimeError("ncnn failed to run")
        return answers

    return infer, ncnn.__version__


def iree(request: dict[str, Any]) -> Loaded:
    import iree.runtime as rt

    rt.flags.parse_flags(f"--task_topology_group_count={request['threads']}")
    config = rt.Config("local-sync" if request["threads"] == 1 else "local-task")
    context = rt.SystemContext(config=config)
    context.add_vm_module(rt.VmModule.mmap(config.vm_instance, request["model"]))
    module = next(item for name, item in context.modules.items() if name != "hal")
    name = next(x for x in module.vm_module.function_names if not x.startswith("__") and not x.endswith("$async"))
    pixels = rt.asdevicearray(config.device, image(request["shape"]))
    function = module[name]

    def infer() -> object:
        answer = function(pixels)
        parts = answer if isinstance(answer, tuple | list) else (answer,)
        return [part.to_host() for part in parts]

    return infer, version("iree-base-runtime")


def tvm(request: dict[str, Any]) -> Loaded:
    import tvm
    from tvm import relax

    machine = relax.VirtualMachine(tvm.runtime.load_module(request["model"]), tvm.cpu())
    pixels = tvm.runtime.tensor(image(request["shape"]))
    run = machine["main"]
    return lambda: run(pixels), str(tvm.__version__)


def bare(request: dict[str, Any]) -> Loaded:
    """Python and numpy alone: what the memory of every other contestant holds beside its engine."""
    kept = image(request["shape"])
    return lambda: kept, version("numpy")


ENGINES: dict[str, Callable[[dict[str, Any]], Loaded]] = {
    item.__name__: item for item in (native, onnxruntime, openvino, litert, ncnn, iree, tvm, bare)
}


def peak_kb() -> int:
    """Largest resident memory of this process so far, KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    request = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def say(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")

    try:
        start = time.perf_counter()
        infer, name = ENGINES[request["engine"]](request)
        infer()
    except Exception as error:  # noqa: BLE001 - the edge of a process that runs foreign engines
        say({"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})
        return
    say({"version": name, "loaded_ms": 1e3 * (time.perf_counter() - start)})
    for line in sys.stdin:
        asked = json.loads(line)
        if "memory" in asked:
            say({"peak_kb": peak_kb()})
            continue
        times = []
        for _ in range(asked["count"]):
            start = time.perf_counter()
            infer()
            times.append(1e3 * (time.perf_counter() - start))
        say({"ms": statistics.median(times), "times": times})


if __name__ == "__main__":
    main()
