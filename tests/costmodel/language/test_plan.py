"""Rates and plans: what rows support, what they do not, and that all figures move as they must."""

from __future__ import annotations

import dataclasses

import pytest

import transformer_files as files
from shoestring.base.errors import UsageError
from shoestring.chips.loading import catalogue
from shoestring.chips.published import published_rows
from shoestring.costmodel.language.plan import cost_of, plan
from shoestring.costmodel.language.prefill import (
    arithmetic_of,
    block_macs,
    float_gops,
    large_cores,
    predict_prompt,
    published_prompts,
)
from shoestring.costmodel.language.retyped import all_in, of_size, retyped
from shoestring.costmodel.language.stored import stored
from shoestring.costmodel.language.writing import measured_point, predict_writing
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.language_plan import LanguagePlan, LanguageWish
from shoestring.domain.transformer import Transformer

CHIPS = catalogue()
PI5, PI4, CORAL = CHIPS["raspberry-pi-5-8gb"], CHIPS["raspberry-pi-4b-4gb"], CHIPS["coral-usb-accelerator"]
ROWS = published_rows()
TINYLLAMA = Transformer("llama", 22, 2048, 32, 4, 64, 64, 5632, 32_000, 2_048, tied=False, parameters=1_100_000_000)
Q4_0 = files.gguf_file(TINYLLAMA, lambda name: "Q6_K" if name == "output.weight" else "Q4_0")
Q8_0 = files.gguf_file(TINYLLAMA, lambda _: "Q8_0")


def planned(**wish: object) -> LanguagePlan:
    return plan(TINYLLAMA, Q8_0, PI5, name="tiny", rows=ROWS, wish=LanguageWish(**wish))  # type: ignore[arg-type]


def value(found: Estimate | NoClaim) -> float:
    assert isinstance(found, Estimate), found
    assert found.low < found.value < found.high
    return found.value


def test_a_network_is_known_by_its_counts_and_its_weights_by_most_of_their_bytes() -> None:
    kept = stored(TINYLLAMA, Q8_0)
    assert (kept.name, kept.precision) == ("TinyLlama-1.1B-Chat-v1.0", "q8_0")
    assert kept.head_bytes == 32_000 * 2048 * 34 // 32
    assert stored(TINYLLAMA, Q4_0).precision == "q4_0"
    mixed = files.gguf_file(TINYLLAMA, lambda name: "Q8_0" if "ffn_down" in name or "ffn_up" in name else "Q4_0")
    assert stored(TINYLLAMA, mixed).precision == "q8_0"
    half = files.gguf_file(
        TINYLLAMA, lambda name: "Q4_K" if int(name.split(".")[1].replace("weight", "0")) < 11 else "Q5_K"
    )
    assert stored(TINYLLAMA, half).precision == "mixed"
    assert stored(files.TINY, files.gguf_file()).name.startswith("llama of")


def test_writing_is_near_what_was_measured_on_that_board() -> None:
    """9 tokens/s of TinyLlama in q8_0 on a Pi 5 and 3 on a Pi 4, by llama.cpp of March 2024 (rows.csv)."""
    for chip, measured in ((PI5, 9.0), (PI4, 3.0)):
        found = predict_writing(TINYLLAMA, Q8_0, chip, cache="F16", tokens=160, rows=ROWS)
        assert value(found) == pytest.approx(measured, rel=0.25)
        assert isinstance(found, Estimate) and found.ground == "measured" and not found.widened


def test_smaller_weights_shorter_contexts_and_more_threads_write_faster() -> None:
    def rate(file: object = Q8_0, cache: str = "F16", tokens: int = 1024, threads: int | None = None) -> float:
        return value(
            predict_writing(TINYLLAMA, file, PI5, cache=cache, tokens=tokens, rows=ROWS, threads=threads)  # type: ignore[arg-type]
        )

    assert rate(Q4_0) > 1.3 * rate()
    assert rate(tokens=128) > rate() and rate(cache="Q8_0") > rate()
    assert rate(threads=1) < rate(threads=2) < rate(threads=4) == rate()


