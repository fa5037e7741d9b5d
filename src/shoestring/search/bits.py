"""One block type for each tensor: the least predicted divergence within bytes, and seconds a token where asked.

A multiple-choice knapsack (Sinha and Zoltners, Operations Research 27(3), 1979), solved exactly by HiGHS through scipy
(Huangfu and Hall, MPC 2018). Sums of single tensors' divergences predict a mix well: docs/llm-mixes.md says how well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import BudgetError, EngineError, MissingExtraError, UsageError
from shoestring.base.units import format_bytes
from shoestring.domain.bits import Mix, TypeChoice
from shoestring.search.stdout import words_on_stderr

if TYPE_CHECKING:
    import numpy.typing as npt

SECONDS = 10.0  # for one choice; 2,300 choices of 211 tensors take 0.3
GAP = 1e-4  # of the sum: predictions are good to a tenth at best
ROUNDING = 1e-9  # of a limit of seconds: sums of floats
TRIES = 20  # a solver keeps limits within a tolerance; where that is a byte too many, the limit is lowered


@dataclass(frozen=True)
class _Problem:
    choices: tuple[TypeChoice, ...]
    groups: npt.NDArray[np.int64]
    tensors: int


def choose(choices: Sequence[TypeChoice], max_bytes: int, max_token_s: float | None = None) -> Mix:
    """The mix of the least predicted loss.

    Args:
        choices: at least one for each tensor; each pair of tensor and type once.
        max_bytes: for all these tensors together, at least 0.
        max_token_s: seconds a token, for all of them together; None: not limited.

    Returns:
        A mix within the limits, whose loss is within GAP of `bound` unless the solver ran out of SECONDS.

    Raises:
        UsageError: there is nothing to choose from, or a figure is not a number or below 0.
        BudgetError: not even the smallest types fit; says what would.
        MissingExtraError: scipy is not installed.
        EngineError: the solver gave no answer.
    """
    problem = _checked(choices, max_bytes, max_token_s)
    limit = float(max_bytes)
    for _ in range(TRIES):
        chosen, bound = _solve(problem, limit, max_token_s)
        mix = _mix(chosen, bound)
        over = mix.size_bytes - max_bytes
        late = max_token_s is not None and mix.token_s > max_token_s * (1 + ROUNDING)
        if over <= 0 and not late:
            return mix
        limit -= max(over, 0) + 1
    raise EngineError(f"the solver went over {max_bytes:,} bytes {TRIES} times", hint="allow a few bytes more")


def spread(choices: Sequence[TypeChoice], sizes: Sequence[int]) -> list[Mix]:
    """Mixes at several sizes, each a different one: those that a smaller size already gave are left out."""
    found: list[Mix] = []
    for size in sorted(sizes):
        mix = choose(choices, size)
        if not found or mix.types != found[-1].types:
            found.append(mix)
    return found


def smallest_bytes(choices: Sequence[TypeChoice]) -> int:
    """What all tensors take in their smallest types."""
    least: dict[str, int] = {}
    for choice in choices:
        least[choice.tensor] = min(choice.size_bytes, least.get(choice.tensor, choice.size_bytes))
    return sum(least.values())


def _checked(choices: Sequence[TypeChoice], max_bytes: int, max_token_s: float | None) -> _Problem:
    if not choices:
        raise UsageError("there is no tensor to choose a type for")
    if len({(choice.tensor, choice.type) for choice in choices}) != len(choices):
        raise UsageError("a tensor has the same type twice among the choices")
    for choice in choices:
        if not (0 <= choice.loss < np.inf and choice.size_bytes >= 0 and 0 <= choice.token_s < np.inf):
            raise UsageError(
                f"{choice.tensor} in {choice.type} has the loss {choice.loss} and {choice.size_bytes} bytes"
            )
    least = smallest_bytes(choices)
    if least > max_bytes:
        raise BudgetError(
            f"the smallest types take {format_bytes(least)}, and {format_bytes(max_bytes)} are allowed",
            hint="allow more bytes, or take a smaller model",
        )
    place = {name: i for i, name in enumerate(dict.fromkeys(choice.tensor for choice in choices))}
    if max_token_s is not None:
        fastest = _fastest(choices)
        if fastest > max_token_s * (1 + ROUNDING):
            raise BudgetError(
                f"the fastest types take {fastest * 1e3:.3g} ms a token, and {max_token_s * 1e3:.3g} ms are allowed",
                hint="allow more time, or take a smaller model",
            )
    return _Problem(tuple(choices), np.array([place[choice.tensor] for choice in choices]), len(place))


def _fastest(choices: Sequence[TypeChoice]) -> float:
    least: dict[str, float] = {}
    for choice in choices:
        least[choice.tensor] = min(choice.token_s, least.get(choice.tensor, choice.token_s))
    return sum(least.values())


def _solve(problem: _Problem, max_bytes: float, max_token_s: float | None) -> tuple[list[TypeChoice], float]:
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array
    except ImportError as error:
        raise MissingExtraError("scipy", "fit") from error
    n = len(problem.choices)
    loss = np.array([choice.loss for choice in problem.choices])
    sizes = np.array([choice.size_bytes for choice in problem.choices], dtype=np.float64)
    one_each = csr_array((np.ones(n), (problem.groups, np.arange(n))), shape=(problem.tensors, n))
    limits: list[Any] = [LinearConstraint(one_each, 1, 1), _at_most(sizes, max_bytes, LinearConstraint)]
    if max_token_s is not None:
        seconds = np.array([choice.token_s for choice in problem.choices])
        limits.append(_at_most(seconds, max_token_s, LinearConstraint))
    scale = _scale(problem, loss, sizes, max_bytes)  # tolerances are absolute
    with words_on_stderr():
        answer = milp(
            loss / scale,
            constraints=limits,
            integrality=np.ones(n, dtype=np.int64),
            bounds=Bounds(0, 1),
            options={"time_limit": SECONDS, "mip_rel_gap": GAP},
        )
    if answer.x is None:
        raise EngineError(
            f"no mix of {problem.tensors} tensors within {format_bytes(max_bytes)} was found: {answer.message}",
            hint="allow more bytes or more time a token",
        )
    chosen = [choice for choice, taken in zip(problem.choices, answer.x, strict=True) if taken > 0.5]
    bound = 0.0 if answer.mip_dual_bound is None else max(0.0, float(answer.mip_dual_bound) * scale)
    return chosen, bound


def _at_most(values: npt.NDArray[np.float64], limit: float, constraint: Any) -> Any:
    unit = max(float(values.max(initial=0.0)), 1e-30)
    return constraint(values[None] / unit, -np.inf, limit / unit)


def _scale(problem: _Problem, loss: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], max_bytes: float) -> float:
    """Near the answer's loss: that of the smallest size share a tensor that every tensor could take alike."""
    share = max_bytes / max(sum(_least(problem, sizes)), 1.0)
    within = sizes <= np.array(_least(problem, sizes))[problem.groups] * share
    rough = sum(loss[(problem.groups == group) & within].min() for group in range(problem.tensors))
    return max(float(rough), 1e-12)


def _least(problem: _Problem, sizes: npt.NDArray[np.float64]) -> list[float]:
    return [float(sizes[problem.groups == group].min()) for group in range(problem.tensors)]


def _mix(chosen: Sequence[TypeChoice], bound: float) -> Mix:
    loss = sum(choice.loss for choice in chosen)
    size = sum(choice.size_bytes for choice in chosen)
    types = {choice.tensor: choice.type for choice in chosen}
    return Mix(types, size, loss, min(bound, loss), sum(choice.token_s for choice in chosen))
