"""The harness of the emulated Cortex-M7, on a program written by hand."""

import numpy as np
import pytest

from emulation import boards
from native.cortex_m import cortex_m
from shoestring.base.errors import ChildError

SUMS = cortex_m.HERE / "sums.c"
COUNT = 100


@pytest.fixture(autouse=True)
def needs_the_tools():
    if (name := cortex_m.missing()) is not None:
        pytest.skip(f"{name} is not installed")


def floats():
    return np.random.default_rng(5).standard_normal(COUNT).astype(np.float32)


@pytest.mark.parametrize("target", ["cortex-m7", "cortex-m4"])
def test_inputs_arrive_and_outputs_come_back_bit_for_bit(target):
    x = floats()
    answer = cortex_m.run([SUMS], [x.tobytes()], [4 * COUNT, 4], target=target)
    y, z = (np.frombuffer(data, np.float32) for data in answer.outputs)
    assert np.array_equal(y, x * np.float32(0.5) + np.arange(COUNT, dtype=np.float32))
    assert z == np.add.accumulate(x)[-1]
    assert answer.instructions is None
    assert answer.firmware_bytes > 64


def test_instructions_of_one_inference():
    if not boards.can_count(cortex_m.QEMU):
        pytest.skip("gcc is not installed")
    counted = [cortex_m.run([SUMS], [floats().tobytes()], [4 * COUNT, 4], count=True).instructions for _ in range(2)]
    assert counted[0] == counted[1]
    assert 5 * COUNT < counted[0] < 30 * COUNT  # two loads, a product, two sums and a store for each element


def test_too_little_memory_is_said():
    with pytest.raises(RuntimeError, match="too little memory"):
        cortex_m.run([SUMS], [floats().tobytes()], [32 << 20, 4])


def test_a_program_that_fails_is_an_error():
    with pytest.raises(RuntimeError, match="invoke failed"):
        cortex_m.run([SUMS], [floats().tobytes()], [4 * COUNT, 4], flags=["-DFAILS"])


def test_source_that_does_not_compile_is_an_error(tmp_path):
    bad = tmp_path / "bad.c"
    bad.write_text("int shoestring_program(void) { return nothing; }\n")
    with pytest.raises(ChildError, match="nothing"):
        cortex_m.run([bad], [], [])
