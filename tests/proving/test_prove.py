"""Rungs asked again, on this machine in place of a board: what is kept, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from shoestring.base import canonical
from shoestring.base.errors import ChildCrashedError, DataError, GoldenError, UsageError
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.chips.loading import chip_named
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Blob
from shoestring.evaluate.dataset import open_dataset
from shoestring.fitting.recheck import recheck
from shoestring.proving import asking, place
from shoestring.proving.prove import pick, prove

N = 30


def read(path: Path) -> Evidence:
    with open_bundle(path) as bundle:
        recheck_counts(bundle)
        return bundle.evidence()


def rewrite(bundle_path: Path, out: Path, change) -> None:  # type: ignore[no-untyped-def]
    """A sound bundle whose evidence (or golden outputs) were changed, with every hash mended."""
    with open_bundle(bundle_path) as bundle:
        blobs = {blob.sha256: bundle.read(blob.sha256) for blob in bundle.manifest.blobs}
        manifest, blobs = change(bundle.manifest, blobs)
    listed = tuple(Blob(name, len(blobs[name])) for name in sorted(blobs))
    pack(out, replace(manifest, blobs=listed), blobs)


def test_the_same_machine_gives_the_workshops_answers(
    bundle: Path, task: tiny.Task, here: Path, tmp_path: Path
) -> None:
    before = read(bundle)
    told: list[tuple[str, int, int]] = []
    proven = prove(
        bundle,
        task.data,
        "here",
        n=N,
        chip_file=here,
        out=tmp_path / "b.shoe",
        progress=lambda *words: told.append(words),
    )
    rung = proven.proof.rung
    assert (proven.counts.n, proven.counts.same) == (N, N)
    assert proven.proof.emulator == ""
    assert proven.proof.places == tuple(range(N))
    assert proven.proof.top == before.trace(rung, "certification").top[:N]
    assert proven.replayed > 0
    assert told[-1][1:] == (N, N)
    after = read(tmp_path / "b.shoe")
    assert after == replace(before, proofs=(proven.proof,))
    with open_bundle(tmp_path / "b.shoe") as opened:
        certificate = opened.manifest.ladder.rung(rung).certificate
        assert certificate is not None
        assert certificate.also == (proven.counts,)
        assert recheck(opened.manifest, after) > 0
        assert opened.sha256 == proven.sha256


def test_in_place_and_again_leaves_one_proof(bundle: Path, task: tiny.Task, here: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(bundle, tmp_path))
    prove(copy, task.data, "here", n=5, chip_file=here)
    again = prove(copy, task.data, "here", n=7, chip_file=here)
    assert read(copy).proofs == (again.proof,)
    assert again.counts.n == 7
    other = prove(copy, task.data, "here", n=3, rung="fp32", chip_file=here)
    assert {proof.rung for proof in read(copy).proofs or ()} == {again.proof.rung, other.proof.rung}


def test_images_from_an_array_are_asked_about_as_well(bundle: Path, tmp_path: Path) -> None:
    images, labels = tiny.make_images(12, 0)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    dataset = open_dataset(tmp_path / "a.npz")
    with open_bundle(bundle) as opened:
        evidence = opened.evidence()
        split = replace(evidence.split("certification"), images=dataset.hashes, labels=tuple(dataset.labels or ()))
        picked = pick(dataset, replace(evidence, splits=(split,)), 12)
        from shoestring.proving.prove import put

        question = put(bundle, opened.manifest.ladder.rungs[0], dataset, picked.indices, tmp_path)
    for index, name, sha256 in zip(picked.indices, question.files, question.sha256, strict=True):
        assert canonical.sha256_hex(Path(name).read_bytes()) == sha256
        from PIL import Image

        with Image.open(name) as image:
            assert np.array_equal(np.asarray(image), np.asarray(dataset.image(index)))


def test_a_workshop_that_claimed_other_answers_is_found(
    bundle: Path, task: tiny.Task, here: Path, tmp_path: Path
) -> None:
    """The saboteur: eight answers of the workshop's trace are turned; the board must not agree with them."""
    turned = 8

    def change(manifest, blobs):  # type: ignore[no-untyped-def]
        evidence = canonical.decode(blobs.pop(manifest.evidence), Evidence, ValueError)
        traces = []
        for trace in evidence.traces:
            if (trace.candidate, trace.split) == ("fp32", "certification"):
                top = tuple(t[::-1] if place < turned else t for place, t in enumerate(trace.top))
                trace = replace(trace, top=top)
            traces.append(trace)
        body = canonical.encode(replace(evidence, traces=tuple(traces)))
        return replace(manifest, evidence=canonical.sha256_hex(body)), blobs | {canonical.sha256_hex(body): body}

    rewrite(bundle, tmp_path / "lie.shoe", change)
    proven = prove(tmp_path / "lie.shoe", task.data, "here", n=N, rung="fp32", chip_file=here, out=tmp_path / "b.shoe")
    assert (proven.counts.n, proven.counts.same) == (N, N - turned)
    assert proven.counts.paired.losses == proven.counts.paired.wins == 0  # against the original, nothing is lost


