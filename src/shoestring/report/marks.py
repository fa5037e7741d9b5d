"""The marks of the plots: shape carries the meaning, colour only repeats it."""

from __future__ import annotations

from shoestring.report import svg

RADIUS = 9.0
"""No mark reaches farther than this from its centre."""


def mark(role: str, x: float, y: float) -> str:
    """The mark of a role, centred.

    Args:
        role: `chosen`, `rung`, `reference`, `rejected`, `below` (rejected, under the frame) or `original`.
        x: of its centre.
        y: of its centre.
    """
    css_class = f"mark mark-{role}"
    if role == "chosen":
        ring = svg.element("circle", {"cx": x, "cy": y, "r": 8.5, "class": "mark-ring"})
        return ring + svg.element("circle", {"cx": x, "cy": y, "r": 5.5, "class": css_class})
    if role == "rung":
        return svg.element("circle", {"cx": x, "cy": y, "r": 5.5, "class": css_class})
    if role == "reference":
        return svg.element("rect", {"x": x - 5, "y": y - 5, "width": 10.0, "height": 10.0, "class": css_class})
    outlines: dict[str, list[tuple[float, float]]] = {
        "rejected": [(0, -6.5), (6.5, 0), (0, 6.5), (-6.5, 0)],
        "below": [(-6, -4), (6, -4), (0, 6)],
        "original": [(-6, -6), (6, 6), (0, 0), (6, -6), (-6, 6), (0, 0)],
    }
    corners = " ".join(f"{svg.number(x + dx)},{svg.number(y + dy)}" for dx, dy in outlines[role])
    return svg.element("polygon", {"points": corners, "class": css_class})


def legend_mark(role: str) -> str:
    """A mark for the legend; the words beside it say what it is."""
    return svg.element(
        "svg",
        {"viewBox": "0 0 20 20", "class": "key", "aria-hidden": "true", "focusable": "false"},
        [mark(role, 10, 10)],
    )


def bar(fraction: float, css_class: str, *, decades: int = 0, limit: float | None = None) -> str:
    """A horizontal bar that fills the width it is given.

    It repeats a number written beside it, so it is hidden from screen readers.

    Args:
        fraction: of the width, in [0, 1].
        css_class: of the bar.
        decades: number of equal parts that hairlines mark; 0 marks none.
        limit: where a budget ends, a fraction of the width; None draws none.
    """
    children = [svg.line(100 * i / decades, 0, 100 * i / decades, 10, "tick") for i in range(decades + 1) if decades]
    if fraction > 0:
        size: dict[str, str | float] = {"x": 0.0, "y": 1.5, "width": 100 * min(1.0, fraction), "height": 7.0}
        children.append(svg.element("rect", {**size, "class": css_class}))
    if limit is not None and limit <= 1:
        children.append(svg.line(100 * limit, 0, 100 * limit, 10, "limit"))
    return svg.element(
        "svg",
        {
            "viewBox": "0 0 100 10",
            "preserveAspectRatio": "none",
            "class": "bar",
            "aria-hidden": "true",
            "focusable": "false",
        },
        children or [svg.line(0, 0, 0, 10, "tick")],
    )
