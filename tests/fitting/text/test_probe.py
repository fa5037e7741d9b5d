"""The linear probe and the figures of retrieval."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import tiny_encoder
from shoestring.base.outputs import log_softmax
from shoestring.fitting.text.probe import RIDGES, choose_ridge, fit_probe, one_hot, with_probe
from shoestring.fitting.text.scoring import retrieval
from shoestring.runtimes import registry


def clouds(n: int, classes: int, width: int, far: float, seed: int = 0) -> tuple[np.ndarray, tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, far, (classes, width))
    labels = tuple(int(i) for i in rng.integers(0, classes, n))
    return (centres[list(labels)] + rng.normal(0, 1, (n, width))).astype(np.float32), labels


def test_the_slope_is_zero_where_it_stops() -> None:
    rows, labels = clouds(200, 3, 6, 0.7)
    targets, ridge = one_hot(labels, 3), 1e-2
    probe = fit_probe(rows, targets, ridge)
    scale = float(np.sqrt(np.mean((rows - rows.mean(axis=0)) ** 2)))
    gap = (np.exp(log_softmax(probe(rows))) - targets) / len(rows)
    slope = ((rows - rows.mean(axis=0)) / scale).T @ gap + ridge * probe.weight * scale
    assert np.abs(slope).max() < 1e-3 and np.abs(gap.sum(axis=0)).max() < 1e-3


def test_it_generalises_to_texts_that_it_was_not_fitted_to() -> None:
    rows, labels = clouds(200, 4, 16, 1.2)
    probe = fit_probe(rows, one_hot(labels, 4), choose_ridge(rows, labels, 4))
    more, right = clouds(400, 4, 16, 1.2, seed=1)
    assert np.mean(probe(more).argmax(axis=1) == np.array(right)) > 0.95


def test_where_labels_are_noise_the_strongest_ridge_is_chosen_and_where_they_are_clear_a_weak_one() -> None:
    rows, labels = clouds(100, 3, 20, 0.0)
    assert choose_ridge(rows, labels, 3) == RIDGES[-1]
    assert choose_ridge(*clouds(400, 3, 5, 3.0), 3) < RIDGES[-1]


def test_a_student_of_probabilities_answers_like_its_teacher() -> None:
    rows, labels = clouds(300, 3, 8, 0.5)
    teacher = fit_probe(rows, one_hot(labels, 3), 1e-3)
    turned = rows @ np.linalg.qr(np.random.default_rng(5).normal(size=(8, 8)))[0].astype(np.float32)
    student = fit_probe(turned, np.exp(log_softmax(teacher(rows))), 1e-4)
    assert np.mean(student(turned).argmax(axis=1) == teacher(rows).argmax(axis=1)) > 0.97


def test_the_probe_is_the_graphs_last_product() -> None:
    rows, labels = clouds(60, 3, tiny_encoder.WIDTH, 1.0)
    probe = fit_probe(rows, one_hot(labels, 3), 1e-2)
    data = tiny_encoder.encoder().SerializeToString()
    made = with_probe(data, probe)
    onnx.checker.check_model(made)
    words = tiny_encoder.vocabulary()
    ids = np.array([[words["[CLS]"], words["kettle"], words["[SEP]"]]], np.int64)
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    answers = []
    for model in (data, made):
        with registry.get("onnxruntime").load(model, 1) as session:
            answers.append(next(iter(session.run(feeds).values())))
    assert np.allclose(probe(answers[0]), answers[1], atol=1e-4)


def test_retrieval_of_the_same_is_perfect_and_of_the_reverse_is_not() -> None:
    cosines = np.random.default_rng(0).uniform(0, 1, (20, 40))
    assert retrieval(cosines, cosines, None) == {"recall@10": 1.0, "ndcg@10": 1.0}
    worst = retrieval(cosines, -cosines, None)
    assert worst["recall@10"] == 0.0 and worst["ndcg@10"] < 0.3


def test_ndcg_by_hand() -> None:
    original, variant = np.array([[0.8, 0.4, 0.2]]), np.array([[0.1, 0.9, 0.5]])
    found = retrieval(original, variant, np.array([[True, False, True]]), depth=2)
    ideal = 0.8 + 0.4 / np.log2(3)
    assert found["ndcg@2"] == pytest.approx((0.4 + 0.2 / np.log2(3)) / ideal)
    assert found["recall@2"] == 0.5 and found["same-class@2"] == 0.5
