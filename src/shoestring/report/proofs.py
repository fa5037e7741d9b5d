"""Other instruction sets that rungs were checked on: the counts are taken again from the stored answers."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import BundleError
from shoestring.bundle.proof_rules import checked
from shoestring.domain.evidence import Evidence
from shoestring.domain.ladder import Ladder
from shoestring.domain.proof import Proof
from shoestring.domain.score import AlsoChecked, Paired
from shoestring.evaluate.statistics import drop_upper

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Elsewhere:
    """One row of the page.

    Args:
        proof: with the answers.
        counts: taken from them now.
        most_differ: at CONFIDENCE, the largest share of first answers that differ from the workshop's.
        holds: whether the certificate says the same; True where the rung has none.
    """

    proof: Proof
    counts: AlsoChecked
    most_differ: float
    holds: bool


def checked_elsewhere(ladder: Ladder, evidence: Evidence) -> tuple[Elsewhere, ...]:
    """A row for each proof of a rung.

    Raises:
        BundleError: there is a proof of what is no rung.
    """
    rows = []
    for proof in evidence.proofs or ():
        try:
            certificate = ladder.rung(proof.rung).certificate
        except KeyError:
            raise BundleError(f"there is a proof of {proof.rung!r}, which is no rung", hint="make it again") from None
        metric = evidence.metric if certificate is None else certificate.metric
        counts = checked(evidence, proof, metric)
        differ = counts.n - counts.same
        most = drop_upper(Paired(counts.n, counts.n, counts.same, 0, differ), "agreement", CONFIDENCE)
        rows.append(Elsewhere(proof, counts, most, certificate is None or counts in (certificate.also or ())))
    return tuple(rows)
