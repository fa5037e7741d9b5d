"""A repository with one group, whose first bundle all devices run."""

from __future__ import annotations

import shutil

import pytest

from fleets import GROUP, Site, make_site
from shoestring.fleet.repository.promote import promote
from shoestring.fleet.repository.publish import publish


@pytest.fixture(scope="session")
def ready_site(tmp_path_factory):
    """Made once; take `site`."""
    site = make_site(tmp_path_factory.mktemp("ready"))
    publish(site.workshop, site.bundle("first"), GROUP, policy=None)
    for _ in range(2):
        promote(site.workshop, GROUP, None)
    for name in ("second", "third"):
        site.bundle(name)
    return site


@pytest.fixture
def site(ready_site, tmp_path):
    """A copy to change."""
    shutil.copytree(ready_site.folder, tmp_path / "all")
    bundles = {name: tmp_path / "all" / path.name for name, path in ready_site.bundles.items()}
    return Site(tmp_path / "all", ready_site.now_s, bundles=bundles)
