"""How much of the system a service could reach, as systemd rates the unit that `install-service` writes.

    python benchmarks/service.py

0 is safe, 10 is not. The last row is the same command in a unit without a single lock.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from shoestring.device.service.unit import NETWORKS, Service, unit_text

COMMAND = ("/usr/bin/python3", "-P", "-m", "shoestring.cli.main", "serve", "/srv/a.shoe")


def rated(text: str, folder: Path) -> str:
    path = folder / "shoestring-rated.service"
    path.write_text(text)
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", path]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"exposure level for .*: ([0-9.]+)", said)
    assert found is not None, said
    return found[1]


def main() -> None:
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    print(f"{version}\n\nnetwork  camera  exposure")
    with tempfile.TemporaryDirectory() as name:
        for network in NETWORKS:
            for camera in (False, True):
                service = Service("rated", COMMAND, 1 << 30, camera=camera, network=network)
                print(f"{network:7}  {'yes' if camera else 'no':6}  {rated(unit_text(service), Path(name))}")
        plain = "[Service]\nExecStart=/usr/bin/python3 -m http.server\n"
        print(f"{'-':7}  {'-':6}  {rated(plain, Path(name))}")


if __name__ == "__main__":
    main()
