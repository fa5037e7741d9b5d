"""The buffers that llama.cpp itself reports for models of seven families, against the formula."""

from __future__ import annotations

import dataclasses

import pytest

from shoestring.base.limits import MIB
from shoestring.costmodel.language import buffers
from shoestring.costmodel.language.buffers import graph_bytes
from shoestring.costmodel.language.key_value import cache_bytes, cells, read_bytes, windowed_layers
from shoestring.costmodel.language.setting import Setting
from shoestring.domain.transformer import Transformer


def shape(
    kind: str, layers: int, width: int, heads: int, kv: int, head: int, hidden: int, words: int = 4000, window: int = 0
) -> Transformer:
    return Transformer(
        kind,
        layers,
        width,
        heads,
        kv,
        head,
        head,
        hidden,
        words,
        32_768,
        tied=True,
        parameters=0,
        window=window or None,
    )


SMOLLM2 = shape("llama", 30, 576, 9, 3, 64, 1536, 49_152)
GEMMA3 = shape("gemma3", 6, 1152, 4, 1, 256, 6912, window=512)
BASE = shape("llama", 4, 576, 9, 3, 64, 1536)

# model, context, microbatch, `compute buffer size` in MiB as xllamacpp 2026.10.11549 logs it (flash attention on)
GRAPHS: list[tuple[Transformer, int, int, float]] = [
    (SMOLLM2, 512, 512, 15.14),
    (SMOLLM2, 2048, 512, 16.64),
    (SMOLLM2, 8192, 512, 22.64),
    (SMOLLM2, 512, 64, 1.89),
    (SMOLLM2, 8192, 64, 2.83),
    (SMOLLM2, 2048, 256, 8.32),
    (dataclasses.replace(BASE, feed_forward=768), 512, 512, 10.64),
    (dataclasses.replace(BASE, feed_forward=3072), 512, 512, 24.14),
    (dataclasses.replace(BASE, width=1152), 512, 512, 20.77),
    (dataclasses.replace(BASE, heads=18), 512, 512, 15.14),
    (dataclasses.replace(BASE, layers=12), 512, 512, 15.14),
    (dataclasses.replace(BASE, feed_forward=64), 512, 512, 7.27),
    (dataclasses.replace(BASE, feed_forward=64, heads=18), 512, 512, 10.64),
    (dataclasses.replace(BASE, feed_forward=64, kv_heads=9), 512, 512, 8.39),
    (dataclasses.replace(BASE, feed_forward=64, key_width=128, value_width=128), 512, 512, 10.64),
    (dataclasses.replace(BASE, vocabulary=49_152), 512, 32, 0.95),
    (shape("qwen2", 4, 896, 14, 2, 64, 4864), 512, 512, 37.77),
    (shape("qwen3", 4, 1024, 16, 8, 128, 3072), 2048, 512, 30.02),
    (shape("gemma", 4, 2048, 8, 1, 256, 16_384), 512, 512, 116.52),
    (shape("gemma2", 4, 2304, 8, 4, 256, 9216, window=4096), 512, 512, 77.53),
    (shape("gemma2", 4, 2304, 8, 4, 256, 9216, window=4096), 2048, 512, 80.53),
    (GEMMA3, 512, 512, 52.78),
    (GEMMA3, 2048, 512, 54.78),
    (GEMMA3, 8192, 64, 7.57),
    (shape("phi3", 4, 3072, 32, 32, 96, 8192), 2048, 512, 80.02),
    (shape("llama", 4, 2048, 32, 8, 64, 8192), 2048, 512, 70.02),
]


@pytest.mark.parametrize("case", GRAPHS, ids=lambda case: f"{case[0].architecture}-{case[1]}-{case[2]}-{case[3]}")
def test_the_graph_takes_what_llama_cpp_says(case: tuple[Transformer, int, int, float]) -> None:
    model, context, microbatch, measured = case
    found = graph_bytes(model, Setting(context, microbatch=microbatch)) / MIB
    assert found == pytest.approx(measured, rel=0.002, abs=0.006)


def test_small_steps_take_at_least_the_logits_of_one_token() -> None:
    model = dataclasses.replace(BASE, vocabulary=49_152)
    assert graph_bytes(model, Setting(512, microbatch=1)) >= 4 * 49_152


@pytest.mark.parametrize("name", ["FLOAT_BYTES", "HALF_BYTES"])
def test_a_formula_without_a_part_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The saboteur: activations in half the bytes, or masks forgotten, and the cases no longer hold."""
    monkeypatch.setattr(buffers, name, getattr(buffers, name) // 2)
    wrong = [
        case for case in GRAPHS if graph_bytes(case[0], Setting(case[1], microbatch=case[2])) / MIB < 0.99 * case[3]
    ]
    assert len(wrong) > len(GRAPHS) // 2


# model, context, cache, microbatch, MiB: the sum of the `KV buffer size` lines
CACHES = [
    (SMOLLM2, 512, "F16", 512, 11.25),
    (SMOLLM2, 8192, "F16", 512, 180.0),
    (SMOLLM2, 2048, "Q8_0", 512, 23.91),
    (SMOLLM2, 8192, "Q8_0", 512, 95.62),
    (GEMMA3, 2048, "F16", 512, 5.0 + 2.0),
    (GEMMA3, 8192, "F16", 64, 3.75 + 8.0),
]


@pytest.mark.parametrize("case", CACHES, ids=lambda case: f"{case[0].architecture}-{case[1]}-{case[2]}-{case[3]}")
def test_the_cache_takes_what_llama_cpp_says(case: tuple[Transformer, int, str, int, float]) -> None:
    model, context, cache, microbatch, measured = case
    assert cache_bytes(model, Setting(context, cache, microbatch)) / MIB == pytest.approx(measured, abs=0.006)


def test_windows() -> None:
    gemma2 = shape("gemma2", 26, 2304, 8, 4, 256, 9216, window=4096)
    assert windowed_layers(GEMMA3) == 5 and windowed_layers(gemma2) == 13 and windowed_layers(SMOLLM2) == 0
    assert cells(GEMMA3, Setting(300)) == (512, 512)
    assert cells(GEMMA3, Setting(8192)) == (8192, 1024)
    whole, narrow = 1000 * 2 * 2 * 256, 512 * 2 * 2 * 256
    assert read_bytes(GEMMA3, "F16", 1000) == whole + 5 * narrow
