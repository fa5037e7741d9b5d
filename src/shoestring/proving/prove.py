"""Ask a rung of a bundle on a chip's instruction set, and write what it answered into the bundle's evidence."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.errors import BundleError, DataError, UsageError
from shoestring.bundle import Bundle, open_bundle, pack
from shoestring.bundle.bom import with_bom
from shoestring.bundle.proof_rules import CERTIFICATION, also_of, checked, recheck_proofs
from shoestring.chips.loading import chip_named
from shoestring.domain.manifest import Blob, Manifest
from shoestring.domain.proof import Proof
from shoestring.domain.score import AlsoChecked
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.dataset_source import FileSource
from shoestring.proving.answer_there import Answered, Question
from shoestring.proving.asking import ask
from shoestring.proving.place import Place, open_place
from shoestring.runtimes import native_abi

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.ladder import Rung

DEFAULT_IMAGES = 200
SIGN_AGAIN = "the bundle was signed; the proof changed it, so its signatures are gone: sign it again"
PROGRAM_ARCH = {"x86-64": "x86_64", "aarch64": "aarch64"}


@dataclass(frozen=True)
class Proven:
    """What came out.

    Args:
        proof: as it stands in the evidence.
        counts: of it.
        replayed: golden inputs that the rung answered there as in the workshop.
        manifest: of the bundle that was written.
        sha256: of that bundle.
        notes: for the user.
    """

    proof: Proof
    counts: AlsoChecked
    replayed: int
    manifest: Manifest
    sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Picked:
    """Images to ask about.

    Args:
        places: in the certification split, ascending.
        indices: of the same images in the data set.
        notes: on what was passed over.
    """

    places: tuple[int, ...]
    indices: tuple[int, ...]
    notes: tuple[str, ...]


def prove(
    bundle_path: Path | str,
    data: Path | str,
    board: str,
    *,
    n: int = DEFAULT_IMAGES,
    rung: str | None = None,
    chip_file: Path | None = None,
    out: Path | str | None = None,
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda words, done, total: None,
) -> Proven:
    """Re-score part of the certification split on a board's instruction set, and keep it in the bundle.

    Args:
        bundle_path: plain bundle.
        data: images as for `fit`; those of the certification split are found by their hashes.
        board: chip of the catalogue, or of `chip_file`.
        n: images, at least 1: the first ones of the split.
        rung: name; None takes the chosen one.
        chip_file: the user's own chip file.
        out: bundle to write; None writes in place, whole or not at all.
        cache: root of the cache that holds the userland; None takes the user's.
        progress: told what is done, and how many of how many.

    Raises:
        UsageError: no such rung or board, `n` out of range, or neither emulation nor the board is at hand.
        DataError: the data hold too few images of the split.
        GoldenError: the golden set answers otherwise there; nothing is written.
        EngineError: the rung cannot run there; nothing is written.
        ChildError: the emulated process died or hung, or the userland could not be made.
        BundleError: the bundle is not sound.
        StorageError: the disk refused.
    """
    path, target = Path(bundle_path), Path(out) if out is not None else Path(bundle_path)
    chip = chip_named(board, chip_file)
    with open_bundle(path) as bundle:
        evidence = bundle.evidence()
        recheck_proofs(bundle.manifest.ladder, evidence)
        if bundle.manifest.head is not None:
            raise UsageError(
                "proofs on another instruction set compare classes, and this bundle is of a detector",
                hint="the device replays the golden set, boxes included, before it trusts the bundle",
            )
        chosen = find_rung(bundle, rung)
        check_program(bundle, chosen, chip)
        progress("reading the images", 0, 0)
        dataset = open_dataset(Path(data), label_names=bundle.manifest.labels)
        picked = pick(dataset, evidence, n)
        progress(f"preparing {chip.name}", 0, 0)
        with open_place(chip, chosen, cache) as place, tempfile.TemporaryDirectory(prefix="shoestring-images-") as name:
            question = put(path, chosen, dataset, picked.indices, Path(name))
            asked = ask(
                place, question, lambda done: progress(f"asking {chosen.name} on {chip.name}", done, len(picked.places))
            )
        _check_isa(chip, asked.answered)
        proof = make_proof(chosen, place, picked, asked.answered)
        manifest, blobs = with_proof(bundle, evidence, proof, chosen)
        sha256 = pack(target, manifest, blobs)
        notes = (*picked.notes, *([SIGN_AGAIN] if bundle.signatures else []))
    kept = replace(evidence, proofs=(proof,))
    counts = checked(kept, proof, evidence.metric)
    return Proven(proof, counts, asked.answered.replayed, manifest, sha256, notes)


def find_rung(bundle: Bundle, name: str | None) -> Rung:
    """The rung to prove. Raises UsageError."""
    ladder = bundle.manifest.ladder
    try:
        return ladder.rung(ladder.chosen if name is None else name)
    except KeyError:
        names = ", ".join(one.name for one in ladder.rungs)
        raise UsageError(f"there is no rung {name!r}", hint=f"the ladder has: {names}") from None


def check_program(bundle: Bundle, rung: Rung, chip: Chip) -> None:
    """Raises UsageError when the rung is a program for another kind of processor than the chip's."""
    if rung.candidate.runtime != "native":
        return
    elf = native_abi.read_elf(bundle.read(rung.candidate.artefact_sha256))
    if elf is None:
        raise BundleError(f"rung {rung.name!r} should be a program, and is no ELF file", hint="make the bundle again")
    machine = native_abi.MACHINES.get(elf.machine, f"ELF machine {elf.machine}")
    is_arm = "asimd" in chip.isa
    if (machine == "aarch64") != is_arm:
        others = [one.name for one in bundle.manifest.ladder.rungs if one.candidate.runtime != "native"]
        hint = f"shoestring fit --chip {chip.name} makes one with programs for it"
        raise UsageError(
            f"rung {rung.name!r} is a program for {machine}, which {chip.name} cannot run: this bundle was made for "
            f"another chip",
            hint=f"{hint}; rungs here without programs: {', '.join(others)}" if others else hint,
        )


