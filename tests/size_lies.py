"""Files of a few kilobytes that claim to be large, thirty a format: what each claims, and the bytes that claim it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

import darknet_nets
import mutating_formats
import onnx_graphs
import tflite_files
import weights_files
from hostile_bundles import GOOD

Files = Mapping[str, bytes]
HUGE = (2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
KINDS = ("FLOAT", "DOUBLE", "INT8", "INT64", "FLOAT16", "BFLOAT16", "BOOL", "INT4", "COMPLEX128", "UINT8")


def onnx_lies() -> Iterator[tuple[str, Files]]:
    """Shapes without data, shapes that computation would make, and lengths of the wire format."""
    for kind in KINDS:
        number = TensorProto.DataType.Value(kind)
        yield f"{kind} of 2^40 held", _adding(TensorProto(name="b", data_type=number, dims=[2**40], raw_data=b"1234"))
    for dims in ([2**31, 2**31], [2**62, 2**62, 2**62], [2**20] * 8, [3_000_000_000]):
        yield f"float data of {dims}", _adding(TensorProto(name="b", data_type=1, dims=dims, float_data=[1.0]))
        far = TensorProto(name="b", data_type=1, dims=dims, data_location=1)
        far.external_data.add(key="location", value="weights.bin")
        yield f"external data of {dims}", _adding(far)
    for size in (2**31, 2**40):
        shape = onnx_graphs.ints("s", size)
        value = onnx.numpy_helper.from_array(np.ones(1, np.float32))
        fill = helper.make_node("ConstantOfShape", ["s"], ["b"], value=value)
        yield f"ConstantOfShape of {size}", _saved([fill, helper.make_node("Add", ["x", "b"], ["y"])], [shape])
        bounds = [onnx_graphs.tensor("a", np.int64(0)), onnx_graphs.tensor("c", np.int64(size)),
                  onnx_graphs.tensor("d", np.int64(1))]  # fmt: skip
        nodes = [helper.make_node("Range", ["a", "c", "d"], ["r"]), helper.make_node("Cast", ["r"], ["b"], to=1)]
        yield f"Range to {size}", _saved([*nodes, helper.make_node("Add", ["x", "b"], ["y"])], bounds)
        one = onnx_graphs.weight("w", 1)
        for kind in ("Tile", "Expand"):
            node = helper.make_node(kind, ["w", "s"], ["b"])
            yield f"{kind} to {size}", _saved([node, helper.make_node("Add", ["x", "b"], ["y"])], [one, shape])
        pads = onnx_graphs.ints("p", 0, size)
        node = helper.make_node("Pad", ["w", "p"], ["b"])
        yield f"Pad by {size}", _saved([node, helper.make_node("Add", ["x", "b"], ["y"])], [one, pads])
    doubling = [helper.make_node("Concat", [f"t{n}"] * 2, [f"t{n + 1}"], axis=0) for n in range(40)]
    nodes = [*doubling, helper.make_node("ReduceMax", ["t40"], ["b"]), helper.make_node("Add", ["x", "b"], ["y"])]
    yield "doubled forty times", _saved(nodes, [onnx_graphs.weight("t0", 1024)])
    sound = onnx_graphs.residual().SerializeToString()
    at = sound.index(b"\x3a")  # the graph's tag
    yield "graph of 2^35 bytes", {"in.onnx": sound[: at + 1] + b"\xff\xff\xff\xff\x7f" + sound[at + 3 :]}


def _saved(nodes: list[Any], weights: list[Any]) -> Files:
    return {"in.onnx": onnx_graphs.model(nodes, weights).SerializeToString(), "weights.bin": bytes(64)}


def _adding(bias: Any) -> Files:
    return _saved([helper.make_node("Add", ["x", "b"], ["y"])], [bias])


def tflite_lies() -> Iterator[tuple[str, Files]]:
    schema = mutating_formats.SCHEMA

    def changed(change: Callable[[Any], None]) -> Files:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(mutating_formats.TFLITE))
        change(model)
        builder = tflite_files.flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return {"in.tflite": bytes(builder.Output())}

    def shape(tensor: int, sizes: list[int]) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            model.subgraphs[0].tensors[tensor].shape = np.asarray(sizes, np.int32)

        return change

    for tensor in range(8):
        for sizes in ([2**31 - 1], [2**31 - 1] * 4):
            yield f"tensor {tensor} of {sizes}", changed(shape(tensor, sizes))
    for number in (2**20, 2**30, 2**62):

        def far(model: Any, number: int = number) -> None:
            model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, number, number

        yield f"buffer of {number} bytes elsewhere", changed(far)
    yield from _made_large()
    data = mutating_formats.TFLITE
    root = struct.unpack_from("<I", data)[0]
    for place in (root, 0, root + 8, root + 12):
        yield f"offset of 2^31 at {place}", {"in.tflite": data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :]}


def _made_large() -> Iterator[tuple[str, Files]]:
    """Operators whose result is large."""
    for size in (2**20, 2**31 - 1):
        for kind, extra in (("FILL", []), ("BROADCAST_TO", None), ("TILE", None), ("RANGE", None)):
            net = tflite_files.TfliteNet()
            x = net.input(1, 4)
            if kind == "RANGE":
                made = net.add(
                    kind, [net.const(np.int32(0)), net.const(np.int32(size)), net.const(np.int32(1))], (size,)
                )
            elif extra is not None:
                made = net.add(kind, [net.ints(size, size), net.const(np.float32(1))], (size, size))
            else:
                made = net.add(kind, [net.weight(1, 1), net.ints(size, size)], (size, size))
            net.add("ADD", [x, made], (size, size), options="AddOptions")
            yield f"{kind} to {size}", {"in.tflite": net.data()}


def darknet_lies() -> Iterator[tuple[str, Files]]:
    head = struct.pack("<iiiq", 0, 2, 5, 0) + bytes(400)
    for number in (16_384, 65_536, 2**31 - 1, 2**40, 2**64, 10**30):
        for key in ("filters", "size", "stride", "groups"):
            text = darknet_nets.net(64) + darknet_nets.section(
                "convolutional", **{"filters": 2, "size": 1, key: number}
            )
            yield f"{key} of {number}", {"net.cfg": text.encode(), "net.weights": head}
        text = darknet_nets.net(number) + darknet_nets.conv(2, 1)
        yield f"picture of {number}", {"net.cfg": text.encode(), "net.weights": head}
    upsampled = darknet_nets.net(64) + darknet_nets.conv(2, 1) + darknet_nets.section("upsample", stride=64) * 20
    yield "upsampled twenty times", {"net.cfg": upsampled.encode(), "net.weights": head}


def gguf_lies() -> Iterator[tuple[str, Files]]:
    for number in HUGE:
        made = {
            "tensors": weights_files.gguf(tensor_count=number),
            "keys": weights_files.gguf(pair_count=number),
            "a text": _gguf_pair(weights_files.string("x", number)),
            "a list of bytes": _gguf_pair(weights_files.array("UINT8", [1], count=number)),
            "a list of texts": _gguf_pair(weights_files.array("STRING", ["a"], count=number)),
            "a list of doubles": _gguf_pair(weights_files.array("FLOAT64", [1.0], count=number)),
            "a row": weights_files.gguf(infos=[weights_files.Info("w", [number], 0, 0)]),
            "a name": weights_files.gguf(infos=[weights_files.Info("w", [32], 0, 0, name_bytes=number)]),
        }
        for what, data in made.items():
            yield f"{what} of {number}", {"in.gguf": data}


def _gguf_pair(value: bytes) -> bytes:
    return weights_files.gguf(pairs=[("general.architecture", weights_files.string("llama")), ("a", value)])


def safetensors_lies() -> Iterator[tuple[str, Files]]:
    def entry(**fields: Any) -> bytes:
        return weights_files.safetensors({"w": {"dtype": "F32", "shape": [14], "data_offsets": [0, 56], **fields}})

    for number in HUGE:
        made = {
            "header": weights_files.safetensors(length=number),
            "shape": entry(shape=[number]),
            "shape of many": entry(shape=[number] * 16),
            "offsets": entry(data_offsets=[0, number]),
            "shape and offsets": entry(shape=[number], data_offsets=[0, 4 * number]),
        }
        for what, data in made.items():
            yield f"{what} of {number}", {"in.safetensors": data}
    yield (
        "thirty million values",
        {"in.safetensors": weights_files.safetensors(b'{"a":[' + b"1," * 15_000_000 + b"1]}")},
    )
    yield "half a million brackets", {"in.safetensors": weights_files.safetensors(b"{" + b"[" * 500_000)}


def archive_lies() -> Iterator[tuple[str, Files]]:
    """Zip archives as torch writes them."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("m/archive_format", "m/archive_version", "m/models/model.json", "m/data/weights/weight_0"):
            archive.writestr(zipfile.ZipInfo(name), b"x" * 64)
    sound = made.getvalue()
    entry, end = sound.index(b"PK\x01\x02"), sound.index(b"PK\x05\x06")
    for number in (2**20, 2**31 - 1, 2**32 - 2, 2**32 - 1):
        for what, place in (("packed size", entry + 20), ("unpacked size", entry + 24), ("place", entry + 42),
                            ("table size", end + 12), ("table place", end + 16)):  # fmt: skip
            yield f"{what} of {number}", {"in.pt2": _put(sound, place, struct.pack("<I", number))}
    for number in (1_000, 30_000, 65_534, 65_535):
        for what, place in (("name", entry + 28), ("extra field", entry + 30), ("comment", entry + 32)):
            yield f"{what} of {number}", {"in.pt2": _put(sound, place, struct.pack("<H", number))}
    yield "members of 65535", {"in.pt2": _put(sound, end + 8, b"\xff\xff\xff\xff")}


