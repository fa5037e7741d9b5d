"""Dimensions from a header: taken as stated where the tensors agree, refused by name where anything does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import transformer_files as files
from shoestring.analysis import transformer, transformer_config
from shoestring.analysis.transformer import transformer_of
from shoestring.analysis.transformer_config import transformer_of_config
from shoestring.base.errors import ModelError
from shoestring.domain.transformer import Transformer
from shoestring.domain.weights import LongList, StoredTensor, WeightsFile

UNTIED = dataclasses.replace(files.TINY, tied=False)
WINDOWED = dataclasses.replace(files.TINY, architecture="gemma3", window=128, key_width=32, value_width=32)


def same(shape: Transformer, **changes: Any) -> list[Transformer]:
    """The shape as GGUF and as a config say it, without the count of parameters, in which norms differ."""
    kind = {"gemma3": "gemma3_text"}.get(shape.architecture, shape.architecture)
    found = [
        transformer_of(files.gguf_file(shape)),
        transformer_of_config(files.config(shape, kind), files.config_file(shape)),
    ]
    return [dataclasses.replace(one, parameters=0) for one in found]


@pytest.mark.parametrize("architecture", transformer.ARCHITECTURES)
def test_every_architecture_tied_and_not(architecture: str) -> None:
    window = 128 if architecture in transformer.WINDOWED else None
    for tied in (True, False):
        shape = dataclasses.replace(files.TINY, architecture=architecture, tied=tied, window=window)
        assert same(shape) == [shape, shape]


def test_other_head_widths_and_windows() -> None:
    assert same(WINDOWED) == [WINDOWED, WINDOWED]
    wide = dataclasses.replace(files.TINY, architecture="qwen3", key_width=32, value_width=32)
    assert same(wide) == [wide, wide]
    gemma2 = dataclasses.replace(WINDOWED, architecture="gemma2")
    silent = files.gguf_file(gemma2, gemma2__attention__sliding_window=None)
    assert transformer_of(silent).window == 4096


def test_parameters_are_those_of_all_tensors() -> None:
    file = files.gguf_file()
    assert transformer_of(file).parameters == file.parameters > 0


def test_what_a_header_may_leave_out() -> None:
    absent: dict[str, Any] = {"llama__attention__key_length": None, "llama__attention__value_length": None}
    assert transformer_of(files.gguf_file(**absent)).key_width == 16
    many = dataclasses.replace(files.TINY, kv_heads=4)
    assert transformer_of(files.gguf_file(many, llama__attention__head_count_kv=None)).kv_heads == 4
    stated = files.gguf_file(llama__vocab_size=96, tokenizer__ggml__tokens=None)
    assert transformer_of(stated).vocabulary == 96


def test_mistral_is_a_llama_and_a_model_that_sees_is_its_text_part() -> None:
    assert transformer_of_config(files.config(model_type="mistral"), files.config_file()).architecture == "llama"
    seen = {"model_type": "gemma3", "text_config": files.config(WINDOWED, "gemma3_text")}
    file = files.config_file(WINDOWED, "language_model.model.")
    assert transformer_of_config(seen, file).window == 128


def test_phi3_windows_are_not_used() -> None:
    shape = dataclasses.replace(files.TINY, architecture="phi3")
    assert transformer_of(files.gguf_file(shape, phi3__attention__sliding_window=64)).window is None


GGUF_REFUSED: dict[str, tuple[WeightsFile, str]] = {
    "safetensors": (files.config_file(), "says nothing of its dimensions"),
    "another architecture": (dataclasses.replace(files.gguf_file(), architecture="rwkv7"), "'rwkv7' is not one of"),
    "no architecture": (dataclasses.replace(files.gguf_file(), architecture=None), "None is not one of"),
    "experts": (files.gguf_file(llama__expert_count=8), "mixture of 8 experts"),
    "no layers stated": (files.gguf_file(llama__block_count=None), "no 'llama.block_count'"),
    "no layers": (files.gguf_file(llama__block_count=0), "is 0, expected"),
    "layers beyond belief": (files.gguf_file(llama__block_count=10**9), "expected a whole number"),
    "text for a number": (files.gguf_file(llama__embedding_length="64"), "is '64', expected"),
    "truth for a number": (files.gguf_file(llama__embedding_length=True), "is True, expected"),
    "another width a layer": (
        files.gguf_file(llama__feed_forward_length=LongList("INT32", 2, (128, 64), 0, 8)),
        "a list of 2 values",
    ),
    "more heads than width": (
        files.gguf_file(llama__attention__head_count=65, llama__attention__key_length=None),
        "no 'llama.attention.key_length'",
    ),
    "no vocabulary": (files.gguf_file(tokenizer__ggml__tokens=None), "no 'llama.vocab_size'"),
    "two vocabularies": (files.gguf_file(llama__vocab_size=97), "97 tokens, and its tokenizer has 96"),
    "a layer more than there is": (files.gguf_file(llama__block_count=3), "no tensor 'blk.2."),
    "a layer fewer": (files.gguf_file(llama__block_count=1), "states 1 layers, and holds the tensor 'blk.1."),
    "a wider hidden layer": (files.gguf_file(llama__feed_forward_length=256), "'blk.0.ffn_down.weight' has the shape"),
    "more heads": (files.gguf_file(llama__attention__head_count=8), "'blk.0.attn_output.weight' has the shape"),
    "more key heads": (files.gguf_file(llama__attention__head_count_kv=4), "'blk.0.attn_k.weight' has the shape"),
    "a wider stream": (files.gguf_file(llama__embedding_length=128), "'token_embd.weight' has the shape 96 x 64"),
    "a missing matrix": (files.without(files.gguf_file(), "blk.1.ffn_up.weight"), "no tensor 'blk.1.ffn_up.weight'"),
    "a turned matrix": (
        files.reshaped(files.gguf_file(), "blk.1.ffn_up.weight", (64, 128)),
        "'blk.1.ffn_up.weight' has the shape 64 x 128",
    ),
    "a short head": (
        files.reshaped(files.gguf_file(UNTIED), "output.weight", (95, 64)),
        "'output.weight' has the shape 95 x 64",
    ),
}


@pytest.mark.parametrize("name", GGUF_REFUSED)
def test_a_header_that_lies_is_refused_by_what_is_wrong(name: str) -> None:
    file, why = GGUF_REFUSED[name]
    with pytest.raises(ModelError) as caught:
        transformer_of(file)
    assert why in caught.value.message and caught.value.hint


CONFIG_REFUSED: dict[str, tuple[dict[str, Any], WeightsFile, str]] = {
    "another family": (files.config(model_type="mamba"), files.config_file(), "'mamba' is not one of"),
    "no family": ({"hidden_size": 64}, files.config_file(), "'None' is not one of"),
    "experts": (files.config(num_local_experts=8), files.config_file(), "mixture of experts"),
    "a part that is no object": ({"text_config": []}, files.config_file(), "'text_config' is no object"),
    "no width": (files.config(hidden_size=None), files.config_file(), "'hidden_size' is missing"),
    "a fraction": (files.config(hidden_size=64.0), files.config_file(), "'hidden_size' is '64.0'"),
    "tied by a word": (files.config(tie_word_embeddings="yes"), files.config_file(), "expected true or false"),
    "another width": (files.config(hidden_size=128), files.config_file(), "'model.embed_tokens.weight' has the shape"),
    "a layer more": (files.config(num_hidden_layers=3), files.config_file(), "no tensor 'model.layers.2."),
    "a head that is not there": (files.config(UNTIED), files.config_file(), "no tensor 'lm_head.weight'"),
    "no table": (files.config(), WeightsFile("safetensors", 0, None, {}, (), 8, 8), "no tensor is called"),
}


@pytest.mark.parametrize("name", CONFIG_REFUSED)
def test_a_config_that_lies_is_refused_by_what_is_wrong(name: str) -> None:
    found, file, why = CONFIG_REFUSED[name]
    with pytest.raises(ModelError) as caught:
        transformer_of_config(found, file)
    assert why in caught.value.message and caught.value.hint


def test_without_the_check_of_shapes_lies_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The saboteur: with the check out, every file whose tensors contradict its keys is believed."""
    monkeypatch.setattr(transformer, "check_shapes", lambda *given, **named: None)
    lies = [name for name, (_, why) in GGUF_REFUSED.items() if "tensor" in why or "has the shape" in why]
    assert len(lies) >= 8
    for name in lies:
        if "tokenizer" not in GGUF_REFUSED[name][1]:
            assert transformer_of(GGUF_REFUSED[name][0]).layers


def test_a_stray_tensor_that_belongs_to_no_layer_is_no_lie() -> None:
    file = files.gguf_file()
    stray = StoredTensor("rope_freqs.weight", "F32", (32,), file.file_bytes, 128)
    assert transformer_of(dataclasses.replace(file, tensors=(*file.tensors, stray))).layers == 2


def test_configs_know_the_architectures_that_files_do() -> None:
    assert set(transformer_config.MODEL_TYPES.values()) == set(transformer.ARCHITECTURES)
