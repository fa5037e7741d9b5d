"""Memory of a model that writes: against measured peaks, and by the rules of what is mapped and what is copied."""

from __future__ import annotations

import dataclasses

import pytest

import transformer_files as files
from shoestring.base.errors import UsageError
from shoestring.base.limits import MIB
from shoestring.costmodel.language.memory import longest_context, memory_parts, predict_language_memory
from shoestring.costmodel.language.resident import is_repacked, resident_weights
from shoestring.costmodel.language.setting import Setting
from shoestring.domain.weights import LongList, StoredTensor, WeightsFile

AVX2, PI5, PI4 = ("avx2", "fma", "sse4_1"), ("asimd", "asimddp", "fphp"), ("asimd",)
WORDS = {
    "tokenizer__ggml__tokens": LongList("STRING", 49_152, ("a",), 0, 0),
    "tokenizer__ggml__merges": LongList("STRING", 48_900, ("a b",), 0, 0),
}


def smollm2() -> WeightsFile:
    """Types and places as in SmolLM2-135M-Instruct.Q4_1.gguf."""
    return files.gguf_file(files.SMOLLM2, lambda name: "Q8_0" if name == "token_embd.weight" else "Q4_1", **WORDS)


# VmHWM in MiB of the process that writes, on x86-64 with AVX2, after a prompt that filled the context, by
# benchmarks/llm_memory.py
PEAKS = [
    (512, "F16", 190.5),
    (1024, "F16", 203.4),
]


@pytest.mark.parametrize(("context", "cache", "measured"), PEAKS)
def test_measured_peaks_are_met_within_5_per_cent(context: int, cache: str, measured: float) -> None:
    found = predict_language_memory(files.SMOLLM2, smollm2(), Setting(context, cache), AVX2)
    assert found.value / MIB == pytest.approx(measured, rel=0.05)
    assert found.low <= measured * MIB <= found.high


def test_another_machine_is_less_sure_and_says_why() -> None:
    here = predict_language_memory(files.SMOLLM2, smollm2(), Setting(512), AVX2)
    there = predict_language_memory(files.SMOLLM2, smollm2(), Setting(512), PI4)
    assert there.high - there.low > here.high - here.low
    assert there.widened and not here.widened


def test_repacked_types_are_held_twice_where_the_processor_wants_them() -> None:
    # A model of 4 layers, width 1024, in Q4_0: 26.70 MiB stay mapped, 34.82 are repacked, as llama.cpp logs it on AVX2.
    shape = dataclasses.replace(
        files.TINY, layers=4, width=1024, heads=16, kv_heads=4, key_width=64, value_width=64, feed_forward=4096
    )
    shape = dataclasses.replace(shape, vocabulary=4000)
    held = resident_weights(files.gguf_file(shape, lambda _: "Q4_0"), AVX2)
    assert held.repacked / MIB == pytest.approx(34.82, abs=0.01)
    assert held.loading > held.mapped
    plain = resident_weights(files.gguf_file(shape, lambda _: "Q4_0"), AVX2, repack=False)
    assert plain.repacked == 0 and plain.mapped == plain.loading
    assert resident_weights(files.gguf_file(shape, lambda _: "Q4_0"), PI4).repacked == 0


@pytest.mark.parametrize(
    ("kind", "rows", "where"),
    [
        ("Q4_0", 64, (True, True, False)),
        ("Q4_0", 4, (False, True, False)),
        ("IQ4_NL", 64, (True, True, True)),
        ("Q8_0", 64, (False, True, False)),
        ("Q6_K", 64, (False, True, False)),
        ("Q4_K", 12, (False, False, False)),
        ("Q4_1", 64, (False, False, False)),
        ("F16", 64, (False, False, False)),
    ],
)
def test_which_matrices_are_laid_out_anew(kind: str, rows: int, where: tuple[bool, bool, bool]) -> None:
    tensor = StoredTensor("blk.0.ffn_up.weight", kind, (rows, 256), 0, 0)
    assert tuple(is_repacked(tensor, isa) for isa in (AVX2, PI5, PI4)) == where
    assert not is_repacked(dataclasses.replace(tensor, shape=(256,)), PI5)


def test_a_tied_table_that_is_repacked_stays_mapped_too() -> None:
    file = files.gguf_file(files.TINY, lambda _: "Q8_0")
    table = next(tensor for tensor in file.tensors if tensor.name == "token_embd.weight")
    tied = resident_weights(file, PI5)
    untied = resident_weights(files.gguf_file(dataclasses.replace(files.TINY, tied=False), lambda _: "Q8_0"), PI5)
    assert tied.repacked == untied.repacked  # of the untied, the head is laid out anew, and the table is not
    assert tied.mapped >= table.size_bytes


def test_memory_grows_with_the_context_and_the_longest_is_the_last_that_fits() -> None:
    file, limit = smollm2(), 200 * MIB
    found = longest_context(files.SMOLLM2, file, Setting(1), AVX2, limit)
    assert found is not None and found % 256 == 0

    def high(context: int) -> float:
        return predict_language_memory(files.SMOLLM2, file, Setting(context), AVX2).high

    assert high(found) <= limit < high(found + 256)
    assert longest_context(files.SMOLLM2, file, Setting(1), AVX2, 100 * MIB) is None
    assert longest_context(files.SMOLLM2, file, Setting(1), AVX2, 1e12) == files.SMOLLM2.context
    parts = [memory_parts(files.SMOLLM2, file, Setting(context), AVX2) for context in (256, 512, 4096)]
    assert [one.total for one in parts] == sorted(one.total for one in parts)


def test_a_file_without_a_tokenizer_is_planned_as_if_it_had_one() -> None:
    bare = files.gguf_file(files.SMOLLM2, tokenizer__ggml__tokens=None)
    one = memory_parts(files.SMOLLM2, bare, Setting(512), AVX2).vocabulary
    assert one == pytest.approx(memory_parts(files.SMOLLM2, smollm2(), Setting(512), AVX2).vocabulary, rel=0.01)


@pytest.mark.parametrize("given", [{"context": 0}, {"context": 1 << 25}, {"context": 1, "cache": "Q4_0"}])
def test_settings_nobody_can_mean_are_refused(given: dict[str, int | str]) -> None:
    with pytest.raises(UsageError):
        Setting(**given)  # type: ignore[arg-type]
