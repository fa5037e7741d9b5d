"""Proposing the pre-processing, and noticing a wrong one. The models are a few lines of numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shoestring.base.errors import DataError, EngineError
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate import propose as proposing
from shoestring.evaluate.chance import CHANCE_P, binomial_tail
from shoestring.evaluate.conventions import CONVENTIONS, GREY_CONVENTIONS, Convention
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.propose import check_diverse, check_not_chance, information, propose
from shoestring.inputs.image import tensor

SIDE, CLASSES, N = 8, 16, 96
INPUT = TensorSpec("image", "float32", (None, 3, SIDE, SIDE))
Model = Callable[[np.ndarray], np.ndarray]


def colour_of(label: int) -> np.ndarray:
    """Classes differ by colour: 16 points, kept clear of each other and of the mirror image in r and b."""
    return np.random.default_rng(label + 100).integers(20, 236, 3)


def make_data(folder: Path, labelled: bool = True, channels: int = 3, side: int = SIDE) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % CLASSES
    base = np.stack([colour_of(label) for label in labels])[:, None, None, :channels]
    images = np.clip(base + rng.normal(0, 6, (N, side, side, channels)), 0, 255).astype(np.uint8)
    path = folder / "data.npz"
    arrays = {"images": images, "labels": labels} if labelled else {"images": images}
    np.savez(path, **arrays)
    return open_dataset(path)


def model_for(convention: Convention, layout: str = "nchw") -> Model:
    """Nearest class colour, in the numbers that `convention` gives: right only when it is fed that way."""
    spec = Preprocess(1, 1, colour=convention.colour, scale=convention.scale, mean=convention.mean, std=convention.std)
    colours = np.stack([colour_of(label) for label in range(CLASSES)]).astype(np.uint8)[:, None, None, :]
    if convention.colour == "grey":
        colours = colours[..., :1]
    if convention.colour == "bgr":
        colours = colours[..., ::-1]
    centres = tensor(colours, spec)[:, :, 0, 0].astype(np.float64)
    spread = np.mean((centres[:, None] - centres[None]) ** 2)

    def run(batch: np.ndarray) -> np.ndarray:
        axes = (2, 3) if layout == "nchw" else (1, 2)
        seen = batch.astype(np.float64).mean(axis=axes)
        return (-30 * ((seen[:, None] - centres[None]) ** 2).sum(-1) / spread).astype(np.float32)

    return run


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("labelled"))


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda one: one.name)
def test_labels_find_the_convention_of_the_model(labelled: Dataset, convention: Convention) -> None:
    proposal = propose(INPUT, model_for(convention), labelled, range(N))
    # (x-127)/128 is -1..1 within a hundredth, so the two cannot be told apart and the earlier is right
    wanted = convention.name.replace("(x-127)/128", "-1..1")
    assert proposal.convention == wanted
    assert proposal.checked
    assert proposal.information is None
    assert proposal.accuracy is not None
    assert dict(proposal.accuracy)[wanted] > 0.95
    assert proposal.spec.problems() == []
    assert proposal.spec.colour == convention.colour
    assert proposal.why.startswith(f"{wanted} is right on")


def test_a_tie_is_told(labelled: Dataset) -> None:
    by_name = {one.name: one for one in CONVENTIONS}
    assert "within noise" in propose(INPUT, model_for(by_name["-1..1 RGB"]), labelled, range(N)).why
    assert "next" in propose(INPUT, model_for(by_name["0..255 RGB"]), labelled, range(N)).why


def test_bgr_turns_mean_and_std_round() -> None:
    by_name = {one.name: one for one in CONVENTIONS}
    assert by_name["ImageNet BGR"].mean == by_name["ImageNet RGB"].mean[::-1]
    assert by_name["ImageNet BGR"].std == by_name["ImageNet RGB"].std[::-1]
    assert len({one.name for one in CONVENTIONS}) == len(CONVENTIONS) == 10


def test_the_layout_is_read_from_the_shape(labelled: Dataset) -> None:
    spec = TensorSpec("image", "float32", (1, SIDE, SIDE, 3))
    proposal = propose(spec, model_for(CONVENTIONS[0], "nhwc"), labelled, range(N))
    assert (proposal.spec.layout, proposal.convention) == ("nhwc", CONVENTIONS[0].name)


def test_bytes_leave_only_the_colour_order_open(labelled: Dataset) -> None:
    raw = next(one for one in CONVENTIONS if one.name == "0..255 BGR")
    proposal = propose(TensorSpec("image", "uint8", (None, 3, SIDE, SIDE)), model_for(raw), labelled, range(N))
    assert (proposal.convention, proposal.spec.dtype, proposal.spec.scale) == ("0..255 BGR", "uint8", 1.0)
    assert proposal.accuracy is not None
    assert len(proposal.accuracy) == 2


def test_grey_inputs(tmp_path: Path) -> None:
    data = make_data(tmp_path, channels=1)
    spec = TensorSpec("image", "float32", (None, 1, SIDE, SIDE))
    proposal = propose(spec, model_for(GREY_CONVENTIONS[-1]), data, range(N))
    assert (proposal.convention, proposal.spec.colour) == ("0..255 grey", "grey")


def test_labels_that_belong_to_another_model_stop_it(labelled: Dataset) -> None:
    right = model_for(CONVENTIONS[0])

    def shifted(batch: np.ndarray) -> np.ndarray:
        return np.roll(right(batch), 5, axis=1)

    with pytest.raises(DataError, match=r"no usual pre-processing suits.*tried: 0\.\.1 RGB") as caught:
        propose(INPUT, shifted, labelled, range(N))
    assert "order of the labels" in (caught.value.hint or "")


def test_without_labels_it_is_only_a_suggestion(tmp_path: Path) -> None:
    proposal = propose(INPUT, model_for(CONVENTIONS[0]), make_data(tmp_path, labelled=False), range(N))
    assert not proposal.checked
    assert proposal.accuracy is None
    assert "only a suggestion" in proposal.why
    assert proposal.information is not None


def saturating(batch: np.ndarray) -> np.ndarray:
    """Sure of one of two classes when fed out of range, fairly sure of one of 16 when fed 0..1."""
    seen = batch.astype(np.float64).mean(axis=(2, 3))
    if np.abs(seen).max() > 3:
        logits = np.zeros((len(batch), CLASSES))
        logits[:, 0], logits[:, 1] = seen[:, 0], seen[:, 2]
        return logits
    return model_for(CONVENTIONS[0])(batch) / 10


def test_sure_answers_that_say_little_are_not_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data(tmp_path, labelled=False)
    assert "255" not in propose(INPUT, saturating, data, range(N)).convention
    # saboteur: by mean confidence, the input out of range wins
    monkeypatch.setattr(proposing, "information", lambda rows: float(rows.max(axis=1).mean()))
    assert "255" in propose(INPUT, saturating, data, range(N)).convention


def test_information_of_known_answers() -> None:
    assert information(np.eye(4)) == pytest.approx(math.log(4))
    assert information(np.full((5, 4), 0.25)) == pytest.approx(0)
    assert information(np.tile([1.0, 0.0], (5, 1))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((1, 3, None, None), "float32", "size of images is free"),
        ((1, 3, 8, 3), "float32", "leaves open where colour is"),
        ((1, 8, 8, 8), "float32", "leaves open where colour is"),
        ((1, 10), "float32", "not that of images"),
        ((1, 3, 8, 8), "float16", "not float32 or uint8"),
    ],
)
def test_inputs_that_are_no_images(labelled: Dataset, shape: tuple[int | None, ...], dtype: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        propose(TensorSpec("x", dtype, shape), model_for(CONVENTIONS[0]), labelled, range(N))


def test_models_that_answer_otherwise(labelled: Dataset) -> None:
    with pytest.raises(EngineError, match="not \\(images, classes\\)"):
        propose(INPUT, lambda batch: batch, labelled, range(N))
    with pytest.raises(EngineError, match="NaN under every"):
        propose(INPUT, lambda batch: np.full((len(batch), 4), np.nan), labelled, range(N))
    with pytest.raises(DataError, match="no images"):
        propose(INPUT, model_for(CONVENTIONS[0]), labelled, ())
    with pytest.raises(DataError, match="label 15, the model has classes 0 to 3"):
        propose(INPUT, lambda batch: np.zeros((len(batch), 4)), labelled, range(N))


def test_nan_under_one_convention_rules_out_that_one(tmp_path: Path) -> None:
    def fragile(batch: np.ndarray) -> np.ndarray:
        answers = model_for(CONVENTIONS[0])(batch)
        return np.where(batch.max() > 100, np.nan, answers)

    for labels in (True, False):
        proposal = propose(INPUT, fragile, make_data(tmp_path, labelled=labels), range(N))
        assert "255" not in proposal.convention


def test_the_crop_follows_the_size_of_input_and_images(tmp_path: Path) -> None:
    assert proposing._resize(make_data(tmp_path), range(4), SIDE, SIDE)[:2] == ("stretch", None)
    assert proposing._resize(make_data(tmp_path), range(4), 96, 96)[:2] == ("stretch", None)
    assert proposing._resize(make_data(tmp_path), range(4), 224, 224)[:2] == ("shorter-side", 256)
    assert proposing._resize(make_data(tmp_path, side=224), range(4), 224, 224)[:2] == ("stretch", None)


def test_chance_is_told_from_skill() -> None:
    check_not_chance(19 + 5, 100, 10)
    check_not_chance(900, 1000, 10)
    check_not_chance(20, 1000, 1000)
    for hits, n, classes in ((10, 100, 10), (15, 100, 10), (520, 1000, 2), (0, 50, 10), (5, 5, 1)):
        with pytest.raises(DataError, match="not clearly above chance") as caught:
            check_not_chance(hits, n, classes)
        for words in ("pre-processing", "colour order", "order of the labels"):
            assert words in (caught.value.hint or "")
    with pytest.raises(DataError, match="make no sense"):
        check_not_chance(2, 1, 10)


def test_guessing_seldom_passes_for_skill() -> None:
    rng = np.random.default_rng(0)
    passed = 0
    for hits in rng.binomial(200, 0.1, 5000):
        passed += binomial_tail(int(hits), 200, 0.1) <= CHANCE_P
    assert passed <= 5000 * CHANCE_P + 8


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (20, 0.1), (60, 0.5), (200, 0.001)])
def test_binomial_tail_is_the_sum_of_its_terms(n: int, p: float) -> None:
    for hits in range(n + 1):
        exact = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(hits, n + 1))
        assert binomial_tail(hits, n, p) == pytest.approx(exact, rel=1e-9, abs=1e-200)


def test_binomial_tail_of_many() -> None:
    assert binomial_tail(25_000, 50_000, 0.5) == pytest.approx(0.5, abs=0.01)
    assert binomial_tail(49_000, 50_000, 0.1) == 0


def test_one_class_for_everything_is_noticed() -> None:
    check_diverse([0] * 47)
    check_diverse([0] * 47 + [1] * 3)
    with pytest.raises(DataError, match="answers class 7 for 48 of 50 different images"):
        check_diverse([7] * 48 + [1, 2])
