"""What codecs make of the files of a bundle, and what ways of sending a new version cost, side by side in one run.

    python benchmarks/bundle_size.py forms camera.shoe [model.onnx ...]
    python benchmarks/bundle_size.py delta camera-1.shoe camera-2.shoe

`forms` prints size, speeds (of content, in processor time, on this machine), and how much memory expanding in pieces
takes beyond that of reading the file, library included, in a process of its own; then what opening the bundle takes.
`delta` prints bytes to send, and what applying takes. zstandard is compared where it is installed (the dependency group
`benchmark`).
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from shoestring.base.units import format_bytes
from shoestring.bundle import is_bundle, open_bundle
from shoestring.bundle.delta import make_delta
from shoestring.bundle.sizes import roles
from shoestring.bundle.stored import BLOCK_BYTES, DEFLATE, PLANES, arrange, arrange_back, compress

SMALL_BYTES = 100_000  # smaller files say little
XZ_WORDS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 2, "pb": 2}]  # tuned to 4-byte words

Pack = Callable[[bytes], bytes]

# What a child does with the compressed file: expand it piece by piece and keep nothing.
STREAMS = {
    "zlib": "import zlib\nd = zlib.decompressobj(-15)",
    "bz2": "import bz2\nd = bz2.BZ2Decompressor()",
    "lzma": "import lzma\nd = lzma.LZMADecompressor()",
}
PULL = """
    while piece:
        d.decompress(piece, 65536)
        piece = d.unconsumed_tail"""
PUSH = """
    d.decompress(piece, 65536)
    while not (d.needs_input or d.eof):
        d.decompress(b"", 65536)"""
CHILD = """
import sys
file = open(sys.argv[1], "rb")
{}
for piece in iter(lambda: file.read(65536), b""):{}
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
ZSTANDARD = """
import zstandard
for piece in zstandard.ZstdDecompressor().read_to_iter(file, 65536, 65536): pass"""


