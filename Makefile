# Everything works in .venv of this checkout. `make demo` and `make test` need Python 3.11+, pip, make and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out

.PHONY: demo test check train-check wheel-check proof proof-trust boards clean help

help:
	@echo "make demo    fit, run and report the demo model on this machine"
	@echo "make test    run the tests"
	@echo "make check   lint, types, import rule, docs"
	@echo "make train-check  tests of training and of PyTorch files; installs torch"
	@echo "make boards  the device install on emulated Arm boards; writes the tables of docs/boards.md"
	@echo "make proof   slower proofs; their last figures stand in docs/proof.md (make proof-trust: those of security alone)"

$(VENV)/.fit: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q -e '.[fit]'
	touch $@

$(VENV)/.test: $(VENV)/.fit
	$(BIN)/python -m pip install -q --group test
	touch $@

$(VENV)/.check: $(VENV)/.test
	$(BIN)/python -m pip install -q --group check
	touch $@

demo: $(VENV)/.fit
	mkdir -p $(OUT)
	$(BIN)/shoestring inspect examples/cifar10_main.onnx
	$(BIN)/shoestring fit examples/cifar10_main.onnx --data examples/cifar10 --preprocess examples/cifar10_main.toml \
	    --max-drop 1pt --cache $(OUT)/cache -o $(OUT)/demo.shoe
	$(BIN)/shoestring inspect $(OUT)/demo.shoe
	$(BIN)/shoestring run $(OUT)/demo.shoe examples/cifar10/cat/test_00068.png examples/cifar10/ship/test_00015.png
	$(BIN)/shoestring report $(OUT)/demo.shoe -o $(OUT)/demo.html

# A worker for each core; the tests of one file stay together, for they share what is dear to make.
test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist loadfile --durations=40

check: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/docs

train-check: $(VENV)/.test
	$(BIN)/python -m pip install -q -e '.[train]'
	$(BIN)/python -m pytest -rs tests/training tests/cli/test_distill_verb.py tests/cli/test_import_verb.py \
	    tests/importers tests/attacks/test_hostile_pickles.py tests/fitting/test_fit_module.py

wheel-check: $(VENV)/.check
	sh tests/wheel/check_base_install.sh $(PYTHON)

proof: $(VENV)/.test
	SHOESTRING_PROOF=50 $(BIN)/python -m pytest --timeout=3600 -rP tests/attacks/test_hostile_bundles.py \
	    tests/attacks/test_hostile_streams.py tests/attacks/test_hostile_deltas.py \
	    tests/evaluate/test_statistics_coverage.py tests/evaluate/test_cascade_coverage.py tests/evaluate/language
	$(BIN)/python -m pip install -q -e '.[ray]'
	SHOESTRING_PROOF=20 $(BIN)/python -m pytest --timeout=3600 -rPs tests/engines tests/evaluate/test_race.py \
	    tests/search/test_reserves.py tests/fitting/test_racing.py
	SHOESTRING_PROOF=3 $(BIN)/python -m pytest --timeout=3600 -rs tests/native/test_native_kernels_x86.py \
	    tests/native/test_native_kernels_arm.py tests/native/front/test_native_front_fuzz.py
	SHOESTRING_PROOF=4 $(BIN)/python -m pytest --timeout=3600 -rs tests/device/serve
	$(BIN)/python benchmarks/sensor_faults.py
	$(BIN)/python benchmarks/faults.py --faults 1000
	$(BIN)/python benchmarks/soak.py --virtual-hours 24 --seeds 20
	$(BIN)/python benchmarks/governor.py --seeds 10 --ladder resnet
	$(MAKE) proof-trust

# What must not fail when disks, networks, files or people are bad.
proof-trust: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -P benchmarks/durability.py --states 100000 --kills 1000
	SHOESTRING_PROOF=20 $(BIN)/python -m pytest --timeout=3600 -rP tests/device/slots/test_slots_machine.py
	SHOESTRING_PROOF=2 $(BIN)/python -m pytest --timeout=3600 -rP tests/device/slots/test_slots_cuts.py tests/base/test_durable.py
	SHOESTRING_PROOF=400 $(BIN)/python -m pytest --timeout=7200 -rP tests/attacks/test_hostile_signatures.py
	SHOESTRING_PROOF=143 $(BIN)/python -m pytest --timeout=7200 -rP tests/attacks/test_hostile_bundles.py
	SHOESTRING_PROOF=50 $(BIN)/python -m pytest --timeout=3600 -rP tests/bundle/bom tests/trust/test_age.py
	SHOESTRING_PROOF=2 $(BIN)/python -m pytest --timeout=3600 -rP tests/docs/test_dependencies.py tests/attacks/tuf/test_saboteurs.py
	SHOESTRING_PROOF=200 $(BIN)/python -m pytest --timeout=7200 -rP tests/trust/repository/test_rotations.py
	SHOESTRING_PROOF=100 $(BIN)/python -m pytest --timeout=3600 -rP tests/trust/repository/test_clocks.py
	SHOESTRING_PROOF=15 $(BIN)/python -m pytest --timeout=3600 -rP tests/attacks/tuf/test_mutations.py
	SHOESTRING_PROOF=10 $(BIN)/python -m pytest --timeout=3600 -rP tests/trust/repository/test_power.py tests/trust/repository/test_refusing_disk.py
	SHOESTRING_PROOF=12 $(BIN)/python -m pytest --timeout=3600 -rP tests/device/agent
	SHOESTRING_PROOF=10 $(BIN)/python -m pytest --timeout=3600 -rP tests/fleet/repository tests/trust/test_sealed_report.py
	SHOESTRING_PROOF=200 $(BIN)/python -m pytest --timeout=14400 -rP tests/attacks/test_mutated_models.py tests/attacks/test_mutated_archives.py
	$(BIN)/python benchmarks/fleet.py --seeds 50
	$(BIN)/python benchmarks/agents.py
	$(BIN)/python -m pip install -q 'atheris>=3'
	for target in envelope gguf safetensors delta manifest bundle; do $(BIN)/python benchmarks/fuzz.py $$target --seconds 3600 || exit 1; done

boards: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python benchmarks/emulated_boards.py --write docs/boards.md

clean:
	rm -rf $(VENV) $(OUT) dist build
