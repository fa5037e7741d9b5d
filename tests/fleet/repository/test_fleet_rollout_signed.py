"""From publish to revoke, as devices with the real client see it."""

from __future__ import annotations

import os

import pytest

from fleets import DAY_S, GROUP, device_in, make_site
from shoestring.base.errors import BudgetError, RepositoryError, SignatureError, StaleError, UsageError
from shoestring.bundle import open_bundle
from shoestring.bundle.patching import apply_delta
from shoestring.bundle.signing import sign_bundle
from shoestring.domain.release import bundle_path, delta_path
from shoestring.fleet.error_rate import Tally, judge
from shoestring.fleet.repository.promote import promote
from shoestring.fleet.repository.publish import publish
from shoestring.fleet.repository.refresh import refresh
from shoestring.fleet.repository.revoke import revoke
from shoestring.fleet.repository.setup import set_group
from shoestring.trust.keys import generate
from shoestring.trust.policy import Policy

FIRST, SECOND, LAST = device_in(0), device_in(5), device_in(99)
CANARY = "c" * 64


def seen(site, *devices):
    """Hashes that devices are told to run, each asked anew."""
    return [None if (one := site.release(device)) is None else one.bundle_sha256 for device in devices]


def test_a_new_group_says_nothing(tmp_path):
    site = make_site(tmp_path)
    assert seen(site, FIRST, LAST) == [None, None]


def test_a_bundle_reaches_wave_after_wave(site):
    old, new = site.sha256("first"), site.sha256("second")
    assert seen(site, FIRST, SECOND, LAST) == [old, old, old]
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    assert seen(site, FIRST, SECOND, LAST) == [new, old, old]
    assert promote(site.workshop, GROUP, None).per_cent == 10
    assert seen(site, FIRST, SECOND, LAST) == [new, new, old]
    assert promote(site.workshop, GROUP, None).per_cent == 100
    assert seen(site, FIRST, SECOND, LAST) == [new, new, new]
    with pytest.raises(UsageError, match="newest release"):
        promote(site.workshop, GROUP, None)


def test_canaries_go_first_whatever_their_share(site):
    set_group(site.workshop, GROUP, canaries=(LAST,))
    assert seen(site, LAST) == [site.sha256("first")]
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    assert seen(site, LAST, device_in(98)) == [site.sha256("second"), site.sha256("first")]


def test_bundle_and_delta_come_to_the_device(site, tmp_path):
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    repository = site.device("one")
    release = repository.release(GROUP, FIRST)
    (delta,) = release.deltas
    assert delta.size_bytes < release.bundle_bytes
    repository.fetch(delta_path(delta.old_sha256, release.bundle_sha256), tmp_path / "delta")
    apply_delta(site.bundle("first"), tmp_path / "delta", tmp_path / "patched.shoe")
    repository.fetch(bundle_path(release.bundle_sha256), tmp_path / "whole.shoe")
    assert (tmp_path / "patched.shoe").read_bytes() == (tmp_path / "whole.shoe").read_bytes()
    assert (tmp_path / "whole.shoe").read_bytes() == site.bundle("second").read_bytes()


def test_deltas_are_from_the_newest_bundles_only(site):
    names = ("second", "third", "fourth", "fifth")
    for name in names:
        site.now_s += 60
        done = publish(site.workshop, site.bundle(name), GROUP, policy=None)
    assert {one.old_sha256 for one in done.release.deltas} == {site.sha256(name) for name in names[:3]}
    assert publish(site.workshop, site.bundle("sixth"), GROUP, policy=None, deltas=0).release.deltas == ()


def test_revoking_brings_the_old_bundle_back_everywhere(site):
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    promote(site.workshop, GROUP, None)
    repository = site.device("holds")
    before = repository.release(GROUP, FIRST)
    done = revoke(site.workshop, site.sha256("second")[:10])
    assert done.struck
    assert seen(site, FIRST, SECOND, LAST) == [site.sha256("first")] * 3
    repository.refresh()
    after = repository.release(GROUP, FIRST)
    assert after.counter > before.counter
    assert after.revoked == (site.sha256("second"),)
    with pytest.raises(RepositoryError, match="no role"):
        repository.fetch(bundle_path(site.sha256("second")), site.folder / "bad.shoe")
    with pytest.raises(UsageError, match="was revoked"):
        publish(site.workshop, site.bundle("second"), GROUP, policy=None)


def test_what_was_revoked_stays_it_through_later_releases(site):
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    revoke(site.workshop, site.sha256("second"))
    done = publish(site.workshop, site.bundle("third"), GROUP, policy=None)
    assert done.release.revoked == (site.sha256("second"),)


