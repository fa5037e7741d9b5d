"""Models that write, read from whatever holds their header."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import pytest

import transformer_files as files
from shoestring.base.errors import ModelError, UsageError
from shoestring.chips.loading import catalogue
from shoestring.chips.published import published_rows
from shoestring.costmodel.heat import Outlook
from shoestring.costmodel.money import Assumptions
from shoestring.domain.estimate import NoClaim
from shoestring.domain.language_plan import LanguageWish
from shoestring.domain.weights import WeightsFile
from shoestring.importers.gguf import header as gguf
from shoestring.importers.safetensors import header as safetensors
from shoestring.planning.language import as_wished, heat_of, is_language, language_source, plan_on

CHIPS = catalogue()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(files.gguf_bytes())
    return path


def folder(tmp_path: Path, **changes: object) -> Path:
    """config.json beside model.safetensors, whose weights are zeros."""
    made = files.config_file()
    header = {
        tensor.name: {
            "dtype": "BF16",
            "shape": list(tensor.shape),
            "data_offsets": [tensor.offset - 512, tensor.offset - 512 + tensor.size_bytes],
        }
        for tensor in made.tensors
    }
    data = json.dumps(header).encode()
    body = bytes(made.file_bytes - 512)
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(data)) + data + body)
    (tmp_path / "config.json").write_text(json.dumps(files.config(**changes)))
    return tmp_path


def test_a_file_and_a_folder_of_the_same_network_are_planned_alike(whole: Path, tmp_path: Path) -> None:
    there = tmp_path / "hf"
    there.mkdir()
    one, other = language_source(whole), language_source(folder(there))
    assert is_language(whole) and is_language(there) and not is_language(Path(__file__))
    assert one.shape.parameters == other.shape.parameters
    assert other.file.bytes_by_type["BF16"] == 2 * sum(t.elements for t in one.file.tensors if len(t.shape) == 2)
    same = as_wished(other, "Q8_0", None)
    assert same.file.bytes_by_type["Q8_0"] == one.file.bytes_by_type["Q8_0"]
    names = [{tensor.name for tensor in found.file.tensors if len(tensor.shape) == 2} for found in (same, one)]
    assert names[0] == names[1]


def test_the_first_bytes_of_a_file_are_enough(whole: Path) -> None:
    data, full = whole.read_bytes(), language_source(whole)
    whole.write_bytes(data[: len(data) // 2])
    found = language_source(whole, header_only=True)
    assert found.shape == full.shape and found.file.tensors == full.file.tensors
    assert found.file.file_bytes <= len(data) <= found.file.file_bytes + 32
    with pytest.raises(ModelError, match="ends at byte") as caught:
        language_source(whole)
    assert "--header-only" in (caught.value.hint or "")


def part(data: bytes) -> WeightsFile:
    return gguf.read_stream(io.BytesIO(data), len(data), partial=True)


def test_a_part_ends_anywhere_after_the_header() -> None:
    data = files.gguf_bytes()
    full = gguf.read_stream(io.BytesIO(data), len(data))
    for length in (full.header_bytes, full.header_bytes + 1, len(data)):
        assert part(data[:length]).tensors == full.tensors
    for share in (0.0, 0.1, 0.3, 0.6, 0.9, 0.999):
        with pytest.raises(ModelError) as caught:
            part(data[: int(share * full.header_bytes)])
        assert "fetch more" in (caught.value.hint or ""), share


def test_a_part_that_lies_asks_for_no_more() -> None:
    """A count beyond what any header holds is damage, not a reason to fetch for ever."""
    data = bytearray(files.gguf_bytes())
    data[8:16] = struct.pack("<Q", 2**62)
    with pytest.raises(ModelError) as caught:
        part(bytes(data))
    assert "fetch more" not in (caught.value.hint or "")


def test_the_first_bytes_of_safetensors_are_enough(tmp_path: Path) -> None:
    data = (folder(tmp_path) / "model.safetensors").read_bytes()
    full = safetensors.read_stream(io.BytesIO(data), len(data))
    cut = data[:-1000]
    found = safetensors.read_stream(io.BytesIO(cut), len(cut), partial=True)
    assert (found.tensors, found.file_bytes) == (full.tensors, full.file_bytes)
    with pytest.raises(ModelError, match="end at byte"):
        safetensors.read_stream(io.BytesIO(cut), len(cut))


def test_folders_that_cannot_be_planned_say_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds neither"):
        language_source(tmp_path)
    there = folder(tmp_path, model_type="mamba")
    with pytest.raises(ModelError, match="'mamba'"):
        language_source(there)
    (there / "config.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(ModelError, match="more than"):
        language_source(there)
    (there / "config.json").unlink()
    with pytest.raises(ModelError, match="cannot read"):
        language_source(there / "model.safetensors")


def test_a_type_and_a_size_are_two_wishes(whole: Path) -> None:
    source = language_source(whole)
    assert as_wished(source, None, None) is source
    with pytest.raises(UsageError, match="two things"):
        as_wished(source, "Q4_0", 10**6)
    assert as_wished(source, None, 60_000).file.file_bytes <= 60_000


def test_boards_are_ranked_and_the_chosen_one_gets_warm(whole: Path) -> None:
    source = language_source(whole)
    boards = [chip for chip in CHIPS.values() if chip.kind == "board"]
    plans = plan_on(source, boards, LanguageWish(context=256), published_rows(), Assumptions())
    assert len(plans) == len(boards)
    rates = [one.writing.value for one in plans if not isinstance(one.writing, NoClaim)]
    assert len(rates) > 10 and rates == sorted(rates, reverse=True)
    pi5 = next(one for one in plans if one.chip == "raspberry-pi-5-8gb")
    heat = heat_of(pi5, CHIPS["raspberry-pi-5-8gb"], 10, 25, None, None)
    assert isinstance(heat, Outlook) and heat.sustained.rate.value > 0
    coral = plan_on(source, [CHIPS["hailo-8"]], LanguageWish(context=256), published_rows(), Assumptions())[0]
    assert isinstance(heat_of(coral, CHIPS["hailo-8"], 10, 25, None, None), NoClaim)
