"""What the original and every candidate answer on the blocks of a split; finished ones are kept.

The original's answers to all blocks take a file of their own, which is made only when some candidate has not been held
against them yet, and is gone afterwards.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shoestring.domain.divergence import BlockTrace
from shoestring.fitting.language.source import original_file
from shoestring.runtimes.llamacpp.reference import Reference
from shoestring.runtimes.llamacpp.scorer import ORIGINAL, Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shoestring.fitting.language.bench import Bench, Written


class Scores:
    """Answers on the splits. Use it in a `with` block.

    Args:
        bench: model, texts, place.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._stack = contextlib.ExitStack()
        self._original: Path | None = None
        self._held: tuple[str, Reference] | None = None

    def __enter__(self) -> Scores:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()
        self._stack.close()

    def original(self, split: str) -> BlockTrace:
        """The original's own trace.

        Raises:
            EngineFaultError, ModelError, StorageError: it cannot be scored here.
        """
        return self._bench.cache.noun(
            "blocks",
            self._question(self._bench.source.sha256, ORIGINAL, split),
            BlockTrace,
            lambda: self._remember(split),
        )

    def of(self, written: Written, split: str) -> BlockTrace:
        """A candidate's trace. Raises as `original`."""
        bench, source = self._bench, self._bench.source
        if source.is_original(written.sha256):
            original = self.original(split)
            return BlockTrace(written.name, split, original.tokens, original.kl, original.same, original.loss)
        kept = bench.cache.noun(
            "blocks", self._question(written.sha256, "", split), BlockTrace, lambda: self._compare(written, split)
        )
        return BlockTrace(written.name, split, kept.tokens, kept.kl, kept.same, kept.loss)

    def all_of(self, written: Sequence[Written], split: str) -> Mapping[str, BlockTrace]:
        """Traces by candidate name. Raises as `original`."""
        return {one.name: self.of(one, split) for one in written}

    def _question(self, sha256: str, role: str, split: str) -> dict[str, object]:
        bench = self._bench
        return {**bench.basis(split), "file": sha256, "role": role, "original": bench.source.sha256}

    def _remember(self, split: str) -> BlockTrace:
        """Fills the reference on the way."""
        self._drop()
        bench, blocks = self._bench, self._bench.split(split)
        if self._original is None:
            bench.progress("unpacking the original's weights", 0, 0)
            self._original = self._stack.enter_context(original_file(bench.source, bench.cache.root))
        reference = Reference(bench.source.transformer.vocabulary)
        try:
            with self._scorer(self._original, reference) as scorer:
                trace = scorer.remember(blocks.runs, split, tell=self._tell("the original", split))
        except BaseException:
            reference.close()
            raise
        self._held = (split, reference)
        return trace

    def _compare(self, written: Written, split: str) -> BlockTrace:
        if self._held is None or self._held[0] != split:
            self._remember(split)
        if self._held is None:
            raise RuntimeError("the original was just scored")
        with self._scorer(written.path, self._held[1]) as scorer:
            return scorer.compare(written.name, split, tell=self._tell(written.name, split))

    def _scorer(self, path: Path, reference: Reference) -> Scorer:
        bench = self._bench
        longest = max(len(run) for blocks in bench.blocks for run in blocks.runs)
        return Scorer(
            path,
            threads=bench.threads,
            context=max(32, longest),
            expected=bench.source.transformer,
            reference=reference,
        )

    def _tell(self, who: str, split: str) -> Callable[[int], None]:
        total = len(self._bench.split(split).runs)
        return lambda done: self._bench.progress(f"scoring {who} ({split})", done, total)

    def _drop(self) -> None:
        if self._held is not None:
            self._held[1].close()
            self._held = None
