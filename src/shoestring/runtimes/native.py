"""Programs that this project compiled: a shared library that brings its own weights and needs no engine."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring._version import __version__
from shoestring.base.errors import EngineError
from shoestring.runtimes import native_abi as abi
from shoestring.runtimes.checks import check_threads, model_bytes, model_name, one_line
from shoestring.runtimes.native_about import needs, parse_about
from shoestring.runtimes.session import CheckedSession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shoestring.domain.model import TensorSpec
    from shoestring.runtimes.protocol import Array

ALIGNMENT = 64


class NativeRuntime:
    """Loads compiled programs. It needs no package and no compiler: programs were compiled in the workshop."""

    name = "native"

    def version(self) -> str:
        """The binary interface and the compiler of this installation, like `1+0.1.0`."""
        return f"{abi.ABI}+{__version__}"

    def load(self, model: Path | bytes, threads: int) -> NativeSession:
        """Load a compiled program. Its code runs in this process: give only what came out of a verified bundle.

        Args:
            model: shared library (ELF), a file or its bytes.
            threads: at least 1, at most what the program was compiled for.

        Raises:
            UsageError: `threads` is below 1.
            EngineError: it is no such library, is truncated, is for another machine or binary interface, needs
                instruction sets that this processor lacks, allows fewer threads, or does not start.
        """
        check_threads(threads)
        data = model_bytes(model)
        name = model_name(model)
        _check_elf(data, name)
        try:
            library = abi.Library(data)
        except OSError as error:
            raise EngineError(f"the system refuses to load {name}: {one_line(error)}") from error
        except AttributeError:
            raise EngineError(
                f"{name} is a library, but no compiled program: it does not export {abi.ENTRY}",
                hint="make it with shoestring compile",
            ) from None
        try:
            return NativeSession(library, _program(library, data, name), name, threads)
        except BaseException:
            library.unload()
            raise


class NativeSession(CheckedSession):
    """A loaded program with its memory.

    Args:
        library: that holds the program; unloaded on close.
        program: of the library.
        name: how messages call it.
        threads: at least 1.

    Attributes:
        about: what the program says of itself.
    """

    def __init__(self, library: abi.Library, program: abi.ProgramTable, name: str, threads: int) -> None:
        self.about = parse_about(program.about or b"", name)
        super().__init__(self.about.inputs, self.about.outputs)
        if not program.weights:
            raise EngineError(
                f"{name} brings no weights ({program.weights_bytes} bytes are missing)",
                hint="compile it with its weights built in",
            )
        if threads > program.max_threads:
            raise EngineError(
                f"{name} was compiled for at most {program.max_threads} threads, {threads} were asked for",
                hint="ask for fewer, or compile it for more",
            )
        self._name, self._library, self._program = name, library, program
        self._state = _aligned(program.state_bytes)
        self._arena = _aligned(program.arena_bytes(threads))
        self._state_address = _address(self._state)
        self._feeds = (ctypes.c_void_p * len(self.inputs))()
        self._answers = (ctypes.c_void_p * len(self.outputs))()
        self._one = self.inputs[0] if len(self.inputs) == len(self.outputs) == 1 else None
        if self._one is not None:
            self._one_made = _aligned_array(self.outputs[0], 1)
            self._one_answer = (ctypes.c_void_p * 1)(_address(self._one_made))
        code = program.init(self._state.ctypes.data, self._arena.ctypes.data, program.weights, threads)
        if code != abi.OK:
            raise EngineError(f"{name} does not start: {_meaning(code)}")

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if self._one is not None:
            array = feeds[self._one.name]
            if (self._one.shape[:1] != (None,) or len(array) == 1) and array.flags.carray:
                return self._infer_one(array)
        batch = _batch(self.inputs, feeds)
        given = [_whole(feeds[spec.name]) for spec in self.inputs]
        made = [_aligned_array(spec, batch) for spec in self.outputs]
        starts = [[_address(array) for array in arrays] for arrays in (given, made)]
        if batch == 1:
            steps = [[0] * len(given), [0] * len(made)]
        else:
            into = [*zip(self.inputs, given, strict=True)], [*zip(self.outputs, made, strict=True)]
            steps = [[_step(spec, array) for spec, array in ports] for ports in into]
        for example in range(batch):
            for pointers, start, step in zip((self._feeds, self._answers), starts, steps, strict=True):
                for port, address in enumerate(start):
                    pointers[port] = address + example * step[port]
            code = self._program.invoke(self._state_address, self._feeds, self._answers)
            if code != abi.OK:
                raise EngineError(f"{self._name} failed to run: {_meaning(code)}")
        return {spec.name: array for spec, array in zip(self.outputs, made, strict=True)}

    def _infer_one(self, array: Array) -> dict[str, Array]:
        """One example into a model of one input and one output, which is what cameras bring.

        A run of some ms leaves nothing of Python in the processor's caches, so that each call into numpy costs ten
        times what it does in a loop: this way takes four of them where the general one takes thirty.
        """
        self._feeds[0] = ctypes.addressof(ctypes.c_char.from_buffer(array.data))
        code = self._program.invoke(self._state_address, self._feeds, self._one_answer)
        if code != abi.OK:
            raise EngineError(f"{self._name} failed to run: {_meaning(code)}")
        return {self.outputs[0].name: self._one_made.copy()}

    def _free(self) -> None:
        self._program.close(self._state.ctypes.data)
        self._library.unload()


def _check_elf(data: bytes, name: str) -> None:
    """Raises EngineError unless the bytes are a whole shared library for this machine."""
    elf = abi.read_elf(data)
    if elf is None:
        raise EngineError(f"{name} is no shared library (ELF)", hint="make it with shoestring compile")
    own = abi.own_elf()
    if own is None:
        raise EngineError("compiled programs are loaded on Linux only, where /proc/self/exe can be read")
    if (elf.machine, elf.bits, elf.little) != (own.machine, own.bits, own.little):
        raise EngineError(
            f"{name} was compiled for {_machine(elf)}; this Python runs on {_machine(own)}",
            hint="compile it for this machine's target",
        )
    if elf.kind != abi.SHARED:
        raise EngineError(f"{name} is an ELF file of type {elf.kind}, not a shared library ({abi.SHARED})")
    if len(data) < elf.end:
        raise EngineError(f"{name} is truncated: it has {len(data)} of {elf.end} bytes", hint="copy it again")


def _machine(elf: abi.Elf) -> str:
    name = abi.MACHINES.get(elf.machine, f"ELF machine {elf.machine}")
    return f"{name} ({elf.bits} bits, {'little' if elf.little else 'big'}-endian)"


def _program(library: abi.Library, data: bytes, name: str) -> abi.ProgramTable:
    """The program for this processor. Raises EngineError when there is none, or one of another binary interface."""
    program = library.program()
    if program is None:
        raise EngineError(f"this processor cannot run {name}{needs(data)}", hint="compile it for this machine's target")
    if program.abi != abi.ABI:
        raise EngineError(
            f"{name} has the binary interface {program.abi}; this version of shoestring loads {abi.ABI}",
            hint="compile it again with this version",
        )
    return program


def _batch(inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> int:
    """Examples in the feeds: the common length of their free first axes. Raises EngineError when they differ."""
    lengths = {spec.name: len(feeds[spec.name]) for spec in inputs if spec.shape[:1] == (None,)}
    if len(set(lengths.values())) > 1:
        raise EngineError(
            "the inputs hold different numbers of examples: "
            + ", ".join(f"{name!r} {count}" for name, count in lengths.items()),
            hint="give the same number in each",
        )
    return next(iter(lengths.values()), 1)


def _step(spec: TensorSpec, array: Array) -> int:
    """Bytes from one example to the next; 0 for a tensor that belongs to no example."""
    return array.nbytes // len(array) if spec.shape[:1] == (None,) else 0


def _aligned(size: int) -> Array:
    """Zeros at an address that is a multiple of ALIGNMENT; at least one byte."""
    block = np.zeros(max(1, size) + ALIGNMENT, np.uint8)
    start = -_address(block) % ALIGNMENT
    return block[start : start + max(1, size)]


def _address(array: Array) -> int:
    """Of its first byte. `array.ctypes` would make an object for it, which takes longer than a small layer."""
    return int(array.__array_interface__["data"][0])


def _whole(array: Array) -> Array:
    """The array, or a copy of it where its values do not lie one after the other."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else np.require(array, requirements=("C", "A"))


def _aligned_array(spec: TensorSpec, batch: int) -> Array:
    shape = tuple(batch if length is None else length for length in spec.shape)
    size = math.prod(shape) * np.dtype(spec.dtype).itemsize
    return _aligned(size)[:size].view(spec.dtype).reshape(shape)


def _meaning(code: int) -> str:
    return abi.MEANINGS.get(code, f"code {code}")


__all__ = ["NativeRuntime", "NativeSession"]
