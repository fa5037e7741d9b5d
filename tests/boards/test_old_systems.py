"""JetPack 4 (glibc 2.27) and Mendel (2.28) have no Python that we support: programs must run there by themselves.

The oldest C library that Debian's mirrors still carry for arm64 is 2.31, so libraries are run on that and their symbols
are held to 2.17; the command-line program is static and is run on no C library at all.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from emulation import old, symbols
from shoestring.base.errors import ChildError, UsageError
from shoestring.chips.host import this_machine
from shoestring.native.build import find_compiler
from shoestring.native.compiling import build_library, build_runner, prepare
from shoestring.native.targets import host_target, target_named
from shoestring.proving.emulator import QEMU
from shoestring.runtimes import registry

BOARDS = {"jetson-nano": "cortex-a57", "coral-dev-board": "cortex-a53"}
OLDEST = (2, 27)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """An int8 network as a program of this machine, its input, and its answer."""
    pytest.importorskip("ziglang")
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} (package qemu-user-static) is not installed")
    folder = tmp_path_factory.mktemp("old")
    model = folder / "model.onnx"
    model.write_bytes(quantized_net())
    program = prepare(model, "net")
    machine = this_machine()
    build_library(program, [host_target(machine.isa, machine.arch)], 1, folder / "here.so")
    image = np.random.default_rng(0).standard_normal(program.values[program.inputs[0].value].shape).astype(np.float32)
    (folder / "input").write_bytes(image.tobytes())
    with registry.get("native").load((folder / "here.so").read_bytes(), 1) as session:
        (answer,) = session.run({session.inputs[0].name: image}).values()
    return folder, program, answer.tobytes()


def quantized_net():
    from native.qdq_models import quantized

    return quantized()


@pytest.mark.parametrize("board", BOARDS)
def test_the_static_program_runs_without_any_c_library(work, board, tmp_path):
    folder, program, wanted = work
    runner = tmp_path / "net_run"
    build_runner(program, target_named(board), 1, runner)
    assert symbols.needs(runner.read_bytes()).libraries == {}
    words = [str(runner), str(folder / "input"), str(tmp_path / "output")]
    ran = old.run(tmp_path, BOARDS[board], words, old.KERNELS[board])
    assert ran.code == 0, ran.err
    assert (tmp_path / "output").read_bytes() == wanted


@pytest.mark.parametrize("board", BOARDS)
def test_the_library_runs_on_the_oldest_c_library_at_hand_and_needs_no_newer_than_2_17(work, board, tmp_path):
    folder, program, wanted = work
    target = target_named(board)
    try:
        root = old.root_of("bullseye")
    except (ChildError, UsageError) as error:
        pytest.skip(f"an old userland cannot be made: {error.message}")
    build_library(program, [target], 1, tmp_path / "net.so")
    loader = old.build_loader(find_compiler(target), target, tmp_path / "loads")
    for file in (tmp_path / "net.so", loader):
        needed = symbols.needs(file.read_bytes()).glibc
        assert needed <= (2, 17) < OLDEST, file.name
    words = [str(loader), str(tmp_path / "net.so"), str(folder / "input"), str(tmp_path / "output"), str(len(wanted))]
    ran = old.run(root, BOARDS[board], words, old.KERNELS[board])
    assert ran.code == 0, ran.err
    assert ran.out.strip() == "2.31"
    assert (tmp_path / "output").read_bytes() == wanted


def test_a_loader_for_a_newer_c_library_does_not_start_there(work, tmp_path):
    """The saboteur: linked against 2.34, it must be refused by 2.31, or the test above shows nothing."""
    folder, _, wanted = work
    try:
        root = old.root_of("bullseye")
    except (ChildError, UsageError) as error:
        pytest.skip(f"an old userland cannot be made: {error.message}")
    target = replace(target_named("jetson-nano"), zig_triple="aarch64-linux-gnu.2.34")
    loader = old.build_loader(find_compiler(target), target, tmp_path / "loads")
    words = [str(loader), str(folder / "none.so"), str(folder / "input"), str(tmp_path / "output"), str(len(wanted))]
    ran = old.run(root, "cortex-a57", words, old.KERNELS["jetson-nano"])
    assert ran.code != 0
    assert "GLIBC_2.3" in ran.err
