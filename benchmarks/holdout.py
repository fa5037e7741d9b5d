"""Does a bundle's certificate hold on images that no part of the fit has seen?

    python examples/fetch_cifar10.py --out ~/.cache/shoestring/cifar10
    python examples/sample_cifar10.py --rest --cifar ~/.cache/shoestring/cifar10 --out /tmp/rest
    python benchmarks/holdout.py out/demo.shoe /tmp/rest

Prints for every rung, and for the cascade as a device runs it, the accuracy, the drop against the reference rung on the
same images, and the certified margin. Exits with 1 if a drop is above its margin.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from shoestring.base import disk
from shoestring.bundle import open_bundle
from shoestring.device import Player
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.metrics import paired, top_classes
from shoestring.evaluate.statistics import drop_interval
from shoestring.inputs.image import tensor
from shoestring.runtimes import registry


def answers(bundle, rung, dataset: Dataset, folder: Path) -> list[tuple[int, ...]]:
    """Best classes of a rung on all images."""
    path = folder / "model.onnx"
    disk.write_bytes(path, bundle.read(rung.candidate.artefact_sha256))
    spec, found = bundle.manifest.preprocess, []
    size = bundle.manifest.input.shape[0] or 32
    with registry.get(rung.candidate.runtime).load(path, 2) as session:
        for pixels in dataset.batches(range(len(dataset)), spec, size):
            feeds = {bundle.manifest.input.name: tensor(pixels, spec)}
            found += top_classes(session.run(feeds)[bundle.manifest.output.name], 1)
    return found


def climb(bundle, dataset: Dataset) -> list[tuple[int, ...]]:
    """Best class of the cascade on all images, as the device runs it; says which stage answered how many."""
    spec = bundle.manifest.preprocess
    with Player(bundle, cascade=True) as player:
        found = list(player.classify(dataset.pixels(place, spec) for place in range(len(dataset))))
    shares = [(rung.name, sum(answer.rung == rung.name for answer in found)) for rung in player.rungs]
    print("cascade: " + ", ".join(f"{name} answers {100 * n / len(found):.1f} %" for name, n in shares))
    return [(answer.index,) for answer in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path, help="folder of class folders, .npz or CSV")
    args = parser.parse_args()
    broken = 0
    with open_bundle(args.bundle) as bundle, tempfile.TemporaryDirectory() as scratch:
        dataset = open_dataset(args.images, label_names=bundle.manifest.labels)
        seen = {image for split in bundle.evidence().splits for image in split.images}
        if seen & set(dataset.hashes):
            sys.exit(f"{len(seen & set(dataset.hashes))} of these images were part of the fit")
        rungs = bundle.manifest.ladder.rungs
        reference = answers(bundle, next(rung for rung in rungs if rung.certificate is None), dataset, Path(scratch))
        metric = bundle.evidence().metric
        print(f"{len(dataset):,} images that the fit has not seen; {metric}")
        variants = [(rung.name, rung.certificate, answers(bundle, rung, dataset, Path(scratch))) for rung in rungs]
        cascade = bundle.manifest.ladder.cascade
        if cascade is not None:
            variants.append(("cascade", cascade.certificate, climb(bundle, dataset)))
        for name, certificate, top in variants:
            counts = paired(reference, top, dataset.labels)
            low, high = drop_interval(counts, metric)
            margin = None if certificate is None else certificate.max_drop
            holds = margin is None or counts.drop <= margin
            broken += not holds
            words = (
                "reference" if margin is None else f"certified {100 * margin:.2f} pt: {'holds' if holds else 'BROKEN'}"
            )
            print(
                f"{name:<16} {100 * counts.variant_hits / counts.n:6.2f} %  drop {100 * counts.drop:5.2f} pt "
                f"({100 * low:.2f}..{100 * high:.2f})  losses {counts.losses} wins {counts.wins}  {words}"
            )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
