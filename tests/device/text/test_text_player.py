"""An encoder's bundle on a device: answers, golden texts, and bundles that were meddled with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import text_fits
import tiny_encoder
from factory import npy_bytes
from shoestring.base.canonical import encode, sha256_hex
from shoestring.base.errors import BundleError, DataError, GoldenError, SlotError, UsageError
from shoestring.bundle import open_bundle, pack
from shoestring.device import Player
from shoestring.device.slots.replaying import ReplayLimits, replay_golden
from shoestring.device.text import TextPlayer
from shoestring.domain.manifest import Blob, Manifest
from shoestring.domain.text import GoldenTexts

Blobs = dict[str, bytes]


def rewritten(
    tmp_path: Path, change: Callable[[Manifest, Blobs], tuple[Manifest, Mapping[str, bytes]]], kind: str = "probe"
) -> Path:
    """The bundle with something changed, and every hash put right again."""
    with open_bundle(text_fits.bundle_of(kind)) as bundle:
        manifest = replace(bundle.manifest, bom=None)
        blobs = {blob.sha256: bundle.read(blob.sha256) for blob in manifest.blobs if blob.sha256 != bundle.manifest.bom}
    manifest, new = change(manifest, blobs)
    listed = tuple(Blob(name, len(data)) for name, data in sorted(new.items()))
    pack(tmp_path / "changed.shoe", replace(manifest, blobs=listed), dict(new))
    return tmp_path / "changed.shoe"


def swapped(blobs: Blobs, old: str, data: bytes) -> tuple[str, Blobs]:
    return sha256_hex(data), {**{k: v for k, v in blobs.items() if k != old}, sha256_hex(data): data}


def test_texts_are_classified_with_names_in_order() -> None:
    chosen = tiny_encoder.texts(12, seed=9)
    with open_bundle(text_fits.bundle_of("probe")) as bundle, TextPlayer(bundle) as player:
        answers = player.classify([text for _, text in chosen])
        assert player.replayed >= 8 and player.is_classifier
        right = sum(one.answer.label == kind for one, (kind, _) in zip(answers, chosen, strict=True))
        assert right >= 8
        assert all(abs(sum(score for _, _, score in one.answer.top) - 1) < 1e-6 for one in answers)
        assert player.classify([]) == []
        long = player.classify(["kettle " * 200])[0]
        assert long.cut and long.tokens == 32
        with pytest.raises(UsageError, match="no embeddings"):
            player.embed(["a"])


def test_embeddings_have_length_one_and_do_not_depend_on_company() -> None:
    texts = [text for _, text in tiny_encoder.texts(20, seed=9)]
    with open_bundle(text_fits.bundle_of("embedding")) as bundle:
        for rung in bundle.manifest.ladder.rungs:
            with TextPlayer(bundle, rung=rung.name) as player:
                rows = player.embed(texts)
                assert rows.shape == (20, tiny_encoder.WIDTH) and rows.dtype == np.float32
                assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
                alone = np.concatenate([player.embed([text]) for text in texts])
                assert np.allclose(rows, alone, atol=2e-6)
                with pytest.raises(UsageError, match="no classes"):
                    player.classify(["a"])


def test_what_is_no_text_is_refused_and_the_next_is_answered() -> None:
    with open_bundle(text_fits.bundle_of("probe")) as bundle, TextPlayer(bundle) as player:
        with pytest.raises(DataError):
            player.classify(["\udcff"])
        assert len(player.classify(["the kettle"])) == 1


def test_the_player_of_images_refuses_it_and_says_why() -> None:
    with open_bundle(text_fits.bundle_of("probe")) as bundle, pytest.raises(UsageError, match="bundle for text"):
        Player(bundle)


def test_other_golden_outputs_are_seen(tmp_path: Path) -> None:
    def change(manifest: Manifest, blobs: Blobs) -> tuple[Manifest, Blobs]:
        name = manifest.ladder.chosen
        old = manifest.golden.outputs[name]
        rows = np.load(__import__("io").BytesIO(blobs[old]))
        rows[0, 0] += 50
        new, blobs = swapped(blobs, old, npy_bytes(rows))
        return replace(manifest, golden=replace(manifest.golden, outputs={**manifest.golden.outputs, name: new})), blobs

    with open_bundle(rewritten(tmp_path, change)) as bundle:
        with pytest.raises(GoldenError, match=r"on 1 of \d+ golden texts; worst: text 1 is off by"):
            TextPlayer(bundle)
        with pytest.raises(SlotError, match="answers otherwise here") as caught:
            replay_golden(bundle, (), ReplayLimits(60))
        assert caught.value.reason == "golden"


def test_another_tokenizer_is_seen(tmp_path: Path) -> None:
    """The saboteur: the same words with other numbers. Every hash agrees, and every answer is wrong."""
    from tokenizers import Tokenizer

    def change(manifest: Manifest, blobs: Blobs) -> tuple[Manifest, Blobs]:
        assert manifest.text is not None
        old = manifest.text.tokenizer
        words = tiny_encoder.vocabulary()
        kettle, grass = str(words["kettle"]).encode(), str(words["grass"]).encode()
        data = blobs[old].replace(b'"kettle":' + kettle, b'"kettle":#').replace(b'"grass":' + grass, b'"grass":' + kettle)
        data = data.replace(b'"kettle":#', b'"kettle":' + grass)
        Tokenizer.from_buffer(data)
        new, blobs = swapped(blobs, old, data)
        return replace(manifest, text=replace(manifest.text, tokenizer=new)), blobs

    with open_bundle(rewritten(tmp_path, change)) as bundle, pytest.raises(GoldenError, match="golden texts"):
        TextPlayer(bundle)


@pytest.mark.parametrize(
    ("texts", "tokens", "words"),
    [((), None, "there are 0 golden texts"), (("a",) * 40, None, "40 golden texts"), (("a",), ((1,),), "are prompts")],
)
def test_golden_texts_are_held_against_their_rules(tmp_path: Path, texts: Any, tokens: Any, words: str) -> None:
    def change(manifest: Manifest, blobs: Blobs) -> tuple[Manifest, Blobs]:
        new, blobs = swapped(blobs, manifest.golden.inputs, encode(GoldenTexts(texts, tokens)))
        return replace(manifest, golden=replace(manifest.golden, inputs=new)), blobs

    with open_bundle(rewritten(tmp_path, change)) as bundle, pytest.raises(BundleError, match=words):
        TextPlayer(bundle)


def test_a_model_with_other_inputs_is_refused(tmp_path: Path) -> None:
    def change(manifest: Manifest, blobs: Blobs) -> tuple[Manifest, Blobs]:
        assert manifest.text is not None
        return replace(manifest, text=replace(manifest.text, types=None)), blobs

    with open_bundle(rewritten(tmp_path, change)) as bundle, pytest.raises(BundleError, match="takes"):
        TextPlayer(bundle)


def test_slots_replay_every_rung_in_a_process_of_its_own() -> None:
    with open_bundle(text_fits.bundle_of("probe")) as bundle:
        ladder = bundle.manifest.ladder
        absent = {rung.name for rung in ladder.rungs} - {ladder.chosen}
        assert replay_golden(bundle, absent, ReplayLimits(60)) == (ladder.chosen,)
