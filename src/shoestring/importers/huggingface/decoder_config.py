"""A decoder's config.json, held against what llama.cpp computes under the same name."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_TEXT_TOKENS
from shoestring.importers.huggingface.decoder_family import DecoderFamily, families
from shoestring.importers.huggingface.fields import Fields
from shoestring.importers.huggingface.rope import Rope, rope_of

MAX_LAYERS, MAX_WIDTH, MAX_HEADS, MAX_VOCABULARY = 1_024, 262_144, 4_096, 4_000_000  # beyond any published decoder
_ALWAYS_SLIDES = "MistralForCausalLM"  # where its config states a window
_FULL, _SLIDING = "full_attention", "sliding_attention"
GEMMA3_PERIOD = 6  # llama.cpp, src/models/gemma3.cpp: every sixth layer sees all
GEMMA3_LOCAL_THETA = 10_000.0  # likewise, of the others
SMOLLM3_PERIOD = 4  # llama.cpp, src/models/smollm3.cpp: every fourth layer turns no positions
# Layers of the two models whose queries llama.cpp scales by width / heads; all others by the width of a head.
_WIDE_SCALE = {"gemma2": 46, "gemma3": 62}


@dataclass(frozen=True)
class Decoder:
    """One decoder's sizes and settings.

    Args:
        family: of its names.
        layers, width, heads, kv_heads, head_width, feed_forward, vocabulary: as in `Transformer`.
        context: tokens that it was trained for, or of its sliding window where llama.cpp knows none for this family.
        epsilon: of the norms.
        rope: positions.
        tied: whether the head is the embedding.
        biases: linear layers of a layer that have one.
        window: of layers with a sliding window, in the families where llama.cpp knows them.
        caps: of attention scores and of logits (Gemma Team, 2024, arXiv 2408.00118, section 2); None: no caps.
        notes: what is to be said.
    """

    family: DecoderFamily
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int
    context: int
    epsilon: float
    rope: Rope
    tied: bool
    biases: frozenset[str]
    window: int | None
    caps: tuple[float, float] | None
    notes: tuple[str, ...]


def decoder_of(config: Fields) -> Decoder:
    """What a config.json states.

    Raises:
        ModelError: a family, class, activation or variant that is not known, by name; or sizes that make no sense.
    """
    family = _family(config)
    heads, width = config.integer("num_attention_heads", 1, MAX_HEADS), config.integer("hidden_size", 1, MAX_WIDTH)
    kv_heads = config.integer("num_key_value_heads", 1, heads, heads)
    usual = family.head_width or width // heads
    layers = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    trained = config.integer("max_position_embeddings", 1, MAX_TEXT_TOKENS)
    context, notes = _context(config, family, trained)
    found = Decoder(
        family=family,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_width=config.integer("head_dim", 2, MAX_WIDTH, usual),
        feed_forward=config.integer("intermediate_size", 1, 16 * MAX_WIDTH),
        vocabulary=config.integer("vocab_size", 1, MAX_VOCABULARY),
        context=context,
        epsilon=config.number("rms_norm_eps", 1e-6),
        rope=rope_of(config, family.rope_theta, trained, part=_FULL),
        tied=config.flag("tie_word_embeddings", family.tied),
        biases=_biases(config, family),
        window=_window(config, family, layers),
        caps=_caps(config, family),
        notes=notes,
    )
    _check(config, found)
    return found


def _family(config: Fields) -> DecoderFamily:
    named = config.text("model_type")
    family = families().get(named)
    if family is None:
        raise ModelError(
            f"{config.where} states model_type = {named!r:.80}, which is not read as a model that writes",
            hint=f"known are {', '.join(families())}; an encoder is written as ONNX: give --out model.onnx",
        )
    if config.get("architectures") != [family.kind]:
        raise config.wrong("architectures", f"expected [{family.kind!r}]")
    activation = config.text("hidden_activation", config.text("hidden_act", family.activation))
    if activation != family.activation and not (family.norm_offset and activation == "gelu"):
        # Gemma's class takes its first configs' "gelu" for the formula by tanh.
        raise config.wrong("hidden_act", f"expected {family.activation!r}")
    if config.get("quantization_config") is not None:
        raise ModelError(
            f"{config.where} has a quantization_config", hint="fetch the model as it was trained, in 16 or 32 bits"
        )
    if config.flag("use_bidirectional_attention", False):
        raise config.wrong("use_bidirectional_attention", "and a model that writes looks back only")
    return family


def _biases(config: Fields, family: DecoderFamily) -> frozenset[str]:
    found = set(family.biases)
    for flag, names in family.flagged_biases.items():
        if config.flag(flag, False):
            found.update(names)
    if not family.flagged_biases and config.flag("attention_bias", False):
        raise config.wrong("attention_bias", f"and llama.cpp knows none for {family.architecture}")
    return frozenset(found)


def _context(config: Fields, family: DecoderFamily, trained: int) -> tuple[int, tuple[str, ...]]:
    """Where llama.cpp lets every layer see all, texts up to the window are the same to it."""
    sliding = config.flag("use_sliding_window", family.kind == _ALWAYS_SLIDES)
    if family.architecture.startswith("gemma") or not sliding:
        return trained, ()
    window = config.integer("sliding_window", 1, MAX_TEXT_TOKENS, trained)
    if window >= trained:
        return trained, ()
    return window, (
        f"the context is {window:,} tokens, the sliding window, instead of {trained:,}: llama.cpp lets every layer of "
        "this family see all tokens, and up to there that is the same",
    )


def _window(config: Fields, family: DecoderFamily, layers: int) -> int | None:
    if not family.architecture.startswith("gemma"):
        return None
    period = GEMMA3_PERIOD if family.architecture == "gemma3" else 2
    expected = [_FULL if (index + 1) % period == 0 else _SLIDING for index in range(layers)]
    stated = config.get("layer_types")
    if stated is not None and stated != expected:
        raise config.wrong("layer_types", f"expected every layer with a sliding window but each {period}th")
    for key in ("sliding_window_pattern", "_sliding_window_pattern"):
        if config.integer(key, 1, MAX_LAYERS, period) != period:
            raise config.wrong(key, f"and llama.cpp takes {period}")
    if family.architecture == "gemma3":
        _check_local(config)
    return config.integer("sliding_window", 1, MAX_TEXT_TOKENS)


def _check_local(config: Fields) -> None:
    local = config.inner("rope_parameters").inner(_SLIDING).number("rope_theta", GEMMA3_LOCAL_THETA)
    if config.number("rope_local_base_freq", local) != GEMMA3_LOCAL_THETA:
        raise config.wrong("rope_local_base_freq", f"and llama.cpp takes {GEMMA3_LOCAL_THETA:g}")


def _caps(config: Fields, family: DecoderFamily) -> tuple[float, float] | None:
    keys = ("attn_logit_softcapping", "final_logit_softcapping")
    if family.architecture == "gemma2":
        attention, final = (config.number(key) for key in keys)
        return attention, final
    for key in keys:
        if config.get(key) is not None:
            raise config.wrong(key, f"and llama.cpp knows none for {family.architecture}")
    return None


def _check_turned(config: Fields, layers: int) -> None:
    expected = [int((index + 1) % SMOLLM3_PERIOD != 0) for index in range(layers)]
    stated = config.get("no_rope_layers")  # 1 where positions are turned
    if config.integer("no_rope_layer_interval", 1, MAX_LAYERS, SMOLLM3_PERIOD) != SMOLLM3_PERIOD:
        raise config.wrong("no_rope_layer_interval", f"and llama.cpp takes {SMOLLM3_PERIOD}")
    if stated is not None and stated != expected:
        raise config.wrong("no_rope_layers", f"expected 0 for each {SMOLLM3_PERIOD}th layer and 1 for the others")
    if config.get("layer_types") not in (None, [_FULL] * layers):
        raise config.wrong("layer_types", "and llama.cpp lets every layer of this family see all tokens")


def _check(config: Fields, found: Decoder) -> None:
    if found.family.architecture == "smollm3":
        _check_turned(config, found.layers)
    if found.heads % found.kv_heads:
        raise config.wrong("num_key_value_heads", f"expected a divisor of {found.heads} heads")
    if found.family.head_width is None and config.get("head_dim") is None and found.width % found.heads:
        raise ModelError(f"{config.where}: a width of {found.width} is no multiple of {found.heads} heads")
    if found.head_width % 2:
        raise config.wrong("head_dim", "expected an even number: positions turn pairs")
    if not 0 < found.epsilon < 1:
        raise config.wrong("rms_norm_eps", "expected a number between 0 and 1")
    wide = _WIDE_SCALE.get(found.family.architecture)
    if wide is not None:
        taken = found.width // found.heads if found.layers == wide else found.head_width
        if config.number("query_pre_attn_scalar", 256) != taken:
            raise config.wrong("query_pre_attn_scalar", f"and llama.cpp takes {taken} for {found.layers} layers")
