"""Files that we rounded and wrote answer in llama.cpp as the values that we say they hold."""

import numpy as np
import pytest

from shoestring.importers.gguf.header import read_header
from shoestring.weights.block_types import applicable
from shoestring.weights.decode import dequantize
from shoestring.weights.encode import quantize
from shoestring.weights.writing import write_gguf
from tiny_gguf import NARROW, SPECIAL, WIDE, tiny_gguf, tiny_weights

llama = pytest.importorskip("xllamacpp")
TEXT = "The news of the day in the town and the rest of it"
TOP = 20
NEAR = 0.6  # llama.cpp rounds the inputs of its products to 8 bits, so that the two differ by up to 0.45
WRITTEN = len(SPECIAL) + ord("e")  # whatever is likely: half a letter would be held back with its probabilities


def log_probabilities(path):
    """Of the likeliest next tokens after TEXT, by token."""
    params = llama.CommonParams()
    params.model.path, params.n_ctx, params.cpuparams.n_threads, params.warmup = str(path), 64, 1, False
    told = llama.Server(params).handle_completions(
        {"prompt": TEXT, "max_tokens": 1, "temperature": 0, "logprobs": TOP, "logit_bias": [[WRITTEN, 1000]]}
    )
    return {one["id"]: one["logprob"] for one in told["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}


def apart(found, expected):
    """The largest difference over tokens that are likely in both; with fewer than half of them, infinite."""
    both = [token for token in expected if token in found]
    return np.abs([found[token] - expected[token] for token in both]).max() if len(both) > TOP // 2 else np.inf


@pytest.mark.parametrize("what", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_type_says_in_llama_cpp_what_its_values_say(tmp_path, what):
    source = tiny_gguf(tmp_path / "tiny.gguf", what)
    header, weights = read_header(source), tiny_weights(what)
    for kind in applicable((what.width, what.width))[1:]:
        names = [name for name, weight in weights.items() if weight.ndim == 2 and kind in applicable(weight.shape)]
        raw = {name: quantize(weights[name], kind) for name in names}
        values = {name: quantize(dequantize(raw[name], kind, weights[name].shape), "F32") for name in names}
        stored, told = tmp_path / f"{kind}.gguf", tmp_path / f"{kind}-values.gguf"
        write_gguf(stored, source, header, dict.fromkeys(names, kind), raw.__getitem__)
        write_gguf(told, source, header, dict.fromkeys(names, "F32"), values.__getitem__)
        expected = log_probabilities(told)
        assert len(expected) == TOP
        assert apart(log_probabilities(stored), expected) < NEAR, kind


def test_bits_in_another_order_say_something_else(tmp_path):
    source = tiny_gguf(tmp_path / "tiny.gguf", NARROW)
    name, weight = "blk.1.ffn_gate.weight", tiny_weights(NARROW)["blk.1.ffn_gate.weight"]
    raw = quantize(weight, "Q4_0").reshape(-1, 18)
    raw[:, 2:] = (raw[:, 2:] >> 4) | (raw[:, 2:] << 4)
    write_gguf(tmp_path / "turned.gguf", source, read_header(source), {name: "Q4_0"}, lambda _: raw)
    assert apart(log_probabilities(tmp_path / "turned.gguf"), log_probabilities(source)) > 2 * NEAR
