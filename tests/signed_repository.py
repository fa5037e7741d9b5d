"""A workshop that signs a repository in memory, and the source that a device reads it from.

Metadata are plain dicts, signed as the specification says, so that whoever attacks can sign anything
that stolen keys allow. Keys come from their names: `r1` is the same key in every run.
"""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.formats import encode_canonical

from shoestring.base.canonical import encode
from shoestring.base.errors import UnreachableError
from shoestring.domain.release import DeltaFrom, Release, bin_of, bundle_path, delta_path, share_path, wave_role
from shoestring.trust.repository.layout import metadata_path, target_file

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW_S = 1_800_000_000
DAY_S = 86_400
GROUP, DEVICE = "cam", "porch"
SHARE = share_path(GROUP, bin_of(GROUP, DEVICE))
LIFE_DAYS = {"root": 365, "targets": 180, "snapshot": 7, "timestamp": 7}
WAVE = wave_role(GROUP, 1)
KEYS = {"root": ["r1", "r2", "r3"], "targets": ["t1", "t2"], "snapshot": ["s1"], "timestamp": ["ts1"]}
THRESHOLD = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1}


@cache
def private_key(name: str) -> Ed25519PrivateKey:
    """The key of that name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"test key {name}".encode()).digest())


@cache
def public_json(name: str) -> str:
    """Its public part as metadata hold it."""
    public = private_key(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    return json.dumps({"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"})


@cache
def key_id(name: str) -> str:
    """As specification 4.2 makes it."""
    return hashlib.sha256(encode_canonical(json.loads(public_json(name))).encode()).hexdigest()


def sign(signed: dict[str, Any], names: Iterable[str]) -> bytes:
    """A file of metadata."""
    payload = encode_canonical(signed).encode()
    signatures = [{"keyid": key_id(name), "sig": private_key(name).sign(payload).hex()} for name in names]
    return json.dumps({"signatures": signatures, "signed": signed}, sort_keys=True).encode()


def key_table(names: Iterable[str]) -> dict[str, Any]:
    """Public keys by their ids."""
    return {key_id(name): json.loads(public_json(name)) for name in names}


def listed(data: bytes) -> dict[str, Any]:
    """What a list says of a file."""
    return {"hashes": {"sha256": hashlib.sha256(data).hexdigest()}, "length": len(data)}


def date(time_s: float) -> str:
    """As metadata write it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Workshop:
    """Whoever holds the keys. `files` is what a web server serves, `history` every state of it."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s
        self.files: dict[str, bytes] = {}
        self.history: list[dict[str, bytes]] = []
        self.keys = {**copy.deepcopy(KEYS), WAVE: ["w1"]}
        self.threshold = {**THRESHOLD, WAVE: 1}
        self.signed: dict[str, dict[str, Any]] = {}
        self.counter = 0
        self.bundle = b""
        for role in ("root", "targets", WAVE, "snapshot", "timestamp"):
            self.signed[role] = self._blank(role)
        self.signed["targets"]["delegations"] = {
            "keys": key_table(["w1"]),
            "roles": [self.delegation(WAVE, ["w1"], 1, [f"{GROUP}/*/release.json", f"{GROUP}/canary/*/release.json"])],
        }
        self._fill_root()
        self.sign_root(["r1", "r2"])
        self.root = self.files["metadata/1.root.json"]

    @staticmethod
    def delegation(
        name: str, keys: list[str], threshold: int, paths: list[str], terminating: bool = True
    ) -> dict[str, Any]:
        """A line of a role's delegations."""
        return {
            "keyids": [key_id(key) for key in keys],
            "name": name,
            "paths": paths,
            "terminating": terminating,
            "threshold": threshold,
        }

    def release(self, name: str, **changes: Any) -> Release:
        """Publish a bundle of that name to the group, and everything that names it."""
        old = hashlib.sha256(self.bundle).hexdigest() if self.bundle else None
        self.bundle = f"bundle {name} ".encode() * 50
        self.counter += 1
        sha256 = self.add_target(bundle_path(hashlib.sha256(self.bundle).hexdigest()), self.bundle, "targets")
        deltas = []
        if old is not None and old != sha256:
            delta = f"delta to {name}".encode()
            deltas.append(DeltaFrom(old, self.add_target(delta_path(old, sha256), delta, "targets"), len(delta)))
        made = Release(
            format=1, group=GROUP, counter=self.counter, name=name, bundle_sha256=sha256, bundle_bytes=len(self.bundle),
            issued_s=int(self.now_s), minimum_version="0.1.0", chip=None, deltas=tuple(deltas), revoked=(),
        )  # fmt: skip
        made = Release(**{**{field: getattr(made, field) for field in made.__dataclass_fields__}, **changes})
        self.add_target(SHARE, encode(made), WAVE)
        self.push("targets", WAVE)
        return made

    def add_target(self, path: str, data: bytes, role: str) -> str:
        """List a file and serve it."""
        line = listed(data)
        self.signed[role]["targets"][path] = line
        self.files[target_file(path, line["hashes"]["sha256"])] = data
        return str(line["hashes"]["sha256"])

    def push(self, *roles: str) -> None:
        """Sign roles anew, then snapshot and timestamp."""
        for role in roles:
            self.bump(role)
            self.write(role)
            self.signed["snapshot"]["meta"][f"{role}.json"] = {"version": self.signed[role]["version"]}
        self.bump("snapshot")
        data = self.write("snapshot")
        self.signed["timestamp"]["meta"] = {
            "snapshot.json": {**listed(data), "version": self.signed["snapshot"]["version"]}
        }
        self.bump("timestamp")
        self.write("timestamp")
        self.history.append(dict(self.files))

    def bump(self, role: str) -> None:
        """The next version, good from now on."""
        signed = self.signed[role]
        signed["version"] += 1
        signed["expires"] = date(self.now_s + DAY_S * LIFE_DAYS.get(role, 30))

    def write(self, role: str) -> bytes:
        """Sign a role as it stands and serve it."""
        version = None if role == "timestamp" else self.signed[role]["version"]
        data = sign(self.signed[role], self.keys[role][: max(self.threshold[role], 1)])
        self.files[metadata_path(role, version)] = data
        return data

    def rotate(self, role: str, names: list[str], threshold: int) -> None:
        """A new root that gives a role other keys; old and new root keys sign it."""
        old = self.keys["root"][: self.threshold["root"]]
        self.keys[role], self.threshold[role] = names, threshold
        self._fill_root()
        self.bump("root")
        self.sign_root(dict.fromkeys([*old, *self.keys["root"][: self.threshold["root"]]]))
        if role in ("timestamp", "snapshot", "targets"):
            self.push("targets")

    def sign_root(self, names: Iterable[str]) -> None:
        """Serve the root as it stands."""
        self.files[metadata_path("root", self.signed["root"]["version"])] = sign(self.signed["root"], names)

    def _fill_root(self) -> None:
        root = self.signed["root"]
        root["keys"] = key_table(dict.fromkeys(name for role in KEYS for name in self.keys[role]))
        root["roles"] = {
            role: {"keyids": [key_id(name) for name in self.keys[role]], "threshold": self.threshold[role]}
            for role in KEYS
        }

    def _blank(self, role: str) -> dict[str, Any]:
        kind = role if role in KEYS else "targets"
        signed: dict[str, Any] = {
            "_type": kind,
            "expires": date(self.now_s + DAY_S * LIFE_DAYS.get(role, 30)),
            "spec_version": "1.0.31",
            "version": 1 if role == "root" else 0,
        }
        return (
            signed
            | {
                "root": {"consistent_snapshot": True},
                "targets": {"targets": {}},
                "snapshot": {"meta": {}},
                "timestamp": {"meta": {}},
            }[kind]
        )


