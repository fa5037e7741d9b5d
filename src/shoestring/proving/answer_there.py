"""The board's side of a proof: replay the golden set of one rung, then answer images one by one.

    python -m shoestring.proving.answer_there FOLDER

FOLDER holds `question.json`; the answer is written beside it, and a line for each image goes to stdout. Imports only
what the device install has.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shoestring.base import canonical, disk
from shoestring.base.errors import DataError, ShoestringError
from shoestring.bundle import open_bundle
from shoestring.chips.host import this_machine
from shoestring.device.loading import Loaded
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs.image import Pixels, decode, pixels
from shoestring.runtimes import registry

QUESTION, ANSWER, OUTPUTS = "question.json", "answer.json", "outputs.npy"
TOP = 5
DONE = "answered"


@dataclass(frozen=True)
class Question:
    """What is asked.

    Args:
        bundle: path.
        rung: name.
        files: an encoded image each.
        sha256: of each file.
    """

    bundle: str
    rung: str
    files: tuple[str, ...]
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """What the rung answered there.

    Args:
        top: for each image the class indices, best first.
        isa: that the program saw.
        arch: of the processor, by Linux's name.
        processor: its name.
        system: the C library there.
        runtime_version: there.
        replayed: golden inputs that were compared.
        sha256: of all float32 outputs, one after the other.
    """

    top: tuple[tuple[int, ...], ...]
    isa: tuple[str, ...]
    arch: str
    processor: str
    system: str
    runtime_version: str
    replayed: int
    sha256: str


def answer(question: Question, outputs_path: Path) -> Answered:
    """Run the rung on every image.

    Raises:
        BundleError, GoldenError, EngineError, MissingExtraError: as `device.loading.Loaded` does.
        DataError: an image is not the one that was asked for.
    """
    outputs, top = [], []
    with open_bundle(Path(question.bundle)) as bundle:
        rung = bundle.manifest.ladder.rung(question.rung)
        loaded = Loaded(bundle, rung, rung.threads, None)
        try:
            for number, (name, sha256) in enumerate(zip(question.files, question.sha256, strict=True), start=1):
                output = loaded.single.infer(_read(Path(name), sha256, bundle.manifest.pixels))
                outputs.append(output.astype(np.float32))
                top.append(tuple(np.argsort(-output, kind="stable")[:TOP].tolist()))
                print(DONE, number, flush=True)
        finally:
            loaded.close()
        replayed = loaded.replayed
    whole = np.stack(outputs)
    np.save(outputs_path, whole, allow_pickle=False)
    machine = this_machine()
    return Answered(
        top=tuple(top),
        isa=machine.isa,
        arch=machine.arch,
        processor=machine.name,
        system=machine.system.partition(", ")[2] or machine.system,
        runtime_version=registry.get(rung.candidate.runtime).version(),
        replayed=replayed,
        sha256=hashlib.sha256(whole.tobytes()).hexdigest(),
    )


def _read(path: Path, sha256: str, spec: Preprocess) -> Pixels:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path} changed while it was being used", hint="run again when the data stays as it is")
    return pixels(decode(data, str(path)), spec, str(path))


def main() -> None:
    folder = Path(sys.argv[1])

    def wrong(words: str) -> DataError:
        return DataError(f"{folder / QUESTION}: {words}")

    try:
        question = canonical.decode((folder / QUESTION).read_bytes(), Question, wrong)
        reply: dict[str, object] = {"result": canonical.plain(answer(question, folder / OUTPUTS))}
    except ShoestringError as error:
        reply = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    disk.write_text(folder / ANSWER, json.dumps(reply, allow_nan=False))


if __name__ == "__main__":
    main()
