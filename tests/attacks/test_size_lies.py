"""Small files that claim to be large: each is answered without the memory that it claims. Thirty and more a format."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import size_lies
from attacking import Server, server
from factory import make_bundle_parts
from shoestring.base import landlock
from shoestring.bundle import pack
from shoestring.bundle.delta import make_delta
from shoestring.importers.constants import MAX_FOLDED_TOTAL_BYTES

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")

MOST_GROWN_BYTES = 160 << 20
"""Of all files of a format together, in one process. The largest file here has 30 MB."""
FOLDED_BYTES = 2 * MAX_FOLDED_TOTAL_BYTES  # what constants may be folded to is a limit of its own; and the file of it
LEAST = 30
OURS = ("ModelError", "BundleError", "accepted")
WARM = ("attack_server", "shoestring.importers.onnx_child", "shoestring.importers.tflite.child",
        "shoestring.importers.darknet.child", "shoestring.importers.weights", "shoestring.bundle",
        "onnx.reference")  # fmt: skip
# name -> lies, reader, main file, what else is asked
FORMATS: dict[str, tuple[Callable[[], Iterator[tuple[str, size_lies.Files]]], str, str, dict[str, str]]] = {
    "ONNX": (size_lies.onnx_lies, "import_onnx", "in.onnx", {}),
    "TFLite": (size_lies.tflite_lies, "import_tflite", "in.tflite", {}),
    "Darknet": (size_lies.darknet_lies, "import_darknet", "net.cfg", {}),
    "GGUF": (size_lies.gguf_lies, "read_weights", "in.gguf", {"kind": "gguf"}),
    "safetensors": (size_lies.safetensors_lies, "read_weights", "in.safetensors", {"kind": "safetensors"}),
    "archive": (size_lies.archive_lies, "look_at_archive", "in.pt2", {}),
    "bundle": (size_lies.bundle_lies, "open_bundle", "in.shoe", {}),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("lied"), *WARM) as made:
        yield made


def held_to(
    running: Server,
    lies: dict[str, size_lies.Files],
    reader: str,
    main: str,
    *,
    walls: bool = True,
    most: int = MOST_GROWN_BYTES,
    **more: str,
) -> dict[str, str]:
    """Outcome by lie; every one within its memory, none of them the end of a process."""
    told = running.ask(f"attack_server:{reader}", list(lies.values()), main, walls=walls, **more)
    outcomes = {name: f"{one.outcome}: {one.message[:100]}" for name, one in zip(lies, told, strict=True)}
    grown = max(one.grown_bytes for one in told)
    print(
        f"\n{len(lies)} lies to {reader}: at most {grown / 1e6:.0f} MB more, {max(one.seconds for one in told):.2f} s"
    )
    assert len(lies) >= LEAST
    assert {name: what for name, what in outcomes.items() if not what.startswith(OURS)} == {}
    assert grown < most
    return outcomes


@pytest.mark.parametrize("name", FORMATS)
def test_claims_are_held_against_what_is_there(running: Server, name: str) -> None:
    lies, reader, main, more = FORMATS[name]
    outcomes = held_to(
        running, dict(lies()), reader, main, most=FOLDED_BYTES if name == "ONNX" else MOST_GROWN_BYTES, **more
    )
    accepted = [lie for lie, what in outcomes.items() if what.startswith("accepted")]
    print(f"accepted: {accepted}")
    assert len(accepted) <= ALLOWED.get(name, 0), accepted


# Sizes that a graph only computes when it runs are no claim about the file: they are kept as they are, unfolded. Of an
# archive this looks at the table of contents alone; what opens the members afterwards is closed, and has limits.
ALLOWED = {"ONNX": 12, "archive": 17}


def test_deltas(running: Server, tmp_path: Path) -> None:
    for number, name in enumerate(("old.shoe", "new.shoe")):
        parts = make_bundle_parts(number)
        pack(tmp_path / name, parts.manifest, parts.blobs)
    make_delta(tmp_path / "old.shoe", tmp_path / "new.shoe", tmp_path / "good.delta")
    old, good = ((tmp_path / name).read_bytes() for name in ("old.shoe", "good.delta"))
    outcomes = held_to(running, dict(size_lies.delta_lies(old, good)), "apply_delta", "in.delta", walls=False)
    assert not any(what.startswith("accepted") for what in outcomes.values())


def test_a_reader_that_believes_a_length_would_be_seen(running: Server) -> None:
    """A saboteur: it makes room for what the file claims."""
    lie = {"in": struct.pack("<Q", 1 << 30)}
    told = running.ask("attack_server:makes_room", [lie], "in")[0]
    assert told.outcome == "accepted" and told.grown_bytes > MOST_GROWN_BYTES
