"""Skips must not hide a runtime: where all are meant to be there, an absent one is a failure."""

from __future__ import annotations

import os

import pytest

from runtime_forms import FORMS
from shoestring.runtimes import registry

IN_CI = os.environ.get("CI") == "true"


def test_every_runtime_has_a_form_of_the_tiny_model():
    assert set(FORMS) == set(registry.names())


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.in_ci])
def test_continuous_integration_has_the_runtime(name):
    if not IN_CI:
        pytest.skip("this is not continuous integration (CI=true)")
    assert name in registry.installed(), f"the runtime {name} is not installed, and its tests would be skipped"
    try:
        assert FORMS[name].make()
    except pytest.skip.Exception as skipped:
        pytest.fail(f"the tiny model of {name} cannot be made, and its tests would be skipped: {skipped}")
