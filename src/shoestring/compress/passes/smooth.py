"""Outliers of activations move into the weights that read them (Xiao et al., "SmoothQuant", 2023, arXiv 2211.10438)."""

from __future__ import annotations

from collections import Counter

from shoestring.compress.graph import Graph
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.scheme import scheme_named
from shoestring.compress.smoothing import SMOOTHED, choose, sites, smooth
from shoestring.compress.walk import walk


class Smooth:
    """Option: `scheme`, whose 8-bit activations the scales are chosen for. The graph's function stays the same."""

    name = "smooth"

    def requires(self, graph: Graph, options: Options) -> str | None:
        if not sites(graph):
            return "no MatMul or Gemm has constant float32 weights of two dimensions"
        if any(SMOOTHED in name for name in graph.weights):
            return "the model is smoothed already"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        limits = scheme_named(str(options["scheme"])).activation_limits
        found = {site.tensor: site for site in sites(graph)}
        inner = [output for node in graph.nodes for output in node.output if output in found]
        choices = {}
        for name in found.keys() - set(inner):
            choices[name] = choose(graph, found[name], [batch[name] for batch in workshop.batches], limits)
        batches = [dict(batch) for batch in workshop.batches]
        for name, arrays in walk(graph, batches, inner, workshop.threads):
            choices[name] = choose(graph, found[name], arrays, limits)
        done = Counter[str]()
        for name, site in found.items():
            # An earlier site may have renamed this tensor or given its readers other weights: look it up anew.
            now = next(item for item in sites(graph) if item.readers[0].name == site.readers[0].name)
            done[smooth(graph, now, choices[name])] += 1
        return graph, (
            f"outliers moved into the weights at {done['carried']} tensors, by a Mul before the products at "
            f"{done['inserted']}, left alone at {done['left']}",
        )

    def ensures(self, graph: Graph, options: Options) -> str | None:
        made = {name for node in graph.nodes for name in node.output} | set(graph.inputs) | graph.weights.keys()
        for node in graph.nodes:
            for name in node.input:
                if name.endswith(SMOOTHED) and name not in made:
                    return f"{node.name!r} reads {name!r}, which nothing makes"
        return None
