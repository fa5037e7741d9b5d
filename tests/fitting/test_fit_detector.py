"""A detector from files to a bundle: joined outputs, verdicts on pictures, golden set, and what it refuses."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

import tiny_detector as squares
from shoestring.base.cache import Cache
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import BundleError, DataError, GoldenError, ModelError, UsageError
from shoestring.bundle import open_bundle, pack
from shoestring.compress.graph import Graph
from shoestring.compress.layers import plan
from shoestring.device import Player, read_picture
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.manifest import Blob
from shoestring.domain.preprocess import Preprocess
from shoestring.engines import open_engine
from shoestring.evaluate.statistics import p_value
from shoestring.fitting import Fitted, candidates, fit, mixing, sights
from shoestring.fitting.assemble import npy_bytes
from shoestring.fitting.joining import FLAT, join_outputs
from shoestring.fitting.recheck import recheck
from shoestring.heads import DEFAULT_RULE, compare, detect
from shoestring.heads.spec import HeadSpec, load_head
from shoestring.importers import import_model

MAX_DROP = 0.1


def costs(artefacts: Sequence[Any], reference: str, threads: Sequence[int], **_: Any) -> dict[str, Cost]:
    """8 bits are four times as fast."""

    def ms(name: str) -> float:
        return 4.0 if name.startswith("f") else 1.0

    def timing(name: str, count: int) -> Timing:
        ratio = ms(name) / ms(reference)
        return Timing(count, ms(name) / count, 0.9 * ms(name) / count, ms(name), 100, ratio, 0.9 * ratio, 1.1 * ratio)

    return {
        one.name: Cost(tuple(timing(one.name, count) for count in threads), 60_000_000, one.size_bytes)
        for one in artefacts
    }


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "measure", costs)
    monkeypatch.setattr(mixing, "find_mixtures", lambda *_: ())
    monkeypatch.setattr(candidates, "find_mixtures", lambda *_: ())


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> squares.Task:
    return squares.write_task(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def fitted(task: squares.Task, cache: Path) -> Fitted:
    return fit_it(task, cache)


def fit_it(task: squares.Task, cache: Path, **more: Any) -> Fitted:
    budget = Budget(max_drop=MAX_DROP)
    return fit(task.model, task.data, head=task.head, budget=budget, labels=squares.CLASSES, cache=cache, **more)


def test_a_detector_gets_a_ladder_with_certificates(fitted: Fitted) -> None:
    manifest, evidence = fitted.manifest, fitted.evidence
    assert manifest.head is not None
    assert manifest.output.name == FLAT
    assert manifest.output.shape == (None, 8 * 4 * 4 + 8 * 8 * 8)
    assert [part.name for part in manifest.head.parts] == ["coarse", "fine"]
    assert manifest.ladder.chosen.startswith("int8")
    assert manifest.ladder.cascade is None
    assert evidence.metric == "detection-agreement"
    given = manifest.ladder.rung(manifest.ladder.chosen).certificate
    assert given is not None
    assert given.metric == "detection-agreement"
    assert p_value(given.paired, MAX_DROP, given.metric) <= 0.05
    assert recheck(manifest, evidence) >= 1
    assert any("no cascade was looked for" in note for note in fitted.notes)


def test_the_layers_that_boxes_are_read_from_are_tried_in_float(fitted: Fitted) -> None:
    mixed = {row["candidate"]: row for row in fitted.rows() if row["candidate"].startswith("int8-float2")}
    assert mixed
    for row in mixed.values():
        assert row["value"] > 0


def test_the_evidence_counts_what_was_seen(task: squares.Task, fitted: Fitted) -> None:
    """Each number behind the certificate, taken again from the stored models with ONNX Runtime and this test's loop."""
    manifest, kept = fitted.manifest, fitted.evidence.detections
    assert manifest.head is not None
    assert kept is not None
    assert sum(kept.confident) > 100
    files = {path_hash(path): path for path in task.data.iterdir()}
    images = fitted.evidence.split("certification").images
    rung = manifest.ladder.rung(manifest.ladder.chosen)
    own = kept.of(rung.name)
    before, after = (session(fitted, name) for name in ("fp32", rung.name))
    for place, image in enumerate(images):
        picture, _ = read_picture(files[image], manifest.preprocess)
        inputs = (picture / 255).astype(np.float32).transpose(2, 0, 1)[None]
        one, other = (
            detect(manifest.head, run.run(None, {"image": inputs})[0][0], (64, 64), DEFAULT_RULE.seen)
            for run in (before, after)
        )
        seen = compare(one, other)
        assert (seen.confident, seen.lost, seen.invented) == (
            kept.confident[place],
            own.lost[place],
            own.invented[place],
        )


def path_hash(path: Path) -> str:
    return sha256_hex(path.read_bytes())