USE = """
import sys, time
from pathlib import Path
from shoestring.bundle.opening import open_bundle
from shoestring.bundle.patching import apply_delta
begin = time.process_time()
{}
print(time.process_time() - begin)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
OPEN = "open_bundle(Path(sys.argv[1])).close()"
APPLY = "apply_delta(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))"


def planes(data: bytes) -> bytes:
    """The content in byte planes, as bundles store float weights."""
    return b"".join(arrange(PLANES, [data]))


def back(data: bytes) -> bytes:
    """The inverse."""
    return b"".join(arrange_back(PLANES, [data]))


def codecs() -> dict[str, tuple[str, Pack, Pack]]:
    """Name, library that expands, compress, expand."""
    found: dict[str, tuple[str, Pack, Pack]] = {
        "deflate (ours)": (
            "zlib",
            lambda data: b"".join(compress(DEFLATE, [data])),
            lambda data: zlib.decompress(data, -15),
        ),
        "planes (ours)": (
            "zlib",
            lambda data: b"".join(compress(PLANES, arrange(PLANES, [data]))),
            lambda data: back(zlib.decompress(data, -15)),
        ),
        "planes, deflate -9": (
            "zlib",
            lambda data: b"".join(compress(DEFLATE, arrange(PLANES, [data]))),
            lambda data: back(zlib.decompress(data, -15)),
        ),
        "bzip2 -9": ("bz2", bz2.compress, bz2.decompress),
        "xz -6": ("lzma", lzma.compress, lzma.decompress),
        "xz -6 for words": ("lzma", lambda data: lzma.compress(data, filters=XZ_WORDS), lzma.decompress),
        "planes, xz -6": ("lzma", lambda data: lzma.compress(planes(data)), lambda data: back(lzma.decompress(data))),
    }
    try:
        import zstandard
    except ImportError:
        print("zstandard is not installed and is left out", file=sys.stderr)
        return found
    for level in (3, 19):
        packer, expander = zstandard.ZstdCompressor(level=level), zstandard.ZstdDecompressor()
        found[f"zstd -{level}"] = ("zstandard", packer.compress, expander.decompress)
    found["planes, zstd -19"] = (
        "zstandard",
        lambda data: packer.compress(planes(data)),
        lambda data: back(expander.decompress(data)),
    )
    return found


def timed(run: Pack, data: bytes) -> tuple[bytes, float]:
    """What `run` gives, and the processor seconds it took."""
    begin = time.process_time()
    made = run(data)
    return made, max(time.process_time() - begin, 1e-6)


def peak_bytes(kind: str, path: Path) -> int:
    """Largest resident memory of a process that expands the file in pieces; of one that only reads it for `none`."""
    if kind in STREAMS:
        code = CHILD.format(STREAMS[kind], PULL if kind == "zlib" else PUSH)
    else:
        code = CHILD.format(ZSTANDARD if kind == "zstandard" else "", " pass")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


def used(code: str, *paths: Path) -> str:
    """Processor time and largest memory of a process that does what a device does."""
    command = [sys.executable, "-c", USE.format(code), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, kib = done.stdout.split()
    return f"{float(seconds):.2f} s of processor time, {int(kib) * 1024 / 1e6:.0f} MB resident at most, Python included"


def contents(path: Path) -> dict[str, bytes]:
    """The files worth a row: those of a bundle, or the file itself."""
    if not is_bundle(path):
        return {path.name: path.read_bytes()}
    with open_bundle(path) as bundle:
        names = roles(bundle.manifest)
        found = {names[blob.sha256]: bundle.read(blob.sha256) for blob in bundle.manifest.blobs}
    return {name: found[name] for name in sorted(found) if len(found[name]) >= SMALL_BYTES}


def show_forms(paths: list[Path]) -> None:
    """The table of codecs."""
    known = codecs()
    for path in paths:
        for name, data in contents(path).items():
            print(f"\n{name}, {format_bytes(len(data))}; planes in blocks of {BLOCK_BYTES // 1024} KiB")
            print(f"  {'codec':<20} {'bytes':>11} {'share':>7} {'compress':>10} {'expand':>10} {'memory':>9}")
            for codec, (kind, pack, unpack) in known.items():
                packed, packing_s = timed(pack, data)
                made, expanding_s = timed(unpack, packed)
                if made != data:
                    raise SystemExit(f"{codec} does not give {name} back")
                with tempfile.NamedTemporaryFile() as file:
                    file.write(packed)
                    file.flush()
                    memory = peak_bytes(kind, Path(file.name)) - peak_bytes("none", Path(file.name))
                speeds = f"{len(data) / packing_s / 1e6:>5.0f} MB/s {len(data) / expanding_s / 1e6:>5.0f} MB/s"
                share = f"{len(packed) / len(data):>7.1%}"
                print(f"  {codec:<20} {len(packed):>11,} {share} {speeds} {memory / 1e6:>6.1f} MB", flush=True)
        if is_bundle(path):
            content = len(raw(path))
            size = path.stat().st_size
            print(f"\n{path.name}: {size:,} bytes for {content:,} of content, {size / content:.1%}")
            print(f"opening it, every byte verified: {used(OPEN, path)}")


def raw(path: Path) -> bytes:
    """All contents of a bundle behind each other: the best that tools which know no bundles can be given."""
    with open_bundle(path) as bundle:
        return b"".join(bundle.read(blob.sha256) for blob in bundle.manifest.blobs)


def show_delta(old: Path, new: Path) -> None:
    """The table of ways to send a new version."""
    import bsdiff4

    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        made = make_delta(old, new, Path(folder) / "delta")
        seconds = time.process_time() - begin
        applied = used(APPLY, old, Path(folder) / "delta", Path(folder) / "new.shoe")
    whole = made.new_bytes
    rows = {"the whole bundle": whole, "xz -9 of its contents": len(lzma.compress(raw(new), preset=9))}
    rows["bsdiff4 between the two files"] = len(bsdiff4.diff(old.read_bytes(), new.read_bytes()))
    try:
        import zstandard
    except ImportError:
        print("zstandard is not installed and is left out", file=sys.stderr)
    else:
        before, after = raw(old), raw(new)
        window = max(len(before), len(after)).bit_length()
        options = zstandard.ZstdCompressionParameters.from_level(19, window_log=window + 1, enable_ldm=True)
        prefix = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        packer = zstandard.ZstdCompressor(compression_params=options, dict_data=prefix)
        rows["zstd -19 with the old contents as prefix"] = len(packer.compress(after))
    rows["shoestring delta"] = made.delta_bytes
    for name, size in rows.items():
        print(f"{name:<42} {size:>12,} {size / whole:>7.1%}")
    print(f"\nmade in {seconds:.1f} s of processor time")
    print(f"applied: {applied}; opening the old bundle alone: {used(OPEN, old)}\nwhat it holds:")
    for file in made.files:
        print(f"  {file.what:<40} {file.how:<10} {file.stored_bytes:>11,} {file.sent_bytes:>11,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    forms = modes.add_parser("forms")
    forms.add_argument("files", type=Path, nargs="+")
    delta = modes.add_parser("delta")
    delta.add_argument("old", type=Path)
    delta.add_argument("new", type=Path)
    arguments = parser.parse_args()
    if arguments.mode == "forms":
        show_forms(arguments.files)
    else:
        show_delta(arguments.old, arguments.new)


if __name__ == "__main__":
    main()
