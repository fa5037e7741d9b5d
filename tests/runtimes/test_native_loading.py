"""What is refused as a compiled program, before and after its code is in the process."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import handmade
from shoestring._version import __version__
from shoestring.base.errors import EngineError
from shoestring.runtimes import native_abi
from shoestring.runtimes.native import NativeRuntime

RUNTIME = NativeRuntime()


def refusal(model, threads: int = 1) -> EngineError:
    with pytest.raises(EngineError) as caught:
        RUNTIME.load(model, threads)
    assert "\n" not in caught.value.message
    return caught.value


def patched(offset: int, value: bytes) -> bytes:
    """The good library with other bytes in its ELF header."""
    data = handmade.build()
    return data[:offset] + value + data[offset + len(value) :]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_version_is_of_the_interface_and_of_the_compiler():
    assert RUNTIME.version() == f"1+{__version__}"


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_library_is_refused_before_it_is_mapped(part):
    data = handmade.build()
    cut = data[: int(part * len(data))]
    assert re.search(r"truncated|no shared library", refusal(cut).message)


def test_a_library_without_its_last_byte_is_truncated():
    data = handmade.build()
    assert f"it has {len(data) - 1} of {len(data)} bytes" in refusal(data[:-1]).message


@pytest.mark.parametrize(
    ("machine", "words"),
    [(183, "aarch64 (64 bits, little-endian)"), (40, "arm"), (243, "riscv"), (21, "ELF machine 21")],
)
def test_another_machine_is_named(machine, words):
    own = native_abi.own_elf()
    if own is not None and own.machine == machine:
        pytest.skip("that is this machine")
    error = refusal(patched(18, struct.pack("<H", machine)))
    assert f"was compiled for {words}" in error.message
    assert native_abi.MACHINES[own.machine] in error.message
    assert error.hint


def test_a_program_of_32_bits_and_an_executable_are_refused():
    assert "32 bits" in refusal(patched(4, b"\x01")).message
    assert "type 2, not a shared library" in refusal(patched(16, struct.pack("<H", 2))).message


def test_a_segment_beyond_the_end_is_a_truncated_file():
    """The loader would map it, and the process would die where it is touched."""
    data = handmade.build()
    (segments,) = struct.unpack_from("<Q", data, 32)
    assert "truncated" in refusal(patched(segments + 32, struct.pack("<Q", 1 << 30))).message


@pytest.mark.parametrize(
    ("defines", "words"),
    [
        (("NO_PROGRAM",), "does not export shoestring_program"),
        (("ABI=2",), "has the binary interface 2; this version of shoestring loads 1"),
        (("NO_PROCESSOR",), "this processor cannot run model of"),
        (("NO_PROCESSOR",), "imaginary-64 needs quantum"),
        (("NO_WEIGHTS",), "brings no weights (64 bytes are missing)"),
        (('ABOUT="{"',), "does not say what it is: not JSON"),
        (('ABOUT="{}"',), "does not say what it is: Object missing required field"),
        (("INIT_CODE=2",), "does not start: the weights are not those of this program"),
        (("INIT_CODE=77",), "does not start: code 77"),
    ],
)
def test_a_program_that_is_not_right_is_refused_and_leaves_nothing_open(defines, words):
    model = handmade.build(*defines)
    before = descriptors()
    for _ in range(3):
        assert words in refusal(model).message
    assert descriptors() == before


def test_more_threads_than_it_was_compiled_for_are_refused_with_both_numbers():
    assert "compiled for at most 2 threads, 3 were asked for" in refusal(handmade.build(), 3).message


def test_a_failure_while_running_is_told_and_the_session_can_be_closed():
    with RUNTIME.load(handmade.build("FAIL_AFTER=1"), 1) as session:
        feeds = {"a": np.ones((1, 3), np.float32), "b": np.ones(2, np.int64)}
        session.run(feeds)
        with pytest.raises(EngineError, match="failed to run: the system refused to start a thread"):
            session.run(feeds)


def test_without_a_file_in_memory_a_private_folder_serves(monkeypatch, tmp_path):
    def refuses(*_: object) -> int:
        raise OSError("not here")

    monkeypatch.setattr(native_abi.os, "memfd_create", refuses)
    monkeypatch.setattr(native_abi.tempfile, "tempdir", str(tmp_path))
    with RUNTIME.load(handmade.build(), 1) as session:
        assert not any(tmp_path.iterdir())
        answers = session.run({"a": np.ones((1, 3), np.float32), "b": np.ones(2, np.int64)})
    assert answers["y"].tolist() == [[12.5, 15.5, 18.5, 21.5]]


def test_loading_needs_no_onnxruntime_and_no_compiler(tmp_path):
    library = tmp_path / "program.so"
    library.write_bytes(handmade.build())
    code = (
        "import sys; sys.modules['onnxruntime'] = sys.modules['onnx'] = None\n"
        "from pathlib import Path\nimport numpy as np\nfrom shoestring.runtimes import registry\n"
        f"with registry.get('native').load(Path({str(library)!r}), 1) as session:\n"
        "    print(session.run({'a': np.ones((1, 3), np.float32), 'b': np.ones(2, np.int64)})['y'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": "/nowhere"})
    assert (done.stdout, done.stderr) == ("68.0\n", "")
