"""What is wrong with a .cfg or its .weights is said with the line or the counts."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest

import darknet_nets as nets
from darknet_nets import conv, net, section
from darknet_reference import draw
from shoestring.base.errors import ModelError
from shoestring.importers import import_model
from shoestring.importers.darknet.child import translate

HEAD = "[net]\nwidth=8\nheight=8\nchannels=3\n"  # four lines: what follows begins on line 5


def read(source: Path, target: Path | None = None) -> dict[str, object]:
    out = target or source.with_suffix(".onnx")
    return translate({"source": str(source), "weights": str(source.with_suffix(".weights")), "target": str(out)})


def wrong(folder: Path, text: str, words: str, count: int = 5000) -> str | None:
    source = nets.write(folder, text, np.full(count, 0.25, np.float32))
    with pytest.raises(ModelError, match=words) as told:
        read(source)
    assert not source.with_suffix(".onnx").exists()
    return told.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[convolutional]\nfilters=4\n", r"must begin with \[net\]; it begins with \[convolutional\]"),
        (HEAD + "[lstm]\noutput=4\n", r"line 5, \[lstm\]: this kind of layer is not supported"),
        (HEAD + "[convolutional]\nactivation=wavy\n", r"line 5, \[convolutional\]: the activation 'wavy'"),
        (HEAD + "[convolutional]\nfilters=many\n", r"line 6, \[convolutional\]: filters=many is not a whole number"),
        (HEAD + "[convolutional]\nfilters=0\n", r"filters=0 is not a whole number in 1\.\."),
        (HEAD + "[convolutional]\nfilters=4\nfilters=5\n", r"line 7: \[convolutional\] has filters= again"),
        (HEAD + "[convolutional]\nfilters\n", r"line 6: 'filters' is no key=value"),
        (HEAD + "[convolutional\nfilters=4\n", r"line 5: '\[convolutional' is no \[section\]"),
        (HEAD + "[convolutional]\nxnor=1\n", r"xnor=1 \(line 6\) is not supported"),
        (HEAD + "[convolutional]\ngroups=2\nfilters=4\n", "groups=2 does not divide its 3 inputs"),
        (HEAD + "[convolutional]\nsize=3\ndilation=2\n", "dilation=2 with size=3 and padding 0"),
        (HEAD + "[convolutional]\nsize=9\n", "its result is 0 x 0 x 1"),
        (HEAD + "[maxpool]\nsize=2\nstride=1\npadding=9\n", "padding=9 makes windows of padding alone"),
        (HEAD + "[maxpool]\nmaxpool_depth=1\n", "maxpool_depth=1"),
        (HEAD + "[route]\nlayers=-1\n", "it is layer 0 and reads layer -1, which does not come before it"),
        (HEAD + "[dropout]\n[route]\nlayers=1\n", "it is layer 1 and reads layer 1"),
        (HEAD + "[dropout]\n[route]\nlayers=\n", "layers= is not a whole number"),
        (HEAD + "[maxpool]\nstride=2\n[maxpool]\nstride=2\n[route]\nlayers=0,1\n", "different sizes: 4 x 4 x 3, 2 x 2"),
        (HEAD + "[maxpool]\nstride=2\n[maxpool]\nstride=2\n[shortcut]\nfrom=0\n", "it adds 4 x 4 x 3 to 2 x 2 x 3"),
        (HEAD + "[dropout]\n[shortcut]\nfrom=-1\nweights_type=per_channel\n", "weights_type=per_channel"),
        (HEAD + "[dropout]\n[scale_channels]\nfrom=0\n", "that must be 1 x 1 x 3"),
        (HEAD + "[upsample]\nstride=1024\n" * 3, "its result is"),
        (HEAD + "[connected]\noutput=4\n[convolutional]\n", "gives a vector, and it needs an image"),
        (HEAD + "[yolo]\nanchors=1,2\n", "1 anchors and 20 classes need 25 channels; the layer before gives 8 x 8 x 3"),
        (HEAD + "[yolo]\nanchors=1\n", "need 2 numbers above 0"),
        (HEAD + "[yolo]\nanchors=1,2\nmask=1\n", r"mask=1 names anchors outside 0\.\.0"),
        ("[net]\nwidth=8\nheight=8\n[maxpool]\n", r"line 1, \[net\]: has no channels="),
        ("[net]\nwidth=8\nheight=99999999\nchannels=3\n[maxpool]\n", "height=99999999 is not a whole number in"),
    ],
)
def test_a_wrong_cfg_is_named_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    wrong(tmp_path, text, words)


def test_a_network_without_layers(tmp_path: Path) -> None:
    wrong(tmp_path, HEAD + "[dropout]\n", "no layer that computes", count=0)
    wrong(tmp_path, HEAD, "no layer that computes", count=0)


def test_a_head_ends_its_branch(tmp_path: Path) -> None:
    head = conv(6, 1, norm=0, activation="linear") + section("yolo", anchors="1,2", classes=1)
    wrong(tmp_path, net(8) + head + conv(4, 3), "it follows a detection head")
    wrong(tmp_path, net(8) + head + section("route", layers=-1), "reads layer 1, a detection head")


def test_unknown_options_are_named_and_left_out(tmp_path: Path) -> None:
    text = HEAD + "[convolutional]\nbatch_normalize=0\nactivation=relu\nlearning_rate=2\ncolour=blue\n"
    notes = read(nets.write(tmp_path, text, np.ones(4, np.float32)))["notes"]
    assert isinstance(notes, list)
    assert "line 9: nobody knows the option colour= of [convolutional]; it is left out" in notes
    assert not any("learning_rate" in note for note in notes)


def test_every_float_is_accounted_for(tmp_path: Path) -> None:
    text = net(8) + conv(4, 3) + conv(5, 1, norm=0)
    words = draw(text, 8)
    assert len(words) == 4 * 4 + 4 * 27 + 5 + 20
    read(nets.write(tmp_path, text, words))
    for count in range(len(words)):
        with pytest.raises(
            ModelError, match=rf"convolutional_[01] takes [\d]+ floats of \w+, but .* left of its {count}"
        ):
            read(nets.write(tmp_path, text, words[:count]))
    with pytest.raises(ModelError, match="holds 151 floats, and the layers take 149: 2 are left over"):
        read(nets.write(tmp_path, text, np.concatenate([words, words[:2]])))
    words[20] = np.nan
    with pytest.raises(ModelError, match="convolutional_0: weights hold values that are not finite"):
        read(nets.write(tmp_path, text, words))


@pytest.mark.parametrize("version", [(0, 1, 0), (0, 2, 0), (0, 2, 5), (1, 0, 0), (0, 1001, 0)])
def test_headers_of_every_version(tmp_path: Path, version: tuple[int, int, int]) -> None:
    """Versions from 0.2 on count images in 64 bits; a reader that mixes them up is off by one float."""
    text = net(8) + conv(4, 3, norm=0)
    words = draw(text, 8)
    source = nets.write(tmp_path, text, words, version)
    read(source)
    weights = source.with_suffix(".weights")
    other = (
        (0, 1, 0) if struct.unpack("<iii", weights.read_bytes()[:12]) != (0, 1, 0) and version[1] < 1000 else (0, 2, 0)
    )
    weights.write_bytes(struct.pack("<iii", *other) + weights.read_bytes()[12:])
    with pytest.raises(ModelError, match="left"):
        read(source)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\0\2\0", "6 bytes, fewer than its header"),
        (struct.pack("<iii", -1, 2, 0) + bytes(12), r"states version -1\.2\.0"),
        (struct.pack("<iii", 0, 2, 0) + bytes(11), "no whole number of floats"),
        (b"PK\x03\x04" + bytes(96), "states version"),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, data: bytes, words: str) -> None:
    source = nets.write(tmp_path, net(8) + conv(4, 3), np.zeros(0, np.float32))
    source.with_suffix(".weights").write_bytes(data)
    with pytest.raises(ModelError, match=words):
        read(source)


def test_missing_weights_are_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "yolo.cfg"
    source.write_text(net(8) + conv(4, 3))
    with pytest.raises(ModelError, match=r"weights found beside it by its name, .*yolo\.weights, are no file") as told:
        import_model(source, tmp_path / "out.onnx")
    assert "--weights FILE" in str(told.value.hint)
    with pytest.raises(ModelError, match=r"weights given, .*gone, are no file"):
        import_model(source, tmp_path / "out.onnx", weights=tmp_path / "gone")
    (tmp_path / "yolo.weights").write_bytes(struct.pack("<iiiq", 0, 2, 0, 0) + bytes(64))
    with pytest.raises(ModelError, match=r"a Darknet \.weights file") as told:
        import_model(tmp_path / "yolo.weights", tmp_path / "out.onnx")
    assert "give the .cfg" in str(told.value.hint)


def test_the_refusal_crosses_the_process_and_leaves_nothing(tmp_path: Path) -> None:
    source = nets.write(tmp_path, net(8) + conv(4, 3), np.zeros(3, np.float32))
    with pytest.raises(ModelError, match="takes 4 floats of biases"):
        import_model(source, tmp_path / "out.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.cfg", "net.weights"]


def test_damaged_files_give_our_errors_only(tmp_path: Path) -> None:
    """Bytes changed, cut and doubled in the text, and bits in the weights: an import, or a ModelError."""
    text = nets.yolov4_tiny(64, 2, 1)
    words = draw(text, 64)
    clean, chance, refused = text.encode(), random.Random(7), 0
    for _ in range(150):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(data))
            end = place + chance.randrange(1, 12)
            data[place:end] = chance.choice((bytes([chance.randrange(256)]), b"", data[place:end] * 2, b"99999999"))
        source = nets.write(tmp_path, "", words)
        source.write_bytes(bytes(data))
        weights = bytearray(source.with_suffix(".weights").read_bytes())
        if chance.random() < 0.3:
            weights[chance.randrange(len(weights))] ^= 1 << chance.randrange(8)
            source.with_suffix(".weights").write_bytes(bytes(weights))
        try:
            read(source)
        except ModelError:
            refused += 1
    assert 30 < refused < 150
