"""Every rewrite computes what stood there before, on both sides run by ONNX Runtime; a spoiled one is caught."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewriting import rewrite
from rewriting_cases import CASES
from shoestring.base.errors import ModelError
from shoestring.legalise.rewrites import REWRITES
from shoestring.legalise.same import check_same, compare, random_feeds
from shoestring.legalise.table import EXACT, rows

BITS_APART = 0.0
CLOSE_APART = 2e-6
NEAR = 0.2
"""Of another function: HardSwish is at most 0.143 from SiLU, and outputs reach 1 and more."""

FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def test_the_table_and_the_functions_have_the_same_names() -> None:
    names = [row.name for row in rows()]
    assert sorted(names) == sorted(REWRITES) == sorted(CASES) and len(set(names)) == len(names)
    assert {row.exact for row in rows()} == set(EXACT)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
@FEW
@given(data=st.data())
def test_a_rewrite_keeps_what_is_computed(row, data) -> None:
    source = CASES[row.name].build(data.draw)
    made, count = rewrite(row.name, source)
    assert count >= 1
    found = compare(source, made, random_feeds(source, 3))
    limit = {"bits": BITS_APART, "close": CLOSE_APART, "no": NEAR}[row.exact]
    assert found.largest <= limit, f"{found.largest} on {[node.op_type for node in source.nodes]}"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
@FEW
@given(data=st.data())
def test_it_makes_what_the_table_says(row, data) -> None:
    source = CASES[row.name].build(data.draw)
    made, _ = rewrite(row.name, source)
    before = {node.name: node.op_type for node in source.nodes}
    assert row.takes in before.values()
    new = {node.op_type for node in made.nodes if before.get(node.name) != node.op_type or node.op_type == row.takes}
    assert new <= set(row.makes), new


@pytest.mark.parametrize("row", [row for row in rows() if row.exact != "no"], ids=lambda row: row.name)
@FEW
@given(data=st.data())
def test_a_spoiled_rewrite_is_caught(row, data) -> None:
    source = CASES[row.name].build(data.draw)
    made, _ = rewrite(row.name, source)
    CASES[row.name].spoil(made)
    with pytest.raises(ModelError, match=r"differs by|has shape"):
        check_same(source, made, random_feeds(source, 3))
