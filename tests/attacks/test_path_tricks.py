"""Every way to name a file outside the model's directory, in every place where a file can be named: all are refused.

Once with the walls of the quarantine and once without, so that neither leans on the other.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_graphs
import weights_files
from attacking import CANARY, OURS, Server, server
from hostile_bundles import GOOD
from shoestring.base import landlock, opens
from shoestring.base.errors import DataError

FLOATS = len(CANARY) // 4


def furnish(folder: Path) -> None:
    """Links, a pipe and directories, as somebody who can write into the model's directory would leave them."""
    outside = folder.parent.parent / "canary.bin"
    (folder / "sub").mkdir()
    (folder / "link.bin").symlink_to(outside)
    (folder / "relative.bin").symlink_to("../../canary.bin")
    (folder / "chain.bin").symlink_to("link.bin")
    (folder / "linked").symlink_to(outside.parent)
    (folder / "sub" / "up").symlink_to("../../..")
    (folder / "device").symlink_to("/dev/zero")
    (folder / "gone.bin").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")


# `{up}` is the path of the directory that holds the canary.
TRICKS = {
    "absolute": "{up}/canary.bin",
    "absolute, doubled": "/{up}/canary.bin",
    "parent": "../../canary.bin",
    "parent after a directory": "sub/../../../canary.bin",
    "parent after a dot": "./../../canary.bin",
    "parent after itself": "../0/../../canary.bin",
    "link at the end": "link.bin",
    "relative link at the end": "relative.bin",
    "link to a link": "chain.bin",
    "link in the middle": "linked/canary.bin",
    "link below a directory": "sub/up/canary.bin",
    "link to nothing": "gone.bin",
    "link to itself": "loop",
    "link to a device": "device",
    "device": "/dev/zero",
    "pipe": "pipe",
    "own root": "/proc/self/root{up}/canary.bin",
    "own directory": "/proc/self/cwd/../../canary.bin",
    "descriptor": "/dev/fd/0",
    "NUL before": "\0../../canary.bin",
    "NUL within": "weights.bin\0/../../../canary.bin",
    "backslash": "..\\..\\canary.bin",
    "drive": "C:/canary.bin",
    "file URL": "file://{up}/canary.bin",
    "web URL": "http://127.0.0.1/canary.bin",
    "home": "~/canary.bin",
    "variable": "$PWD/../../canary.bin",
    "escaped dots": "%2e%2e/%2e%2e/canary.bin",
    "wide dots": "\uff0e\uff0e/\uff0e\uff0e/canary.bin",
    "leader dots": "\u2025/\u2025/canary.bin",
    "other case": "WEIGHTS.BIN",
    "long": "a/" * 3_000 + "canary.bin",
    "long name": "n" * 5_000,
    "empty": "",
    "blank": " ",
    "dot": ".",
    "directory": "sub",
    "parent alone": "..",
}  # fmt: skip


def tensor(location: str, name: str = "b", dims: int = FLOATS) -> Any:
    found = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[dims], data_location=TensorProto.EXTERNAL)
    found.external_data.add(key="location", value=location)
    return found


def model(nodes: list[Any], weights: list[Any], **more: Any) -> Any:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [FLOATS])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [FLOATS])]
    return onnx_graphs.model(nodes, weights, inputs=inputs, outputs=outputs, **more)


ADD = helper.make_node("Add", ["x", "b"], ["y"])


def initialiser(location: str) -> Any:
    return model([ADD], [tensor(location)])


def constant(location: str) -> Any:
    return model([helper.make_node("Constant", [], ["b"], value=tensor(location)), ADD], [])


def list_of_tensors(location: str) -> Any:
    made = model([helper.make_node("Relu", ["x"], ["y"])], [])
    made.graph.node[0].attribute.add(name="extra", type=9).tensors.append(tensor(location))
    return made


def _body(name: str, location: str, *, as_constant: bool = False, loop: bool = False) -> Any:
    nodes = [helper.make_node("Constant", [], ["b"], value=tensor(location))] if as_constant else []
    nodes.append(helper.make_node("Add", ["x", "b"], ["t"]))
    outputs = [helper.make_tensor_value_info("t", TensorProto.FLOAT, [FLOATS])]
    inputs = []
    if loop:
        nodes.append(helper.make_node("Identity", ["go"], ["on"]))
        inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                  helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                  helper.make_tensor_value_info("last", TensorProto.FLOAT, [FLOATS])]  # fmt: skip
        outputs.insert(0, helper.make_tensor_value_info("on", TensorProto.BOOL, []))
    return helper.make_graph(nodes, name, inputs, outputs, [] if as_constant else [tensor(location)])


