"""Networks that are computed in full are taken; all others are refused by the name of what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shoestring.base.errors import ModelError
from shoestring.compress.language.family import family_of
from tiny_gguf import NARROW, ODD
from tiny_language import made


def test_reads_the_facts(tmp_path: Path) -> None:
    _, _, family = made(tmp_path, ODD)
    assert (family.layers, family.width, family.heads, family.kv_heads, family.head_width) == (2, 96, 3, 1, 32)
    assert not family.tied
    assert family.linears()[-2:] == ["output.weight", "token_embd.weight"]
    assert len(family.linears()) == 2 * 7 + 2


def test_a_tied_head_is_one_tensor(tmp_path: Path) -> None:
    _, _, family = made(tmp_path, NARROW)
    assert family.tied
    assert family.head_name == family.linears()[-1] == "token_embd.weight"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("llama.expert_count", 8, "expert_count"),
        ("llama.rope.scaling.type", "yarn", "rope.scaling.type"),
        ("llama.attention.sliding_window", 1024, "sliding_window"),
        ("llama.attention.head_count", "four", "head_count"),
        ("llama.attention.layer_norm_rms_epsilon", 0.0, "epsilon"),
        ("llama.block_count", 3, "blk.2.attn_q"),
        ("llama.attention.value_length", 7, "values of another width"),
    ],
)
def test_refuses_what_is_not_computed(tmp_path: Path, key: str, value: Any, said: str) -> None:
    _, header, _ = made(tmp_path, NARROW)
    with pytest.raises(ModelError, match=said):
        family_of(replace(header, metadata={**header.metadata, key: value}))


def test_refuses_another_architecture(tmp_path: Path) -> None:
    _, header, _ = made(tmp_path, NARROW)
    with pytest.raises(ModelError, match="mamba"):
        family_of(replace(header, architecture="mamba"))
