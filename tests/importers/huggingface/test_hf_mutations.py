"""Folders whose files say other things in any place: an import ends well or with an error of ours, never otherwise."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hf_decoders
import hf_folders
from proof_scale import SCALE
from shoestring.base.errors import ShoestringError
from shoestring.importers.huggingface import encoder_child, language_child

ROUNDS = 40 * SCALE
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 10**6, 10**17, 10**30, 0.5, -1e300, "", "a",
    "▁", "<s>", "\ud83d", [], [[]], [1], ["a"], {},
    {"type": "Sequence"}, {"id": "A"}, {"content": 3}, [{"SpecialToken": {"id": []}}], {"String": " "}, "x" * 70_000,
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below, with each of its keys; of long ones the first few."""
    keys = list(value)[:12] if isinstance(value, dict) else range(min(len(value), 6)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


def mutated(files: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """One to three places hold something else, or are gone."""
    made = copy.deepcopy(files)
    for _ in range(rng.randint(1, 3)):
        file = made[rng.choice(list(made))]
        container, key = rng.choice(list(places(file)))
        if isinstance(container, dict) and rng.random() < 0.2:
            del container[key]
        else:
            container[key] = copy.deepcopy(rng.choice(ODD))
        if not file:
            break
    return made


def write(folder: Path, files: dict[str, Any]) -> None:
    for name, value in files.items():
        (folder / f"{name.replace('__', '/')}.json").write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize("kind", ["bytes", "pieces", "encoder", "classifier"])
def test_whatever_the_files_say_the_error_is_ours(kind: str, tmp_path: Path) -> None:
    if kind in ("bytes", "pieces"):
        config = {**hf_decoders.DECODERS["qwen2-yarn"], "sliding_window": 9, "layer_types": None}
        tokenizer = hf_decoders.byte_level("qwen2")
        if kind == "pieces":
            config = hf_decoders.DECODERS["gemma3"]
            tokenizer = hf_decoders.sentence_pieces([("a", "b"), ("ab", "a")], prepend=True, more=["<h1>"])
        tensors = hf_decoders.decoder_tensors(config)
        more = {
            "tokenizer_config": {
                "eos_token": "</s>",
                "bos_token": {"content": "<s>"},
                "chat_template": [{"name": "default"}],
            },
            "generation_config": {"eos_token_id": [2]},
        }
    else:
        config = hf_folders.BERT if kind == "encoder" else hf_folders.DISTILBERT
        tensors, tokenizer = hf_folders.encoder_tensors(config), hf_folders.wordpiece()
        more = {"tokenizer_config": {"pad_token": "[PAD]", "model_max_length": 12}, **hf_folders.sentence_files()}
    hf_folders.save(tmp_path, config, tensors, tokenizer, **more)
    files = {"config": config, "tokenizer": tokenizer, **more}
    request = {"source": str(tmp_path), "target": str(tmp_path / "made"), "name": "small", "pooling": None}
    translate = language_child.translate if kind in ("bytes", "pieces") else encoder_child.translate
    rng, refused = random.Random(5), 0
    for _ in range(ROUNDS):
        write(tmp_path, mutated(files, rng))
        try:
            translate(request)
        except ShoestringError as error:
            refused += 1
            assert error.message
    assert refused > ROUNDS / 5
