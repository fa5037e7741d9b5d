"""From a file to its findings to a mix: what is predicted comes, what is kept is kept, and what cannot be is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shoestring.base.errors import ShoestringError, StorageError, UsageError
from shoestring.compress.language.findings import find
from shoestring.compress.language.mix import Order, make_mixes
from shoestring.compress.language.rounder import Rounder
from shoestring.compress.language.store import GramStore
from shoestring.domain.bits import Findings
from shoestring.importers.gguf.header import read_header
from shoestring.search.bits import choose
from shoestring.weights.tensors import open_tensors
from tiny_gguf import NARROW, ODD, WIDE, Tiny
from tiny_language import divergence, made, text

TYPES = ("Q8_0", "Q5_0", "Q4_0")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    return found(tmp_path_factory.mktemp("narrow"), NARROW)


def found(folder: Path, what: Tiny, types: tuple[str, ...] = TYPES, seed: int = 0) -> SimpleNamespace:
    path, header, family = made(folder, what)
    with open_tensors(path, header) as raw:
        rounder = Rounder(header, raw, types)
        store = GramStore(folder / "grams", family.linears())
        findings = find(rounder, family, text(family, 48, 16), store, seed=seed)
    return SimpleNamespace(
        folder=folder, path=path, header=header, family=family, rounder=rounder, store=store, findings=findings
    )


def mixed(model: SimpleNamespace, types: dict[str, str], name: str = "mix.gguf") -> Path:
    out = model.folder / name
    make_mixes(model.path, model.header, model.rounder, model.family, model.store, [Order(out, types)])
    return out


def came(model: SimpleNamespace, out: Path) -> float:
    header = read_header(out)
    with open_tensors(out, header) as raw:
        other = Rounder(header, raw)
        return divergence(model.rounder.read, other.read, model.family, text(model.family, 24, 16, seed=9))


def test_every_tensor_has_every_type(narrow: SimpleNamespace) -> None:
    names = [choice.tensor for choice in narrow.findings.choices]
    assert list(dict.fromkeys(names)) == narrow.family.linears()
    assert {choice.type for choice in narrow.findings.choices} == set(TYPES)
    assert narrow.store.complete()


def test_fewer_bits_lose_more(narrow: SimpleNamespace) -> None:
    losses = {(choice.tensor, choice.type): choice.loss for choice in narrow.findings.choices}
    for name in narrow.family.linears():
        assert 0 < losses[name, "Q8_0"] < losses[name, "Q5_0"] < losses[name, "Q4_0"]


def test_the_sum_of_predictions_comes(narrow: SimpleNamespace) -> None:
    for share in (0.3, 0.6):
        sizes = [sum(c.size_bytes for c in narrow.findings.choices if c.type == kind) for kind in ("Q4_0", "Q8_0")]
        mix = choose(narrow.findings.choices, int(sizes[0] + share * (sizes[1] - sizes[0])))
        measured = came(narrow, mixed(narrow, mix.types))
        assert 0.4 < measured / mix.loss < 2.5


def test_the_choice_beats_its_opposite(narrow: SimpleNamespace) -> None:
    """The saboteur: the same program on the negative of what was found, which takes about the same bytes."""
    choices = narrow.findings.choices
    middle = sum(c.size_bytes for c in choices if c.type == "Q5_0")
    worst = max(c.loss for c in choices)
    turned = [type(c)(c.tensor, c.type, c.size_bytes, worst - c.loss if c.type != "Q4_0" else 2 * worst) for c in choices]
    good = came(narrow, mixed(narrow, choose(choices, middle).types))
    bad = came(narrow, mixed(narrow, choose(turned, middle).types))
    assert good < 0.9 * bad


def test_the_same_seed_gives_the_same_findings(tmp_path: Path, narrow: SimpleNamespace) -> None:
    again = found(tmp_path, NARROW)
    assert isinstance(again.findings, Findings)
    assert again.findings == narrow.findings


def test_a_table_apart_from_the_head_is_weighed_apart(tmp_path: Path) -> None:
    model = found(tmp_path, ODD, ("Q8_0", "Q4_0"))
    losses = {(choice.tensor, choice.type): choice.loss for choice in model.findings.choices}
    assert losses["output.weight", "Q4_0"] > 0
    assert losses["token_embd.weight", "Q4_0"] > 0
    types = dict.fromkeys(model.family.linears(), "Q8_0") | {"output.weight": "Q4_0"}
    assert came(model, mixed(model, types)) == pytest.approx(losses["output.weight", "Q4_0"], rel=0.6)


def test_what_keeps_its_type_keeps_its_bytes(tmp_path: Path) -> None:
    model = found(tmp_path, Tiny(width=64, heads=2, kv_heads=1, hidden=160, type="Q8_0"))
    losses = {choice.type: choice.loss for choice in model.findings.choices if choice.tensor == "token_embd.weight"}
    assert losses["Q8_0"] == 0 < losses["Q5_0"]
    types = dict.fromkeys(model.family.linears(), "Q8_0") | {"blk.0.ffn_up.weight": "Q4_0"}
    out = mixed(model, types)
    with open_tensors(model.path, model.header) as before, open_tensors(out, read_header(out)) as after:
        same = {name for name in before if np.array_equal(before[name], after[name])}
    assert set(model.family.linears()) - same == {"blk.0.ffn_up.weight"}


def test_k_types_are_offered_where_they_apply(tmp_path: Path) -> None:
    path, header, family = made(tmp_path, WIDE)
    with open_tensors(path, header) as raw:
        rounder = Rounder(header, raw)
        assert "Q4_K" in rounder.types("blk.0.ffn_down.weight")
        assert rounder.types("blk.0.ffn_down.weight")[-1] == "F32"
    path, header, family = made(tmp_path, NARROW)
    with open_tensors(path, header) as raw:
        assert not [kind for kind in Rounder(header, raw).types(family.linears()[0]) if kind.endswith("_K")]


def test_refuses_a_mix_that_leaves_a_tensor_out(narrow: SimpleNamespace) -> None:
    types = dict.fromkeys(narrow.family.linears(), "Q8_0")
    for wrong in ({**types, "blk.0.attn_q.weight": "Q4_K"}, {**types, "nobody": "Q8_0"}, dict(list(types.items())[1:])):
        with pytest.raises(UsageError):
            mixed(narrow, wrong, "wrong.gguf")
        assert not (narrow.folder / "wrong.gguf").exists()


def test_a_missing_or_damaged_matrix_is_told(tmp_path: Path) -> None:
    store = GramStore(tmp_path / "grams", ["a", "b"])
    assert not store.complete()
    with pytest.raises(StorageError):
        store.get("a")
    store.put("a", np.eye(3, dtype=np.float32))
    assert store.get("a").tolist() == np.eye(3).tolist()
    store.path("a").write_bytes(b"no array")
    with pytest.raises(ShoestringError):
        store.get("a")