def test_a_golden_set_that_answers_otherwise_stops_it_and_writes_nothing(
    bundle: Path, task: tiny.Task, here: Path, tmp_path: Path
) -> None:
    def change(manifest, blobs):  # type: ignore[no-untyped-def]
        name = manifest.golden.outputs["fp32"]
        data = blobs.pop(name)
        flat = np.frombuffer(data[-4 * 3 :], np.float32) + np.float32(9)
        data = data[: -4 * 3] + flat.tobytes()
        outputs = manifest.golden.outputs | {"fp32": canonical.sha256_hex(data)}
        golden = replace(manifest.golden, outputs=outputs)
        return replace(manifest, golden=golden), blobs | {canonical.sha256_hex(data): data}

    rewrite(bundle, tmp_path / "odd.shoe", change)
    with pytest.raises(GoldenError, match="answers otherwise here on 1 of"):
        prove(tmp_path / "odd.shoe", task.data, "here", n=3, rung="fp32", chip_file=here, out=tmp_path / "b.shoe")
    assert not (tmp_path / "b.shoe").exists()


def test_images_outside_the_split_are_counted_and_refused(
    bundle: Path, task: tiny.Task, here: Path, tmp_path: Path
) -> None:
    strange = tiny.write_images(tmp_path / "strange", tiny.make_images(9, 77)[0], None)
    with pytest.raises(DataError, match=r"data hold 0: of 9 images 0 are in the certification split, 0 .*, 9 in none"):
        prove(bundle, strange, "here", n=5, chip_file=here, out=tmp_path / "b.shoe")
    evidence, dataset = read(bundle), open_dataset(task.data)
    few = tmp_path / "few"
    few.mkdir()
    for name in ("certification", "selection"):
        for image in evidence.split(name).images[:4]:
            index = dataset.hashes.index(image)
            shutil.copy(task.data / dataset.name(index), few / f"{image}.png")
    with pytest.raises(DataError, match="of 8 images 4 are in the certification split, 4 in other splits, 0 in none"):
        prove(bundle, few, "here", n=5, chip_file=here, out=tmp_path / "b.shoe")
    proven = prove(bundle, few, "here", n=4, chip_file=here, out=tmp_path / "b.shoe")
    assert proven.proof.places == (0, 1, 2, 3)


def test_what_makes_no_sense_is_said(bundle: Path, task: tiny.Task, here: Path, tmp_path: Path) -> None:
    for words, options in (
        ("-n 0 is outside 1..", {"n": 0}),
        ("-n 99999 is outside 1..", {"n": 99999}),
        ("no rung 'none'", {"rung": "none"}),
    ):
        with pytest.raises(UsageError, match=words):
            prove(bundle, task.data, "here", chip_file=here, out=tmp_path / "b.shoe", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"radxa-zero-3w-4gb cannot be emulated: its cores are Cortex-A55"):
        prove(bundle, task.data, "radxa-zero-3w-4gb", n=5, out=tmp_path / "b.shoe")
    if not place.is_here(chip_named("n100-mini-pc-8gb", None), place.this_machine()):
        with pytest.raises(UsageError, match="only 64-bit Arm boards are emulated"):
            prove(bundle, task.data, "n100-mini-pc-8gb", n=5, out=tmp_path / "b.shoe")


def test_a_missing_emulator_names_its_package(
    bundle: Path, task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        prove(bundle, task.data, "raspberry-pi-4b-4gb", n=5, out=tmp_path / "b.shoe", cache=tmp_path / "cache")
    assert caught.value.hint == "apt-get install qemu-user-static"


def test_a_process_that_dies_is_told_by_its_signal(here: Path) -> None:
    there = place.Place("here", "Test-Core", "", (place.sys.executable,), place.environment())
    code, words = asking.run_in(there, ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGILL)"), 60)
    assert code == 132
    with pytest.raises(ChildCrashedError, match="by an instruction that Test-Core lacks"):
        raise asking.crash(there, code, words)
    code, words = asking.run_in(there, ("-c", "raise SystemExit('last words')"), 60)
    assert (code, words) == (1, "last words")
