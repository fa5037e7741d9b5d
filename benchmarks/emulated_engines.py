"""The engines of `make boards`: one network in every engine and precision, here and on emulated boards, bit by bit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from emulated_guest import answers
from emulation import device
from nets import bare_workshop
from shoestring.base.errors import ShoestringError
from shoestring.bundle import open_bundle
from shoestring.chips.host import this_machine
from shoestring.compress.apply import apply
from shoestring.compress.bias import first_examples, float_means
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges
from shoestring.convert import ncnn, tflite
from shoestring.device.golden import golden_inputs
from shoestring.domain.recipe import Recipe, Step
from shoestring.inputs.image import tensor
from shoestring.native.compiling import compile_library
from shoestring.native.targets import host_target, target_named

GUEST = Path(__file__).with_name("emulated_guest.py")
TARGETS = {
    "cortex-a53": "coral-dev-board",
    "cortex-a57": "jetson-nano",
    "cortex-a72": "raspberry-pi-4",
    "cortex-a76": "raspberry-pi-5",
}


SECONDS = 7200.0


@dataclass(frozen=True)
class Subject:
    """A model in the form of one engine.

    Args:
        name: for the table.
        engine: runtime.
        files: by core; the key "" serves every core and this machine.
        wanted: .npy of this machine's answers, or None where its engine refuses.
        why_not: the reason then.
    """

    name: str
    engine: str
    files: dict[str, Path]
    wanted: Path | None
    why_not: str = ""


@dataclass(frozen=True)
class Row:
    """An engine's answers on one board against this machine's.

    Args:
        name: of the subject.
        core: QEMU's name.
        words: for the table.
        same_bits: whether every output has the same bits; None where there is no answer.
    """

    name: str
    core: str
    words: str
    same_bits: bool | None


def prepare(arm: Path, count: int, cores: Sequence[str], folder: Path) -> tuple[Path, list[Subject]]:
    """Inputs and subjects, with this machine's answers.

    Args:
        arm: bundle of a fit for an Arm chip. Its rung `fp32` is quantized with signed activations and 8-bit weights, as
            such chips want, and with 7-bit weights, which no kernel of this machine can overflow with.
        count: inputs, of the golden set of `arm`.
        cores: to compile programs for.
        folder: for the files.
    """
    models: dict[str, bytes] = {}
    with open_bundle(arm) as bundle:
        manifest = bundle.manifest
        models["fp32"] = bundle.read(manifest.ladder.rung("fp32").candidate.artefact_sha256)
        images = tensor(golden_inputs(bundle), manifest.preprocess)
    np.save(folder / "inputs.npy", images[:count])
    models["int8"] = quantized(models["fp32"], images, "s8s8", folder)
    models["int8, 7-bit weights"] = quantized(models["fp32"], images, "u8s7", folder)
    subjects = []
    for precision, data in models.items():
        kind = precision.partition(",")[0]
        made = {
            "onnxruntime": lambda data=data: data,
            "native": None,
            "litert": lambda data=data: tflite.convert(data).data,
            "ncnn": lambda data=data, kind=kind: ncnn.convert(data, kind).data,
            "openvino": lambda data=data: data,
        }
        for engine, make in made.items():
            name, stem = f"{engine} {precision}", f"{engine}-{len(subjects)}"
            try:
                if make is None:
                    files = programs(data, cores, folder, stem)
                else:
                    (folder / stem).write_bytes(make())
                    files = {"": folder / stem}
                wanted = folder / f"{stem}.npy"
                np.save(wanted, answers(engine, files[""].read_bytes(), np.load(folder / "inputs.npy")))
                subjects.append(Subject(name, engine, files, wanted))
            except ShoestringError as error:
                subjects.append(Subject(name, engine, {}, None, error.message))
    return folder / "inputs.npy", subjects


def quantized(model: bytes, images: np.ndarray, scheme: str, folder: Path) -> bytes:
    """A float model in QDQ form by another scheme than the bundle's, its ranges taken from these inputs."""
    graph = LowerMean().run(Graph(onnx.load_model_from_string(model)), {})[0]
    (entry,) = graph.inputs

    def feed() -> Iterator[dict[str, np.ndarray]]:
        return iter([{entry: images}])

    batches = first_examples(feed, len(images))
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    workshop = bare_workshop(batches, ranges=ranges, means=float_means(graph, batches, 1))
    steps = (Step("lower_mean", {}), Step("static_int8", {"scheme": scheme, "float_layers": ()}))
    apply(Recipe("r", "int8", steps, "for other boards"), graph, workshop, folder / "quantized.onnx")
    return (folder / "quantized.onnx").read_bytes()


def programs(data: bytes, cores: Sequence[str], folder: Path, stem: str) -> dict[str, Path]:
    """Compiled programs, for this machine under the key ""."""
    model = folder / f"{stem}.onnx"
    model.write_bytes(data)
    machine = this_machine()
    files = {}
    for core in ("", *cores):
        target = host_target(machine.isa, machine.arch) if not core else target_named(TARGETS[core])
        files[core] = folder / f"{stem}{core}.so"
        compile_library(model, "net", target, 1, files[core])
    return files


def ask(root: Path, core: str, inputs: Path, subjects: Sequence[Subject], folder: Path) -> list[Row]:
    """Every subject on one board."""
    questions = [
        {
            "name": subject.name,
            "engine": subject.engine,
            "file": str(subject.files.get(core, subject.files[""])),
            "inputs": str(inputs),
            "wanted": str(subject.wanted),
        }
        for subject in subjects
        if subject.wanted is not None
    ]
    asked = folder / f"{core}.json"
    asked.write_text(json.dumps(questions))
    ran = device.run(root, core, [str(GUEST), str(asked)], seconds=SECONDS)
    answered = {row["name"]: row for row in map(json.loads, ran.out.splitlines())}
    if ran.code != 0:
        raise SystemExit(f"the guest on {core} failed: {ran.err}")
    return [_row(subject, core, answered.get(subject.name, {})) for subject in subjects]


def _row(subject: Subject, core: str, answered: dict[str, Any]) -> Row:
    if subject.wanted is None:
        return Row(subject.name, core, f"not here: {subject.why_not}", None)
    if "error" in answered:
        return Row(subject.name, core, f"refused: {answered['error']}", None)
    if "here" not in answered:
        code = answered["code"]
        return Row(subject.name, core, "illegal instruction" if code == device.ILLEGAL else f"exit {code}", None)
    if answered["here"] == answered["wanted"]:
        return Row(subject.name, core, "same bits", True)
    words = f"off by {answered['off']:.2g}, same class {answered['same']} of {answered['inputs']}"
    return Row(subject.name, core, words, False)