def branch(location: str, *, as_constant: bool = False) -> Any:
    other = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "other", [],
                              [helper.make_tensor_value_info("t", TensorProto.FLOAT, [FLOATS])])  # fmt: skip
    body = _body("body", location, as_constant=as_constant)
    node = helper.make_node("If", ["yes"], ["y"], then_branch=other, else_branch=body)
    return model([node], [onnx_graphs.tensor("yes", np.bool_(True))])


def branch_constant(location: str) -> Any:
    return branch(location, as_constant=True)


def loop_body(location: str) -> Any:
    node = helper.make_node("Loop", ["count", "yes", "x"], ["y"], body=_body("body", location, loop=True))
    weights = [onnx_graphs.tensor("yes", np.bool_(True)), onnx_graphs.tensor("count", np.int64(1))]
    return model([node], weights)


def function_body(location: str) -> Any:
    nodes = [helper.make_node("Constant", [], ["b"], value=tensor(location)),
             helper.make_node("Add", ["a", "b"], ["z"])]  # fmt: skip
    function = helper.make_function("local", "Shift", ["a"], ["z"], nodes, [helper.make_opsetid("", 17)])
    call = helper.make_node("Shift", ["x"], ["y"], domain="local")
    return model([call], [], functions=[function], domains=("local",))


def _sparse(values: Any, indices: Any) -> Any:
    return helper.make_sparse_tensor(values, indices, [64])


def sparse_values(location: str) -> Any:
    made = model([ADD], [])
    made.graph.sparse_initializer.append(_sparse(tensor(location), onnx_graphs.ints("at", *range(FLOATS))))
    return made


def sparse_indices(location: str) -> Any:
    where = tensor(location, "at", 3)
    where.data_type = TensorProto.INT64
    made = model([ADD], [])
    made.graph.sparse_initializer.append(_sparse(onnx_graphs.weight("b", 3), where))
    return made


def sparse_constant(location: str) -> Any:
    value = _sparse(tensor(location), onnx_graphs.ints("at", *range(FLOATS)))
    return model([helper.make_node("Constant", [], ["b"], sparse_value=value), ADD], [])


def training_start(location: str) -> Any:
    made = model([helper.make_node("Relu", ["x"], ["y"])], [])
    made.training_info.add().initialization.initializer.append(tensor(location))
    return made


def training_step(location: str) -> Any:
    made = model([helper.make_node("Relu", ["x"], ["y"])], [])
    node = helper.make_node("Constant", [], ["b"], value=tensor(location))
    made.training_info.add().algorithm.node.append(node)
    return made


ONNX_PLACES: tuple[Callable[[str], Any], ...] = (
    initialiser, constant, list_of_tensors, branch, branch_constant, loop_body, function_body, sparse_values,
    sparse_indices, sparse_constant, training_start, training_step,
)  # fmt: skip
# In these a plain file beside the model is read; in the others nothing is.
READ_WHEN_HONEST = (initialiser, constant, branch, branch_constant, loop_body, function_body)

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("tricked"), "attack_server", "shoestring.importers.onnx_child") as made:
        yield made


def named(running: Server, trick: str) -> str:
    return TRICKS[trick].replace("{up}", str(running.root))


def through(running: Server, reader: str, main: str, files: dict[str, dict[str, bytes]], **more: str) -> list[str]:
    """The tricks that were not refused with an error of ours, or that told the canary."""
    found = []
    for walls in (True, False):
        cases = list(files.values())
        told = running.ask(f"attack_server:{reader}", cases, main, walls=walls, furnish=furnish, **more)
        for number, (trick, verdict) in enumerate(zip(files, told, strict=True)):
            out = (running.room / str(number) / "out").read_bytes()
            if verdict.outcome not in OURS - {"UsageError"} or CANARY in out or CANARY.decode() in verdict.message:
                found.append(f"{trick}, {'closed' if walls else 'open'}: {verdict.outcome} {verdict.message[:80]}")
    return found


