"""What a guest is shown of its board: our own reader of such texts must see the board in it."""

import pytest

from shoestring.chips import host
from shoestring.native.targets import host_target
from shoestring.proving import guest, userland
from shoestring.proving.cores import known_cores

CORES = known_cores()

KNOWN = {"cortex-a53": "Cortex-A53", "cortex-a57": "Cortex-A57", "cortex-a72": "Cortex-A72", "cortex-a76": "Cortex-A76"}


@pytest.mark.parametrize("cpu", CORES)
def test_the_board_is_known_by_its_cpuinfo(cpu):
    text = guest.cpuinfo(CORES[cpu])
    assert host.arm_cores(text) == (KNOWN[cpu],)
    expected = "armv8.2-dotprod" if cpu == "cortex-a76" else "armv8-neon"
    assert host_target(host.instruction_sets(text), "aarch64").name == expected


def test_the_identification_register_of_a_pi_4():
    assert guest.identification(CORES["cortex-a72"]) == 0x410FD083


def test_a_view_shows_the_userland_and_the_boards_own_files(tmp_path):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    for _ in range(2):  # the second time it is there already
        shown = guest.view(tmp_path, CORES["cortex-a72"])
    assert (shown / "usr/bin").is_dir()
    assert "0xd08" in (shown / "proc/cpuinfo").read_text()
    assert (shown / "sys/devices/system/cpu/cpu3/cache/index2/size").read_text() == "1024K\n"
    assert (shown / "sys/devices/system/cpu/online").read_text() == "0-3\n"


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("deb [arch=amd64] https://one.example/debian bookworm main\n", "https://one.example/debian"),
        (
            "URIs: https://two.example/debian-security\nURIs: https://two.example/debian/\n",
            "https://two.example/debian",
        ),
        ("", "http://deb.debian.org/debian"),
    ],
)
def test_debian_comes_from_where_this_machine_gets_it(sources, expected):
    assert userland.mirror(sources) == expected
