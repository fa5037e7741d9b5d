"""What each command of `shoestring fleet` does. Imported only when the extra is there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.base.units import parse_drop
from shoestring.cli import console
from shoestring.cli.fleet_text import show_status
from shoestring.cli.trust_options import passphrase
from shoestring.fleet.error_rate import judge
from shoestring.fleet.repository.promote import promote
from shoestring.fleet.repository.publish import publish
from shoestring.fleet.repository.refresh import refresh
from shoestring.fleet.repository.revoke import revoke
from shoestring.fleet.repository.rotation import add_key, remove_key
from shoestring.fleet.repository.setup import init, set_group
from shoestring.fleet.repository.signers import Keyring, tuf_key
from shoestring.fleet.repository.status import status
from shoestring.fleet.repository.workshop import Workshop
from shoestring.fleet.roles import parse_waves

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from shoestring.domain.release import Release
    from shoestring.fleet.collect.store import Count
    from shoestring.fleet.error_rate import Verdict

SHOWN = 12
"""Digits of a bundle's hash."""


def _workshop(arguments: argparse.Namespace, *, sealed: bool = True, new: bool = False) -> Workshop:
    site = arguments.site
    folders = tuple(arguments.keys or (site.with_name(f"{site.name}-keys"),))
    if any(_within(folder, site) for folder in folders):
        raise UsageError(
            f"the keys would lie in {site}, which a web server hands to everybody",
            hint="name another folder: --keys DIR",
        )
    keyring = Keyring(folders, lambda path: passphrase(arguments, str(path), twice=new), sealed=sealed)
    return Workshop(site, keyring)


def _within(folder: Path, site: Path) -> bool:
    return folder.absolute().resolve().is_relative_to(site.absolute().resolve())


def _init(arguments: argparse.Namespace) -> int:
    sealed = not arguments.no_passphrase
    workshop = _workshop(arguments, sealed=sealed, new=True)
    roles = init(workshop, root_threshold=arguments.root_threshold)
    root = arguments.site / "metadata" / "1.root.json"
    if arguments.json:
        console.show_json({"root": root, "roles": roles, "keys": workshop.keyring.folders[0]})
        return 0
    console.say(f"{arguments.site} is a repository; devices are set up with {root}")
    console.say(
        f"its keys are in {workshop.keyring.folders[0]}: keep copies, and take root and targets off this machine"
    )
    if not sealed:
        console.say("the keys have no passphrase: whoever reads the folder owns the fleet")
    return 0


def _group(arguments: argparse.Namespace) -> int:
    waves = None if arguments.waves is None else parse_waves(arguments.waves)
    canaries = None if arguments.canary is None else tuple(arguments.canary)
    group = set_group(_workshop(arguments), arguments.name, waves=waves, canaries=canaries)
    if arguments.json:
        console.show_json(group)
    else:
        per_cents = ", ".join(f"{wave} %" for wave in group.waves)
        console.say(f"group {group.name}: waves reach {per_cents}; {len(group.canaries)} canaries go first")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    from shoestring.trust.policy import load_policy

    policy = None if arguments.trusted is None else load_policy(arguments.trusted)
    done = publish(
        _workshop(arguments),
        arguments.bundle,
        arguments.group,
        policy=policy,
        chip=arguments.chip,
        minimum_version=arguments.minimum_version,
        deltas=arguments.deltas,
    )
    release = done.release
    if arguments.json:
        console.show_json(done)
        return 0
    print(release.bundle_sha256)
    if policy is None:
        console.say("nobody looked at the bundle's signatures: --allow-unsigned")
    console.say(
        f"the first wave of {release.group} runs {release.name} {release.bundle_sha256[:SHOWN]} as release "
        f"{release.counter}, with {len(release.deltas)} deltas from older bundles"
    )
    return 0