def session(fitted: Fitted, name: str) -> onnxruntime.InferenceSession:
    candidate = fitted.ladder.rung(name).candidate
    blob = fitted.blobs[candidate.artefact_sha256]
    return onnxruntime.InferenceSession(blob if isinstance(blob, bytes) else blob.read_bytes())


def test_a_variant_that_sees_nothing_is_not_certified(
    task: squares.Task, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saboteur: 8 bits with a bias that hides every object. With the verdict blinded it would be chosen."""
    real = candidates.make_one

    def blind(bench: Any, graph: Graph, recipe: Any) -> Any:
        made = real(bench, graph, recipe)
        if not recipe.precision.startswith("int8"):
            return made
        broken = Graph.load(made.path)
        for name, value in broken.weights.items():
            if name.endswith("/bias/integers"):
                broken.weights[name] = (value - 1_000_000).astype(value.dtype)
        path = tmp_path / f"{recipe.name}.onnx"
        path.write_bytes(broken.to_bytes())
        return replace(made, path=path, sha256=path_hash(path), size_bytes=path.stat().st_size)

    monkeypatch.setattr(candidates, "make_one", blind)
    fitted = fit_it(task, cache)
    left = {item.candidate.name: item for item in fitted.ladder.rejected}
    assert "int8" in left
    assert left["int8"].candidate.score.value < 0.9
    monkeypatch.setattr(sights, "verdicts", lambda found: tuple((1,) for _ in found))
    monkeypatch.setattr("shoestring.fitting.scoring.verdicts", lambda found: tuple((1,) for _ in found))
    with pytest.raises(BundleError, match="do not give its answers"):
        bundled(fit_it(task, cache), tmp_path)


def bundled(fitted: Fitted, tmp_path: Path) -> Path:
    path = tmp_path / "squares.shoe"
    fitted.save(path)
    with open_bundle(path) as bundle:
        bundle.evidence()
    return path


def test_a_device_shows_the_boxes(task: squares.Task, fitted: Fitted, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    picture, there = squares.make_scene(rng)
    file = tmp_path / "scene.png"
    Image.fromarray(picture).resize((128, 192), Image.Resampling.NEAREST).save(file)
    with open_bundle(bundled(fitted, tmp_path)) as bundle, Player(bundle) as player:
        assert player.replayed >= 2
        boxes = next(player.detect([read_picture(file, bundle.manifest.preprocess)]))
        with pytest.raises(UsageError, match="detector"):
            next(player.classify([picture]))
    bright = [one for one in there if one.brightness > 0.7]
    assert bright
    for one in bright:
        wanted = np.array([one.left, one.top, one.left + one.side, one.top + one.side]) / 8
        assert any(
            box.label == squares.CLASSES[one.colour]
            and np.allclose([box.left, box.top, box.right, box.bottom], wanted, atol=0.03)
            for box in boxes
        )


def test_a_cut_out_centre_is_put_back_into_its_picture(task: squares.Task, cache: Path, tmp_path: Path) -> None:
    spec = Preprocess(64, 64, "shorter-side", 64)
    bundle_path = bundled(fit_it(task, cache, preprocess=spec), tmp_path)
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[8:16, 48:56, 0] = 255  # the model sees columns 32 to 96
    file = tmp_path / "wide.png"
    Image.fromarray(picture).save(file)
    with open_bundle(bundle_path) as bundle, Player(bundle) as player:
        (box,) = next(player.detect([read_picture(file, spec)]))
    assert np.allclose([box.left, box.top, box.right, box.bottom], [48 / 128, 8 / 64, 56 / 128, 16 / 64], atol=0.01)


def test_golden_outputs_of_hidden_objects_are_refused(fitted: Fitted, tmp_path: Path) -> None:
    """A tolerance that says nothing does not let other boxes pass."""
    name = fitted.ladder.chosen
    golden = fitted.manifest.golden
    blob = fitted.blobs[golden.outputs[name]]
    outputs = np.load(io.BytesIO(blob if isinstance(blob, bytes) else blob.read_bytes()))
    hidden = npy_bytes(np.full_like(outputs, -20.0))
    sha256 = sha256_hex(hidden)
    others = {**golden.outputs, name: sha256}
    kept = set(others.values()) | {golden.inputs, fitted.manifest.evidence}
    kept |= {rung.candidate.artefact_sha256 for rung in fitted.ladder.runnable}
    blobs = {key: value for key, value in {**fitted.blobs, sha256: hidden}.items() if key in kept}
    sizes = {key: len(value) if isinstance(value, bytes) else value.stat().st_size for key, value in blobs.items()}
    manifest = replace(
        fitted.manifest,
        golden=replace(golden, outputs=others, tolerance=dict.fromkeys(golden.tolerance, 1e6)),
        blobs=tuple(Blob(key, sizes[key]) for key in sorted(sizes)),
        bom=None,
    )
    path = tmp_path / "hidden.shoe"
    pack(path, manifest, blobs)
    with open_bundle(path) as bundle, pytest.raises(GoldenError, match="other boxes"):
        Player(bundle)


def test_the_joined_graph_answers_what_the_heads_answered(task: squares.Task, tmp_path: Path) -> None:
    model = import_model(task.model, tmp_path / "model.onnx")
    joined, head = join_outputs(model, load_head(task.head), Cache(tmp_path / "kept"))
    inputs = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    parts = onnxruntime.InferenceSession(model.path.read_bytes()).run(["coarse", "fine"], {"image": inputs})
    (flat,) = onnxruntime.InferenceSession(joined.path.read_bytes()).run(None, {"image": inputs})
    assert (flat == np.concatenate([part.reshape(2, -1) for part in parts], axis=1)).all()
    assert head.parts[1].shape == (8, 8, 8)


def test_heads_keep_scales_of_their_own_in_8_bits(task: squares.Task, tmp_path: Path) -> None:
    """Flatten and Concat at the end stay in float; the same Concat before a convolution does not."""
    model = import_model(task.model, tmp_path / "model.onnx")
    joined, _ = join_outputs(model, load_head(task.head), Cache(tmp_path / "kept"))
    assert {layer.node.op_type for layer in plan(Graph.load(joined.path), frozenset())} == {"Conv", "AveragePool"}
    kernel = helper.make_tensor("k", TensorProto.FLOAT, [4, 6, 1, 1], np.ones(24, np.float32))
    first = helper.make_tensor("f", TensorProto.FLOAT, [3, 3, 1, 1], np.ones(9, np.float32))
    nodes = [
        helper.make_node("Conv", ["x", "f"], ["a"], name="a"),
        helper.make_node("Conv", ["x", "f"], ["b"], name="b"),
        helper.make_node("Concat", ["a", "b"], ["c"], name="inner", axis=1),
        helper.make_node("Conv", ["c", "k"], ["d"], name="d"),
        helper.make_node("Concat", ["d", "c"], ["y"], name="outer", axis=1),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 1, [1, 3, 4, 4])], [info("y", 1, [1, 10, 4, 4])], [kernel, first])
    made = Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert [layer.node.name for layer in plan(made, frozenset())] == ["a", "b", "inner", "d"]


def test_the_same_fit_again_gives_the_same_bytes(task: squares.Task, cache: Path, fitted: Fitted) -> None:
    again = fit_it(task, cache)
    assert again.manifest == fitted.manifest
    assert again.evidence == fitted.evidence


def test_workers_see_what_this_process_sees(task: squares.Task, tmp_path: Path, fitted: Fitted) -> None:
    with open_engine("local", 2, None) as engine:
        spread = fit_it(task, tmp_path / "another", engine=engine)
    assert spread.evidence == fitted.evidence
    assert spread.ladder == fitted.ladder


def test_labels_of_whole_pictures_are_left_out(task: squares.Task, cache: Path, tmp_path: Path) -> None:
    for place, path in enumerate(sorted(task.data.iterdir())):
        folder = tmp_path / "data" / ("cats", "dogs")[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
    fitted = fit(task.model, tmp_path / "data", head=task.head, budget=Budget(max_drop=MAX_DROP), cache=cache)
    assert all(split.labels is None for split in fitted.evidence.splits)
    assert fitted.manifest.labels == ()
    assert any("labels of whole images" in note for note in fitted.notes)


def test_what_is_not_done_with_detectors_is_refused(task: squares.Task, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected \(batch, classes\)") as error:
        fit(task.model, task.data, cache=cache)
    assert "--head" in str(error.value)
    with pytest.raises(UsageError, match="students"):
        fit(task.model, task.data, head=task.head, students=[task.model], cache=cache)
    with pytest.raises(DataError, match="4 class names"):
        fit(task.model, task.data, head=task.head, labels=("a", "b", "c", "d"), cache=cache)
    with pytest.raises(UsageError, match="no detection head"):
        fit(task.model, task.data, head="yolov99", cache=cache)
    with pytest.raises(DataError, match="no output 'yolo'"):
        fit(task.model, task.data, head=HeadSpec("yolo-anchors", 3, ("yolo",)), cache=cache)
    with pytest.raises(DataError, match="'fine' is not named"):
        fit(task.model, task.data, head=HeadSpec("yolo-v8", 3, ("coarse",)), cache=cache)


def test_pictures_that_show_nothing_are_refused(task: squares.Task, cache: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for place in range(120):
        Image.fromarray(rng.integers(0, 40, (64, 64, 3), np.uint8)).save(tmp_path / f"{place}.png")
    with pytest.raises(DataError, match="the original sees nothing"):
        fit(task.model, tmp_path, head=task.head, budget=Budget(max_drop=MAX_DROP), cache=cache)
