"""What a bundle for text holds beside its ladder: encoders that take a text, and models that write one."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET
from shoestring.domain.model import TensorSpec
from shoestring.domain.transformer import Transformer

CLASSIFICATION, EMBEDDING = "classification", "embedding"
TEXT_KINDS = (CLASSIFICATION, EMBEDDING)
NGRAM, DRAFT = "ngram", "draft:"
"""Ways of speculation: by the words before, or by another rung, whose name follows."""


@dataclass(frozen=True)
class TextInput:
    """How a text becomes the inputs of an encoder, and what its output is.

    Every rung's graph does pooling, normalisation and head itself: its one output is (n, classes) or (n, dimensions).

    Args:
        kind: `classification`: the output is a score a class; `embedding`: a vector.
        tokenizer: hash of a blob, the `tokenizer.json` of the library `tokenizers`.
        ids: input of token ids, (n, tokens).
        mask: input that is 1 where there is a token and 0 where there is padding; None: the graph has none.
        types: input of token types, all zeros; None: the graph has none.
        padding: token id that fills up.
        max_tokens: a longer text is cut, and that is said.
        buckets: lengths that a batch is padded to, ascending; the last is `max_tokens`.
        normalized: whether the rows of an embedding have length one.
    """

    kind: str
    tokenizer: str
    ids: TensorSpec
    mask: TensorSpec | None
    types: TensorSpec | None
    padding: int
    max_tokens: int
    buckets: tuple[int, ...]
    normalized: bool


@dataclass(frozen=True)
class GoldenTexts:
    """The golden inputs of a bundle for text, as canonical JSON.

    Args:
        texts: of an encoder, or prompts.
        tokens: of a model that writes: for each prompt the ids whose log-probabilities as the next token are the golden
            outputs, as many for each; None of an encoder, whose outputs are what it answers.
    """

    texts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...] | None = field(default=None, metadata=WHEN_SET)


@dataclass(frozen=True)
class TokenCascade:
    """A small rung answers first; an answer it was unsure of is given by the large one instead.

    Args:
        small: name of the rung that answers first.
        large: of the rung that answers where the small one was unsure.
        measure: of its sureness: `mean-logprob`, the mean log-probability of the tokens that it chose.
        threshold: at or above it the small one's answer stands.
        kept: fraction of the prompts of the certification split whose answer the small rung gave.
        certificate: in words, with its numbers, what was tested and on how many prompts.
    """

    small: str
    large: str
    measure: str
    threshold: float
    kept: float
    certificate: str


@dataclass(frozen=True)
class Generation:
    """A model that writes text. Tokenizer and chat template stand in the model files themselves (GGUF).

    Args:
        transformer: by the header.
        context: tokens of prompt and answer together that costs were taken for; the most that is served.
        cache_type: of keys and values in memory: `f16`, `q8_0`.
        chat: whether the file has a chat template.
        prefill_threads: for each rung the threads that read the prompt; `Rung.threads` are those that write.
        speculation: for each rung that is faster with it: `ngram`, or `draft:RUNG`.
        cascade: None where none pays.
    """

    transformer: Transformer
    context: int
    cache_type: str
    chat: bool
    prefill_threads: dict[str, int]
    speculation: dict[str, str]
    cascade: TokenCascade | None = field(default=None, metadata=WHEN_SET)