def _promote(arguments: argparse.Namespace) -> int:
    if arguments.reports is None and not arguments.without_reports:
        raise UsageError(
            "nobody would be asked how the release does",
            hint="name the reports: --reports DB; or say --without-reports",
        )
    if arguments.reports is not None and arguments.without_reports:
        raise UsageError("--reports and --without-reports at once", hint="leave one of them out")
    with _judge(arguments) as asked:
        done = promote(_workshop(arguments), arguments.group, asked)
    if arguments.json:
        console.show_json(done)
        return 0
    release = done.release
    if done.verdict is not None:
        print(done.verdict.words)
    console.say(f"{done.per_cent} % of {release.group} run {release.name} {release.bundle_sha256[:SHOWN]} now")
    return 0


@contextlib.contextmanager
def _judge(arguments: argparse.Namespace) -> Iterator[Callable[[Release], Verdict] | None]:
    """What the reports say about a release; None where none were named."""
    if arguments.reports is None:
        yield None
        return
    from shoestring.fleet.collect.store import open_store

    most = parse_drop(arguments.max_errors)
    with contextlib.closing(open_store(arguments.reports, writing=False)) as store:
        yield lambda release: judge(store.tally(release.group, release.bundle_sha256), most)


def _revoke(arguments: argparse.Namespace) -> int:
    done = revoke(_workshop(arguments), arguments.bundle, arguments.to)
    if arguments.json:
        console.show_json(done)
        return 0
    for name, release in done.releases.items():
        print(f"{name}: {release.name} {release.bundle_sha256[:SHOWN]} as release {release.counter}")
    if done.struck:
        console.say(f"{done.sha256[:SHOWN]} is revoked, and no key authorises it any more")
    else:
        console.say(
            f"{done.sha256[:SHOWN]} is revoked; its authorisation stands: say this again with the keys of targets"
        )
    return 0


def _refresh(arguments: argparse.Namespace) -> int:
    done = refresh(_workshop(arguments), prune=arguments.prune)
    if arguments.json:
        console.show_json(done)
        return 0
    console.say(f"signed anew: {', '.join(done.signed)}; {done.removed} files removed")
    for role, days in done.due.items():
        console.say(f"{role} runs out in {days} days and its keys are not here")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    with _judge(arguments) as asked:
        found = status(_workshop(arguments), asked)
        counts = _counts(arguments)
    if arguments.json:
        console.show_json({"status": found, "devices": counts})
    else:
        show_status(found, counts)
    return 0


def _counts(arguments: argparse.Namespace) -> tuple[Count, ...]:
    if arguments.reports is None:
        return ()
    from shoestring.fleet.collect.store import open_store

    with contextlib.closing(open_store(arguments.reports, writing=False)) as store:
        return store.counts()


def _add_key(arguments: argparse.Namespace) -> int:
    return _rotate(arguments, adding=True)


def _remove_key(arguments: argparse.Namespace) -> int:
    return _rotate(arguments, adding=False)


def _rotate(arguments: argparse.Namespace, *, adding: bool) -> int:
    from shoestring.trust.key_files import load_public_key

    public = load_public_key(arguments.key)
    key, workshop = tuf_key(public), _workshop(arguments)
    if adding:
        signed = add_key(workshop, arguments.role, key, threshold=arguments.threshold)
    else:
        signed = remove_key(workshop, arguments.role, key.keyid, threshold=arguments.threshold)
    if arguments.json:
        console.show_json({"key": public.key_id, "role": arguments.role, "signed": signed})
    else:
        word = "signs" if adding else "no longer signs"
        console.say(f"{public.title} {word} for {arguments.role}; signed anew: {', '.join(signed)}")
    return 0


def _collect(arguments: argparse.Namespace) -> int:
    from shoestring.cli.fleet_collect import collect

    return collect(arguments, os.environ)


RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "init": _init,
    "group": _group,
    "publish": _publish,
    "promote": _promote,
    "revoke": _revoke,
    "refresh": _refresh,
    "status": _status,
    "add-key": _add_key,
    "remove-key": _remove_key,
    "collect": _collect,
}
