"""Publish a bundle: authorise it, make the deltas that lead to it, and let the first wave run it."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.errors import SignatureError, UsageError
from shoestring.base.limits import MAX_RELEASE_DELTAS
from shoestring.base.opens import open_within
from shoestring.bundle.delta import make_delta
from shoestring.bundle.opening import open_bundle
from shoestring.bundle.signing import check_signatures
from shoestring.domain.release import DeltaFrom, Release, bundle_path, delta_path
from shoestring.fleet.repository.book import TARGETS
from shoestring.fleet.repository.draft import sha256_of
from shoestring.fleet.repository.groups import releases_of, the_group
from shoestring.fleet.repository.releasing import put_waves
from shoestring.fleet.repository.shelf import Held, held_bundles, note, retire
from shoestring.fleet.rollout import Wanted, published

if TYPE_CHECKING:
    from shoestring.bundle.opening import Bundle
    from shoestring.fleet.repository.book import Book
    from shoestring.fleet.repository.draft import Draft
    from shoestring.fleet.repository.workshop import Workshop
    from shoestring.trust.policy import Policy

KEEP_DELTAS = 3
"""Deltas are made from the newest so many bundles of the group; devices that missed more of them fetch the whole."""
WORTH = 0.9
"""A delta that is not a tenth smaller than the bundle is not worth the work of the device."""
MAX_NAME = 100
"""Characters that a release may have for people; a bundle's own name may be longer."""
_MADE_BY = re.compile(r"^shoestring (\d+\.\d+\.\d+)$")
_VERSION = re.compile(r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")


@dataclass(frozen=True)
class Published:
    """What was done.

    Args:
        release: that the first wave runs now.
        signed_by: ids of trusted keys that signed the bundle; empty for one that was let through unsigned.
    """

    release: Release
    signed_by: tuple[str, ...]


def publish(
    workshop: Workshop,
    path: Path,
    name: str,
    *,
    policy: Policy | None,
    chip: str | None = None,
    minimum_version: str | None = None,
    deltas: int = KEEP_DELTAS,
) -> Published:
    """Let the first wave of a group run a bundle. Needs the keys of `targets` and of the wave.

    Args:
        workshop: where.
        path: of the bundle.
        name: of the group.
        policy: whose signatures the bundle must have; None lets it through without any.
        chip: that it was made for; None: any.
        minimum_version: that can run it; None: the version that made it.
        deltas: from how many older bundles.

    Raises:
        UsageError: no such group; the bundle was revoked; a version or the number of deltas is none.
        BundleError: it is not sound.
        SignatureError: it is not signed as the policy asks; or keys are missing, see `Draft.commit`.
        StorageError: the disk refused.
    """
    if not 0 <= deltas <= MAX_RELEASE_DELTAS:
        raise UsageError(f"deltas from {deltas} bundles are outside 0..{MAX_RELEASE_DELTAS}")
    with open_bundle(path) as bundle, workshop.changing() as (book, draft):
        signed_by = () if policy is None else _checked(bundle, policy)
        group = the_group(book.targets.signed, name)
        before = releases_of(book.folder, group, draft.waves)
        size = os.fstat(bundle.descriptor).st_size
        version = _minimum(bundle, minimum_version)
        wanted = Wanted(bundle.sha256, size, bundle.manifest.name[:MAX_NAME], version, chip)
        published(before, name, wanted, draft.now_s)  # refuses before anything dear is done
        note(draft, Held(wanted, draft.now_s, (name,)), path)
        with tempfile.TemporaryDirectory(prefix="shoestring-") as scratch:
            made = _deltas(draft, book, name, bundle, Path(scratch), deltas)
            after = published(before, name, replace(wanted, deltas=made), draft.now_s)
            put_waves(draft, group, before, after)
            retire(draft, name, frozenset(one.bundle_sha256 for one in after if one is not None))
            draft.change("targets")
            draft.commit()
    return Published(after[0], signed_by)


def _checked(bundle: Bundle, policy: Policy) -> tuple[str, ...]:
    try:
        return check_signatures(bundle, policy)
    except SignatureError as error:
        raise SignatureError(
            f"{bundle.path} is not published: {error.message}",
            hint="sign it: shoestring sign BUNDLE --key KEY; or say --allow-unsigned",
        ) from None


def _deltas(draft: Draft, book: Book, group: str, new: Bundle, scratch: Path, most: int) -> tuple[DeltaFrom, ...]:
    """From the newest older bundles of the group, where that saves something."""
    found = []
    older = [one for one in held_bundles(book.targets.signed, group) if one.sha256 != new.sha256]
    for held in older[:most]:
        target = book.targets.signed.targets[bundle_path(held.sha256)]
        old = book.folder / TARGETS / target.get_prefixed_paths()[0]
        out = scratch / f"{held.sha256}.delta"
        made = make_delta(old, new.path, out)
        if made.delta_bytes > WORTH * made.new_bytes:
            continue
        with open_within(scratch, out.name) as stream:
            sha256 = sha256_of(stream)
        draft.add_file(delta_path(held.sha256, new.sha256), out, sha256, made.delta_bytes)
        found.append(DeltaFrom(held.sha256, sha256, made.delta_bytes))
    return tuple(found)


def _minimum(bundle: Bundle, asked: str | None) -> str:
    if asked is not None:
        if _VERSION.match(asked) is None:
            raise UsageError(f"--minimum-version {asked[:40]!r} is not a version", hint="write 1.2.3")
        return asked
    made_by = _MADE_BY.match(bundle.manifest.created_by)
    if made_by is None:
        raise UsageError(
            f"{bundle.path} was made by {bundle.manifest.created_by[:80]!r}, which tells no version",
            hint="say which version can run it: --minimum-version 1.2.3",
        )
    return made_by[1]
