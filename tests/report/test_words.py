"""Numbers, sentences and the recount, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory import count_pairs, make_evidence, make_manifest, make_preprocess
from shoestring.domain.budget import Budget
from shoestring.domain.preprocess import Preprocess
from shoestring.report import sentences, words
from shoestring.report.recount import overlaps, recount


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.percent(0.94215), "94.22 %"),
        (words.confidence(0.975), "97.5 %"),
        (words.points(0.0123), "1.23 pt"),
        (words.points(-0.001), "−0.10 pt"),
        (words.points(-0.00001), "0.00 pt"),
        (words.margin(0.005), "0.5 pt"),
        (words.milliseconds(4.321), "4.32 ms"),
        (words.milliseconds(0.0123456), "0.0123 ms"),
        (words.milliseconds(123.456), "123 ms"),
        (words.milliseconds(1234.0), "1.23 s"),
        (words.limit_ms(5.0), "5 ms"),
        (words.times(2.134), "2.13"),
        (words.times(12.34), "12.3"),
        (words.share(0.252), "a quarter"),
        (words.share(0.43), "43 %"),
        (words.share(0.031), "3.1 %"),
        (words.small(0.0123), "0.012"),
        (words.small(1.23e-5), "1.2 × 10⁻⁵"),
        (words.small(0.0), "0"),
        (words.counted(1, "image"), "1 image"),
        (words.counted(1800, "image"), "1,800 images"),
        (words.elide("abcdefghij", 5), "ab…ij"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed([]), ""),
        (words.tidy("at most 2 pt at 95 % in 5 ms, 3 mice"), "at most 2\u00a0pt at 95\u00a0% in 5\u00a0ms, 3 mice"),
        (words.clean("a\x00b\u202ec\ud800d\ne"), "a\ufffdb\ufffdc\ufffdd e"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert text == expected


def test_budget_in_words() -> None:
    budget = Budget(max_drop=0.01, latency_ms=5, memory_bytes=100_000_000, size_bytes=4_000_000, threads=1)
    assert sentences.budget_words(budget) == (
        "Asked for: a drop of at most 1 pt at 95 % confidence, a latency of at most 5 ms, at most 100 MB of memory "
        "and a model of at most 4 MB, on 1 thread."
    )
    assert sentences.budget_words(Budget()) == "No limit was asked for."


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (make_preprocess(96), "Stretch it to 96 × 96 pixels"),
        (make_preprocess(96), "subtract (0.485, 0.456, 0.406) and divide by (0.229, 0.224, 0.225)"),
        (Preprocess(224, 224, resize="shorter-side", resize_to=256), "shorter side is 256 pixels"),
        (Preprocess(224, 192, resize="shorter-side", resize_to=256), "Cut 192 × 224 pixels"),
        (Preprocess(224, 192, resize="letterbox"), "just fits into 192 × 224 pixels"),
        (Preprocess(8, 8, resize="none", scale=1.0, dtype="uint8"), "Keep the pixel values as they are"),
        (Preprocess(8, 8, colour="grey", mean=(0.5,), std=(0.5,), layout="nhwc"), "channels last (NHWC)"),
    ],
)
def test_preprocessing_in_words(spec: Preprocess, expected: str) -> None:
    assert spec.problems() == []
    assert any(expected in step for step in sentences.preprocess_steps(spec))


@pytest.mark.parametrize("metric", ["top-1", "top-5", "agreement"])
def test_recount_agrees_with_the_definition(metric: str) -> None:
    evidence = make_evidence(labelled=metric != "agreement")
    depth = 5 if metric == "top-5" else 1
    assert recount(evidence, "int8", metric) == count_pairs(evidence, "int8", "certification", depth)


def test_recount_is_absent_where_the_evidence_is() -> None:
    evidence = make_evidence()
    assert recount(evidence, "int8-entropy", "top-1") is None
    assert recount(make_evidence(labelled=False), "int8", "top-1") is None
    short = tuple(replace(trace, top=trace.top[:-1]) for trace in evidence.traces)
    assert recount(replace(evidence, traces=short), "int8", "top-1") is None


def test_tally_adds_up() -> None:
    for rung in make_manifest().ladder.rungs:
        if rung.certificate is not None:
            paired = rung.certificate.paired
            assert sum(n for _, n in sentences.tally("top-1", paired)) == paired.n


def test_overlaps_counts_shared_images() -> None:
    evidence = make_evidence()
    assert overlaps(evidence) == ()
    first, second, third = evidence.splits
    shared = replace(third, images=first.images[:3] + third.images[3:])
    [found] = overlaps(replace(evidence, splits=(first, second, shared)))
    assert (found.first, found.second, found.images) == ("calibration", "certification", 3)
