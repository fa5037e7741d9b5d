"""Model files made to harm: each gets one clear error, leaves nothing behind, and reads nothing outside its folder."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_graphs
from shoestring.base import opens
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError, ShoestringError
from shoestring.importers import import_model
from shoestring.importers.onnx_child import normalise

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = b"SECRET-of-the-machine-0123456789"  # 32 bytes: eight float32 values


def external(name: str, location: str, *, dims: tuple[int, ...] = (8,), **place: int | str) -> Any:
    """A float32 tensor whose bytes stand elsewhere."""
    found = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **place}.items():
        found.external_data.add(key=key, value=str(value))
    return found


def adding(bias: Any, **graph: Any) -> Any:
    """y = x + b, where b is the tensor under test."""
    return onnx_graphs.model([helper.make_node("Add", ["x", bias.name], ["y"])], [bias], **graph)


def in_initialiser(bias: Any) -> Any:
    return adding(bias)


def in_constant(bias: Any) -> Any:
    nodes = [helper.make_node("Constant", [], ["b"], value=bias), helper.make_node("Add", ["x", "b"], ["y"])]
    return onnx_graphs.model(nodes, [])


def in_subgraph(bias: Any, *, as_constant: bool = False) -> Any:
    nodes = [helper.make_node("Constant", [], ["b"], value=bias)] if as_constant else []
    nodes.append(helper.make_node("Add", ["x", "b"], ["t"]))
    output = [onnx_graphs.floats("t", None, None, None, None)]
    body = helper.make_graph(nodes, "body", [], output, [] if as_constant else [bias])
    other = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "other", [], output)
    choice = helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=other)
    return onnx_graphs.model([choice], [onnx_graphs.tensor("yes", np.bool_(True))])


def in_subgraph_constant(bias: Any) -> Any:
    return in_subgraph(bias, as_constant=True)


def in_function(bias: Any) -> Any:
    nodes = [helper.make_node("Constant", [], ["b"], value=bias), helper.make_node("Add", ["a", "b"], ["z"])]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "Shift", ["a"], ["z"], nodes, opsets)
    call = helper.make_node("Shift", ["x"], ["y"], domain="local")
    return onnx_graphs.model([call], [], functions=[function], domains=("local",))


PLACES = (in_initialiser, in_constant, in_subgraph, in_subgraph_constant, in_function)


class House:
    """A directory with a model in it and a secret beside it."""

    def __init__(self, root: Path) -> None:
        self.outside = root / "secret.bin"
        self.outside.write_bytes(SECRET)
        self.inside = root / "model"
        (self.inside / "sub").mkdir(parents=True)
        (self.inside / "link.bin").symlink_to(self.outside)
        (self.inside / "linked").symlink_to(root)
        (self.inside / "weights.bin").write_bytes(np.arange(8, dtype=np.float32).tobytes())
        self.target = self.inside / "out.onnx"

    def locations(self) -> list[str]:
        """Every way we know to name the secret from inside the model's directory."""
        names = ["../secret.bin", "sub/../../secret.bin", str(self.outside), "link.bin", "linked/secret.bin"]
        return [*names, "./../secret.bin", "..\\secret.bin", f"/proc/self/root{self.outside}", "/dev/stdin"]

    def normalise(self, made: Any) -> None:
        """The child's own work, in this process, so that a test can break a part of it."""
        source = onnx_graphs.save(made, self.inside / "in.onnx")
        normalise({"source": str(source), "target": str(self.target), "batch_free": True, "shapes": {}})


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def leaks(house: House) -> list[str]:
    """The places and locations through which the secret came out, or that were not refused."""
    found = []
    for place in PLACES:
        for location in house.locations():
            house.target.unlink(missing_ok=True)
            try:
                house.normalise(place(external("b", location)))
                found.append(f"{place.__name__}: {location} was accepted")
            except (ModelError, OSError) as error:
                if SECRET.decode() in str(error):
                    found.append(f"{place.__name__}: {location} is told in the message")
            if house.target.exists() and SECRET in house.target.read_bytes():
                found.append(f"{place.__name__}: {location} is in the output")
    return found


def test_nothing_outside_the_directory_is_read(house: House) -> None:
    assert leaks(house) == []


def naive_join(root: Path, name: str) -> Any:
    return (root / name).open("rb")


def resolve_and_compare(root: Path, name: str) -> Any:
    """The classic mistake: comparing strings, so that `/a/model` holds `/a/model-secret`, and links count as inside."""
    if ".." in name or Path(name).is_absolute():
        raise opens.DataError("refused")
    return (root / name).open("rb")


@pytest.mark.parametrize("broken", [naive_join, resolve_and_compare])
def test_a_broken_open_would_be_caught(
    house: House, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Path, str], Any]
) -> None:
    monkeypatch.setattr(opens, "open_within", broken)
    assert any("is in the output" in leak for leak in leaks(house))


