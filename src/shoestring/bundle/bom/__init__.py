"""Bill of materials: what a bundle was made of, as CycloneDX 1.6 with model cards (ML-BOM)."""

from shoestring.bundle.bom.making import make_bom, with_bom

__all__ = ["make_bom", "with_bom"]
