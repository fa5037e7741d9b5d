"""Run inside an environment that holds the base install alone: light, whole, and honest about what is missing."""

import importlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

HEAVY = ("torch", "onnx", "scipy", "onnxruntime", "jinja2", "bsdiff4")


def main() -> None:
    for name in HEAVY:
        if importlib.util.find_spec(name) is not None:
            raise SystemExit(f"{name} came with the base install")
    for room in ("base", "domain", "chips", "inputs", "runtimes", "bundle", "device"):
        importlib.import_module(f"shoestring.{room}")
    importlib.import_module("shoestring.bundle.patching")
    loaded = sorted(name for name in HEAVY if name in sys.modules)
    if loaded:
        raise SystemExit(f"importing the device side loaded {', '.join(loaded)}")
    command = Path(sys.executable).with_name("shoestring")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(b"\x08\x08")
        done = subprocess.run([command, "inspect", str(model)], capture_output=True, text=True, check=False)
    if done.returncode != 2 or "pip install 'shoestring[fit]'" not in done.stderr:
        raise SystemExit(f"a missing extra is not named: exit {done.returncode}, {done.stderr}")
    print("the base install is light and whole")


if __name__ == "__main__":
    main()
