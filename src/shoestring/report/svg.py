"""Inline SVG, built as text: every name and value that is not markup is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from shoestring.report.words import clean


def number(value: float) -> str:
    """A coordinate with at most two decimals; the same on every machine."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(tag: str, attributes: dict[str, str | float], children: Iterable[str] = ()) -> str:
    """One element.

    Args:
        tag: its name.
        attributes: values are escaped; numbers are rounded to two decimals.
        children: markup made by this module.
    """
    written = "".join(
        f' {name}="{escape(clean(value)) if isinstance(value, str) else number(value)}"'
        for name, value in attributes.items()
    )
    inner = "".join(children)
    return f"<{tag}{written}>{inner}</{tag}>" if inner else f"<{tag}{written}/>"


def text(content: str, x: float, y: float, css_class: str, anchor: str = "start") -> str:
    """A line of text whose baseline is at y."""
    attributes: dict[str, str | float] = {"x": x, "y": y, "class": css_class, "text-anchor": anchor}
    return element("text", attributes, [escape(clean(content), quote=False)])


def line(x1: float, y1: float, x2: float, y2: float, css_class: str) -> str:
    """A straight line."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": css_class})


def title(content: str, identifier: str | None = None) -> str:
    """The accessible name of the element it is the first child of; browsers show it as a tooltip."""
    attributes: dict[str, str | float] = {} if identifier is None else {"id": identifier}
    return element("title", attributes, [escape(clean(content), quote=False)])


def image(
    identifier: str, name: str, description: str, width: float, height: float, css_class: str, children: Iterable[str]
) -> str:
    """An SVG image that a screen reader announces with `name` and `description`.

    Args:
        identifier: unique in the page; the ids of title and description derive from it.
        name: short.
        description: what the picture shows, in a sentence or two.
        width: of the drawing, in its own units; the page scales it.
        height: likewise.
        css_class: of the svg element.
        children: markup made by this module.
    """
    name_id, description_id = f"{identifier}-title", f"{identifier}-desc"
    described = element("desc", {"id": description_id}, [escape(clean(description), quote=False)])
    return element(
        "svg",
        {
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "class": css_class,
            "role": "img",
            "aria-labelledby": f"{name_id} {description_id}",
        },
        [title(name, name_id), described, *children],
    )