class MemoryStream:
    """A file of the simulated server; with a rest that never ends, or cut."""

    def __init__(self, data: bytes, start_bytes: int, endless: bool, cut_at: int | None) -> None:
        self.start_bytes, self.mark = start_bytes, None
        self._data, self._endless, self._cut_at = data[start_bytes:], endless, cut_at
        self.sent = 0

    def read(self, size_bytes: int) -> bytes:
        """As `Stream.read`."""
        if self._cut_at is not None and self.sent >= self._cut_at:
            raise UnreachableError("cut")
        if self._cut_at is not None:
            size_bytes = min(size_bytes, self._cut_at - self.sent)
        piece = self._data[self.sent : self.sent + size_bytes]
        if self._endless and not piece:
            piece = b" " * size_bytes
        self.sent += len(piece)
        return piece

    def __enter__(self) -> MemoryStream:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class MemorySource:
    """A server or mirror of `files`, with what may be wrong with it. `asked` is every path that was opened."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.endless: set[str] = set()
        self.cut: dict[str, int] = {}
        self.down: set[str] = set()
        self.asked: list[str] = []
        self.streams: list[MemoryStream] = []

    def ask(self, path: str, start_bytes: int = 0, mark: str | None = None) -> MemoryStream | None:
        """As `Source.ask`."""
        self.asked.append(path)
        if path in self.down or "*" in self.down:
            raise UnreachableError(f"the server answered 500 for {path}")
        if path not in self.files:
            return None
        stream = MemoryStream(self.files[path], start_bytes, path in self.endless, self.cut.get(path))
        self.streams.append(stream)
        return stream
