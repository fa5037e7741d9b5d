"""Models that write, planned on one chip or on all: their header is read, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.analysis.transformer import transformer_of
from shoestring.analysis.transformer_config import transformer_of_config
from shoestring.analysis.transformer_file import header_of
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.limits import MAX_METADATA_TEXT_BYTES
from shoestring.costmodel.heat import Load, Outlook, outlook
from shoestring.costmodel.language.plan import plan
from shoestring.costmodel.language.retyped import all_in, of_size
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.importers.safetensors.strict_json import parse
from shoestring.importers.weights import kind_of, read_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shoestring.costmodel.money import Assumptions
    from shoestring.domain.chip import Chip
    from shoestring.domain.language_plan import LanguagePlan, LanguageWish
    from shoestring.domain.measured import Row
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PLAIN = "BF16"
"""Type of the file that a folder of Hugging Face becomes when nothing is quantized."""


@dataclass(frozen=True)
class LanguageSource:
    """A model that writes, by its header.

    Args:
        name: of the file or folder.
        shape: dimensions.
        file: header as GGUF.
        lacking: what the kernel could not hold while it was read, or None.
    """

    name: str
    shape: Transformer
    file: WeightsFile
    lacking: str | None


def is_language(path: Path) -> bool:
    """Whether a path is a file of weights, or a folder of them with a config.json."""
    return (path / CONFIG).is_file() if path.is_dir() else kind_of(path) is not None


def language_source(path: Path, *, header_only: bool = False, require_quarantine: bool = False) -> LanguageSource:
    """Read the header of a GGUF file, or of a folder of Hugging Face.

    Args:
        path: file or folder; of a safetensors file, config.json stands beside it.
        header_only: the file may be no more than the first megabytes of one.
        require_quarantine: refuse where the kernel cannot close the child that reads.

    Raises:
        ModelError: an unsound file, or a model that is not planned.
    """
    weights = path
    if path.is_dir():
        found = [path / name for name in WEIGHTS if (path / name).is_file()]
        if not found:
            raise ModelError(f"{path} holds neither {' nor '.join(WEIGHTS)}", hint="fetch the folder of the model")
        weights = found[0]
    file, lacking = read_weights(weights, require_quarantine=require_quarantine, header_only=header_only)
    if file.format == "GGUF":
        return LanguageSource(path.name, transformer_of(file), file, lacking)
    shape = transformer_of_config(_config(weights.parent / CONFIG), file)
    header = header_of(shape, lambda _: PLAIN)
    return LanguageSource(path.name, replace(shape, parameters=header.parameters), header, lacking)


def as_wished(source: LanguageSource, kind: str | None, size_bytes: int | None) -> LanguageSource:
    """The source with other block types than its own, before anything is quantized.

    Args:
        source: as read.
        kind: block type of every matrix, or None.
        size_bytes: of a mix of types, or None.

    Raises:
        UsageError: both, an unknown type, or a size below that of the smallest type.
    """
    if kind is not None and size_bytes is not None:
        raise UsageError("--type and --size say two things of the same file", hint="give one of them")
    if kind is not None:
        return replace(source, file=all_in(source.file, kind))
    if size_bytes is not None:
        return replace(source, file=of_size(source.file, size_bytes))
    return source


def plan_on(
    source: LanguageSource,
    chips: Iterable[Chip],
    wish: LanguageWish,
    rows: Sequence[Row],
    assumed: Assumptions,
) -> tuple[LanguagePlan, ...]:
    """The plan on each chip, the fastest writer that fits first; then those that may fit; then the others.

    Raises:
        UsageError: of the wish, as `plan`.
    """
    found = [
        plan(source.shape, source.file, chip, name=source.name, rows=rows, wish=wish, assumed=assumed) for chip in chips
    ]
    order = {"yes": 0, "unsure": 1, "no": 2}

    def rank(one: LanguagePlan) -> tuple[bool, int, float]:
        rate = one.writing.value if isinstance(one.writing, Estimate) else 0.0
        return rate == 0, order[one.fits], -rate

    return tuple(sorted(found, key=rank))


def heat_of(
    found: LanguagePlan, chip: Chip, minutes: float, ambient: float, cooling: str | None, battery_wh: float | None
) -> Outlook | NoClaim:
    """A board that writes all the time, hot.

    Raises:
        UsageError: minutes, battery, ambient or cooling out of range or unknown.
    """
    if isinstance(found.writing, NoClaim):
        return NoClaim("without a rate there is no load to simulate")
    return outlook(chip, Load(found.writing, None, minutes, ambient, cooling, battery_wh))


def _config(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_METADATA_TEXT_BYTES + 1)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="it stands beside the weights") from error
    if len(data) > MAX_METADATA_TEXT_BYTES:
        raise ModelError(f"{path} has more than {MAX_METADATA_TEXT_BYTES:,} bytes", hint="is it a config.json?")
    return parse(data, "config.json")


__all__ = ["LanguageSource", "as_wished", "heat_of", "is_language", "language_source", "plan_on"]
