"""Detection heads: from a detector's flat output to boxes, and whether two lists of boxes say the same.

The workshop's verdicts and the device's pictures come from this one decoder.
"""

from shoestring.domain.detection import Rule
from shoestring.heads.alike import DEFAULT_RULE, Compared, compare
from shoestring.heads.check import flat_length, head_problems
from shoestring.heads.decode import decode
from shoestring.heads.detect import detect
from shoestring.heads.found import Found
from shoestring.heads.suppress import suppress

__all__ = [
    "DEFAULT_RULE",
    "Compared",
    "Found",
    "Rule",
    "compare",
    "decode",
    "detect",
    "flat_length",
    "head_problems",
    "suppress",
]