def pick(dataset: Dataset, evidence: Evidence, n: int) -> Picked:
    """The first `n` images of the certification split that the data hold.

    Raises:
        UsageError: `n` is below 1 or above the split's size.
        DataError: the data hold fewer of them.
    """
    split = evidence.split(CERTIFICATION).images
    if not 1 <= n <= len(split):
        raise UsageError(f"-n {n} is outside 1..{len(split)}", hint=f"the certification split has {len(split)} images")
    where = {image: index for index, image in enumerate(dataset.hashes)}
    found = [(place, where[image]) for place, image in enumerate(split) if image in where]
    others = {image for one in evidence.splits if one.name != CERTIFICATION for image in one.images}
    chosen = sum(image in others for image in where)
    strange = len(where) - len(found) - chosen
    words = (
        f"of {len(where):,} images {len(found):,} are in the certification split, {chosen:,} in other splits, "
        f"{strange:,} in none"
    )
    if len(found) < n:
        raise DataError(
            f"{n:,} images of the certification split were asked for, the data hold {len(found):,}: {words}",
            hint="give the images that the bundle was fitted with" + (f", or -n {len(found)}" if found else ""),
        )
    notes = (f"{words}; only the first were used",) if strange else ()
    places, indices = zip(*found[:n], strict=True)
    return Picked(places, indices, notes)


def put(path: Path, rung: Rung, dataset: Dataset, indices: Sequence[int], folder: Path) -> Question:
    """The question about these images. Images that are no files of their own are written to `folder` as PNG."""
    files, hashes = [], []
    for number, index in enumerate(indices):
        if isinstance(dataset.source, FileSource):
            files.append(str((dataset.source.root / dataset.name(index)).resolve()))
            hashes.append(dataset.hashes[index])
        else:
            file = folder / f"{number}.png"
            with disk.storage_errors(file):
                dataset.image(index).save(file)
            files.append(str(file))
            hashes.append(canonical.sha256_hex(file.read_bytes()))
    return Question(str(path.resolve()), rung.name, tuple(files), tuple(hashes))


def make_proof(rung: Rung, place: Place, picked: Picked, answered: Answered) -> Proof:
    """The noun from what was asked and answered."""
    return Proof(
        rung=rung.name,
        board=place.chip,
        core=place.core,
        isa=answered.isa,
        emulator=place.emulator,
        system=answered.system,
        runtime=rung.candidate.runtime,
        runtime_version=answered.runtime_version,
        artefact_sha256=rung.candidate.artefact_sha256,
        places=picked.places,
        top=answered.top,
    )


def with_proof(
    bundle: Bundle, evidence: Evidence, proof: Proof, rung: Rung
) -> tuple[Manifest, dict[str, bytes | Path]]:
    """Manifest and blobs of the bundle with one more proof; it replaces an older one of the same rung and board."""
    key = (proof.rung, proof.board)
    kept = [one for one in evidence.proofs or () if (one.rung, one.board) != key]
    evidence = replace(evidence, proofs=tuple(sorted([*kept, proof], key=lambda one: (one.rung, one.board))))
    body = canonical.encode(evidence)
    manifest = bundle.manifest
    blobs: dict[str, bytes | Path] = {
        blob.sha256: bundle.read(blob.sha256) for blob in manifest.blobs if blob.sha256 != manifest.evidence
    }
    sha256 = canonical.sha256_hex(body)
    listed = [Blob(blob.sha256, blob.size_bytes) for blob in manifest.blobs if blob.sha256 != manifest.evidence]
    blobs[sha256] = body
    ladder = manifest.ladder
    if rung.certificate is not None:
        also = also_of(evidence, rung.name, rung.certificate.metric)
        better = replace(rung, certificate=replace(rung.certificate, also=also))
        ladder = replace(ladder, rungs=tuple(better if one.name == rung.name else one for one in ladder.rungs))
    manifest = replace(
        manifest,
        ladder=ladder,
        evidence=sha256,
        blobs=tuple(sorted([*listed, Blob(sha256, len(body))], key=lambda blob: blob.sha256)),
    )
    recheck_proofs(manifest.ladder, evidence)
    return with_bom(manifest, evidence, blobs)


def _check_isa(chip: Chip, answered: Answered) -> None:
    """Raises UsageError when the place has other instruction sets than the catalogue says of the chip."""
    if set(answered.isa) != set(chip.isa):
        raise UsageError(
            f"the program saw {', '.join(answered.isa) or 'nothing'}, {chip.name} has {', '.join(chip.isa)}",
            hint="name the chip that this is with --board, or give a chip file of your own with --chip-file",
        )