@pytest.mark.parametrize("place", PLACES)
def test_honest_external_data_is_embedded_wherever_it_stands(house: House, place: Callable[[Any], Any]) -> None:
    house.normalise(place(external("b", "weights.bin")))
    assert np.arange(8, dtype=np.float32).tobytes() in house.target.read_bytes()
    (house.inside / "weights.bin").unlink()
    onnx.checker.check_model(onnx.load(house.target, load_external_data=False), full_check=True)


def test_the_refusal_crosses_the_process_with_its_hint(house: House) -> None:
    source = onnx_graphs.save(adding(external("b", "../../etc/passwd")), house.inside / "in.onnx")
    with pytest.raises(ModelError, match=r"tensor 'b'.*'\.\./\.\./etc/passwd' is not a plain relative path") as told:
        import_model(source, house.target)
    assert "beside the model" in str(told.value.hint)
    assert not house.target.exists()
    assert not list(house.inside.glob(".import-*"))


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (external("b", "weights.bin", offset=16), "takes bytes 16 to 48 of 'weights.bin', which has 32"),
        (external("b", "weights.bin", offset=2**62), "which has 32"),
        (external("b", "weights.bin", offset=-4), "'-4' is not a number"),
        (external("b", "weights.bin", offset="9" * 5000), "is not a number"),
        (external("b", "weights.bin", length=8), "takes 32 bytes, but states a length of 8"),
        (external("b", "weights.bin", dims=(750_000_000,)), "claim"),
        (external("b", "weights.bin", dims=(2**40, 2**40)), "claim"),
        (external("b", "weights.bin", dims=(-8,)), "negative shape"),
        (external("b", ""), "names no file"),
        (external("b", "gone.bin"), "cannot open 'gone.bin'"),
        (external("b", "sub"), "not a regular file|directory"),
    ],
)
def test_false_claims_about_external_data(house: House, bias: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words) as told:
        house.normalise(adding(bias))
    assert told.value.hint
    assert not house.target.exists()


def test_a_file_that_never_ends_is_not_opened(house: House) -> None:
    (house.inside / "pipe").unlink(missing_ok=True)
    os.mkfifo(house.inside / "pipe")
    with pytest.raises(ModelError, match="not a regular file"):
        house.normalise(adding(external("b", "pipe")))


def test_many_tensors_of_one_region_are_added_up(house: House) -> None:
    """A sparse gigabyte named by three tensors is 3 GB of memory."""
    with (house.inside / "weights.bin").open("wb") as stream:
        stream.truncate(2**30)
    names = ["b", "c", "d"]
    nodes = [helper.make_node("Sum", names, ["s"]), helper.make_node("ReduceMax", ["s"], ["m"])]
    nodes.append(helper.make_node("Add", ["x", "m"], ["y"]))
    made = onnx_graphs.model(nodes, [external(name, "weights.bin", dims=(2**28,)) for name in names])
    with pytest.raises(ModelError, match=r"claim 3\.\d+ GB, more than the limit"):
        house.normalise(made)


def held(data_type: int, dims: tuple[int, ...], **data: Any) -> Any:
    return TensorProto(name="b", data_type=data_type, dims=dims, **data)


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (held(TensorProto.FLOAT, (750_000_000,), raw_data=b"1234"), "takes 3000000000 bytes, but the file holds 4"),
        (held(TensorProto.FLOAT, (2**62, 2**62), raw_data=b""), "but the file holds 0"),
        (held(TensorProto.FLOAT, (8,), float_data=[1.0]), "takes 8 values, but the file holds 1"),
        (held(TensorProto.INT64, (8,)), "takes 8 values, but the file holds 0"),
        (held(TensorProto.INT4, (8,), raw_data=b"12345"), "takes 4 bytes, but the file holds 5"),
        (held(TensorProto.STRING, (2,), string_data=[b"a"]), "takes 2 values, but the file holds 1"),
        (held(TensorProto.FLOAT, (-1,), raw_data=b""), "negative shape"),
        (held(999, (1,), raw_data=b""), "element type 999"),
    ],
)
def test_false_claims_about_held_data(house: House, bias: Any, words: str) -> None:
    for place in (in_initialiser, in_constant, in_function):
        with pytest.raises(ModelError, match=words) as told:
            house.normalise(place(bias))
        assert told.value.hint


def test_a_small_file_that_claims_3_gb_answers_at_once(house: House) -> None:
    made = adding(held(TensorProto.FLOAT, (750_000_000,), raw_data=b"1234"))
    source = onnx_graphs.save(made, house.inside / "in.onnx")
    assert source.stat().st_size < 1024
    with pytest.raises(ModelError, match="takes 3000000000 bytes"):
        import_model(source, house.target, limits=ChildLimits(30, 2**30))


