"""A small rung answers first; where it was unsure, the large one answers instead (`domain.text.TokenCascade`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.device.language.nouns import Options, Piece
    from shoestring.domain.text import TokenCascade

MEAN_LOGPROB = "mean-logprob"


def sureness(pieces: Sequence[Piece]) -> float | None:
    """Mean log-probability of the tokens that were chosen, nats; None where nobody told them.

    An answer without a token is the end of the text at once: nothing to be unsure of is known, so it is not sure.
    """
    values = [written.token.logprob for piece in pieces for written in piece.tokens]
    return math.fsum(values) / len(values) if values else None


def stands(cascade: TokenCascade, pieces: Sequence[Piece]) -> bool:
    """Whether the small rung's answer is kept."""
    level = sureness(pieces)
    return level is not None and level >= cascade.threshold


def applies(cascade: TokenCascade | None, options: Options) -> bool:
    """Whether the certificate speaks of such answers: the likeliest tokens, and no form forced on them."""
    return (
        cascade is not None
        and cascade.measure == MEAN_LOGPROB
        and options.temperature == 0
        and not options.json
        and options.schema is None
    )


__all__ = ["MEAN_LOGPROB", "applies", "stands", "sureness"]
