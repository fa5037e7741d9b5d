"""What a model is to `fit`."""

import json

import pytest

from shoestring.base.errors import ModelError
from shoestring.importers.kinds import ENCODER, IMAGE, MAX_CONFIG_BYTES, WRITER, kind_of


def folder(tmp_path, config):
    (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, WRITER),
        ({"model_type": "qwen3"}, WRITER),
        ({"model_type": "unheard-of", "architectures": ["UnheardForCausalLM"]}, WRITER),
        ({"model_type": "bert", "architectures": ["BertModel"]}, ENCODER),
        ({"model_type": "qwen2", "architectures": ["Qwen2ForSequenceClassification"]}, ENCODER),
        ({"model_type": "distilbert", "architectures": "not a list"}, ENCODER),
    ],
)
def test_a_folder_is_told_by_its_config(tmp_path, config, kind):
    assert kind_of(folder(tmp_path, config)) == kind


def test_a_file_is_told_by_its_first_bytes(tmp_path):
    gguf = tmp_path / "named.bin"
    gguf.write_bytes(b"GGUF" + bytes(60))
    assert kind_of(gguf) == WRITER
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(b"\x08\x09" + bytes(62))
    assert kind_of(onnx) == IMAGE
    (tmp_path / "tokenizer.json").write_text("{}")
    assert kind_of(onnx) == ENCODER
    assert kind_of(tmp_path / "absent.onnx") == IMAGE  # whoever imports it says what is wrong


@pytest.mark.parametrize("config", ["{", "[]", "[" * 100_000, " " * (MAX_CONFIG_BYTES + 1)])
def test_a_broken_config_is_named(tmp_path, config):
    with pytest.raises(ModelError, match=r"config\.json"):
        kind_of(folder(tmp_path, config))


def test_a_folder_without_config_is_no_language_model(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json"):
        kind_of(tmp_path)
