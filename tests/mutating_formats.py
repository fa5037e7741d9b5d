"""Damage by somebody who knows the format: fields that lie, in files that still parse."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

import darknet_nets
import onnx_graphs
import tflite_files
import weights_files
from mutating import damage, edge
from shoestring.importers.walk import inside

WORDS = ("", ".", "..", "../canary.bin", "/etc/passwd", "x", "y", "weights.bin", "a" * 5000, "\0", "ü", "linked/../..",
         "-1", "99999999999999999999", "%s", "\x1b[2J")  # fmt: skip
SCHEMA: Any = tflite_files.schema
_PLAIN = 0.4  # share of cases with blind damage


def _onnx_base(chance: random.Random) -> Any:
    graph = chance.choice(sorted(onnx_graphs.GRAPHS))
    made = onnx_graphs.GRAPHS[graph](17)
    if chance.random() < 0.3 and made.graph.initializer:
        tensor = made.graph.initializer[0]
        raw = onnx.numpy_helper.to_array(tensor).tobytes()
        if tensor.data_type == onnx.TensorProto.FLOAT and raw:
            tensor.CopyFrom(onnx.TensorProto(name=tensor.name, data_type=1, dims=tensor.dims, data_location=1))
            for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(len(raw)))):
                tensor.external_data.add(key=key, value=value)
    return made


def onnx_case(chance: random.Random) -> dict[str, bytes]:
    """An ONNX file, and data beside it."""
    made = _onnx_base(chance)
    if chance.random() > _PLAIN:
        for _ in range(chance.randint(1, 3)):
            _edit_message(chance.choice([message for message, _ in inside(made, Message)]), chance)
        data = made.SerializeToString()
    else:
        data = damage(made.SerializeToString(), chance)
    return {"in.onnx": data, "weights.bin": chance.randbytes(256)}


def _edit_message(message: Any, chance: random.Random) -> None:
    """Change, clear or repeat one field."""
    field = chance.choice(list(message.DESCRIPTOR.fields))
    many = field.is_repeated
    if many:
        held = getattr(message, field.name)
        how = chance.choice(("drop", "again", "new", "lie"))
        if how == "drop" and len(held):
            del held[chance.randrange(len(held))]
        elif how == "again" and len(held):
            one = held[chance.randrange(len(held))]
            held.extend([one] * chance.choice((1, 2, 200)))
        elif field.message_type is not None:
            held.add()
        elif how == "new" or not len(held):
            held.append(_value(field, chance))
        else:
            held[chance.randrange(len(held))] = _value(field, chance)
    elif field.message_type is not None:
        if chance.random() < 0.5:
            message.ClearField(field.name)
        else:
            getattr(message, field.name).SetInParent()
    elif chance.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _value(field, chance))


def _value(field: Any, chance: random.Random) -> Any:
    kind, number = field.cpp_type, edge(chance)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        text = chance.choice(WORDS)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return chance.choice((0.0, -1.0, float("inf"), float("nan"), 1e30))
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return chance.choice(field.enum_type.values).number
    bits = 32 if kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 64
    signed = kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    wrapped = number % 2**bits
    return wrapped - 2**bits if signed and wrapped >= 2 ** (bits - 1) else wrapped


def _tflite_base() -> bytes:
    net = tflite_files.TfliteNet()
    x = net.input(1, 8, 8, 3)
    y = net.add("CONV_2D", [x, net.weight(4, 3, 3, 3), net.weight(4)], (1, 8, 8, 4), options="Conv2DOptions",
                strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    y = net.add("RELU6", [y], (1, 8, 8, 4))
    y = net.add("RESHAPE", [y, net.ints(1, 256)], (1, 256))
    y = net.add("FULLY_CONNECTED", [y, net.weight(5, 256), net.weight(5)], (1, 5), options="FullyConnectedOptions")
    net.add("SOFTMAX", [y], (1, 5), options="SoftmaxOptions", beta=1.0)
    return net.data()


TFLITE = _tflite_base()


def tflite_case(chance: random.Random) -> dict[str, bytes]:
    """A .tflite file: its tables edited and packed again, or its bytes."""
    if chance.random() < _PLAIN:
        return {"in.tflite": damage(TFLITE, chance, head=2000)}
    model = SCHEMA.ModelT.InitFromObj(SCHEMA.Model.GetRootAs(TFLITE))
    for _ in range(chance.randint(1, 3)):
        _edit_table(chance.choice(_tables(model)), chance)
    builder = tflite_files.flatbuffers.Builder(1024)
    try:
        builder.Finish(model.Pack(builder), b"TFL3")
    except (TypeError, struct.error, OverflowError, AttributeError, ValueError):
        return {"in.tflite": damage(TFLITE, chance, head=2000)}  # what the writer itself cannot write
    return {"in.tflite": bytes(builder.Output())}


def _tables(root: Any) -> list[Any]:
    found, stack = [], [root]
    while stack:
        table = stack.pop()
        found.append(table)
        for value in vars(table).values():
            stack += [one for one in (value if isinstance(value, list) else [value]) if hasattr(one, "Pack")]
    return found


def _edit_table(table: Any, chance: random.Random) -> None:
    name = chance.choice(sorted(vars(table)))
    held = getattr(table, name)
    if isinstance(held, bool) or held is None:
        setattr(table, name, None if held is not None else held)
    elif isinstance(held, int):
        setattr(table, name, chance.choice((0, 1, 2, 5, 127, 200, -1, edge(chance) % 2**31)))
    elif isinstance(held, np.ndarray) and len(held):
        made = held.copy()
        if chance.random() < 0.5:
            made[chance.randrange(len(made))] = np.array(edge(chance) % 2**64, np.uint64).astype(made.dtype)
        else:
            made = made[: chance.randrange(len(made))] if chance.random() < 0.5 else np.concatenate([made, made])
        setattr(table, name, made)
    elif isinstance(held, list) and held:
        if chance.random() < 0.5:
            held.pop(chance.randrange(len(held)))
        else:
            held.append(chance.choice(held))
    elif isinstance(held, bytes):
        setattr(table, name, chance.choice(WORDS).encode())


DARKNET = (
    darknet_nets.net(16) + darknet_nets.conv(4, 3) + darknet_nets.section("maxpool", size=2, stride=2)
    + darknet_nets.conv(4, 1) + darknet_nets.section("shortcut", **{"from": -2, "activation": "linear"})
    + darknet_nets.section("route", layers="-1,-2") + darknet_nets.section("upsample", stride=2)
    + darknet_nets.head("10,14, 23,27", "0,1", 2)
)  # fmt: skip
DARKNET_WORDS = 4 * 3 * 9 + 16 + 4 * 4 + 16 + 14 * 8 + 14


def darknet_case(chance: random.Random) -> dict[str, bytes]:
    """A .cfg and its .weights."""
    seed = np.random.default_rng(0)
    weights = struct.pack("<iiiq", 0, 2, 5, 64) + seed.normal(0, 0.1, DARKNET_WORDS).astype("<f4").tobytes()
    text = DARKNET.encode()
    if chance.random() < 0.3:
        weights = damage(weights, chance, head=20)
    if chance.random() < _PLAIN:
        return {"net.cfg": damage(text, chance), "net.weights": weights}
    lines = DARKNET.splitlines()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        key, mark, _ = lines[at].partition("=")
        how = chance.random()
        if how < 0.6 and mark:
            lines[at] = f"{key}={chance.choice((str(edge(chance)), chance.choice(WORDS), '1e9', '1,' * 300, '0.5'))}"
        elif how < 0.8:
            lines.insert(at, chance.choice(lines))
        else:
            del lines[at]
    return {"net.cfg": "\n".join(lines).encode("utf-8", "replace"), "net.weights": weights}


def gguf_case(chance: random.Random) -> dict[str, bytes]:
    made = weights_files.Gguf(body=bytes(weights_files.BODY_BYTES))
    if chance.random() < _PLAIN:
        return {"in.gguf": damage(made.data(), chance, head=600)}
    for _ in range(chance.randint(1, 2)):
        info = chance.choice(made.infos)
        number = edge(chance) % 2**64
        lies = {
            "version": number % 2**32, "tensor_count": number, "pair_count": number,
            "alignment": 1 + number % 100, "body": bytes(number % 1000),
        }  # fmt: skip
        about = {
            "name": chance.choice(WORDS).encode("utf-8", "replace").decode(), "sizes": [number, *info.sizes[1:]],
            "kind": chance.randrange(50), "offset": number, "axes": number % 2**32, "name_bytes": number,
        }  # fmt: skip
        if chance.random() < 0.5:
            name = chance.choice(sorted(lies))
            setattr(made, name, lies[name])
        elif chance.random() < 0.7:
            name = chance.choice(sorted(about))
            setattr(info, name, about[name])
        else:
            value = chance.choice((
                weights_files.string("x", number), weights_files.array("UINT8", [1], count=number),
                weights_files.array("STRING", ["a"], count=number), struct.pack("<I", number % 2**32),
                weights_files.array("FLOAT64", [1.0], count=number),
            ))  # fmt: skip
            made.pairs.insert(chance.randrange(len(made.pairs)), (chance.choice(WORDS) or "k", value))
    return {"in.gguf": made.data()}


def safetensors_case(chance: random.Random) -> dict[str, bytes]:
    if chance.random() < _PLAIN:
        return {"in.safetensors": damage(weights_files.safetensors(), chance, head=300)}
    header: dict[str, Any] = json.loads(json.dumps(weights_files.TENSORS))
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(sorted(header))
        entry = header[name]
        number = edge(chance)
        odd = chance.choice(
            (number, str(number), None, True, 1.5, [], {}, [number], [number] * 40, "F32", "F4", {"a": {}})
        )
        if chance.random() < 0.2:
            header[chance.choice(WORDS)] = entry
        elif chance.random() < 0.2 or not isinstance(entry, dict) or not entry:
            header[name] = odd
        else:
            key = chance.choice(sorted(entry))
            if isinstance(entry[key], list) and entry[key] and chance.random() < 0.7:
                entry[key][chance.randrange(len(entry[key]))] = number
            else:
                entry[key] = odd
    length = edge(chance) % 2**64 if chance.random() < 0.1 else None
    return {"in.safetensors": weights_files.safetensors(header, length=length)}


def index_case(chance: random.Random) -> dict[str, bytes]:
    names = [name for name in weights_files.TENSORS if name != "__metadata__"]
    index: dict[str, Any] = {"metadata": {"total_size": 56}, "weight_map": dict.fromkeys(names, "one.safetensors")}
    for _ in range(chance.randint(1, 2)):
        where = chance.choice((index, index["weight_map"], index["metadata"]))
        if isinstance(where, dict) and where:
            where[chance.choice(sorted(where))] = chance.choice((*WORDS, edge(chance), None, [], {}))
        if not isinstance(index.get("weight_map"), dict) or not isinstance(index.get("metadata"), dict):
            break
    data = json.dumps(index).encode()
    if chance.random() < _PLAIN:
        data = damage(data, chance)
    return {"in.safetensors.index.json": data, "one.safetensors": weights_files.safetensors()}


__all__ = ["darknet_case", "gguf_case", "index_case", "onnx_case", "safetensors_case", "tflite_case"]
