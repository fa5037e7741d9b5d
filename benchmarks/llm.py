"""What is claimed of models that write and of encoders, one command after the other, in the order of the pages.

    python benchmarks/llm.py                       # all of it; some two hours on two quiet cores
    python benchmarks/llm.py mixes serving         # these alone

Each part is a command of its own with options of its own (`python benchmarks/llm_mixes.py --help`). What one prints
goes into the page that is named beside it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = {
    "mixes": ("llm_mixes.py", ["--rates"], "llm-mixes.md"),
    "rounding": ("llm_rounding.py", ["--kl"], "llm-weights.md"),
    "ladder": ("llm_ladder.py", [], "llm.md"),
    "memory": ("llm_memory.py", [], "llm-planning.md"),
    "runtimes": ("llm_runtimes.py", [], "llm-runtimes.md"),
    "serving": ("llm_serving.py", [], "llm-serving.md"),
    "folders": ("llm_hf.py", [], "importers-llm.md"),
    "encoder": ("encoder.py", [], "text.md"),
}


def main() -> int:
    """Run the parts that were asked for; returns the first exit status that is not zero."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    asked = parser.parse_args().parts or list(PARTS)
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    for name in asked:
        command, options, page = PARTS[name]
        print(f"\n## {name} (docs/{page})\n", flush=True)
        done = subprocess.run([sys.executable, HERE / command, *options], check=False)
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