def test_a_network_smaller_than_any_row_has_a_lower_end_to_match() -> None:
    small = predict_writing(files.SMOLLM2, files.gguf_file(files.SMOLLM2), PI5, cache="F16", tokens=128, rows=ROWS)
    assert isinstance(small, Estimate) and small.value / small.low > 1.5 * small.high / small.value
    assert any("the smallest model measured" in why for why in small.widened)


def test_what_was_measured_here_carries_over_there() -> None:
    """A network that runs at half of what its bytes allow here is expected to be slow there too, and surer."""
    file = files.gguf_file(files.SMOLLM2)
    given = {"cache": "F16", "tokens": 128}
    n100 = CHIPS["n100-mini-pc-8gb"]
    plain = predict_writing(files.SMOLLM2, file, PI5, rows=ROWS, **given)  # type: ignore[arg-type]
    here = predict_writing(files.SMOLLM2, file, n100, rows=ROWS, **given)  # type: ignore[arg-type]
    point = measured_point(files.SMOLLM2, file, n100, tokens_s=value(here) / 2, **given)  # type: ignore[arg-type]
    assert not isinstance(point, NoClaim)
    moved = predict_writing(files.SMOLLM2, file, PI5, rows=ROWS, own=[point], **given)  # type: ignore[arg-type]
    assert value(moved) < 0.95 * value(plain)
    assert isinstance(moved, Estimate) and any("elsewhere" in word for word in moved.rests_on)
    assert isinstance(measured_point(files.SMOLLM2, file, CORAL, tokens_s=1.0, **given), NoClaim)  # type: ignore[arg-type]


def test_prompts() -> None:
    found = predict_prompt(TINYLLAMA, PI5, name="TinyLlama-1.1B-Chat-v1.0", precision="q8_0", tokens=128)
    assert value(found) == pytest.approx(35, rel=0.35)
    assert isinstance(found, Estimate) and found.ground == "measured"
    halves = predict_prompt(TINYLLAMA, PI5, name="x", precision="f16", tokens=128)
    assert value(halves) < 0.6 * value(found)
    long = predict_prompt(TINYLLAMA, PI5, name="x", precision="q8_0", tokens=2048)
    assert value(long) < value(predict_prompt(TINYLLAMA, PI5, name="x", precision="q8_0", tokens=128))
    one = predict_prompt(TINYLLAMA, PI5, name="x", precision="q8_0", tokens=128, threads=1)
    assert isinstance(one, Estimate) and one.widened and one.value < 0.5 * value(found)
    for chip in (CORAL, CHIPS["esp32-s3"]):
        assert isinstance(predict_prompt(TINYLLAMA, chip, name="x", precision="q8_0", tokens=1), NoClaim)
    few = published_prompts()[:5]
    assert isinstance(predict_prompt(TINYLLAMA, PI5, name="x", precision="q8_0", tokens=1, rows=few), NoClaim)
    with pytest.raises(UsageError, match="0 tokens"):
        predict_prompt(TINYLLAMA, PI5, name="x", precision="q8_0", tokens=0)


def test_peaks_are_of_the_large_cores() -> None:
    assert float_gops(PI5) == pytest.approx(4 * 2.4 * 16)
    orange = CHIPS["orange-pi-5-8gb"]
    assert large_cores(orange) == 4 and float_gops(orange) == pytest.approx(4 * 2.35 * 16)
    assert float_gops(CHIPS["jetson-orin-nano-8gb"]) == pytest.approx(6 * 1.5 * 16)
    assert [arithmetic_of(chip.isa) for chip in (PI5, PI4, CORAL)] == ["dotprod", "neon", None]
    assert block_macs(TINYLLAMA, 2) == pytest.approx(968.9e6, rel=0.001)


def test_a_plan_holds_together() -> None:
    found = planned()
    assert found.fits == "yes" and found.longest == 2048
    assert [one.context for one in found.memory] == [512, 1024, 2048]
    sizes = [one.memory.value for one in found.memory]
    assert sizes == sorted(sizes)
    assert value(found.first_token) == pytest.approx(256 / value(found.reading))
    assert value(found.watts) == pytest.approx(9.7)
    assert value(found.energy) == pytest.approx(1e3 * 9.7 / value(found.writing))
    assert value(found.price) > 0
    assert planned(context=4096).warnings and planned(context=700).memory[1].context == 700