def bundle_lies() -> Iterator[tuple[str, Files]]:
    starts = [at for at in range(len(GOOD) - 4) if GOOD[at : at + 4] in (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06")]
    for at in starts[:4] + starts[-5:]:
        sizes = {b"PK\x03\x04": (18, 22), b"PK\x01\x02": (20, 24, 42), b"PK\x05\x06": (12, 16)}[GOOD[at : at + 4]]
        for place in sizes:
            for number in (2**31 - 1, 2**32 - 1):
                yield f"{number} at {at + place}", {"in.shoe": _put(GOOD, at + place, struct.pack("<I", number))}
    text = GOOD.index(b'"size_bytes":') + len(b'"size_bytes":')
    for digits in (b"9" * 3, b"9" * 15, b"9" * 18, b"9" * 4_000):
        yield f"a blob of {len(digits)} digits", {"in.shoe": GOOD[:text] + digits + GOOD[text:]}


def _put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def delta_lies(old: bytes, good: bytes) -> Iterator[tuple[str, Files]]:
    """Args: a bundle, and a sound delta of it."""
    from shoestring.bundle.delta_file import MAGIC

    start = len(MAGIC) + 4
    (length,) = struct.unpack_from("<I", good, len(MAGIC))
    header, rest = json.loads(good[start : start + length]), good[start + length :]

    def told(changed: Any) -> Files:
        text = json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()
        return {"in.delta": MAGIC + struct.pack("<I", len(text)) + text + rest, "old.shoe": old}

    for number in (0, 2**20, 2**31 - 1, 2**32 - 1):
        yield f"header of {number}", {"in.delta": _put(good, len(MAGIC), struct.pack("<I", number)), "old.shoe": old}
    for place, key in _numbers(header):
        for number in (2**31, 2**40, 10**17, 10**18 - 1, -1):
            changed = json.loads(json.dumps(header))
            inner = changed
            for step in place:
                inner = inner[step]
            inner[key] = number
            yield f"{'/'.join(map(str, (*place, key)))} of {number}", told(changed)


def _numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where whole numbers stand in JSON."""
    for key, held in value.items() if isinstance(value, dict) else enumerate(value):
        if type(held) is int and "bytes" in str(key):
            yield place, key
        elif isinstance(held, dict | list):
            yield from _numbers(held, (*place, key))
