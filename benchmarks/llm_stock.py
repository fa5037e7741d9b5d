"""The stock files of SmolLM2-135M, by llama.cpp's own quantizer: what a mix of ours is compared with.

    python benchmarks/llm_stock.py                    # makes them once, and prints their bytes
    python benchmarks/llm_stock.py --folder           # prints the folder that holds them

The quantizer is llama_model_quantize of the library in the npm package @node-llama-cpp/linux-x64, which is fetched once
and checked by its SHA-256. It starts from a GGUF file of float32 that holds the dequantised weights of the published
Q4_1 file, without an importance matrix, as most published files are made. With `--gram FILE.npz` (Gram matrices by the
tensor's name) a second row of files is made with one: what llama-imatrix measures is their diagonal.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

from language_material import CACHE, smollm2
from shoestring.importers.gguf.header import read_header
from shoestring.weights.decode import dequantize
from shoestring.weights.encode import quantize
from shoestring.weights.tensors import open_tensors
from shoestring.weights.writing import write_gguf

PACKAGE, VERSION = "@node-llama-cpp/linux-x64", "3.22.1"
ARCHIVE = "node-llama-cpp-linux-x64-3.22.1.tgz"
SHA256 = "0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0"
LIBRARIES = "package/bins/linux-x64"
# enum llama_ftype of include/llama.h
STOCK = {"Q8_0": 7, "Q5_0": 8, "Q4_K_M": 15, "Q4_0": 2, "IQ4_NL": 25, "Q3_K_M": 12}
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Importance(ctypes.Structure):
    """llama_model_imatrix_data: one tensor's; a list ends with a name of null."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("data", ctypes.POINTER(ctypes.c_float)),
        ("size", ctypes.c_size_t),
    )


class Options(ctypes.Structure):
    """The start of llama_model_quantize_params; what follows stays as the library's defaults have it."""

    _fields_ = (
        ("threads", ctypes.c_int32),
        ("file_type", ctypes.c_int32),
        ("output_type", ctypes.c_int32),
        ("embedding_type", ctypes.c_int32),
        ("flags", ctypes.c_bool * 6),
        ("importances", ctypes.POINTER(Importance)),
        ("rest", ctypes.c_ubyte * 224),
    )


def libraries(folder: Path = CACHE) -> Path:
    """The folder of llama.cpp's libraries, fetched once."""
    archive = folder / ARCHIVE
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{archive} has SHA-256 {digest}, not {SHA256}")
    out = folder / ARCHIVE.removesuffix(".tgz")
    if not out.exists():
        part = out.with_suffix(".part")
        with tarfile.open(archive) as opened:
            opened.extractall(part, filter="data")
        part.rename(out)
    return out / LIBRARIES


def float_file(folder: Path = CACHE) -> Path:
    """SmolLM2's dequantised weights as GGUF in float32: the original that all is held to."""
    out = folder / "SmolLM2-135M-Instruct.F32.gguf"
    if not out.exists():
        source = smollm2(folder)
        header = read_header(source)
        places = {tensor.name: tensor for tensor in header.tensors if tensor.type != "F32"}
        with open_tensors(source, header) as raw:

            def data(name: str) -> np.ndarray:
                return quantize(dequantize(raw[name], places[name].type, places[name].shape), "F32")

            write_gguf(out, source, header, dict.fromkeys(places, "F32"), data)
    return out


def stock(name: str, *, folder: Path = CACHE, grams: Path | None = None) -> Path:
    """One stock file, made once in a process of its own: `name` is a key of STOCK."""
    label = "" if grams is None else "-imatrix-" + hashlib.sha256(grams.read_bytes()).hexdigest()[:8]
    out = folder / f"SmolLM2-135M-Instruct.stock-{name}{label}.gguf"
    if not out.exists():
        part = out.with_suffix(".part")
        order = {"libraries": str(libraries(folder)), "source": str(float_file(folder)), "out": str(part)}
        order |= {"file_type": STOCK[name], "grams": None if grams is None else str(grams)}
        subprocess.run([sys.executable, __file__, "--order", json.dumps(order)], check=True)
        part.rename(out)
    return out


def make(order: dict[str, str]) -> None:
    """Run the quantizer; in a process of its own, since its libraries bear the names of those of xllamacpp."""
    folder = Path(order["libraries"])
    base, ggml, llama = (
        ctypes.CDLL(str(folder / name), ctypes.RTLD_GLOBAL)
        for name in ("libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so")
    )
    quiet = _LOG(lambda _level, _words, _data: None)
    base.ggml_log_set(quiet, None)
    llama.llama_log_set(quiet, None)
    ggml.ggml_backend_load_all_from_path(str(folder).encode())
    llama.llama_model_quantize_default_params.restype = Options
    options = llama.llama_model_quantize_default_params()
    options.threads, options.file_type = 1, int(order["file_type"])
    if order["grams"] is not None:
        options.importances = importances(Path(order["grams"]))
    if llama.llama_model_quantize(order["source"].encode(), order["out"].encode(), ctypes.byref(options)):
        sys.exit(f"llama.cpp did not make {order['out']}")


def importances(grams: Path) -> ctypes.Array[Importance]:
    """The diagonals of Gram matrices as llama.cpp takes an importance matrix."""
    with np.load(grams) as found:
        diagonals = {name: np.ascontiguousarray(np.diag(found[name]), np.float32) for name in found.files}
    listed = (Importance * (len(diagonals) + 1))()
    for place, (name, values) in enumerate(diagonals.items()):
        pointer = (ctypes.c_float * len(values))(*values)
        listed[place] = Importance(name.encode(), pointer, len(values))
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gram", type=Path, help="Gram matrices by the tensor's name (.npz)")
    parser.add_argument("--folder", action="store_true", help="print where the files lie, and make none")
    parser.add_argument("--order", type=json.loads, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.order is not None:
        make(asked.order)
        return
    if asked.folder:
        print(CACHE)
        return
    print("| file | bytes | bits a weight | types of the matrices |\n|---|---|---|---|")
    for grams in (None, asked.gram) if asked.gram else (None,):
        for name in STOCK:
            path = stock(name, grams=grams)
            header = read_header(path)
            types = [f"{kind} {size / 1e6:.1f} MB" for kind, size in header.bytes_by_type.items() if kind != "F32"]
            label = f"{name}, imatrix" if grams else name
            bits = 8 * sum(header.bytes_by_type.values()) / header.parameters
            print(f"| {label} | {path.stat().st_size:,} | {bits:.2f} | {', '.join(types)} |")


if __name__ == "__main__":
    main()
