"""The log-probability of every token at every place of a text, from a model in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError, EngineFaultError, ModelError
from shoestring.domain.divergence import BlockTrace
from shoestring.runtimes.checks import check_threads
from shoestring.runtimes.guard_process import GuardProcess, Question
from shoestring.runtimes.guarded import Limits
from shoestring.runtimes.llamacpp.reference import Reference, Run, check_run
from shoestring.runtimes.llamacpp.scorer_child import NOT_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shoestring.domain.transformer import Transformer
    from shoestring.runtimes.llamacpp.rows import Floats

SERVE = "shoestring.runtimes.llamacpp.scorer_child:serve"
BATCH = 128
"""Tokens read in one step: their logits take 25 MB of a vocabulary of 49,152, and larger steps are hardly faster."""
CONTEXT = 1024
TEXTS_AT_ONCE = 64
MAX_SCORED_BYTES = 1024**3
"""Of the answers that `score` hands over; `compare` has no such limit."""
ORIGINAL = "original"


@dataclass(frozen=True)
class About:
    """What the engine says of the model that it has loaded.

    Args:
        version: of the engine, with its name.
        vocabulary: tokens.
        context: tokens that one run may have.
        trained_context: that the model was trained for.
        width: of the residual stream.
        layers: blocks.
    """

    version: str
    vocabulary: int
    context: int
    trained_context: int
    width: int
    layers: int


class Scorer:
    """A model loaded for scoring. Belongs to the thread that makes it, and ends with it.

    Its answers are the same, bit for bit, for the same batch and threads.

    Args:
        model: a GGUF file.
        threads: that read and write.
        context: the longest run, tokens.
        batch: tokens that are read in one step.
        expected: what our own reading of the header says, to hold the engine's against; None to trust it.
        reference: where `remember` keeps and `compare` finds the original's answers.
        limits: None for the usual ones; the time for a run is for each step of `batch` tokens.

    Raises:
        UsageError: a thread count below 1.
        MissingExtraError: xllamacpp is not installed.
        ModelError: llama.cpp refuses the file, or sees another model in it than we do.
        EngineError: a version of xllamacpp whose form is not known.
        EngineFaultError: it crashed, hung, or went past a limit.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        threads: int = 1,
        context: int = CONTEXT,
        batch: int = BATCH,
        expected: Transformer | None = None,
        reference: Reference | None = None,
        limits: Limits | None = None,
    ) -> None:
        check_threads(threads)
        self.model, self.threads, self.batch = Path(model), threads, min(batch, context)
        self._limits = limits or Limits()
        self._reference = reference
        files = () if reference is None else (reference.descriptor,)
        self._process = GuardProcess(
            f"llama.cpp with {self.model.name}", self._limits.memory_bytes, serve=SERVE, files=files
        )
        try:
            request = {
                "do": "load",
                "path": str(self.model.absolute()),
                "context": context,
                "batch": self.batch,
                "threads": threads,
                "prefill_threads": threads,
            }
            self.about = About(**self._ask(request, "loading", self._limits.load_s))
            self._check(expected)
        except BaseException:
            self.close()
            raise

    def tokenize(self, texts: Iterable[str], *, special: bool = False, add_start: bool = False) -> list[list[int]]:
        """Ids of texts by the tokenizer in the file.

        Args:
            texts: any number of any length.
            special: whether names of control tokens in a text mean those tokens; never for what strangers wrote.
            add_start: whether the token that starts a text goes ahead, where the model has one.
        """
        waiting, found = list(texts), []
        for start in range(0, len(waiting), TEXTS_AT_ONCE):
            some = waiting[start : start + TEXTS_AT_ONCE]
            request = {"do": "tokenize", "texts": some, "special": special, "add_start": add_start}
            found += self._ask(request, "tokenizing", self._limits.run_s)
        return found

    def text(self, tokens: Sequence[int]) -> str:
        """The text that ids stand for. Raises DataError for an id that is no token."""
        return str(self._ask({"do": "text", "tokens": list(tokens)}, "writing out tokens", self._limits.run_s))

    def score(self, tokens: Sequence[int]) -> Floats:
        """Log-probabilities of what comes after each token of a run.

        Args:
            tokens: 1 to `about.context`.

        Returns:
            (tokens, vocabulary), natural logarithms.

        Raises:
            DataError: no token, too many, or an id that is none.
            EngineFaultError: as when it was made; `nan` when the logits are no numbers.
        """
        if not tokens:
            raise DataError("an empty run has no scores", hint="give at least one token")
        self._check_length(tokens)
        size = 4 * len(tokens) * self.about.vocabulary
        if size > MAX_SCORED_BYTES:
            raise DataError(
                f"log-probabilities of {len(tokens)} tokens take {size:,} bytes, more than {MAX_SCORED_BYTES:,}",
                hint="score shorter runs, or compare with a reference",
            )
        records = self._ask({"do": "score", "tokens": list(tokens)}, "scoring", self._limits.run_s)
        return self._process.outputs.read(records)["logprobs"]

    def remember(
        self, runs: Sequence[Sequence[int]], split: str, *, lead: int = 0, tell: Callable[[int], None] | None = None
    ) -> BlockTrace:
        """Answer runs as the original, and keep the answers in the reference.

        Args:
            runs: of tokens, each at most `about.context` long.
            split: that they are of.
            lead: tokens at the start of each run that are context only.
            tell: called with the number of runs done.

        Raises:
            DataError: a run is too long or scores nothing.
            StorageError: the reference's limit, or the disk's.
            EngineFaultError: as `score`.
        """
        reference, losses, counts = self._kept(), [], []
        for number, tokens in enumerate(runs):
            self._check_length(tokens)
            run = reference.place_for(tuple(tokens), lead)
            losses.append(self._ask(self._request("remember", run), "scoring", self._limits.run_s))
            reference.runs.append(run)
            counts.append(run.rows)
            if tell is not None:
                tell(number + 1)
        means = tuple(loss / count for loss, count in zip(losses, counts, strict=True))
        return BlockTrace(ORIGINAL, split, tuple(counts), (0.0,) * len(counts), tuple(counts), means)

    def compare(
        self,
        candidate: str,
        split: str,
        numbers: Sequence[int] | None = None,
        *,
        tell: Callable[[int], None] | None = None,
    ) -> BlockTrace:
        """Answer runs that the original has answered, and say how far the answers are from its.

        Args:
            candidate: name of this model.
            split: that the runs are of.
            numbers: of runs of the reference, in the order of `remember`; None for all.
            tell: called with the number of runs done.

        Raises:
            EngineFaultError: as `score`.
        """
        reference = self._kept()
        chosen = [reference.runs[number] for number in (range(len(reference.runs)) if numbers is None else numbers)]
        sums = []
        for number, run in enumerate(chosen):
            sums.append(self._ask(self._request("compare", run), "scoring", self._limits.run_s))
            if tell is not None:
                tell(number + 1)
        counts = tuple(run.rows for run in chosen)
        each = list(zip(sums, counts, strict=True))
        return BlockTrace(
            candidate,
            split,
            counts,
            tuple(one[0] / count for one, count in each),
            tuple(round(one[1]) for one, _ in each),
            tuple(one[2] / count for one, count in each),
        )

    def loss(self, tokens: Sequence[int], *, lead: int = 0) -> float:
        """Mean negative log-likelihood of the tokens of a run after the lead, nats. Raises as `score`."""
        check_run(tuple(tokens), lead)
        self._check_length(tokens)
        run = Run(tuple(tokens), lead, 0)
        return float(self._ask({**self._request("loss", run), "file": None}, "scoring", self._limits.run_s)) / run.rows

    def rate(
        self, tokens: Sequence[int], written: int, *, threads: int | None = None, prefill_threads: int | None = None
    ) -> tuple[float, list[float]]:
        """Time the bare engine once: nothing is sampled, nothing travels.

        Args:
            tokens: the prompt.
            written: tokens to write after it, the likeliest each time.
            threads: that write; None as loaded.
            prefill_threads: that read; None as loaded.

        Returns:
            Seconds for the prompt, and for each token written.

        Raises:
            DataError: prompt and answer are longer than the context.
        """
        self._check_length([*tokens, *([0] * written)])
        request = {
            "do": "rate",
            "tokens": list(tokens),
            "written": written,
            "threads": threads or self.threads,
            "prefill_threads": prefill_threads or self.threads,
        }
        first, *others = self._ask(request, "writing", self._limits.run_s)
        return float(first), [float(one) for one in others]

    def peak_rss_bytes(self) -> int | None:
        """Peak resident memory of the process so far, Python included; None when it is gone."""
        return self._process.peak_rss_bytes()

    def close(self) -> None:
        """End the process; a second call does nothing."""
        self._process.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, do: str, run: Run) -> dict[str, Any]:
        place = {"place": run.place, "rows": run.rows}
        where = None if self._reference is None else self._reference.descriptor
        return {"do": do, "tokens": list(run.tokens), "lead": run.lead, "file": where, **place}

    def _ask(self, request: dict[str, Any], doing: str, seconds: float) -> Any:
        answer = self._process.ask(Question(request, doing, seconds))
        if isinstance(answer, dict) and NOT_NUMBERS in answer:
            raise EngineFaultError(f"{self._process.who}: {answer[NOT_NUMBERS]}", "nan", hint="is the file damaged?")
        return answer

    def _kept(self) -> Reference:
        if self._reference is None:
            raise DataError("this scorer was made without a reference", hint="Scorer(..., reference=Reference(...))")
        if self._reference.vocabulary != self.about.vocabulary:
            raise ModelError(
                f"{self.model.name} has {self.about.vocabulary:,} tokens and the original "
                f"{self._reference.vocabulary:,}: they cannot be compared"
            )
        return self._reference

    def _check_length(self, tokens: Sequence[int]) -> None:
        if len(tokens) > self.about.context:
            raise DataError(
                f"{len(tokens)} tokens are more than the context of {self.about.context}",
                hint="cut the text into shorter runs, or load with a longer context",
            )

    def _check(self, expected: Transformer | None) -> None:
        if expected is None:
            return
        ours = (expected.vocabulary, expected.width, expected.layers, expected.context)
        theirs = (self.about.vocabulary, self.about.width, self.about.layers, self.about.trained_context)
        if ours != theirs:
            raise ModelError(
                f"{self.model.name}: by its header vocabulary, width, layers and context are {ours}, "
                f"and {self.about.version} says {theirs}",
                hint="the file is damaged, or of a kind that one of the two does not know",
            )


__all__ = ["BATCH", "CONTEXT", "About", "Scorer"]
