"""Every error that leaves a public function.

    ShoestringError                    exit 1
    ├── UsageError                     exit 2   a flag or argument that makes no sense
    │   └── MissingExtraError          exit 2   an optional dependency is not installed
    ├── ModelError                     exit 1   the model cannot be read, or holds what we cannot handle
    ├── DataError                      exit 1   images, labels or pre-processing are wrong
    │   └── PromptTooLongError         exit 1   ... a prompt has more tokens than the context
    ├── EngineError                    exit 1   a runtime failed to load or run a model
    │   ├── EngineFaultError           exit 1   ... it broke its own process, a limit, or answered what no engine may
    │   │   └── EngineDownError        exit 1   ... and is not back yet; says when it is tried next
    │   └── CandidateError             exit 1   ... a candidate that a fit can do without
    ├── ChildError                     exit 1   a child process broke
    │   ├── ChildTimeoutError          exit 1   ... it ran past its time limit
    │   └── ChildCrashedError          exit 1   ... it died: signal, memory limit
    ├── StorageError                   exit 1   the disk refused: full, read-only, missing
    ├── BudgetError                    exit 3   nothing meets the budget; says what can be had
    ├── TrustError                     exit 4   something is not what it claims to be
    │   ├── BundleError                exit 4   a bundle breaks its format or a hash
    │   ├── GoldenError                exit 4   the golden set answers otherwise on this device
    │   ├── SignatureError             exit 4   a signature is missing, wrong, or of nobody who is trusted
    │   ├── RepositoryError            exit 4   a fleet's repository is not what its keys vouch for
    │   └── SlotError                  exit 4   a bundle was not activated, or a device's slots are damaged
    ├── StaleError                     exit 1   a fleet's repository is intact but out of date
    └── UnreachableError               exit 1   a repository or a collector cannot be reached now

A message says what happened with the value and the limit; the hint says what to do next.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ShoestringError(Exception):
    """Root of the tree.

    Args:
        message: what happened, with the value and the limit.
        hint: what the user can do about it, or None.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class UsageError(ShoestringError):
    """A flag or argument that makes no sense."""

    exit_code = 2


class MissingExtraError(UsageError):
    """An optional dependency is not installed.

    Args:
        package: what could not be imported.
        extra: the extra of this project that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed",
            hint=f"pip install 'shoestring[{extra}]'",
        )
        self.package = package
        self.extra = extra


class ModelError(ShoestringError):
    """The model cannot be read, or holds what we cannot handle."""


class DataError(ShoestringError):
    """Images, labels or pre-processing are wrong."""


class PromptTooLongError(DataError):
    """A prompt has more tokens than the context.

    Args:
        message, hint: as in the root.
        tokens: of the prompt.
        limit: of the context.
    """

    tokens: int = 0
    limit: int = 0

    def __init__(self, message: str, tokens: int = 0, limit: int = 0, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tokens, self.limit = tokens, limit


class EngineError(ShoestringError):
    """A runtime failed to load or run a model."""


class EngineFaultError(EngineError):
    """A runtime broke the process it ran in, a limit, or answered what no engine may.

    Args:
        message, hint: as in the root.
        fault: which, one of `FAULTS`.
    """

    FAULTS: ClassVar[tuple[str, ...]] = ("crashed", "hung", "memory", "flood", "nan", "shape", "resting")
    fault: str = "crashed"

    def __init__(self, message: str, fault: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fault = fault


class EngineDownError(EngineFaultError):
    """There is no engine that could answer right now.

    Args:
        message, fault, hint: as in `EngineFaultError`; the fault is the one that brought it down.
        next_try_s: seconds from now until it is started again, 0 while it is starting; None when it never will be.
    """

    next_try_s: float | None = None

    def __init__(self, message: str, fault: str, next_try_s: float | None, *, hint: str | None = None) -> None:
        super().__init__(message, fault, hint=hint)
        self.next_try_s = next_try_s


class CandidateError(EngineError):
    """A candidate that a fit can do without fails on its runtime.

    Args:
        name: of the candidate.
        message, hint: as in the root.
    """

    def __init__(self, name: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name


class ChildError(ShoestringError):
    """A child process broke."""


class ChildTimeoutError(ChildError):
    """A child process ran past its time limit."""


class ChildCrashedError(ChildError):
    """A child process died by a signal or at its memory limit."""


class StorageError(ShoestringError):
    """The disk refused: full, read-only, missing."""


class BudgetError(ShoestringError):
    """Nothing meets the budget.

    Args:
        message, hint: as in the root; the hint says what can be had.
        rows: the figures of every candidate with the reason against it, for a table.
    """

    exit_code = 3
    rows: tuple[dict[str, Any], ...] = ()

    def __init__(self, message: str, *, hint: str | None = None, rows: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.rows = rows


class TrustError(ShoestringError):
    """Something is not what it claims to be."""

    exit_code = 4


class BundleError(TrustError):
    """A bundle breaks its format or one of its hashes."""


class GoldenError(TrustError):
    """The golden set answers otherwise on this device."""


class SignatureError(TrustError):
    """A signature is missing, wrong, or of nobody who is trusted."""


class RepositoryError(TrustError):
    """A fleet's repository is not what its keys vouch for: forged, mixed, rolled back, or endless.

    Args:
        message, hint: as in the root.
        rule: that it broke, one of `RULES`.
    """

    RULES: ClassVar[tuple[str, ...]] = ("form", "signature", "version", "hash", "length", "listing", "name", "release")
    rule: str = "form"

    def __init__(self, message: str, *, rule: str = "form", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class StaleError(ShoestringError):
    """A fleet's repository is intact but out of date: its signatures hold, its time is over. What runs goes on.

    Args:
        message, hint: as in the root.
        late_s: seconds since its time was over, by the clock that it was held against; 0 where nobody counted.
    """

    late_s: int = 0

    def __init__(self, message: str, *, late_s: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.late_s = late_s


class UnreachableError(ShoestringError):
    """A repository or a collector of reports cannot be reached now.

    Args:
        message, hint: as in the root.
        retry_after_s: that the other side asked to be left alone for, seconds; None: it did not.
    """

    retry_after_s: float | None = None

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class SlotError(TrustError):
    """A bundle was not activated, or the slots of a device are not as we left them.

    Args:
        message, hint: as in the root.
        reason: one of `REASONS`.
    """

    REASONS: ClassVar[tuple[str, ...]] = (
        "signature", "hash", "space", "chip", "runtime", "version", "golden",
        "crashed", "hung", "refused-before", "revoked", "damaged",
    )  # fmt: skip
    reason: str = "damaged"

    def __init__(self, message: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
