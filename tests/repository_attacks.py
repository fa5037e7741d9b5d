"""The closed vocabulary of attacks on a signed repository: what a step of a case may do, and to whom.

A scene has an honest workshop, a mirror between it and the device, stolen keys, and the device's clock and disk. A case
is a list of steps; each is a method here, named by its `do`, with the rest as arguments.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

from shoestring.base.canonical import encode
from shoestring.domain.release import DeltaFrom, Release, bundle_path
from shoestring.trust.repository.layout import metadata_path, target_file
from signed_repository import (
    DAY_S,
    GROUP,
    NOW_S,
    SHARE,
    MemorySource,
    Workshop,
    date,
    key_id,
    key_table,
    listed,
    private_key,
)

if TYPE_CHECKING:
    from pathlib import Path

from securesystemslib.formats import encode_canonical


class Scene:
    """Everything but the client.

    Args:
        disk: the device's store.
    """

    def __init__(self, disk: Path) -> None:
        self.workshop = Workshop()
        self.disk = disk
        self.source = MemorySource({})
        self.base: dict[str, bytes] | None = None  # a state that the mirror replays; None: the workshop's own
        self.overlay: dict[str, bytes | None] = {}  # None: hidden
        self.forged: dict[str, dict[str, Any]] = {}
        self.forged_bytes: dict[str, bytes] = {}
        self.clock_s: float | None = None  # None: right
        self.damaged = False

    def now_s(self) -> float:
        """What the device's clock says."""
        return self.workshop.now_s if self.clock_s is None else self.clock_s

    def serve(self) -> MemorySource:
        """The mirror as it stands."""
        files = {**(self.workshop.files if self.base is None else self.base), **self.overlay}
        self.source.files = {path: data for path, data in files.items() if data is not None}
        return self.source

    # --- the workshop

    def release(self, name: str) -> None:
        """Publish a bundle to the group."""
        self.workshop.release(name)

    def resign(self) -> None:
        """Sign everything below the root anew; what it says is as it was."""
        self.workshop.push("targets", *(role for role in self.workshop.signed if "." in role))

    def rotate(self, role: str, keys: list[str], threshold: int) -> None:
        """Other keys for a role of the root."""
        self.workshop.rotate(role, keys, threshold)

    def renew(self) -> None:
        """Sign snapshot and timestamp anew, nothing else: what the keys that are online can do."""
        self.workshop.push()

    def renew_root(self) -> None:
        """The same root with a later end."""
        root = self.workshop.keys["root"]
        self.workshop.rotate("root", list(root), self.workshop.threshold["root"])

    def delegate(
        self,
        parent: str,
        name: str,
        keys: list[str],
        threshold: int,
        paths: list[str],
        terminating: bool = False,
        first: bool = False,
        hashes: list[str] | None = None,
    ) -> None:
        """A role delegates to another, new or known, paths by patterns or by the first digits of their hashes."""
        shop = self.workshop
        part = shop.signed[parent].setdefault("delegations", {"keys": {}, "roles": []})
        part["keys"].update(key_table(keys))
        line = shop.delegation(name, keys, threshold, paths, terminating)
        if hashes is not None:
            del line["paths"]
            line["path_hash_prefixes"] = hashes
        part["roles"].insert(0 if first else len(part["roles"]), line)
        if name not in shop.signed:
            shop.signed[name] = shop._blank(name)
            shop.keys[name], shop.threshold[name] = keys, threshold
        shop.push(parent, name)

    def delegate_chain(self, parent: str, count: int, key: str) -> None:
        """A row of roles, each delegating everything of the group to the next."""
        for number in range(count):
            name = f"link{number}"
            self.delegate(parent, name, [key], 1, [f"{GROUP}/*/release.json", f"{GROUP}/canary/*/release.json"])
            parent = name

    def remove_role(self, parent: str, name: str) -> None:
        """A delegation is withdrawn."""
        part = self.workshop.signed[parent]["delegations"]
        part["roles"] = [line for line in part["roles"] if line["name"] != name]
        self.workshop.push(parent)

    def list_release(self, role: str, counter: int, find: str = "", to: str = "", **changes: Any) -> None:
        """A role lists a release for the device's share, a part of its text replaced, with good signatures."""
        data = encode(self._release(counter, **changes))
        assert find.encode() in data, find
        data = data.replace(find.encode(), to.encode(), 1) if find else data
        self.workshop.add_target(SHARE, data, role)
        self.workshop.push(role)

    def list_path(self, role: str, path: str, text: str) -> None:
        """A role lists some other file."""
        self.workshop.add_target(path, text.encode(), role)
        self.workshop.push(role)

    def days_pass(self, days: float) -> None:
        """For everybody; the device's clock too unless it is wrong."""
        self.workshop.now_s += days * DAY_S
        if self.clock_s is not None:
            self.clock_s += days * DAY_S

    # --- the mirror

    def replay(self, state: int) -> None:
        """Serve everything as it was after the workshop's n-th push, from 1."""
        self.base = self.workshop.history[state - 1]

    def honest(self) -> None:
        """Serve what the workshop publishes, and nothing else."""
        self.base, self.overlay = None, {}
        self.source.endless, self.source.cut, self.source.down = set(), {}, set()

    def hide(self, path: str) -> None:
        """404 for a file."""
        self.overlay[self._path(path)] = None

    def answer(
        self,
        path: str,
        text: str | None = None,
        hex: str | None = None,
        file: str | None = None,
        state: int | None = None,
        repeat: int = 1,
        find: str | None = None,
        to: str = "",
    ) -> None:
        """Serve for a file a text (`repeat` times), or another file (of an earlier state), with a part replaced."""
        if hex is not None:
            data = bytes.fromhex(hex)
        elif text is not None:
            data = text.encode() * repeat
        else:
            files = self.workshop.files if state is None else self.workshop.history[state - 1]
            data = files[self._path(file or path)]
        if find is not None:
            assert find.encode() in data, find
            data = data.replace(find.encode(), to.encode(), 1)
        self.overlay[self._path(path)] = data

    def endless(self, path: str) -> None:
        """A file goes on for ever after its end."""
        self.source.endless.add(self._path(path))

    def cut(self, path: str, at: int) -> None:
        """The connection ends after that many bytes."""
        self.source.cut[self._path(path)] = at

    def down(self, path: str) -> None:
        """500 for a file, or for `*`."""
        self.source.down.add(self._path(path))

    def corrupt(self, path: str, at: int) -> None:
        """One bit of a file is another."""
        path = self._path(path)
        data = bytearray(self.workshop.files[path])
        data[at] ^= 1
        self.overlay[path] = bytes(data)

    # --- stolen keys

    def forge(
        self,
        role: str,
        keys: list[str],
        set: list[dict[str, Any]] | None = None,
        drop: list[list[str]] | None = None,
        release: dict[str, Any] | None = None,
        find: str | None = None,
        to: str = "",
        ids: list[str] | None = None,
        twice: bool = False,
        as_version: int | None = None,
    ) -> None:
        """Change what a role says, sign it with the keys at hand, and serve it where that version stands.

        Args:
            role: whose metadata, as last forged or published.
            keys: names of the keys that sign.
            set: `{at = [names...], to = value}`; `$date:DAYS`, `$file:ROLE`, `$keys:A,B` and `$id:A` stand for values.
            drop: fields to leave out.
            release: lists this release for the device's share, too.
            find, to: replaced in the signed file's text at the end.
            ids: claimed for the signatures in place of the keys' own.
            twice: every signature stands there twice.
            as_version: in the file's name, in place of the version inside.
        """
        signed = self.forged.setdefault(role, copy.deepcopy(self.workshop.signed[role]))
        if release is not None:
            data = encode(self._release(**release))
            signed["targets"][SHARE] = listed(data)
            self.overlay[target_file(SHARE, hashlib.sha256(data).hexdigest())] = data
        for change in set or []:
            *way, last = change["at"]
            place = signed
            for name in way:
                place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
            value = self._value(change["to"])
            if isinstance(place, list):
                place[int(last)] = value
            else:
                place[last] = value
        for *way, last in drop or []:
            place = signed
            for name in way:
                place = place[int(name)] if isinstance(place, list) else place[name]
            del place[last]
        payload = encode_canonical(signed).encode() if not _has_float(signed) else json.dumps(signed).encode()
        signatures = [
            {"keyid": claimed, "sig": private_key(name).sign(payload).hex()}
            for name, claimed in zip(keys, [self._value(i) for i in ids or [f"$id:{n}" for n in keys]], strict=True)
        ] * (2 if twice else 1)
        text = json.dumps({"signatures": signatures, "signed": signed}, sort_keys=True)
        if find is not None:
            assert find in text, find
            text = text.replace(find, to, 1)
        version = signed["version"] if as_version is None else as_version
        self.overlay[metadata_path(role, None if role == "timestamp" else version)] = text.encode()
        self.forged_bytes[role] = text.encode()

    def forge_bundle(self, text: str) -> None:
        """Serve a bundle of the attacker's at the address of its own hash."""
        data = text.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        self.overlay[target_file(bundle_path(sha256), sha256)] = data

    # --- the device

    def clock(self, at: str | float) -> None:
        """The device's clock: `right`, `none`, `1970`, or days from the right time."""
        known = {"right": None, "none": float("nan"), "1970": 3_600.0}
        self.clock_s = known[at] if isinstance(at, str) else self.workshop.now_s + at * DAY_S

    def damage(self, file: str, how: str) -> None:
        """A file on the device's disk is torn: `short`, `zeros`, `noise`, `gone`."""
        found = sorted(self.disk.glob(file))
        assert found, file
        self.damaged = True
        for path in found:
            data = path.read_bytes()
            if how == "gone":
                path.unlink()
            else:
                half = len(data) // 2
                made = {"short": data[:half], "zeros": bytes(len(data)), "noise": data[:half] + b"\xff" * 40}
                path.write_bytes(made[how])

    def _release(self, counter: int, bundle: str = "evil", **changes: Any) -> Release:
        data = bundle.encode()
        fields: dict[str, Any] = {
            "format": 1, "group": GROUP, "counter": counter, "name": "evil",
            "bundle_sha256": hashlib.sha256(data).hexdigest(), "bundle_bytes": len(data), "issued_s": NOW_S,
            "minimum_version": "0.1.0", "chip": None, "deltas": (), "revoked": (),
        }  # fmt: skip
        if "deltas" in changes:
            changes["deltas"] = tuple(DeltaFrom(**line) for line in changes["deltas"])
        if bundle == "$bundle":
            fields |= {"bundle_sha256": hashlib.sha256(self.workshop.bundle).hexdigest()}
            fields |= {"bundle_bytes": len(self.workshop.bundle)}
        return Release(**{**fields, **changes})

    def _path(self, path: str) -> str:
        """`$bundle` and `$release` stand for the served file of the newest ones."""
        if path == "$bundle":
            sha256 = hashlib.sha256(self.workshop.bundle).hexdigest()
            return target_file(bundle_path(sha256), sha256)
        if path == "$release":
            return target_file(SHARE, str(self.workshop.signed["cam.1"]["targets"][SHARE]["hashes"]["sha256"]))
        return path

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        kind, _, rest = value[1:].partition(":")
        if kind == "date":
            return date(self.workshop.now_s + float(rest) * DAY_S)
        if kind == "keys":
            return key_table(rest.split(","))
        if kind == "id":
            return key_id(rest)
        if kind == "public":
            return next(iter(key_table([rest]).values()))
        if kind == "digits":
            return 10 ** (int(rest) - 1)
        assert kind == "file", value
        return {**listed(self.forged_bytes[rest]), "version": self.forged[rest]["version"]}


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_float(item) for item in value.values())
    return isinstance(value, float) or (isinstance(value, list) and any(_has_float(item) for item in value))