def test_the_only_bundle_cannot_be_revoked_and_a_mended_one_takes_its_place(site):
    with pytest.raises(UsageError, match="no other bundle"):
        revoke(site.workshop, site.sha256("first"))
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    revoke(site.workshop, site.sha256("first"))
    assert seen(site, FIRST, SECOND, LAST) == [site.sha256("second")] * 3


def test_a_bundle_that_nobody_trusted_signed_is_not_published(site):
    ada, eve = generate("ada"), generate("eve")
    policy = Policy((ada.public,))
    before = site.files()
    for signed in (None, eve):
        if signed is not None:
            sign_bundle(site.bundle("second"), [signed])
        with pytest.raises(SignatureError, match="is not published"):
            publish(site.workshop, site.bundle("second"), GROUP, policy=policy)
    assert site.files() == before
    sign_bundle(site.bundle("second"), [ada])
    done = publish(site.workshop, site.bundle("second"), GROUP, policy=policy)
    assert done.signed_by == (ada.public.key_id,)
    with open_bundle(site.bundle("second")) as bundle:
        assert done.release.bundle_sha256 == bundle.sha256


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally(good=20, failed=0, trial=4), "59 devices without a failure are needed"),
        (Tally(good=200, failed=12, trial=0, reasons=(("crashed", 12),)), r"they say: crashed \(12\)"),
    ],
)
def test_reports_halt_a_roll_out(site, tally, words):
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    before = site.files()
    with pytest.raises(BudgetError, match=words):
        promote(site.workshop, GROUP, lambda release: judge(tally))
    assert site.files() == before
    assert seen(site, SECOND) == [site.sha256("first")]


def test_good_reports_let_it_on(site):
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    asked = []

    def judged(release):
        asked.append(release)
        return judge(Tally(good=100, failed=0, trial=0))

    assert promote(site.workshop, GROUP, judged).verdict.passes
    assert [one.bundle_sha256 for one in asked] == [site.sha256("second")]


def test_what_runs_out_is_signed_anew(site):
    for days in (0, 5, 10, 20, 40, 100, 200, 400):
        site.now_s += days * DAY_S
        done = refresh(site.workshop)
        assert done.due == {}
        assert {"snapshot", "timestamp"} <= set(done.signed)
        assert seen(site, LAST) == [site.sha256("first")]
    assert site.workshop.keyring


def test_without_refresh_devices_call_it_stale(site):
    site.now_s += 8 * DAY_S
    with pytest.raises(StaleError, match="timestamp"):
        site.release(LAST)


def age(site, days, *, but=()):
    """Every file was written that long ago."""
    for path in site.path.rglob("*"):
        if path not in but:
            os.utime(path, (site.now_s - days * DAY_S,) * 2)


def test_pruning_takes_only_what_nobody_named_for_a_week(site):
    age(site, 30)
    site.now_s += 60
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    bad = next((site.path / "targets" / "bundles").glob(f"{site.sha256('second')}*"))
    age(site, 20)
    held = set(site.path.rglob("*"))
    revoke(site.workshop, site.sha256("second"))
    age(site, 6, but=held)
    kept = site.files()
    assert refresh(site.workshop, prune=True).removed > 0  # what was replaced before that
    assert bad.exists()  # it was named until six days ago
    assert set(kept) - set(site.files())
    site.now_s += 2 * DAY_S
    assert refresh(site.workshop, prune=True).removed > 0
    assert not bad.exists()
    assert seen(site, FIRST, LAST) == [site.sha256("first")] * 2
    assert (site.path / "metadata" / "1.root.json").exists()
    site.device("new").fetch(bundle_path(site.sha256("first")), site.folder / "got.shoe")


def test_waves_are_not_dealt_anew_within_a_roll_out(site):
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    with pytest.raises(UsageError, match="within a roll-out"):
        set_group(site.workshop, GROUP, waves=(50, 100))
    promote(site.workshop, GROUP, None)
    promote(site.workshop, GROUP, None)
    set_group(site.workshop, GROUP, waves=(50, 100))
    assert seen(site, FIRST, LAST) == [site.sha256("second")] * 2
    publish(site.workshop, site.bundle("third"), GROUP, policy=None)
    assert seen(site, device_in(49), device_in(50)) == [site.sha256("third"), site.sha256("second")]


def test_a_role_cannot_speak_for_the_shares_of_another(site):
    """The saboteur: the first wave's keys sign a release for everybody; devices outside do not follow."""
    with site.workshop.changing() as (_book, draft):
        mine = draft.waves[f"{GROUP}.1"]
        (target,) = [one for path, one in mine.targets.items() if path.endswith("/00/release.json")]
        other = draft.waves[f"{GROUP}.3"].targets
        foreign = next(iter(other))
        del other[foreign]
        mine.targets[foreign] = target
        draft.change(f"{GROUP}.1", f"{GROUP}.3")
        draft.commit()
    share = int(foreign.split("/")[1])
    assert seen(site, device_in(share)) == [None]
