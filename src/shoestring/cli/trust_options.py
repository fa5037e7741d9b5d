"""Flags about keys, passphrases and who is trusted, and words about who signed."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.bundle import Bundle
    from shoestring.trust.policy import Policy

PASSPHRASE_VARIABLE = "SHOESTRING_PASSPHRASE"
SHOWN = 16  # digits of a key's id


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    """--passphrase-file: where no terminal is there to ask at."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"its first line is the passphrase (default: ${PASSPHRASE_VARIABLE}, else it is asked for)",
    )


def passphrase(arguments: argparse.Namespace, what: str, *, twice: bool = False) -> str:
    """The passphrase, from the file, the environment or the terminal.

    Args:
        arguments: with --passphrase-file.
        what: it is for, in the question.
        twice: ask again, and compare.

    Raises:
        UsageError: there is none, and no terminal to ask at; or two answers differ.
        SignatureError: others can read the file.
        StorageError: the file cannot be read.
    """
    from shoestring.base.errors import UsageError

    if arguments.passphrase_file is not None:
        from shoestring.trust.key_files import read_secret

        return read_secret(arguments.passphrase_file).split("\n", 1)[0].rstrip("\r")
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    if not sys.stdin.isatty():
        raise UsageError(
            f"no passphrase for {what}, and no terminal to ask at",
            hint=f"set ${PASSPHRASE_VARIABLE} or name a --passphrase-file",
        )
    word = getpass.getpass(f"passphrase for {what}: ")
    if twice and getpass.getpass("the same again: ") != word:
        raise UsageError("the two passphrases differ", hint="start again; nothing was written")
    return word


def passphrase_for(arguments: argparse.Namespace, path: Path) -> Callable[[], str]:
    """Asks only when it is called: a key that is not under a passphrase needs none."""
    return lambda: passphrase(arguments, str(path))


def add_trusted(parser: argparse.ArgumentParser) -> None:
    """--trusted FILE: nothing runs that these people did not sign."""
    parser.add_argument(
        "--trusted",
        type=Path,
        metavar="FILE",
        help="run only what the keys of this file signed (docs/signing.md)",
    )


def hold(bundle: Bundle, arguments: argparse.Namespace) -> str:
    """Hold an open bundle against --trusted, and say who signed it.

    Raises:
        SignatureError: those who are trusted did not sign it, or the file is no policy.
    """
    from shoestring.bundle.signing import check_signatures
    from shoestring.trust.policy import load_policy

    if arguments.trusted is None:
        return unchecked(bundle)
    policy = load_policy(arguments.trusted)
    return f"signed by {who(policy, check_signatures(bundle, policy))}"


def who(policy: Policy, key_ids: tuple[str, ...]) -> str:
    """The trusted keys of these ids, in words."""
    return ", ".join(key.title for key in policy.keys if key.key_id in key_ids)


def unchecked(bundle: Bundle) -> str:
    """What a bundle says of its signatures when nobody said who is trusted."""
    if not bundle.signatures:
        return "not signed"
    ids = ", ".join(one.keyid[:SHOWN] for one in bundle.signatures)
    return f"signatures of {ids}, not checked: nobody was named as trusted"


def signatures_json(bundle: Bundle, trusted: tuple[str, ...] | None) -> dict[str, Any]:
    """For --json: every key id that the bundle names, and those whose signatures were verified; null: none were."""
    return {"signatures": [one.keyid for one in bundle.signatures], "trusted": trusted}
