"""The short form of `make boards`: one core, one small task. Needs QEMU, and the network on its first run."""

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

import tiny
from emulation import device
from shoestring.base.errors import ChildError, UsageError
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.domain.estimate import Estimate
from shoestring.fitting import candidates, elsewhere, fit, mixing
from shoestring.proving import emulator, userland
from shoestring.proving.prove import prove

CORE, BOARD = "cortex-a72", "raspberry-pi-4b-4gb"
IMAGES = 8
SECONDS = 120
RUNGS = ("int8@native", "fp32@native", "fp32")


@pytest.fixture(scope="module")
def root():
    if shutil.which(emulator.QEMU) is None:
        pytest.skip(f"{emulator.QEMU} (package qemu-user-static) is not installed")
    try:
        return userland.cached()
    except (ChildError, UsageError) as error:
        pytest.skip(f"the userland of a board cannot be made: {error.message}")


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    """The device install from this checkout's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    try:
        device.install(folder / "site", device.build_wheel(folder), "onnxruntime", "uvicorn", "httptools")
    except (ChildError, subprocess.CalledProcessError) as error:
        pytest.skip(f"wheels for the board cannot be had: {error}")
    return folder / "site"


def known_costs(artefacts, reference, threads, **_):
    """The same for all: what the board takes is for `known_latency` to say."""
    timings = tuple(Timing(n, 1 / n, 0.9 / n, 1.1 / n, 100, 1, 1, 1) for n in threads)
    return {one.name: Cost(timings, 80_000_000, one.size_bytes) for one in artefacts}


def known_latency(_, __, runtime, precision, threads):
    """Programs take half as long as ONNX Runtime, int8 a quarter of fp32: every one of them is worth a rung."""
    ms = {"fp32": 40, "int8": 10}[precision] / {"native": 2}.get(runtime, 1) / threads
    return Estimate(ms, 0.8 * ms, 1.2 * ms, "ms", "calibrated", ("a test",), "batch 1")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A small task fitted for the board, and its bundle."""
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("task")
    task = tiny.write_task(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "measure", known_costs)
        patch.setattr(mixing, "measure_layers", tiny.known_layer_times)
        patch.setattr(elsewhere, "predict_latency", known_latency)
        patch.setattr(elsewhere, "_known", lambda *_: True)
        fit(
            task.model,
            task.data,
            out=folder / "a.shoe",
            budget=Budget(max_drop=0.05),
            chip=BOARD,
            runtimes=("onnxruntime", "native"),
            cascade=False,
            cache=folder / "cache",
        )
    return task, folder / "a.shoe"


def test_the_detector_of_illegal_instructions_is_not_blind(root):
    """The saboteur: without it, a wheel built for a newer core would seem to pass."""
    assert device.run(root, CORE, ["-c", device.SDOT]).code == device.ILLEGAL
    assert device.run(root, "cortex-a76", ["-c", device.SDOT]).out == "survived\n"


def test_the_device_install_is_light_and_ours(root, site):
    words = "import shoestring, sys; import shoestring.device; print(shoestring.__file__); print(*sorted(sys.modules))"
    ran = device.run(root, CORE, ["-c", words], [site])
    path, modules = ran.out.splitlines()
    assert path.startswith(str(site))
    assert not {"onnx", "scipy", "torch", "onnxruntime"} & set(modules.split())


def test_rungs_answer_on_the_board_as_in_the_workshop(root, site, fitted):
    task, bundle = fitted
    files = [str(path) for path in sorted(task.data.rglob("*.png"))[:: 400 // IMAGES]]
    for rung in RUNGS:
        words = ["-m", "shoestring.cli.main", "run", str(bundle), *files, "--rung", rung, "--json"]
        there = device.run(root, CORE, words, [site])
        assert there.code == 0, there.err
        if rung.endswith("native"):
            continue  # this machine cannot load the board's program; the golden set was compared there
        here = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        tops = [[row["top"][0]["label"] for row in json.loads(text)["answers"]] for text in (there.out, here.stdout)]
        assert tops[0] == tops[1]


def test_a_bundle_is_served_from_the_board(root, site, fitted, tmp_path):
    """The server there, its engine in a process of its own there, and the client here."""
    task, bundle = fitted
    picture = next(iter(sorted(task.data.rglob("*.png"))))
    words = ["serve", str(bundle), "--port", "0", "--rung", "int8@native", "--chip", BOARD, "--json"]
    process = device.start(root, CORE, words, [site], tmp_path)
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            if found:
                break
        assert found, "".join(said)
        url = f"http://127.0.0.1:{found[1]}"
        request = urllib.request.Request(f"{url}/v1/classify", picture.read_bytes(), {"content-type": "image/png"})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            there = json.load(answer)
        with urllib.request.urlopen(f"{url}/metrics", timeout=SECONDS) as answer:
            assert b"shoestring_" in answer.read()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert there["rung"] == "int8@native"
    ran = device.run(
        root,
        CORE,
        ["-m", "shoestring.cli.main", "run", str(bundle), str(picture), "--rung", "int8@native", "--json"],
        [site],
    )
    assert json.loads(ran.out)["answers"][0]["top"][0]["label"] == there["label"]


def test_integer_programs_give_the_same_bits_on_both_machines(root, site, fitted):
    ran = device.run(root, CORE, [str(device.BITS), str(fitted[1]), "int8@native"], [site])
    (row,) = map(json.loads, ran.out.splitlines())
    assert row["here"] == row["workshop"], ran.err
    assert row["inputs"] > 0


def test_prove_writes_the_boards_instruction_set_into_the_certificate(root, fitted, tmp_path):
    task, bundle = fitted
    proven = prove(bundle, task.data, BOARD, n=IMAGES, rung="int8@native", out=tmp_path / "b.shoe")
    assert (proven.counts.n, proven.counts.same) == (IMAGES, IMAGES)
    assert (proven.proof.core, proven.proof.isa) == ("Cortex-A72", ("asimd",))
    assert proven.proof.emulator.startswith("qemu-aarch64")
    assert proven.manifest.ladder.rung("int8@native").certificate.also == (proven.counts,)


def test_a_program_for_another_processor_is_refused_by_name(fitted, tmp_path):
    task, bundle = fitted
    with pytest.raises(UsageError, match="'int8@native' is a program for aarch64, which n100-mini-pc-8gb cannot run"):
        prove(bundle, task.data, "n100-mini-pc-8gb", n=IMAGES, rung="int8@native", out=tmp_path / "b.shoe")
