"""Keys come, go, are lost and stolen; devices of every age follow or are told why not."""

from __future__ import annotations

import random
import shutil

import pytest

from fleets import DAY_S, GROUP, Site, device_in
from proof_scale import SCALE
from shoestring.base.errors import RepositoryError, SignatureError, UsageError
from shoestring.fleet.repository.publish import publish
from shoestring.fleet.repository.refresh import refresh
from shoestring.fleet.repository.rotation import add_key, remove_key
from shoestring.fleet.repository.setup import init
from shoestring.fleet.repository.status import status
from shoestring.fleet.roles import KEY_NAMES, TOP

DEVICE = device_in(0)
ROTATIONS = 6 * SCALE


def new_key(site, name):
    """A pair in the folder of keys."""
    return site.workshop.keyring.make(name)


def lose(site, name):
    """The private half is gone."""
    (site.folder / "keys" / name).unlink()


@pytest.mark.parametrize("role", [*TOP, "rollout", GROUP, f"{GROUP}.1"])
def test_a_role_moves_to_another_key_and_devices_follow(site, role):
    assert site.release(DEVICE, "old") is not None
    name = role if role in KEY_NAMES else "rollout"
    old = site.workshop.keyring.named[name]
    add_key(site.workshop, role, new_key(site, "new"))
    assert site.release(DEVICE, "between") is not None
    remove_key(site.workshop, role, old.keyid)
    for store in ("old", "between", "fresh"):
        assert site.release(DEVICE, store) is not None
    if role != f"{GROUP}.1":  # the other waves have the old key still
        lose(site, name)
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    for store in ("old", "between", "fresh"):
        assert site.release(DEVICE, store).bundle_sha256 == site.sha256("second")


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_an_online_key_that_was_lost_is_replaced_without_it(site, role):
    assert site.release(DEVICE, "old") is not None
    old = site.workshop.keyring.named[role]
    new_key(site, "new")
    lose(site, role)
    with pytest.raises(SignatureError, match=f"role {role} needs 1 of its 1 keys"):
        refresh(site.workshop)
    with pytest.raises(UsageError, match="1 signatures and has 0 keys"):
        remove_key(site.workshop, role, old.keyid)
    add_key(site.workshop, role, new_key(site, "new"))
    remove_key(site.workshop, role, old.keyid)
    assert site.release(DEVICE, "old") is not None
    assert refresh(site.workshop).due == {}


def test_a_threshold_asks_for_that_many_keys(site):
    key = new_key(site, "second")
    add_key(site.workshop, "targets", key, threshold=2)
    assert site.release(DEVICE) is not None
    site.keys = ("some",)
    shutil.copytree(site.folder / "keys", site.folder / "some")
    (site.folder / "some" / "second").unlink()
    before = site.files()
    with pytest.raises(SignatureError, match="targets needs 2 of its 2 keys, 1 of them"):
        publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    assert site.files() == before
    (site.folder / "drawer").mkdir()
    for name in ("second", "second.pub"):
        shutil.copy(site.folder / "keys" / name, site.folder / "drawer" / name)
    site.keys = ("some", "drawer")
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    assert site.release(DEVICE).bundle_sha256 == site.sha256("second")


def test_a_root_needs_the_keys_of_the_one_before(tmp_path):
    site = Site(tmp_path)
    init(site.workshop, root_threshold=2)
    assert [one.threshold for one in status(site.workshop).roles] == [2, 1, 1, 1]
    key = new_key(site, "new")
    lose(site, "root-2")
    with pytest.raises(SignatureError, match=r"old one's keys, 1 are at hand"):
        add_key(site.workshop, "root", key)


@pytest.mark.parametrize(
    ("role", "threshold", "words"),
    [
        ("targets", 3, "needs 3 signatures and has 2 keys"),
        ("targets", 0, "needs 0 signatures"),
        ("nobody", None, "no role 'nobody'"),
        (f"{GROUP}.4", None, "no role"),
    ],
)
def test_senseless_changes_are_refused_and_change_nothing(site, role, threshold, words):
    key = new_key(site, "new")
    before = site.files()
    with pytest.raises(UsageError, match=words):
        add_key(site.workshop, role, key, threshold=threshold)
    with pytest.raises(UsageError, match=r"has no key|no role"):
        remove_key(site.workshop, role, key.keyid)
    assert site.files() == before


def test_a_key_that_was_taken_away_signs_nothing_any_more(site):
    """The saboteur: metadata signed by a removed key of a wave, put in by whoever holds the server."""
    old = site.workshop.keyring.named["rollout"]
    thief = site.workshop
    add_key(site.workshop, "rollout", new_key(site, "new"))
    remove_key(site.workshop, "rollout", old.keyid)
    assert site.release(DEVICE, "holds") is not None
    # Whoever holds the online keys as well can list it in a snapshot, but nobody can make it count.
    with site.workshop.changing() as (book, draft):
        forged = book.waves[f"{GROUP}.1"]
        forged.signed.version += 1
        forged.signatures.clear()
        forged.sign(thief.keyring.signer(old))
        draft.change(f"{GROUP}.1")
        draft._sign = _signing(draft._sign, f"{GROUP}.1", forged.to_bytes())
        draft.waves[f"{GROUP}.1"].version = forged.signed.version
        draft.commit()
    with pytest.raises(RepositoryError, match="signed"):
        site.release(DEVICE, "holds")


def _signing(sign, role, forged):
    return lambda name, payload: forged if name == role else sign(name, payload)


def test_devices_with_any_root_follow_random_rotations(site):
    rng = random.Random("rotations")
    held = {name: [name] for name in TOP}
    stores = []
    for number in range(ROTATIONS):
        site.now_s += rng.randint(0, 3) * DAY_S
        role = rng.choice(TOP)
        name = f"{role}-{number + 2}"
        add_key(site.workshop, role, new_key(site, name))
        held[role].append(name)
        if len(held[role]) > 1 and rng.random() < 0.7:
            gone = held[role].pop(rng.randrange(len(held[role]) - 1))
            remove_key(site.workshop, role, site.workshop.keyring.named[gone].keyid)
            lose(site, gone)
        stores.append(f"born-{number}")
        newest = status(site.workshop).root_version
        for store in rng.sample(stores, min(4, len(stores))):
            repository = site.device(store, root=rng.randint(1, newest))
            repository.refresh()
            assert repository.trusted.root == newest
            assert repository.release(GROUP, DEVICE).counter == 1
    print(f"{ROTATIONS} changes of keys, root {newest}, devices with any older root followed")
