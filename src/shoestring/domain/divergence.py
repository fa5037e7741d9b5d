"""How far a compressed language model has moved from the original, on the same text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockTrace:
    """What one candidate answered on the blocks of one split; the original's own has zeros and all tokens the same.

    A block is a run of tokens from one document; each document gives at most one, so that blocks are independent.

    Args:
        candidate: its name, or `original`.
        split: where.
        tokens: scored in each block.
        kl: of each block the mean over its tokens of KL(original || candidate) of the next token, nats.
        same: tokens of each block whose likeliest next token is the original's.
        loss: of each block the mean negative log-likelihood of the token that came next, nats.
    """

    candidate: str
    split: str
    tokens: tuple[int, ...]
    kl: tuple[float, ...]
    same: tuple[int, ...]
    loss: tuple[float, ...]


@dataclass(frozen=True)
class Divergence:
    """Scores of a language model against the original; intervals are of a paired bootstrap over blocks.

    Args:
        split: they were taken on.
        blocks: of text.
        tokens: scored in all of them.
        kl: mean KL(original || variant) over tokens, nats.
        kl_low: lower end of its interval.
        kl_high: upper end.
        agreement: fraction of tokens whose likeliest next token is the original's.
        agreement_low: lower end.
        agreement_high: upper end.
        perplexity: of the variant: exp of the mean loss over tokens.
        original_perplexity: on the same text.
        ratio_low: of perplexity / original_perplexity, lower end.
        ratio_high: upper end.
        confidence: of each interval.
    """

    split: str
    blocks: int
    tokens: int
    kl: float
    kl_low: float
    kl_high: float
    agreement: float
    agreement_low: float
    agreement_high: float
    perplexity: float
    original_perplexity: float
    ratio_low: float
    ratio_high: float
    confidence: float


@dataclass(frozen=True)
class KlCertificate:
    """At `confidence`, the expected KL of a block of text like the certification split is at most `max_kl`.

    Args:
        max_kl: the certified margin, nats; of blocks' mean KL, each counted up to `cap`.
        cap: nats; a block that diverges more counts as this much. The bound needs bounded values.
        confidence: for all certificates of the ladder together.
        method: the statistical method, with its source.
        blocks: of the certification split.
        tokens: in them.
        mean: observed, of the capped values, nats.
        capped: blocks that were above the cap.
        p_value: of "the mean is at least max_kl".
        artefact_sha256: the file that was scored.
        runtime: that scored it.
        runtime_version: of that runtime.
        isa: of the machine that scored it.
    """

    max_kl: float
    cap: float
    confidence: float
    method: str
    blocks: int
    tokens: int
    mean: float
    capped: int
    p_value: float
    artefact_sha256: str
    runtime: str
    runtime_version: str
    isa: tuple[str, ...]
