"""Channels take the whole range of their tensor (see compress.equalize and compress.equalize_streams)."""

from __future__ import annotations

from shoestring.compress.equalize import equalize_all
from shoestring.compress.graph import Graph
from shoestring.compress.passes.protocol import Options, Workshop


class Equalize:
    """No options."""

    name = "equalize"

    def requires(self, graph: Graph, options: Options) -> str | None:
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        streams, channels = equalize_all(graph, workshop.sizes)
        notes = []
        if streams:
            notes.append(f"channels of {streams} residual streams brought nearer to one size")
        if channels:
            notes.append(f"{channels} channels scaled up before depthwise layers")
        return graph, tuple(notes)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        return None
