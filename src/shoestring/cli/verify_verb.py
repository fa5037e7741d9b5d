"""Check every byte of a bundle and its counts, and that those who are trusted signed it. Any failure: exit code 4.

Without a trusted key only damage can be found: anybody could have made the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.trust.policy import Policy

EXAMPLE = "shoestring verify camera.shoe --public-key ada.key.pub"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--trusted", type=Path, metavar="FILE", help="who is trusted, in TOML (docs/signing.md)")
    group.add_argument("--public-key", type=Path, action="append", metavar="PEM", help="a trusted key; repeatable")
    parser.add_argument(
        "--threshold", type=int, metavar="N", help="how many of the --public-key must have signed (default: all)"
    )


def run(arguments: argparse.Namespace) -> int:
    from shoestring.bundle import open_bundle, recheck_counts
    from shoestring.bundle.signing import check_signatures
    from shoestring.cli import console
    from shoestring.cli.trust_options import signatures_json, unchecked, who

    policy = _policy(arguments)
    with open_bundle(arguments.bundle) as bundle:
        trusted = None if policy is None else check_signatures(bundle, policy)
        recheck_counts(bundle)
        if arguments.json:
            console.show_json({"bundle": bundle.path, "sha256": bundle.sha256, **signatures_json(bundle, trusted)})
        else:
            print(f"{bundle.path}: every hash agrees; its SHA-256 is {bundle.sha256}")
            bill = "" if bundle.manifest.bom is None else ", and the bill of materials is its own"
            print(f"scores and certificates have the counts of the answers in its evidence{bill}")
            if policy is not None and trusted is not None:
                print(f"signed by {who(policy, trusted)}; {policy.threshold} of {len(policy.keys)} were asked for")
        if policy is None:
            console.say(f"warning: {unchecked(bundle)}. This shows that nothing was damaged, not who made it")
    return 0


def _policy(arguments: argparse.Namespace) -> Policy | None:
    from shoestring.base.errors import UsageError
    from shoestring.trust.policy import load_policy, policy_of

    if arguments.threshold is not None and arguments.public_key is None:
        raise UsageError("--threshold counts the keys of --public-key", hint="a --trusted file says its own threshold")
    if arguments.trusted is not None:
        return load_policy(arguments.trusted)
    return None if arguments.public_key is None else policy_of(tuple(arguments.public_key), arguments.threshold)
