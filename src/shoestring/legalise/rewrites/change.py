"""What one rewrite wants to do to a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

    from shoestring.legalise.site import Site


@dataclass(frozen=True)
class Change:
    """New nodes in the place of old ones.

    Args:
        nodes: that take the place of the last of `over`, in order; they make every tensor that it made.
        over: the nodes they stand for, the one that was asked about last. The others go once nobody reads them.
    """

    nodes: tuple[onnx.NodeProto, ...]
    over: tuple[onnx.NodeProto, ...]


def instead(site: Site, *nodes: onnx.NodeProto) -> Change:
    """`nodes` in the place of the site's node alone."""
    return Change(tuple(nodes), (site.node,))
