"""Peak memory of a whole fit against running the fp32 model alone, for growing numbers of images.

    python benchmarks/fit_memory.py model.onnx --preprocess model.toml --data photos/ --images 100 200 400

Each fit starts with an empty cache in a process of its own; its own children (import, analysis, memory probes) are left
out, since they run one at a time and end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, sys
from pathlib import Path
from shoestring.fitting import candidates, fit
from shoestring.inputs.spec import load_preprocess
from shoestring.base.resident import high_water_bytes
model, data, spec, images, cache = json.loads(sys.argv[1])
fitted = fit(model, data, preprocess=load_preprocess(Path(spec)), limit=images, cache=cache)
reference = next(r for r in fitted.rows() if r["candidate"] == "fp32")
peak = high_water_bytes(Path("/proc/self/status").read_text())
print(json.dumps([peak, reference["memory_bytes"], fitted.ladder.chosen]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--preprocess", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 200, 400])
    args = parser.parse_args()
    print(f"{'images':>8} {'fit MB':>8} {'fp32 run MB':>12} {'difference MB':>14}  chosen")
    for count in args.images:
        with tempfile.TemporaryDirectory() as cache:
            request = json.dumps([str(args.model), str(args.data), str(args.preprocess), count, cache])
            done = subprocess.run([sys.executable, "-c", CHILD, request], stdout=subprocess.PIPE, text=True, check=True)
        peak, fp32, chosen = json.loads(done.stdout.splitlines()[-1])
        print(f"{count:>8} {peak / 1e6:>8.0f} {fp32 / 1e6:>12.0f} {(peak - fp32) / 1e6:>14.0f}  {chosen}", flush=True)


if __name__ == "__main__":
    main()
