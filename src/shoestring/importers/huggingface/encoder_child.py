"""The inside of the quarantine for encoders: a folder becomes an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.domain.text import CLASSIFICATION, EMBEDDING
from shoestring.importers.huggingface.encoder_facts import Facts
from shoestring.importers.huggingface.encoder_family import Shape, shape_of
from shoestring.importers.huggingface.encoder_graph import EncoderBuilder, classified, finished, pooled
from shoestring.importers.huggingface.fields import Fields
from shoestring.importers.huggingface.folder import CONFIG, TOKENIZER, TOKENIZER_CONFIG, Folder
from shoestring.importers.huggingface.sentence import MEAN, POOLINGS, Sentence, sentence_of
from shoestring.importers.huggingface.stored import Stored
from shoestring.importers.huggingface.vocabulary import check_fits, token_text, words_of
from shoestring.importers.written import write_onnx

MAX_CLASSES = 100_000  # as many as names of labels
_CLASSIFIER = "ForSequenceClassification"
_BARE = ("Model", "ForMaskedLM")


def translate(request: dict[str, Any]) -> Any:
    """Read the folder `source` and write ONNX to `target`.

    Args:
        request: both paths, and `pooling`: `mean`, `cls` or None for what the folder states.

    Returns:
        `Facts` as plain values.

    Raises:
        ModelError: the folder is unsound, or holds what is not known here; by name.
        StorageError: `target` cannot be written.
    """
    folder = Folder(Path(request["source"]))
    config = Fields(folder.json(CONFIG), CONFIG)
    shape, kind = shape_of(config), kind_of(config)
    words = words_of(folder.tokenizer())
    check_fits(words, shape.vocabulary)
    sentence = sentence_of(folder, shape.max_tokens)
    settings = folder.optional(TOKENIZER_CONFIG)
    stored = Stored(folder)
    if kind == CLASSIFICATION:
        model, labels, notes = _classifier(stored, shape, config, request["pooling"])
        normalized = False
    else:
        model, notes = _embedder(stored, shape, sentence, request["pooling"])
        labels, normalized = (), sentence.normalized
    dropped = stored.drop(_unused(stored, shape))
    stored.check_all_taken()
    if dropped:
        notes.append(f"left out {len(dropped)} tensors that the output does not depend on: {', '.join(dropped[:4])}")
    for name in stored.files:
        folder.hash_file(name)
    write_onnx(model, Path(request["target"]))
    return canonical.plain(
        Facts(
            sha256=folder.sha256(),
            tokenizer_sha256=folder.hashes[TOKENIZER].hex(),
            kind=kind,
            max_tokens=min(sentence.max_tokens or shape.max_tokens, _stated_length(settings, shape)),
            padding=padding_of(settings, config, words, shape),
            normalized=normalized,
            labels=labels,
            notes=tuple(notes),
        )
    )


def kind_of(config: Fields) -> str:
    """Classification or embedding, by the class that the config names. Raises ModelError for another one."""
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) else ""
    if name.endswith(_CLASSIFIER):
        return CLASSIFICATION
    if name.endswith(_BARE):
        return EMBEDDING
    raise config.wrong("architectures", f"and what is read ends in {', '.join((_CLASSIFIER, *_BARE))}")


def padding_of(settings: dict[str, Any], config: Fields, words: dict[str, int], shape: Shape) -> int:
    """The id that fills up: by the tokenizer's word for it, else by the config. Raises ModelError when neither says."""
    word = token_text(settings.get("pad_token"))
    if word is not None and word in words:
        return words[word]
    return config.integer("pad_token_id", 0, shape.vocabulary - 1)


def _embedder(stored: Stored, shape: Shape, sentence: Sentence, asked: str | None) -> tuple[Any, list[str]]:
    pooling, notes = asked or sentence.pooling, []
    if asked is not None and sentence.pooling not in (None, asked):
        raise ModelError(
            f"pooling by {asked} was asked for, and the folder states {sentence.pooling}", hint="leave it out"
        )
    if pooling is None:
        pooling = MEAN
        notes.append(f"the folder states no pooling: the {MEAN} over tokens is taken, as sentence-transformers does")
    if pooling not in POOLINGS:
        raise ModelError(f"pooling {pooling!r} is not known", hint=f"known are {', '.join(POOLINGS)}")
    build = EncoderBuilder(stored, shape, prefix_in(stored, shape))
    output = pooled(build, build.encode(), pooling, normalized=sentence.normalized)
    length = ", scaled to length one" if sentence.normalized else ""
    notes.append(f"{shape.layers} layers of width {shape.width}; the embedding is the {pooling} over tokens{length}")
    return finished(build, output, shape.width), notes


def _classifier(
    stored: Stored, shape: Shape, config: Fields, asked: str | None
) -> tuple[Any, tuple[str, ...], list[str]]:
    if asked is not None:
        raise ModelError("a classifier has its own head, and no pooling to choose", hint="leave it out")
    problem = config.text("problem_type", "single_label_classification")
    if problem != "single_label_classification":
        raise config.wrong("problem_type", "and one label a text is what is read")
    classes = stored.rows(f"{shape.family.last}.weight")
    if not 2 <= classes <= MAX_CLASSES:
        raise ModelError(
            f"the head has {classes:,} rows, expected 2 to {MAX_CLASSES:,} classes", hint="is it a classifier?"
        )
    labels = labels_of(config, classes)
    build = EncoderBuilder(stored, shape, prefix_in(stored, shape))
    output = classified(build, build.encode(), classes)
    return (
        finished(build, output, classes),
        labels,
        [f"{shape.layers} layers of width {shape.width}; {classes} classes"],
    )


def labels_of(config: Fields, classes: int) -> tuple[str, ...]:
    """Names of the classes in their order; LABEL_0 ... where the config names none, as Hugging Face does."""
    named = config.inner("id2label").values
    if not named:
        return tuple(f"LABEL_{index}" for index in range(classes))
    labels = [named.get(str(index)) for index in range(classes)]
    if len(named) != classes or not all(isinstance(label, str) and label for label in labels):
        raise config.wrong("id2label", f"expected {classes} names, one for each row of the head")
    return tuple(str(label) for label in labels)


def prefix_in(stored: Stored, shape: Shape) -> str:
    """The encoder's prefix in this file: none, where it was saved alone."""
    word = "embeddings.word_embeddings.weight"
    return "" if word in stored else shape.family.prefix


def _unused(stored: Stored, shape: Shape) -> list[str]:
    """Tensors of such a model that its output does not depend on: ids of positions, pooler, heads for pretraining."""
    prefix = prefix_in(stored, shape)
    starts = tuple(prefix + part for part in ("pooler.", "embeddings.position_ids", "embeddings.token_type_ids"))
    heads = ("cls.", "lm_head.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector.")
    return [name for name in stored.names() if name.startswith((*starts, *heads))]


def _stated_length(settings: dict[str, Any], shape: Shape) -> int:
    """The longest text that the tokenizer states; those that state 10^30 mean that they have no limit."""
    found = settings.get("model_max_length")
    return int(found) if isinstance(found, int | float) and 1 <= found < shape.max_tokens else shape.max_tokens
