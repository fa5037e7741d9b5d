"""What every page shares: the templates' filters, the style sheet and its hash."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from shoestring.base.errors import MissingExtraError
from shoestring.base.units import format_bytes
from shoestring.report import cascades, marks, sentences, words

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def page_environment(thing: str = sentences.IMAGE) -> Environment:
    """Templates of this room, strict about names and escaping what they are given.

    Args:
        thing: what a model answers, in the page's words.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "fit") from None
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("shoestring.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: words.tidy(value) if type(value) is str else value,
    )
    environment.filters.update(
        bytes=format_bytes,
        confidence=words.confidence,
        counted=words.counted,
        elide=words.elide,
        listed=words.listed,
        margin=words.margin,
        ms=words.milliseconds,
        number=words.count,
        percent=words.percent,
        points=words.points,
        power=words.power_of_ten,
        significant=words.significant,
        small=words.small,
        times=words.times,
    )
    environment.globals.update(
        bar=lambda *args, **options: Markup(marks.bar(*args, **options)),
        cascade_words=cascades.cascade_words,
        stage_rows=cascades.stage_rows,
        sureness_name=cascades.sureness_name,
        threshold_words=cascades.threshold_words,
        budget_words=sentences.budget_words,
        headline=partial(sentences.headline, thing=thing),
        metric_name=sentences.metric_name,
        split_uses=sentences.SPLIT_USES,
        statement=partial(sentences.statement, thing=thing),
        tally=sentences.tally,
        thing=thing,
    )
    return environment


def page_style() -> Markup:
    """The style sheet, marked as safe: it is ours and holds no data."""
    from markupsafe import Markup

    return Markup(files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8"))


def style_hash(style: str) -> str:
    """What a page's own policy names, so that no other style applies."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
