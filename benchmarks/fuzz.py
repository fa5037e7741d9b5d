"""Coverage-guided fuzzing of what reads bytes of others first: manifests, bundles, deltas, envelopes, headers.

    pip install 'atheris>=3'
    python benchmarks/fuzz.py gguf --seconds 3600

A crash is anything but an error of ours; the input that made it is kept in --work, and the exit status is not 0. What
was found stays in --work; `--keep` writes the smallest inputs that reach everything, up to --keep-bytes, to
tests/attacks/corpus, where `tests/attacks/test_fuzz_corpus.py` runs them for good.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

MAX_INPUT_BYTES = 1 << 16


def fuzz(target: str, arguments: list[str]) -> None:
    """Inside the process that libFuzzer takes over; it ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["shoestring"]):
        import fuzz_targets
    atheris.Setup(["fuzz", *arguments], fuzz_targets.TARGETS[target])
    atheris.Fuzz()


def run(target: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, __file__, target, "--inside", *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def keep(target: str, work: Path, most_bytes: int) -> tuple[int, int]:
    """The inputs that reach every line that any of them reaches, smallest first. Returns how many and their bytes."""
    import fuzz_targets

    place, reached = fuzz_targets.CORPUS / target, set[tuple[str, int]]()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    total = kept = 0
    for path in sorted(work.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        data = path.read_bytes()
        lines = lines_of(fuzz_targets.TARGETS[target], data)
        if lines <= reached or total + len(data) > most_bytes:
            continue
        reached |= lines
        total, kept = total + len(data), kept + 1
        (place / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return kept, total


def lines_of(target: Callable[[bytes], bool], data: bytes) -> set[tuple[str, int]]:
    """The lines of the project that run on this input."""
    found: set[tuple[str, int]] = set()

    def seen(frame: Any, event: str, _: object) -> Any:
        if "shoestring" not in frame.f_code.co_filename:
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return seen

    sys.settrace(seen)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=3600, help="0 only keeps what stands in --work")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--keep-bytes", type=int, default=4096)
    if "--inside" in sys.argv:
        at = sys.argv.index("--inside")
        fuzz(sys.argv[1], sys.argv[at + 1 :])
        return 0
    options = parser.parse_args()
    if options.seconds == 0:
        print(keep(options.target, options.work, options.keep_bytes), file=sys.stderr)
        return 0
    from fuzz_targets import CORPUS, seeds

    work = options.work or Path(tempfile.mkdtemp(prefix=f"fuzz-{options.target}-"))
    work.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(options.target)):
        (work / f"seed-{number}").write_bytes(data)
    corpus = CORPUS / options.target
    given = [str(work), *([str(corpus)] if corpus.is_dir() else [])]
    limits = [f"-max_total_time={options.seconds}", f"-max_len={MAX_INPUT_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]
    done = run(options.target, [*given, *limits, f"-artifact_prefix={work}/crash-", "-print_final_stats=1", "-seed=8"])
    told = (line.removeprefix("stat::") for line in done.stderr.splitlines() if line.startswith("stat::"))
    executed = dict(line.split(":") for line in told).get("number_of_executed_units", "0").strip()
    kept = len(list(work.iterdir()))
    print(f"| {options.target} | {options.seconds} | {int(executed):,} | {kept} | {done.returncode} |", flush=True)
    if done.returncode != 0:
        print(done.stderr[-4000:], file=sys.stderr)
    if options.keep:
        few, total = keep(options.target, work, options.keep_bytes)
        print(f"kept {few} inputs of {total} bytes", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
