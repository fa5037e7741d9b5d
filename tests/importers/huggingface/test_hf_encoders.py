"""Encoders of Hugging Face: the graph answers what transformers answers; what is not known is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import hf_folders
from shoestring.base.errors import ModelError, UsageError
from shoestring.importers.huggingface import encoder_child, encoder_graph
from shoestring.importers.huggingface.encoders import import_encoder

EXPECTED = json.loads(Path(__file__).with_name("expected.json").read_text())["encoders"]
FLOAT32 = 2e-5  # sums in another order


def translate(folder: Path, pooling: str | None = None) -> dict[str, Any]:
    """What the closed process does, in this one; the graph goes to `made.onnx` in the folder."""
    request = {"source": str(folder), "target": str(folder / "made.onnx"), "pooling": pooling}
    told: dict[str, Any] = encoder_child.translate(request)
    return told


def answer(model: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    return np.asarray(output)


def largest_difference(folder: Path, name: str, output: str, pooling: str | None = None) -> float:
    translate(folder, pooling)
    ours = answer(folder / "made.onnx", *hf_folders.encoder_inputs(hf_folders.ENCODERS[name]))
    return float(np.abs(ours - np.array(EXPECTED[name][output])).max())


@pytest.mark.parametrize("name", [name for name in EXPECTED if "logits" in EXPECTED[name]])
def test_a_classifier_answers_what_transformers_answers(name: str, tmp_path: Path) -> None:
    folder = hf_folders.encoder(tmp_path, name)
    assert largest_difference(folder, name, "logits") < FLOAT32
    told = translate(folder)
    labels = hf_folders.ENCODERS[name]["id2label"].values()
    assert told["kind"] == "classification" and list(told["labels"]) == list(labels)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("name", [name for name in EXPECTED if "mean" in EXPECTED[name]])
def test_an_embedding_is_what_transformers_answers(name: str, pooling: str, tmp_path: Path) -> None:
    assert largest_difference(hf_folders.encoder(tmp_path, name), name, pooling, pooling) < FLOAT32


SABOTAGE = {
    "no mask": ("MASKED", 0.0),
    "a weak mask": ("MASKED", -1.0),
}


@pytest.mark.parametrize("broken", SABOTAGE)
def test_a_broken_graph_is_seen(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_graph, *SABOTAGE[broken])
    assert largest_difference(hf_folders.encoder(tmp_path, "bert"), "bert", "mean", "mean") > 100 * FLOAT32


def test_fillers_change_nothing(tmp_path: Path) -> None:
    folder = hf_folders.encoder(tmp_path, "roberta")
    translate(folder, "mean")
    ids, mask = hf_folders.encoder_inputs(hf_folders.ENCODERS["roberta"])
    together = answer(folder / "made.onnx", ids, mask)
    alone = answer(folder / "made.onnx", ids[1:2, :4], mask[1:2, :4])
    assert np.abs(together[1] - alone[0]).max() < FLOAT32


def test_a_folder_of_sentence_transformers_comes_with_all_its_facts(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    hf_folders.encoder(folder, "bert", tokenizer_config={"pad_token": "[PAD]", "model_max_length": 10**30},
                       **hf_folders.sentence_files())  # fmt: skip
    made = import_encoder(folder, tmp_path / "encoder.onnx")
    assert (made.kind, made.max_tokens, made.padding, made.normalized, made.labels) == ("embedding", 16, 0, True, ())
    assert made.tokenizer == (folder / "tokenizer.json").read_bytes()
    assert made.model.source_name == "encoder"
    assert [spec.name for spec in made.model.inputs] == ["input_ids", "attention_mask"]
    assert made.model.outputs[0].name == "embedding" and made.model.outputs[0].shape == (None, 24)
    rows = answer(made.model.path, *hf_folders.encoder_inputs(hf_folders.BERT))
    expected = np.array(EXPECTED["bert"]["mean"])
    assert np.abs(rows - expected / np.linalg.norm(expected, axis=1, keepdims=True)).max() < FLOAT32
    assert any("left out 2 tensors" in note and "pooler.dense" in note for note in made.model.notes)
    again = import_encoder(folder, tmp_path / "again.onnx")
    assert (again.model.sha256, again.model.source_sha256) == (made.model.sha256, made.model.source_sha256)


def test_half_precision_and_shards_give_the_same_graph_as_one_file(tmp_path: Path) -> None:
    tensors = {name: value.astype(np.float16) for name, value in hf_folders.encoder_tensors(hf_folders.BERT).items()}
    one = hf_folders.save(tmp_path / "one", hf_folders.BERT, tensors, hf_folders.wordpiece())
    many = hf_folders.save(tmp_path / "many", hf_folders.BERT, tensors, hf_folders.wordpiece())
    hf_folders.save_shards(many, tensors, 3)
    translate(one), translate(many)
    assert (one / "made.onnx").read_bytes() == (many / "made.onnx").read_bytes()
    ids, mask = hf_folders.encoder_inputs(hf_folders.BERT)
    assert np.abs(answer(one / "made.onnx", ids, mask) - EXPECTED["bert"]["mean"]).max() < 0.01


def test_the_mean_is_taken_and_told_where_a_folder_says_nothing(tmp_path: Path) -> None:
    told = translate(hf_folders.encoder(tmp_path, "distilbert"))
    assert any("states no pooling" in note for note in told["notes"])
    assert told["max_tokens"] == 20 and told["normalized"] is False


def test_tensors_of_pretraining_heads_are_left_out(tmp_path: Path) -> None:
    config = {**hf_folders.BERT, "architectures": ["BertForMaskedLM"]}
    tensors = {f"bert.{name}": value for name, value in hf_folders.encoder_tensors(hf_folders.BERT).items()}
    tensors["cls.predictions.bias"] = np.zeros(config["vocab_size"], np.float32)
    told = translate(hf_folders.save(tmp_path, config, tensors, hf_folders.wordpiece()))
    assert any("left out 3 tensors" in note for note in told["notes"])


def refused(folder: Path, words: str, pooling: str | None = None) -> None:
    with pytest.raises(ModelError, match=words):
        translate(folder, pooling)
    assert not (folder / "made.onnx").exists()


CONFIGS = {
    "another family": ({"model_type": "deberta-v2"}, "'deberta-v2'.* not read"),
    "another activation": ({"hidden_act": "silu"}, "hidden_act = 'silu'"),
    "another task": ({"architectures": ["BertForQuestionAnswering"]}, "BertForQuestionAnswering"),
    "two classes": ({"architectures": ["BertModel", "BertForMaskedLM"]}, "architectures"),
    "relative positions": ({"position_embedding_type": "relative_key"}, "relative_key"),
    "a decoder": ({"is_decoder": True}, "is_decoder = True"),
    "quantized": ({"quantization_config": {"bits": 4}}, "quantization_config"),
    "wider than its weights": ({"hidden_size": 48}, r"shape \[57, 24\], and config.json asks for \[57, 48\]"),
    "more layers than weights": ({"num_hidden_layers": 3}, "no tensor 'encoder.layer.2"),
    "fewer layers than weights": ({"num_hidden_layers": 1}, "16 tensors that this kind of network has no use for"),
    "absurd layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000"),
    "layers as text": ({"num_hidden_layers": "2"}, "num_hidden_layers = '2'"),
    "endless layers": ({"num_hidden_layers": 10**40}, "num_hidden_layers = inf"),
    "negative layers": ({"num_hidden_layers": -2}, "num_hidden_layers = -2"),
    "no such number of heads": ({"num_attention_heads": 5}, "no multiple of 5 heads"),
    "zero epsilon": ({"layer_norm_eps": 0}, "layer_norm_eps"),
    "nothing": ({"hidden_size": None}, "does not state hidden_size"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_that_does_not_fit_is_refused_by_name(case: str, tmp_path: Path) -> None:
    changes, words = CONFIGS[case]
    config = {**hf_folders.BERT, **changes}
    tensors = hf_folders.encoder_tensors(hf_folders.BERT)
    refused(hf_folders.save(tmp_path, config, tensors, hf_folders.wordpiece()), words)


def test_labels_that_do_not_fit_the_head_are_refused(tmp_path: Path) -> None:
    config = hf_folders.DISTILBERT
    wrong = {**config, "id2label": {"0": "bad", "1": "fair"}}
    folder = hf_folders.save(tmp_path, wrong, hf_folders.encoder_tensors(config), hf_folders.wordpiece())
    refused(folder, "expected 3 names")
    several = {**config, "problem_type": "multi_label_classification"}
    hf_folders.save(tmp_path, several, hf_folders.encoder_tensors(config), hf_folders.wordpiece())
    refused(folder, "one label a text")


def test_modules_and_poolings_that_are_not_known_are_refused(tmp_path: Path) -> None:
    folder = hf_folders.encoder(tmp_path, "bert", **hf_folders.sentence_files("max_tokens"))
    refused(folder, "pooling_mode_max_tokens")
    files = hf_folders.sentence_files()
    files["modules"][2]["type"] = "sentence_transformers.models.Dense"
    refused(hf_folders.encoder(tmp_path, "bert", **files), "Transformer, Pooling, Dense")
    refused(hf_folders.encoder(tmp_path, "bert", **hf_folders.sentence_files("cls_token")), "states cls", "mean")


def test_a_vocabulary_beyond_the_embedding_is_refused(tmp_path: Path) -> None:
    words = hf_folders.wordpiece([*hf_folders.WORDS, "one-more"])
    tensors = hf_folders.encoder_tensors(hf_folders.BERT)
    refused(hf_folders.save(tmp_path, hf_folders.BERT, tensors, words), "'one-more' the id 57, .* has 57 rows")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    tensors = hf_folders.encoder_tensors(hf_folders.BERT)
    tensors["encoder.layer.1.output.dense.bias"][3] = np.nan
    refused(hf_folders.save(tmp_path, hf_folders.BERT, tensors, hf_folders.wordpiece()), "not finite")


def test_integers_as_weights_are_refused(tmp_path: Path) -> None:
    tensors = hf_folders.encoder_tensors(hf_folders.BERT)
    tensors["embeddings.LayerNorm.bias"] = np.zeros(24, np.int64)
    refused(hf_folders.save(tmp_path, hf_folders.BERT, tensors, hf_folders.wordpiece()), "stored as I64")


@pytest.mark.parametrize("lie", ["truncated", "nested", "link", "missing", "huge"])
def test_a_lying_folder_is_refused_from_outside_and_nothing_is_written(lie: str, tmp_path: Path) -> None:
    folder, target = hf_folders.encoder(tmp_path / "model", "bert"), tmp_path / "out.onnx"
    weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
    if lie == "truncated":
        weights.write_bytes(weights.read_bytes()[:-5])
    elif lie == "nested":
        tokenizer.write_text('{"a":' * 100_000)
    elif lie == "link":
        (tmp_path / "elsewhere").write_bytes(tokenizer.read_bytes())
        tokenizer.unlink()
        tokenizer.symlink_to(tmp_path / "elsewhere")
    elif lie == "missing":
        weights.unlink()
    else:
        with tokenizer.open("r+b") as stream:
            stream.truncate(1 << 30)
    said = {
        "truncated": "tensors end at", "nested": "nested too deeply", "link": "cannot open", "missing": "cannot open",
        "huge": "1.07 GB, more than the limit",
    }  # fmt: skip
    with pytest.raises(ModelError, match=said[lie]):
        import_encoder(folder, target)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("model", "elsewhere")] == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        import_encoder(tmp_path / "nothing", tmp_path / "out.onnx")
