"""The report of an encoder's bundle speaks of texts, and of neighbours where those are what is certified."""

from __future__ import annotations

import re

import pytest

import text_fits
from shoestring.report.page import render


@pytest.mark.parametrize("kind", ["probe", "embedding"])
def test_the_page_speaks_of_texts_and_of_no_image(kind: str) -> None:
    fitted = text_fits.probe_fit() if kind == "probe" else text_fits.embedding_fit()
    page = render(fitted.manifest, fitted.evidence, size_bytes=100_000)
    words = re.sub(r"<[^>]*>", " ", re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.S))
    assert not re.findall(r".{0,60}\b[Ii]mages?\b.{0,60}", words)
    assert "texts like those of the certification split" in words
    assert "Cut the text into tokens" in words
    assert ("nearest neighbour" in words) == (kind == "embedding")
