#!/bin/sh
# Build the wheel, install it alone in a clean environment, and check that the device side is whole and light.
set -eu
python=${1:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/build"
"$scratch/build/bin/python" -m pip install -q build
"$scratch/build/bin/python" -m build -q --wheel --outdir "$scratch/dist" .
"$python" -m venv "$scratch/base"
"$scratch/base/bin/python" -m pip install -q "$scratch"/dist/*.whl
"$scratch/base/bin/python" -I tests/wheel/base_install.py
"$scratch/base/bin/shoestring" --version
