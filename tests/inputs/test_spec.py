"""The pre-processing as TOML and as words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.base.errors import DataError
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs.spec import check_preprocess, describe, dump_preprocess, load_preprocess

FULL = Preprocess(
    224, 192, "shorter-side", 256, "bicubic", "bgr", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "nhwc"
)


def load(tmp_path: Path, text: str | bytes) -> Preprocess:
    path = tmp_path / "preprocess.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_preprocess(path)


@pytest.mark.parametrize("spec", [FULL, Preprocess(8, 8), Preprocess(8, 8, scale=1, dtype="uint8")])
def test_a_dump_loads_back_equal(tmp_path: Path, spec: Preprocess) -> None:
    assert load(tmp_path, dump_preprocess(spec)) == spec


@given(
    scale=st.floats(1e-30, 1e30),
    mean=st.tuples(*[st.floats(-1e30, 1e30)] * 3),
    std=st.tuples(*[st.floats(1e-30, 1e30)] * 3),
)
def test_every_number_survives(
    scale: float, mean: tuple[float, ...], std: tuple[float, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec = Preprocess(8, 8, scale=scale, mean=mean, std=std)
    assert load(tmp_path_factory.getbasetemp(), dump_preprocess(spec)) == spec


def test_whole_numbers_are_taken_for_fractions(tmp_path: Path) -> None:
    assert (
        load(tmp_path, "height = 8\nwidth = 8\nscale = 1\nmean = [127, 127, 127]\nstd = [128, 128, 128]\n").mean
        == (127.0,) * 3
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("height = 8\nwidth = 8\ncolor = 'rgb'\n", "unknown key 'color'"),
        ("height = 8\n", "missing required field `width`"),
        ("height = '8'\nwidth = 8\n", "Expected `int`"),
        ("height = 8\nheight = 8\nwidth = 8\n", "is not TOML"),
        ("height = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        ("x = " + "[" * 20_000, "is not TOML"),
        ("#" * 70_000, "longer than the limit"),
        ("height = 8\nwidth = 8\nscale = nan\n", "finite"),
        ("height = 8\nwidth = 8\nstd = [1, inf, 1]\n", "finite"),
        ("height = 8\nwidth = 8\nscale = 0\n", "scale must be above zero"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        load(tmp_path, text)
    assert "preprocess.toml" in caught.value.message
    assert "resize_to" in (caught.value.hint or "")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, "height = 0\nwidth = 8\nfilter = 'lanczos'\nstd = [1, 0, 1]\nresize_to = 9\n")
    for words in ("size 0x8", "'lanczos'", "std must be above zero", "resize_to goes with"):
        assert words in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        load_preprocess(tmp_path / "no.toml")


def test_check_passes_sound_ones_and_names_the_rest() -> None:
    check_preprocess(FULL)
    with pytest.raises(DataError, match="layout 'chw'"):
        check_preprocess(Preprocess(8, 8, layout="chw"))


def test_describe() -> None:
    assert describe(FULL) == (
        "192x224 bgr, shorter side to 256 (bicubic) and centre crop, "
        "(x/255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], nhwc float32"
    )
    assert describe(Preprocess(8, 8)) == "8x8 rgb, stretched (bilinear), x/255, nchw float32"
    raw = Preprocess(8, 8, "none", scale=1.0, dtype="uint8")
    assert describe(raw) == "8x8 rgb, not resized, x, nchw uint8"
    assert "(x - 127) / 128" in describe(Preprocess(8, 8, scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3))