@pytest.mark.parametrize("place", ONNX_PLACES)
def test_external_data_of_onnx(running: Server, place: Callable[[str], Any]) -> None:
    weights = np.arange(FLOATS, dtype=np.float32).tobytes()
    honest = place("weights.bin").SerializeToString()
    if place in READ_WHEN_HONEST:
        case = {"in.onnx": honest, "weights.bin": weights}
        assert running.ask("attack_server:import_onnx", [case], "in.onnx", furnish=furnish)[0].outcome == "accepted"
        assert weights in (running.room / "0" / "out").read_bytes()
    files = {
        trick: {"in.onnx": place(named(running, trick)).SerializeToString(), "weights.bin": weights} for trick in TRICKS
    }
    assert through(running, "import_onnx", "in.onnx", files) == []


def test_files_of_a_safetensors_index(running: Server) -> None:
    files = {}
    for trick in TRICKS:
        index = {"weight_map": {"a.weight": named(running, trick)}}
        files[trick] = {
            "in.safetensors.index.json": json.dumps(index).encode(),
            "weights.bin": weights_files.safetensors(),
        }
    assert through(running, "read_weights", "in.safetensors.index.json", files, kind="index") == []


def test_files_of_a_safetensors_index_with_the_right_ending(running: Server) -> None:
    """The names must end in .safetensors, which hides what the other rules do."""
    files = {}
    for trick in TRICKS:
        name = named(running, trick).replace("canary.bin", "canary.safetensors")
        index = {"weight_map": {"a.weight": name + ("" if name.endswith(".safetensors") else "/x.safetensors")}}
        files[trick] = {"in.safetensors.index.json": json.dumps(index).encode()}
    assert through(running, "read_weights", "in.safetensors.index.json", files, kind="index") == []


def test_members_of_an_archive_of_pytorch(running: Server) -> None:
    files = {}
    for trick in TRICKS:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name in ("m/archive_format", "m/models/model.json", named(running, trick)):
                archive.writestr(zipfile.ZipInfo(name), b"x")
        files[trick] = {"in.pt2": made.getvalue()}
    assert through(running, "look_at_archive", "in.pt2", files) == []


def test_members_of_a_bundle(running: Server) -> None:
    """A blob's name, replaced by another in the records of the archive; the manifest knows the blob as before."""
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    files = {}
    for trick in TRICKS:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for at, (name, data) in enumerate(members.items()):
                archive.writestr(zipfile.ZipInfo(name if at != 1 else named(running, trick)), data)
        files[trick] = {"in.shoe": made.getvalue()}
    told = [
        one.outcome
        for walls in (True, False)
        for one in running.ask("attack_server:open_bundle", list(files.values()), "in.shoe", walls=walls)
    ]
    assert set(told) == {"BundleError"}


def test_there_are_enough_of_them() -> None:
    assert len(TRICKS) * (len(ONNX_PLACES) + 4) >= 600


def open_what_was_checked(root: Path, name: str) -> Any:
    """A saboteur: looks first, opens later."""
    path = root / name
    if path.is_symlink() or not path.is_file():
        raise DataError("refused")
    descriptor = os.open(path, os.O_RDONLY)
    return os.fdopen(descriptor, "rb")


@pytest.mark.parametrize(("opener", "safe"), [(opens.open_within, True), (open_what_was_checked, False)])
def test_a_file_that_is_replaced_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[[Path, str], Any], safe: bool
) -> None:
    """Before every opening in turn, the file (or its directory) becomes a link to the canary."""
    (tmp_path / "canary.bin").write_bytes(CANARY)
    really, leaked = os.open, []
    for moment, what in itertools.product(range(4), ("file", "directory")):
        root = tmp_path / f"{moment}-{what}"
        (root / "sub").mkdir(parents=True)
        (root / "sub" / "canary.bin").write_bytes(b"honest")
        seen = itertools.count()

        def swap(
            *given: Any, root: Path = root, moment: int = moment, what: str = what, seen: Any = seen, **more: Any
        ) -> int:
            if next(seen) == moment:
                if what == "file":
                    (root / "sub" / "canary.bin").unlink()
                    (root / "sub" / "canary.bin").symlink_to(tmp_path / "canary.bin")
                else:
                    (root / "sub").rename(root / "moved")
                    (root / "sub").symlink_to(tmp_path)
            return really(*given, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", swap)
            try:
                with opener(root, "sub/canary.bin") as stream:
                    if stream.read() != b"honest":
                        leaked.append((moment, what))
            except DataError:
                continue
    assert (leaked == []) == safe