def test_sparse_tensors_are_refused_by_name(house: House) -> None:
    values = onnx_graphs.tensor("needles", np.ones(1, np.float32))
    sparse = helper.make_sparse_tensor(values, onnx_graphs.ints("at", 2**40), [2**41])
    made = onnx_graphs.model([helper.make_node("Add", ["x", "needles"], ["y"])], [])
    made.graph.sparse_initializer.append(sparse)
    with pytest.raises(ModelError, match="'needles' in test is sparse"):
        house.normalise(made)
    node = helper.make_node("Constant", [], ["c"], sparse_value=sparse)
    with pytest.raises(ModelError, match=r"'needles' in .*is sparse"):
        house.normalise(onnx_graphs.model([node, helper.make_node("Add", ["x", "c"], ["y"])], []))


def test_too_many_nodes(house: House) -> None:
    one = helper.make_node("Relu", ["x"], ["y"]).SerializeToString()
    graph = b"".join(b"\x0a" + bytes([len(one)]) + one for _ in range(50_001))
    made = onnx_graphs.model([], [])
    made.graph.MergeFromString(graph)
    with pytest.raises(ModelError, match="more than the limit of 50000 nodes"):
        house.normalise(made)


def test_operators_of_nobody_are_named(house: House) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("FusedConv", ["a"], ["b"], domain="com.microsoft"),
        helper.make_node("Frobnicate", ["b"], ["y"]),
    ]
    with pytest.raises(ModelError, match=r"ai\.onnx\.Frobnicate \(1\), com\.microsoft\.FusedConv \(1\)"):
        house.normalise(onnx_graphs.model(nodes, [], domains=("com.microsoft",)))


@pytest.mark.parametrize(
    ("opset", "words"), [(9, "oldest that is read is 11"), (99, "knows up to"), (None, "states none")]
)
def test_opsets_out_of_range(house: House, opset: int | None, words: str) -> None:
    made = onnx_graphs.conv_bn_relu()
    del made.opset_import[:]
    if opset is not None:
        made.opset_import.add(version=opset)
    with pytest.raises(ModelError, match=words) as told:
        house.normalise(made)
    assert told.value.hint


def broken_rules() -> list[tuple[str, Any]]:
    relu = helper.make_node("Relu", ["x"], ["y"])
    return [
        ("breaks the rules", onnx_graphs.model([helper.make_node("Relu", ["nothing"], ["y"])], [])),
        ("breaks the rules", onnx_graphs.model([relu, relu], [])),
        ("breaks the rules", onnx_graphs.model([helper.make_node("Relu", ["x", "x", "x"], ["y"])], [])),
        ("breaks the rules", onnx_graphs.model([helper.make_node("Relu", ["y"], ["y"])], [])),
        ("no nodes", onnx_graphs.model([], [])),
        ("same name", onnx_graphs.model([relu], [onnx_graphs.weight("w", 1), onnx_graphs.weight("w", 2)])),
    ]


@pytest.mark.parametrize(("words", "made"), broken_rules())
def test_graphs_against_the_rules(house: House, words: str, made: Any) -> None:
    with pytest.raises(ModelError, match=words) as told:
        house.normalise(made)
    assert told.value.hint


def test_every_truncation_is_refused(house: House) -> None:
    data = onnx_graphs.residual().SerializeToString()
    source = house.inside / "in.onnx"
    for size in range(1, len(data), 7):
        source.write_bytes(data[:size])
        with pytest.raises(ModelError):
            normalise({"source": str(source), "target": str(house.target), "batch_free": True, "shapes": {}})
        assert not house.target.exists()


def test_damaged_files_give_our_errors_only(house: House) -> None:
    clean = onnx_graphs.branches().SerializeToString()
    chance = random.Random(11)
    for _ in range(8):
        data = bytearray(clean)
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.randrange(256)
        source = house.inside / "in.onnx"
        source.write_bytes(bytes(data))
        try:
            import_model(source, house.target)
        except ShoestringError:
            assert not house.target.exists()
        house.target.unlink(missing_ok=True)


def test_limits_are_named_when_they_are_hit(house: House) -> None:
    source = onnx_graphs.save(onnx_graphs.residual(), house.inside / "in.onnx")
    with pytest.raises(ModelError, match=r"limit of 0\.01 s"):
        import_model(source, house.target, limits=ChildLimits(0.01))
    with pytest.raises(ModelError, match=r"limits: 30 s, 60 MB of memory"):
        import_model(source, house.target, limits=ChildLimits(30, 60_000_000))
    assert sorted(path.name for path in house.inside.iterdir() if not path.is_symlink()) == [
        "in.onnx",
        "sub",
        "weights.bin",
    ]


def test_a_full_disk_leaves_nothing(house: House) -> None:
    source = onnx_graphs.save(onnx_graphs.residual(), house.inside / "in.onnx")
    with pytest.raises(ShoestringError, match="cannot write"):
        import_model(source, house.inside / "missing" / "out.onnx")
