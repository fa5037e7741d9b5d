"""Any runtime in a process of its own: whatever its engine does, ours goes on and says what it was.

An engine is somebody else's C++. On a model that it does not expect it may crash, hang, fill the memory or answer NaN;
`load` gives a `Session` behind which all of that is an `EngineFaultError` that names the runtime, the artefact and what
happened. The process is killed when the session is closed, when it breaks a limit, and when ours ends in any way.

Memory is held to its limit by looking at what is resident, not by a limit on the address space: engines map far more
than they use (OpenVINO 480 MB for a network with which it takes 110 MB).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineError, EngineFaultError
from shoestring.base.limits import GUARD_LOAD_SECONDS, GUARD_RUN_SECONDS
from shoestring.domain.model import TensorSpec
from shoestring.runtimes import registry
from shoestring.runtimes.checks import check_answers, check_threads, format_shape, model_name
from shoestring.runtimes.guard_process import GuardProcess, Question
from shoestring.runtimes.session import CheckedSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.runtimes.protocol import Array


@dataclass(frozen=True)
class Limits:
    """What a guarded engine may take.

    Args:
        load_s: wall-clock time to start and to load the model, seconds.
        run_s: wall-clock time for one run, seconds.
        memory_bytes: peak resident memory of its process, Python included; None for no limit.
    """

    load_s: float = GUARD_LOAD_SECONDS
    run_s: float = GUARD_RUN_SECONDS
    memory_bytes: int | None = None


def load(runtime: str, model: Path | bytes, threads: int, limits: Limits | None = None) -> GuardedSession:
    """Load a model in a process of its own. The session belongs to the thread that loads it, and ends with it.

    Args:
        runtime: name.
        model: file or bytes.
        threads: at least 1.
        limits: None for the usual ones.

    Raises:
        UsageError: `threads` is below 1, or there is no such runtime.
        MissingExtraError: the engine is not installed.
        EngineError: the engine refuses the model.
        EngineFaultError: it crashed, hung, or went past a limit.
    """
    check_threads(threads)
    registry.get(runtime)
    limits = limits or Limits()
    process = GuardProcess(f"{runtime} with {model_name(model)}", limits.memory_bytes)
    try:
        where: dict[str, Any] = {"model": None if isinstance(model, bytes) else str(model.absolute())}
        if isinstance(model, bytes):
            where["model_bytes"] = process.inputs.write_bytes(model)
        request = {"do": "load", "runtime": runtime, "threads": threads, **where}
        ends = process.ask(Question(request, "loading", limits.load_s))
        return GuardedSession(process, _specs(ends["inputs"]), _specs(ends["outputs"]), limits)
    except BaseException:
        process.close()
        raise


class GuardedSession(CheckedSession):
    """A model loaded in another process.

    Args:
        process: that has loaded it.
        inputs: what the model takes.
        outputs: what it answers.
        limits: for its runs.
    """

    def __init__(
        self, process: GuardProcess, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], limits: Limits
    ) -> None:
        super().__init__(inputs, outputs)
        self._process = process
        self._limits = limits

    def time_block(self, runs: int, lead: int = 0) -> list[float]:
        """Let the process time itself with the feeds of the last run: what lies between us costs no time.

        Args:
            runs: to time, at least 1.
            lead: runs ahead of them that are not timed.

        Returns:
            Milliseconds of each run.

        Raises:
            EngineError: nothing was run yet, the session was closed, or a run failed.
            EngineFaultError: as in `load`; the limit is for each run.
        """
        if self._closed:
            raise EngineError("this session was closed", hint="load the model again")
        request = {"do": "time", "runs": runs, "lead": lead}
        return [float(one) for one in self._process.ask(Question(request, "running", self._limits.run_s))]

    def peak_rss_bytes(self) -> int | None:
        """Peak resident memory of the process so far, Python included; None when it is gone."""
        return None if self._closed else self._process.peak_rss_bytes()

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._process.check_there()
        request = {"do": "run", "feeds": self._process.inputs.write(feeds)}
        records = self._process.ask(Question(request, "running", self._limits.run_s))
        try:
            answers = self._process.outputs.read(records)
        except (ValueError, TypeError, KeyError) as error:
            raise EngineFaultError(f"{self._process.who} answered no tensors: {error}", "shape") from error
        self._check_promise(answers)
        try:
            check_answers(answers)
        except EngineError as error:
            raise EngineFaultError(f"{self._process.who}: {error.message}", "nan", hint=error.hint) from error
        return answers

    def _check_promise(self, answers: Mapping[str, Array]) -> None:
        if list(answers) != [spec.name for spec in self.outputs]:
            names = ", ".join(repr(name) for name in answers) or "nothing"
            raise EngineFaultError(f"{self._process.who} answered {names}, not its outputs", "shape")
        for spec in self.outputs:
            value = answers[spec.name]
            same_rank = value.ndim == len(spec.shape)
            fits = same_rank and all(want in (None, got) for want, got in zip(spec.shape, value.shape, strict=True))
            if value.dtype != spec.dtype or not fits:
                raise EngineFaultError(
                    f"{self._process.who} promised {spec.dtype} {format_shape(spec.shape)} for output {spec.name!r} "
                    f"and answered {value.dtype} {format_shape(value.shape)}",
                    "shape",
                )

    def _free(self) -> None:
        self._process.close()

    def __enter__(self) -> GuardedSession:
        return self


class GuardedRuntime:
    """A runtime whose engine never enters our process.

    Args:
        name: of the runtime.
        limits: for all its sessions; None for the usual ones.
    """

    def __init__(self, name: str, limits: Limits | None = None) -> None:
        registry.get(name)
        self.name = name
        self._limits = limits or Limits()

    def version(self) -> str:
        """See `Runtime.version`; an engine may crash when its library is loaded, on a processor it is not made for."""
        process = GuardProcess(self.name, self._limits.memory_bytes)
        try:
            request = {"do": "version", "runtime": self.name}
            return str(process.ask(Question(request, "telling its version", self._limits.load_s)))
        finally:
            process.close()

    def load(self, model: Path | bytes, threads: int) -> GuardedSession:
        """See `load`."""
        return load(self.name, model, threads, self._limits)


def _specs(plain: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(one["name"], one["dtype"], tuple(one["shape"])) for one in plain)


__all__ = ["GuardedRuntime", "GuardedSession", "Limits", "load"]