def test_boards_that_are_too_small_and_chips_without_a_processor_say_so() -> None:
    small = plan(TINYLLAMA, Q8_0, CHIPS["raspberry-pi-zero-2w"], name="tiny", rows=ROWS)
    assert small.fits == "no" and small.longest is None
    none = plan(TINYLLAMA, Q8_0, CORAL, name="tiny", rows=ROWS)
    assert none.fits == "unsure"
    for figure in (none.writing, none.reading, none.first_token, none.watts, none.energy, none.price):
        assert isinstance(figure, NoClaim)
    assert isinstance(cost_of(none), NoClaim)
    with pytest.raises(UsageError, match="9 threads"):
        planned(threads=9)


def test_a_plan_becomes_the_cost_of_a_candidate() -> None:
    original = planned(threads=4)
    small = plan(TINYLLAMA, Q4_0, PI5, name="tiny", rows=ROWS, wish=LanguageWish(threads=4))
    cost = cost_of(small, original)
    assert not isinstance(cost, NoClaim) and cost.tokens is not None and cost.predicted is not None
    timing, rate = cost.timings[0], cost.tokens.rates[0]
    assert timing.threads == rate.threads == 4 and timing.runs == rate.runs == 0
    assert timing.low_ms < timing.median_ms < timing.high_ms
    assert timing.median_ms == pytest.approx(1e3 / rate.decode_per_s)
    assert timing.ratio_low < timing.ratio_to_original < timing.ratio_high < 1
    assert cost.tokens.memory[-1] == (2048, cost.peak_rss_bytes)
    assert cost.predicted.memory_low_bytes < cost.peak_rss_bytes < cost.predicted.memory_high_bytes
    own = cost_of(original)
    assert not isinstance(own, NoClaim) and own.timings[0].ratio_to_original == 1.0


def test_other_types_are_planned_before_they_are_made() -> None:
    file = files.gguf_file(files.SMOLLM2)
    # The bytes of SmolLM2-135M in stock Q4_0 are 91.7 MB with its header of 1.8 MB.
    stock = all_in(file, "q4_0")
    assert stock.bytes_by_type["Q4_0"] == 59_719_680 and stock.bytes_by_type["Q8_0"] == 30_081_024
    assert all_in(file, "Q4_K").bytes_by_type["Q5_0"] > 0  # rows of 576 hold no K type
    assert all_in(file, "F16").file_bytes > 2.6e8
    ends = [tensor.offset + tensor.size_bytes for tensor in stock.tensors]
    assert all(tensor.offset >= end for tensor, end in zip(stock.tensors[1:], ends[:-1], strict=True))
    for size in (78_000_000, 90_000_000, 140_000_000, 10**9):
        made = of_size(file, size)
        assert made.file_bytes <= size and (made.file_bytes > 0.95 * size or size == 10**9)
    assert retyped(file, {}).bytes_by_type == file.bytes_by_type
    with pytest.raises(UsageError, match="smaller than this model"):
        of_size(file, 20_000_000)
    with pytest.raises(UsageError, match="no block type"):
        all_in(file, "Q9_Z")


def test_a_plan_without_the_table_of_repacking_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The saboteur: repacking forgotten, and a model in Q4_0 is promised a board that cannot hold it."""
    from shoestring.costmodel.language import resident

    board = dataclasses.replace(PI5, usable=dataclasses.replace(PI5.usable, value=1.1e9))  # type: ignore[type-var]
    whole = plan(TINYLLAMA, Q4_0, board, name="tiny", rows=ROWS)
    monkeypatch.setattr(resident, "is_repacked", lambda tensor, isa: False)
    forgotten = plan(TINYLLAMA, Q4_0, board, name="tiny", rows=ROWS)
    assert (whole.fits, forgotten.fits) == ("no", "yes")
