"""A device answers with boxes: those that the decoder gives of the stored outputs, in places of the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_detector as squares
from factory import make_bundle_parts, swap_blob
from factory_detector import SPEC, make_detector_parts
from shoestring.base.errors import GoldenError, UsageError
from shoestring.bundle import open_bundle, pack
from shoestring.device import Player, read_picture
from shoestring.heads import detect

PARTS = make_detector_parts()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "squares.shoe"
    pack(found, PARTS.manifest, PARTS.blobs)
    return found


def test_boxes_are_those_of_the_stored_outputs(path: Path) -> None:
    for name, outputs in PARTS.golden_outputs.items():
        with open_bundle(path) as bundle, Player(bundle, rung=name) as player:
            pictures = ((image, (640, 640)) for image in PARTS.golden_images)
            for boxes, flat in zip(player.detect(pictures), outputs, strict=True):
                found = detect(squares.HEAD, flat, (squares.SIZE, squares.SIZE))
                assert [box.index for box in boxes] == found.classes.tolist()
                assert [box.label for box in boxes] == [squares.CLASSES[index] for index in found.classes]
                assert np.allclose([box.score for box in boxes], found.scores, atol=1e-4)
                places = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes]).reshape(-1, 4)
                assert np.allclose(places, found.corners, atol=1e-4)


def test_each_kind_of_bundle_answers_its_own_question(path: Path, tmp_path: Path) -> None:
    with open_bundle(path) as bundle, Player(bundle) as player, pytest.raises(UsageError, match="answers boxes"):
        next(player.classify([PARTS.golden_images[0]]))
    classifier = make_bundle_parts()
    other = tmp_path / "classifier.shoe"
    pack(other, classifier.manifest, classifier.blobs)
    with open_bundle(other) as bundle, Player(bundle) as player, pytest.raises(UsageError, match="sees no boxes"):
        next(player.detect([(classifier.golden_images[0], (8, 8))]))


def test_other_boxes_are_refused_where_the_tolerance_would_let_them_pass(tmp_path: Path) -> None:
    """The saboteur: a model that hides its objects, in a bundle whose tolerance says nothing."""
    name = PARTS.manifest.ladder.chosen
    weights = squares.make_weights()
    for head in ("coarse", "fine"):
        weights[f"{head}.b"][4] -= 30
    blind = squares.make_model(weights, joined=True).SerializeToString(deterministic=True)
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.ladder.rung(name).candidate.artefact_sha256, blind)
    for tolerance, words in ((1e-3, "is off by"), (1e6, "other boxes")):
        loose = replace(
            manifest, golden=replace(manifest.golden, tolerance=dict.fromkeys(manifest.golden.tolerance, tolerance))
        )
        pack(tmp_path / "a.shoe", loose, blobs)
        with open_bundle(tmp_path / "a.shoe") as bundle, pytest.raises(GoldenError, match=words):
            Player(bundle)


def test_a_picture_is_as_large_as_it_is_shown(tmp_path: Path) -> None:
    """A camera held upright writes its sensor's rows, and says that they are to be turned."""
    file = tmp_path / "turned.jpg"
    picture = Image.new("RGB", (40, 20))
    tags = picture.getexif()
    tags[0x0112] = 6  # turned by a quarter (EXIF 2.3, Orientation)
    picture.save(file, exif=tags)
    assert read_picture(file, SPEC)[1] == (20, 40)
