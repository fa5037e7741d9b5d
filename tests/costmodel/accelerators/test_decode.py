"""Tokens a second of language models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chip_of import chip, figure
from costmodel_rows import row
from shoestring.base.errors import UsageError
from shoestring.chips.published import published_rows
from shoestring.costmodel.accelerators import LanguageModel, dense, predict_decode
from shoestring.costmodel.accelerators.decode import decode_points, known_buses
from shoestring.costmodel.accelerators.language_models import known_language_models
from shoestring.costmodel.accelerators.quantized import WEIGHT_BITS
from shoestring.domain.estimate import Estimate, NoClaim

MODEL = dense("asked", layers=24, hidden=2048, ffn=6144, vocabulary=100_000, query=2048, key_value=512)
PI5 = chip(rows=("rpi5",))
ASKED = {"runtime": "llama.cpp", "precision": "Q4_0"}


def found(model=MODEL, board=PI5, rows=None, **asked) -> Estimate:
    given = predict_decode(model, board, **{**ASKED, **asked}, rows=published_rows() if rows is None else rows)
    assert isinstance(given, Estimate), given
    return given


def test_counts_of_known_models_are_what_their_dimensions_give() -> None:
    llama = dense("l", layers=32, hidden=4096, ffn=14336, vocabulary=128256, query=4096, key_value=1024)
    assert llama.body_params + 2 * llama.head_params == pytest.approx(8.03e9, rel=0.002)
    assert known_language_models()["Llama-3.1-8B"].body_params == pytest.approx(llama.body_params, rel=1e-3)


def test_every_published_row_has_its_counts_and_its_chip() -> None:
    rows = [one for one in published_rows() if one.tokens_s]
    assert len(decode_points(rows)) == len(rows) > 100


def test_more_bytes_and_a_longer_context_are_slower() -> None:
    assert found(precision="q8_0").value < found().value
    assert found(replace(MODEL, body_params=2 * MODEL.body_params)).value < 0.7 * found().value
    assert found(context_tokens=8000).value < found(context_tokens=0).value


def test_a_chip_with_rows_is_surer_than_one_with_a_data_sheet() -> None:
    sheet = found(board=chip(rows=(), bandwidth=figure(6.03, "GB/s")))
    known = found()
    assert sheet.ground == "specifications" and sheet.widened and known.ground == "calibrated"
    assert sheet.high / sheet.low > known.high / known.low


def test_own_measurements_pull_a_chip_to_themselves() -> None:
    board = chip(rows=("mine",), bandwidth=figure(6.0, "GB/s"))
    before = found(board=board)
    own = [row(chip="mine", model=name, device="cpu", runtime="llama.cpp", precision="Q4_0", tokens_s=speed / 3)
           for name, speed in (("TinyLlama-1.1B", 14.0), ("Llama-3.2-3B", 4.9), ("Gemma-2B", 6.0))]  # fmt: skip
    after = found(board=board, rows=[*published_rows(), *own])
    assert after.value < 0.7 * before.value and after.ground == "calibrated"
    assert after.high / after.low < before.high / before.low


def test_what_nothing_supports_is_no_claim() -> None:
    rows = published_rows()
    for board, asked in (
        (PI5, {"precision": "q3_x"}),
        (PI5, {"runtime": "unheard of"}),
        (PI5, {"runtime": "RKLLM (NPU)", "precision": "w8a8", "device": "npu"}),
        (chip(rows=(), bandwidth=None), {}),
        (chip(rows=(), clusters=()), {}),
    ):
        assert isinstance(predict_decode(MODEL, board, **{**ASKED, **asked}, rows=rows), NoClaim)
    assert isinstance(predict_decode(MODEL, PI5, **ASKED, rows=[]), NoClaim)


def test_bad_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="layers 0"):
        LanguageModel("x", 0, 1.0, 1.0)
    with pytest.raises(UsageError, match="head_params -1"):
        LanguageModel("x", 1, 1.0, -1.0)
    with pytest.raises(UsageError, match="context -1"):
        found(context_tokens=-1)


def test_left_out_models_are_met_as_well_as_the_target_asks() -> None:
    names = known_language_models()
    rows = [one for one in published_rows() if one.tokens_s and one.runtime.startswith("RKLLM")]
    off, held = [], []
    for one in rows[::3]:
        model = names[one.model]
        rest = [other for other in rows if names[other.model].name != model.name]
        given = found(model, chip(rows=(one.chip,)), rest, runtime=one.runtime, precision=one.precision, device="npu")
        off.append(abs(given.value / (one.tokens_s or 0) - 1))
        held.append(given.low <= (one.tokens_s or 0) <= given.high)
    assert np.median(off) < 0.12 and np.mean(held) > 0.75


def test_a_format_has_no_fewer_bits_in_the_head() -> None:
    assert all(0 < bits.body <= bits.head <= 16 for bits in WEIGHT_BITS.values())
    assert all(bus.gb_s > 0 for bus in known_buses().values())
