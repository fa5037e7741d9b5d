"""What the fuzzer calls: one function a format, which takes any bytes and ends in nothing but an error of ours.

`benchmarks/fuzz.py` feeds them; the inputs that it found worth keeping stand in tests/attacks/corpus.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import weights_files
from factory import make_bundle_parts
from hostile_bundles import GOOD, TEXT, bundle_bytes
from shoestring.base.errors import BundleError, ModelError, SignatureError
from shoestring.bundle import open_bundle, pack
from shoestring.bundle.delta import make_delta
from shoestring.bundle.delta_file import DeltaReader
from shoestring.importers.gguf import header as gguf
from shoestring.importers.safetensors import header as safetensors
from shoestring.trust import dsse

CORPUS = Path(__file__).parent / "attacks" / "corpus"
_SCRATCH = Path(tempfile.gettempdir()) / f"shoestring-fuzz-{os.getpid()}"


def bundle(data: bytes) -> bool:
    """A whole bundle."""
    return _opened(data)


def manifest(data: bytes) -> bool:
    """A manifest inside a bundle that is sound otherwise."""
    return _opened(bundle_bytes(data))


def _opened(data: bytes) -> bool:
    _SCRATCH.write_bytes(data)
    try:
        open_bundle(_SCRATCH).close()
    except BundleError:
        return False
    finally:
        _SCRATCH.unlink()
    return True


def delta(data: bytes) -> bool:
    """The header of a delta, and where its parts lie."""
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.seek(0)
        try:
            DeltaReader(stream)
        except BundleError:
            return False
    return True


def envelope(data: bytes) -> bool:
    """An envelope of signatures: whatever is accepted is the one form of what it says."""
    try:
        found = dsse.decode(data, SignatureError)
    except SignatureError:
        return False
    payload = dsse.payload_of(found)
    if dsse.encode(found.payload_type, payload, found.signatures, SignatureError) != data:
        raise AssertionError("an envelope has two forms")
    return True


def gguf_header(data: bytes) -> bool:
    try:
        found = gguf.read_stream(io.BytesIO(data), len(data))
    except ModelError:
        return False
    ends = [one.offset + one.size_bytes for one in found.tensors]
    if any(end > len(data) for end in ends) or ends != sorted(ends):
        raise AssertionError("a tensor lies outside the file, or over another")
    return True


def safetensors_header(data: bytes) -> bool:
    try:
        found = safetensors.read_stream(io.BytesIO(data), len(data))
    except ModelError:
        return False
    if found.header_bytes + sum(one.size_bytes for one in found.tensors) != len(data):
        raise AssertionError("the tensors do not cover the file")
    return True


TARGETS: dict[str, Callable[[bytes], bool]] = {
    "bundle": bundle, "manifest": manifest, "delta": delta, "envelope": envelope, "gguf": gguf_header,
    "safetensors": safetensors_header,
}  # fmt: skip


def _delta() -> bytes:
    """Between two bundles that differ."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for seed, name in enumerate(("old", "new")):
            parts = make_bundle_parts(seed)
            pack(folder / name, parts.manifest, parts.blobs)
        make_delta(folder / "old", folder / "new", folder / "delta")
        return (folder / "delta").read_bytes()


def seeds(target: str) -> list[bytes]:
    """Sound inputs to begin with."""
    key = "a" * 64
    signature = f'{{"keyid":"{key}","sig":"{"A" * 86}=="}}'
    sound = {
        "bundle": GOOD,
        "manifest": TEXT,
        "delta": _delta() if target == "delta" else b"",
        "envelope": f'{{"payload":"aGk=","payloadType":"text/plain","signatures":[{signature}]}}'.encode(),
        "gguf": weights_files.gguf(),
        "safetensors": weights_files.safetensors(),
    }
    return [sound[target]]
