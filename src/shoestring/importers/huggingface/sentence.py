"""What sentence-transformers wrote beside an encoder: its pooling, whether rows get length one, the longest text."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import ModelError
from shoestring.importers.huggingface.fields import Fields
from shoestring.importers.huggingface.folder import Folder

MODULES, SENTENCE_CONFIG = "modules.json", "sentence_bert_config.json"
MEAN, CLS = "mean", "cls"
POOLINGS = (MEAN, CLS)
_MODES = {"mean_tokens": MEAN, "cls_token": CLS}  # after `pooling_mode_`
_MAX_MODULES = 16


@dataclass(frozen=True)
class Sentence:
    """How the vectors of tokens become one of the text.

    Args:
        pooling: `mean` or `cls`; None: the folder does not say.
        normalized: whether rows get length one.
        max_tokens: of a text; None: the folder does not say.
    """

    pooling: str | None
    normalized: bool
    max_tokens: int | None


def sentence_of(folder: Folder, longest: int) -> Sentence:
    """Read the list of modules and the settings of each.

    Args:
        longest: that the encoder has positions for.

    Raises:
        ModelError: a module or a way of pooling that is not built here, by name.
    """
    settings = Fields(folder.optional(SENTENCE_CONFIG), SENTENCE_CONFIG)
    stated = settings.get("max_seq_length")
    most = None if stated is None else min(settings.integer("max_seq_length", 1, 1 << 40), longest)
    if not folder.has(MODULES):
        return Sentence(None, False, most)
    modules = folder.objects(MODULES, _MAX_MODULES)
    kinds = [Fields(module, MODULES).text("type").rpartition(".")[2] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise ModelError(
            f"{MODULES} lists {', '.join(kinds)[:200]}; read are Transformer, Pooling, and Normalize or nothing",
            hint="nothing of a module that is not known is guessed",
        )
    if Fields(modules[0], MODULES).text("path", "") != "":
        raise ModelError(f"{MODULES} keeps the encoder in a folder of its own", hint="give that folder itself")
    return Sentence(_pooling(folder, Fields(modules[1], MODULES).text("path")), len(kinds) > 2, most)


def _pooling(folder: Folder, path: str) -> str:
    name = f"{path}/config.json"
    config = Fields(folder.json(name), name)
    chosen = [key for key, value in config.values.items() if key.startswith("pooling_mode_") and value is True]
    known = [_MODES[key.removeprefix("pooling_mode_")] for key in chosen if key.removeprefix("pooling_mode_") in _MODES]
    if config.get("pooling_mode") in POOLINGS and not chosen:
        return config.text("pooling_mode")
    if len(chosen) != 1 or len(known) != 1:
        raise ModelError(
            f"{name} pools by {', '.join(chosen)[:200] or 'nothing that is stated'}; "
            f"what is read is one of {', '.join(POOLINGS)}",
            hint="nothing of another pooling is guessed",
        )
    return known[0]
