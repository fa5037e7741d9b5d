"""What a bundle for text must keep beyond its types."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from shoestring.base.limits import MAX_TEXT_TOKENS
from shoestring.bundle.refusal import check_fraction, refuse
from shoestring.domain.text import DRAFT, NGRAM, TEXT_KINDS

if TYPE_CHECKING:
    from shoestring.domain.manifest import Manifest
    from shoestring.domain.text import Generation, TextInput, TokenCascade
    from shoestring.domain.transformer import Transformer

ID_TYPES = ("int32", "int64")
CACHE_TYPES = ("f16", "q8_0")


def check_text(manifest: Manifest) -> None:
    """Hold a manifest without pre-processing of images against the rules of text. Raises BundleError."""
    if (manifest.text is None) == (manifest.generation is None):
        raise refuse(
            "it has no pre-processing of images, and is not of one kind of text: an encoder, or one that writes"
        )
    if manifest.students or manifest.head is not None:
        raise refuse("a bundle for text has no students and no detection head")
    if manifest.text is not None:
        _check_input(manifest, manifest.text)
    if manifest.generation is not None:
        _check_generation(manifest, manifest.generation)


def _check_input(manifest: Manifest, text: TextInput) -> None:
    if text.kind not in TEXT_KINDS:
        raise refuse(f"the kind of text {text.kind!r} is not one of {', '.join(TEXT_KINDS)}")
    if text.ids != manifest.input:
        raise refuse("the input and the input of token ids differ")
    inputs = [spec for spec in (text.ids, text.mask, text.types) if spec is not None]
    names = [spec.name for spec in inputs]
    if len(set(names)) != len(names):
        raise refuse(f"two inputs are called the same: {', '.join(map(repr, names))}")
    for spec in inputs:
        if spec.dtype not in ID_TYPES or len(spec.shape) != 2:
            raise refuse(f"the input {spec.name!r} is {spec.dtype} {spec.shape}, not whole numbers (texts, tokens)")
    if not 0 <= text.padding <= 2**31:
        raise refuse(f"the padding token is {text.padding}")
    buckets = text.buckets
    ascending = all(one < two for one, two in pairwise(buckets))
    if not buckets or buckets[0] < 1 or not ascending or buckets[-1] != text.max_tokens:
        raise refuse(f"the buckets {buckets} do not rise to max_tokens, {text.max_tokens}")
    if text.max_tokens > MAX_TEXT_TOKENS:
        raise refuse(f"max_tokens is {text.max_tokens}, the limit is {MAX_TEXT_TOKENS}")


def _check_generation(manifest: Manifest, generation: Generation) -> None:
    _check_transformer(generation.transformer)
    if not 1 <= generation.context <= MAX_TEXT_TOKENS:
        raise refuse(f"the context is {generation.context} tokens, outside 1 to {MAX_TEXT_TOKENS}")
    if generation.cache_type not in CACHE_TYPES:
        raise refuse(f"the cache type {generation.cache_type!r} is not one of {', '.join(CACHE_TYPES)}")
    ladder = manifest.ladder
    if ladder.offered is not None or ladder.cascade is not None:
        raise refuse("a model that writes text has a ladder without offered rungs and without a cascade of classifiers")
    rungs = {rung.name for rung in ladder.rungs}
    if generation.prefill_threads.keys() != rungs or min(generation.prefill_threads.values(), default=0) < 1:
        raise refuse(f"threads that read the prompt: {generation.prefill_threads}; each rung has at least one")
    for name, way in generation.speculation.items():
        draft = way.removeprefix(DRAFT)
        if name not in rungs or (way != NGRAM and (draft not in rungs or draft in (way, name))):
            raise refuse(f"speculation of {name!r} by {way!r}: a rung is helped by {NGRAM} or by {DRAFT} another rung")
    if generation.cascade is not None:
        _check_cascade(generation.cascade, rungs)


def _check_transformer(net: Transformer) -> None:
    counts = {
        "layers": net.layers,
        "width": net.width,
        "heads": net.heads,
        "kv_heads": net.kv_heads,
        "key_width": net.key_width,
        "value_width": net.value_width,
        "feed_forward": net.feed_forward,
        "vocabulary": net.vocabulary,
        "context": net.context,
        "parameters": net.parameters,
        "window": 1 if net.window is None else net.window,
    }
    for name, value in counts.items():
        if value < 1:
            raise refuse(f"the transformer's {name} is {value}, below 1")
    if net.kv_heads > net.heads:
        raise refuse(f"the transformer has {net.kv_heads} heads of keys for {net.heads} of queries")
    if not net.architecture or not net.architecture.isprintable():
        raise refuse(f"the architecture {net.architecture!r} is empty or cannot be printed")


def _check_cascade(cascade: TokenCascade, rungs: set[str]) -> None:
    if cascade.small == cascade.large or not {cascade.small, cascade.large} <= rungs:
        raise refuse(f"the cascade goes from {cascade.small!r} to {cascade.large!r}, which are not two rungs")
    check_fraction("the cascade", "kept", cascade.kept)
    for what, text in (("measure", cascade.measure), ("certificate", cascade.certificate)):
        if not text or not text.isprintable():
            raise refuse(f"the cascade's {what} is empty or cannot be printed")
