"""Networks with several outputs go through probes, bias correction and rounding with all of them."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from shoestring.base.errors import EngineError
from shoestring.base.outputs import divergence, mean_kl, sqnr_db
from shoestring.compress.bias import correct_biases, float_means, output_spans
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.rounding import follow_drift, round_layers
from shoestring.compress.scheme import scheme_named
from shoestring.compress.sensitivity import Probing
from shoestring.compress.walk import final_outputs

SCHEME = scheme_named("u8s7")


class Case:
    """A detector of the zoo with its ranges, and batches of one picture."""

    def __init__(self, name: str) -> None:
        self.graph = zoo.lowered(name)
        self.batches = [{"x": x[None]} for x in zoo.example_input(name, 16, seed=5)["x"]]
        self.ranges = value_ranges(self.graph, lambda: iter(self.batches), needed_ranges(self.graph))
        self.spans = output_spans(self.graph, self.ranges, SCHEME.activation_limits)
        self.means = float_means(self.graph, self.batches, 1, self.spans)
        self.wanted = final_outputs(self.graph, self.batches, 1)

    def quantized(self) -> Graph:
        return to_qdq(self.graph, self.ranges, SCHEME, frozenset())

    def biased(self) -> Graph:
        """Every weight is rounded down, so that all means are wrong."""
        made = self.quantized()
        for name in [one for one in made.weights if one.endswith("/weight/integers")]:
            made.weights[name] = np.maximum(made.weights[name].astype(int) - 2, -63).astype(np.int8)
        return made


@pytest.fixture(scope="module", params=["yolov3_tiny", "ssd_softmax"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_outputs_come_in_the_order_of_the_graph(case: Case) -> None:
    from native.qdq_models import on_ort

    theirs = on_ort(case.graph.to_bytes(), {"x": np.concatenate([batch["x"] for batch in case.batches])})
    assert list(theirs) == list(case.graph.outputs)
    for one, other in zip(case.wanted, theirs.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_bias_correction_mends_every_head(case: Case) -> None:
    made = case.biased()
    before = final_outputs(made, case.batches, 1)
    shift, outputs = correct_biases(made, case.means, case.batches, 1, case.spans)
    assert shift > 0
    for wanted, spoilt, mended, again in zip(
        case.wanted, before, outputs, final_outputs(made, case.batches, 1), strict=True
    ):
        assert sqnr_db(wanted, mended) > sqnr_db(wanted, spoilt) + 2
        assert sqnr_db(again, mended) > 25, "the outputs handed out are those of the corrected graph"


def test_rounding_brings_every_head_nearer(case: Case) -> None:
    nearest, chosen = case.quantized(), case.quantized()
    round_layers(case.graph, chosen, case.batches, SCHEME.weight_limit, 1, case.spans, drift=False)
    before, after = (divergence(case.wanted, final_outputs(one, case.batches, 1)) for one in (nearest, chosen))
    assert after < before


def test_drift_is_tried_on_all_heads(case: Case) -> None:
    assert follow_drift(case.graph, case.ranges, SCHEME, case.batches, 1) in (True, False)


def test_a_probe_sees_a_layer_that_only_the_last_head_depends_on() -> None:
    case = Case("yolov3_tiny")
    probing = Probing(case.graph, case.ranges, SCHEME, case.batches, 1, case.means, case.wanted)
    coarse = case.graph.producers[case.graph.outputs[1]].name
    found = probing.layer(coarse)
    assert 0 < found.kl < 0.1
    assert 10 < found.sqnr_db < 60
    blind = Probing(case.graph, case.ranges, SCHEME, case.batches, 1, case.means, case.wanted[:1])
    with pytest.raises(ValueError, match="zip"):
        blind.layer(coarse)


def test_a_classifier_is_still_judged_by_its_softmax() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, (2, 8, 5))
    assert divergence([one], [other]) == mean_kl(one, other)
    image = one[..., None]
    assert divergence([image], [image * 1.1]) == pytest.approx(0.01)
    assert divergence([one, image], [one, image * 1.1]) == pytest.approx(0.005)
    with pytest.raises(EngineError):
        divergence([image], [image * np.nan])
