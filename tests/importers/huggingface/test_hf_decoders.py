"""Decoders of Hugging Face: llama.cpp answers on the file what transformers answers on the folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hf_decoders
import hf_folders
from hf_llamacpp import judge
from shoestring.base.errors import ModelError, UsageError
from shoestring.domain.weights import WeightsFile
from shoestring.importers.gguf.header import read_header
from shoestring.importers.huggingface import decoder_tensors, language_child, rope
from shoestring.importers.huggingface.language import import_language, import_noted

EXPECTED = json.loads(Path(__file__).with_name("expected.json").read_text())["decoders"]
LARGEST_KL = 1e-4  # nats; float32 in another order gives 1e-6 to 1e-5
LETTER = 3 + hf_decoders.letters().index("a")


def translate(folder: Path) -> Path:
    """What the closed process does, in this one."""
    target = folder / "made.gguf"
    language_child.translate({"source": str(folder), "target": str(target), "name": "small"})
    return target


def divergences(file: Path, name: str) -> list[float]:
    """KL from transformers' answers to llama.cpp's, at every place that is kept."""
    config = hf_decoders.DECODERS[name]
    ids, found = hf_decoders.decoder_ids(config), []
    with judge(file) as model:
        for place, logits in zip(hf_decoders.SHOWN, EXPECTED[name], strict=True):
            theirs = np.array(logits) - math.log(np.exp(np.array(logits)).sum())
            ours = model.log_probabilities(ids[: place + 1], config["vocab_size"], LETTER)
            found.append(float((np.exp(theirs) * (theirs - ours)).sum()))
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_llama_cpp_answers_what_transformers_answers(name: str, tmp_path: Path) -> None:
    assert max(divergences(translate(hf_decoders.decoder(tmp_path, name)), name)) < LARGEST_KL


def flat_rope(*_: Any) -> np.ndarray:
    return np.ones(8, np.float32)


SABOTAGE: dict[str, tuple[str, Any, str, Any]] = {
    "rows not reordered": ("llama", decoder_tensors, "interleaved", lambda values, heads: values),
    "no llama3 factors": ("llama3-rope", decoder_tensors, "llama3_factors", flat_rope),
    "norms without their one": ("gemma2", decoder_tensors, "widened", lambda values: values - np.float32(1)),
    "no stretched positions": ("qwen2-yarn", language_child, "network_pairs", None),
}


@pytest.mark.parametrize("fault", SABOTAGE)
def test_a_wrong_conversion_is_seen(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, module, attribute, broken = SABOTAGE[fault]
    if broken is None:
        sound: Callable[..., dict[str, bytes]] = language_child.network_pairs
        broken = lambda *one: {key: value for key, value in sound(*one).items() if "scaling" not in key}  # noqa: E731
    monkeypatch.setattr(module, attribute, broken)
    assert max(divergences(translate(hf_decoders.decoder(tmp_path, name)), name)) > 10 * LARGEST_KL


def tensor(path: Path, header: WeightsFile, name: str) -> bytes:
    found = next(one for one in header.tensors if one.name == name)
    return path.read_bytes()[found.offset : found.offset + found.size_bytes]


@pytest.mark.parametrize("kind", [np.float16, np.uint16, np.float32])
def test_matrices_keep_their_precision_and_vectors_become_float32(kind: Any, tmp_path: Path) -> None:
    config = hf_decoders.DECODERS["qwen3"]
    tensors = hf_decoders.decoder_tensors(config)
    stored = {name: _stored(value, kind) for name, value in tensors.items()}
    folder = hf_folders.save(tmp_path, config, stored, hf_decoders.byte_level())
    made = translate(folder)
    header = read_header(made)
    word = {np.float16: "F16", np.uint16: "BF16", np.float32: "F32"}[kind]
    assert {one.type for one in header.tensors if len(one.shape) == 2} == {word}
    assert {one.type for one in header.tensors if len(one.shape) == 1} == {"F32"}
    assert header.metadata["general.file_type"] == {"F16": 1, "BF16": 32, "F32": 0}[word]
    assert tensor(made, header, "token_embd.weight") == stored["model.embed_tokens.weight"].tobytes()
    assert tensor(made, header, "blk.1.attn_q.weight") == stored["model.layers.1.self_attn.q_proj.weight"].tobytes()
    norm = np.frombuffer(tensor(made, header, "blk.0.attn_q_norm.weight"), np.float32)
    assert np.abs(norm - tensors["model.layers.0.self_attn.q_norm.weight"]).max() < 0.01


def _stored(value: np.ndarray, kind: Any) -> np.ndarray:
    if kind is np.uint16:
        return (np.ascontiguousarray(value).view(np.uint32) >> 16).astype(np.uint16)
    return value.astype(kind)


def test_an_independent_reader_finds_the_same_in_the_file(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    config = hf_decoders.DECODERS["gemma3"]
    tensors = hf_decoders.decoder_tensors(config)
    found = gguf.GGUFReader(translate(hf_folders.save(tmp_path, config, tensors, hf_decoders.byte_level())))
    assert len(found.tensors) == len(tensors)
    last = next(one for one in found.tensors if one.name == "output_norm.weight")
    assert np.array_equal(last.data, tensors["model.norm.weight"] + np.float32(1))
    down = next(one for one in found.tensors if one.name == "blk.6.ffn_down.weight")
    assert np.array_equal(down.data, tensors["model.layers.6.mlp.down_proj.weight"])
    assert found.get_field("gemma3.attention.sliding_window").contents() == 8
    assert found.get_field("tokenizer.ggml.tokens").contents()[:3] == hf_decoders.SPECIAL
    assert found.get_field("tokenizer.ggml.token_type").contents()[:4] == [3, 3, 3, 1]


def test_rows_of_every_head_become_neighbours_and_back() -> None:
    rows = np.arange(2 * 6).reshape(12, 1)
    turned = decoder_tensors.interleaved(rows, 2)
    assert turned.ravel().tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    back = turned.reshape(2, 3, 2, 1).swapaxes(1, 2).reshape(12, 1)
    assert (back == rows).all()


def test_llama3_leaves_short_waves_and_stretches_long_ones() -> None:
    factors = rope.llama3_factors(rope.Rope(500_000.0, "llama3", 8.0, 8_192, 1.0, 4.0), 64)
    assert factors[0] == 1.0 and factors[-1] == 8.0 and (np.diff(factors) >= 0).all()
    assert 1.0 < factors[(factors > 1) & (factors < 8)].mean() < 8.0


def test_an_import_from_outside_gives_the_header_and_says_what_was_done(tmp_path: Path) -> None:
    folder = hf_decoders.decoder(
        tmp_path / "small", "mistral", tokenizer_config={"chat_template": "{{ messages }}", "eos_token": "</s>"},
        generation_config={"eos_token_id": [2, 7]},
    )  # fmt: skip
    header, notes = import_noted(folder, tmp_path / "small.gguf")
    assert header.architecture == "llama" and header.format == "GGUF" and header.metadata["general.name"] == "small"
    assert header.metadata["llama.context_length"] == 128 and any(
        "128 tokens, the sliding window" in one for one in notes
    )
    assert header.metadata["tokenizer.chat_template"] == "{{ messages }}"
    assert header.metadata["tokenizer.ggml.eos_token_id"] == 2 and header.metadata["tokenizer.ggml.eot_token_id"] == 7
    assert header.unused_bytes == 0 and any("35 rows of the embedding have no word" in one for one in notes)
    hf_folders.save_shards(folder, hf_decoders.decoder_tensors(hf_decoders.DECODERS["mistral"]), 3)
    assert import_language(folder, tmp_path / "again.gguf") == header
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "small.gguf").read_bytes()


CONFIGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "another family": ("llama", {"model_type": "mamba"}, "'mamba', which is not read .* writes"),
    "an encoder": ("llama", {"model_type": "bert"}, "an encoder is written as ONNX"),
    "another class": ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "LlamaForCausalLM"),
    "another activation": ("llama", {"hidden_act": "relu"}, "hidden_act = 'relu'"),
    "quantized": ("llama", {"quantization_config": {"quant_method": "awq"}}, "quantization_config"),
    "dynamic positions": ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "type = 'dynamic'"),
    "yarn with other bounds": ("qwen2-yarn", {"rope_scaling": {**hf_decoders.YARN, "beta_fast": 16}}, "beta_fast = 16"),
    "a part of each head": ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    "wider": ("llama", {"hidden_size": 128}, r"shape \[300, 64\], and config.json asks for \[300, 128\]"),
    "more layers": ("llama", {"num_hidden_layers": 3}, "no tensor 'model.layers.2"),
    "fewer layers": ("llama", {"num_hidden_layers": 1}, "9 tensors that this kind of network has no use for"),
    "absurd layers": ("llama", {"num_hidden_layers": 10**8}, "num_hidden_layers = 100000000"),
    "absurd vocabulary": ("llama", {"vocab_size": 10**12}, "vocab_size = 1000000000000"),
    "absurd context": ("llama", {"max_position_embeddings": 10**12}, "max_position_embeddings"),
    "fewer words than the tokenizer": ("llama", {"vocab_size": 200}, "has 200 rows"),
    "heads that do not share": ("llama", {"num_key_value_heads": 3}, "a divisor of 4 heads"),
    "no head where none is tied": ("llama-tied", {"tie_word_embeddings": False}, "no tensor 'lm_head.weight'"),
    "biases that llama.cpp lacks": ("qwen3", {"attention_bias": True}, "attention_bias = True"),
    "other layers without positions": ("smollm3", {"no_rope_layers": [1, 0, 1, 0, 1]}, "no_rope_layers"),
    "another interval": ("smollm3", {"no_rope_layer_interval": 3}, "no_rope_layer_interval = 3, and llama.cpp takes 4"),
    "other windows": ("gemma3", {"layer_types": ["full_attention"] * 7}, "layer_types"),
    "another pattern": ("gemma3", {"sliding_window_pattern": 4}, "sliding_window_pattern = 4, and llama.cpp takes 6"),
    "other local positions": ("gemma3", {"rope_local_base_freq": 5e3}, "rope_local_base_freq"),
    "another scale": ("gemma2", {"query_pre_attn_scalar": 256}, "query_pre_attn_scalar = 256, and llama.cpp takes 16"),
    "caps of another": ("gemma3", {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    "no caps": ("gemma2", {"attn_logit_softcapping": None}, "does not state attn_logit_softcapping"),
    "zero epsilon": ("llama", {"rms_norm_eps": 0.0}, "rms_norm_eps"),
    "endless number": ("llama", {"rope_theta": 10**400}, "rope_theta"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_what_llama_cpp_would_not_compute_is_refused_by_name(case: str, tmp_path: Path) -> None:
    name, changes, words = CONFIGS[case]
    config = hf_decoders.DECODERS[name]
    tensors = hf_decoders.decoder_tensors(config)
    folder = hf_folders.save(tmp_path, {**config, **changes}, tensors, hf_decoders.byte_level())
    with pytest.raises(ModelError, match=words):
        translate(folder)
    assert not (folder / "made.gguf").exists()


@pytest.mark.parametrize("kind", [np.float16, np.uint16, np.float32])
def test_numbers_that_are_not_finite_are_refused(kind: Any, tmp_path: Path) -> None:
    config = hf_decoders.DECODERS["llama"]
    tensors = {name: _stored(value, kind) for name, value in hf_decoders.decoder_tensors(config).items()}
    wrong = {np.float16: np.float16(np.inf), np.uint16: np.uint16(0xFF80), np.float32: np.float32(np.nan)}[kind]
    tensors["model.layers.1.mlp.up_proj.weight"][5, 5] = wrong
    with pytest.raises(ModelError, match=r"up_proj.weight' holds numbers that are not finite"):
        translate(hf_folders.save(tmp_path, config, tensors, hf_decoders.byte_level()))


@pytest.mark.parametrize("lie", ["truncated", "nested", "link", "shard elsewhere", "not finite"])
def test_a_lying_folder_is_refused_from_outside_and_nothing_is_written(lie: str, tmp_path: Path) -> None:
    config = hf_decoders.DECODERS["llama"]
    tensors = hf_decoders.decoder_tensors(config)
    folder, target = hf_decoders.decoder(tmp_path / "model", "llama"), tmp_path / "out.gguf"
    weights = folder / "model.safetensors"
    if lie == "truncated":
        weights.write_bytes(weights.read_bytes()[:-5])
    elif lie == "nested":
        (folder / "config.json").write_text('{"model_type":' + "[" * 100_000)
    elif lie == "link":
        weights.rename(tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
    elif lie == "shard elsewhere":
        hf_folders.save_shards(folder, tensors, 2)
        index = folder / "model.safetensors.index.json"
        index.write_text(index.read_text().replace("model-00001", "../model-00001"))
    else:
        tensors["model.norm.weight"][0] = np.inf
        weights.write_bytes(hf_folders.safetensors(tensors))
    said = {
        "truncated": "tensors end at", "nested": "nested too deeply", "link": "cannot open",
        "shard elsewhere": "plain relative path", "not finite": "not finite",
    }  # fmt: skip
    with pytest.raises(ModelError, match=said[lie]):
        import_language(folder, target)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("model", "elsewhere")] == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        import_language(tmp_path / "nothing", tmp_path / "out.gguf")
