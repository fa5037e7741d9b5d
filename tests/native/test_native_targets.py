"""The table of targets: closed, complete, and the best row for each machine."""

import dataclasses
import tomllib
from importlib import resources

import pytest

from shoestring.base import canonical
from shoestring.base.errors import UsageError
from shoestring.chips.host import ARM_ISA, X86_ISA
from shoestring.native import targets as table
from shoestring.native.targets import aliases, host_target, target_named, targets
from shoestring.native.vectors import VECTORS

REQUIRED = [
    "c",
    "x86-64-sse41",
    "x86-64-avx2",
    "x86-64-avxvnni",
    "x86-64-avx512vnni",
    "armv7-neon",
    "armv8-neon",
    "armv8-cortex-a53",
    "armv8-cortex-a72",
    "armv8.2-dotprod",
    "armv8.6-i8mm",
    "riscv64",
    "cortex-m4",
    "cortex-m7",
    "armv8-cortex-a57",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "raspberry-pi-zero-2w",
    "jetson-nano",
    "coral-dev-board",
]

X86 = "x86_64"
MACHINES = [
    (("avx2", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "fma", "sse4_1"), X86, "x86-64-avx512vnni"),
    (("avx2", "avx_vnni", "fma", "sse4_1"), X86, "x86-64-avxvnni"),  # N100
    (("avx2", "avx512f", "fma", "sse4_1"), X86, "x86-64-avx2"),  # Skylake server: AVX-512 without VNNI
    (("avx2", "sse4_1"), X86, "x86-64-sse41"),  # AVX2 without FMA, as some virtual machines show it
    (("sse4_1",), X86, "x86-64-sse41"),
    ((), X86, "c"),
    (("asimd",), "aarch64", "armv8-neon"),  # Pi 4: rows that only tune are taken by name
    (("asimd", "asimddp", "fphp"), "aarch64", "armv8.2-dotprod"),  # Pi 5
    (("asimd", "asimddp", "fphp", "i8mm"), "aarch64", "armv8.6-i8mm"),
    (("asimd",), "armv7l", "armv7-neon"),
    ((), "armv7l", "c"),
    ((), "riscv64", "riscv64"),
    ((), "ppc64le", "c"),
]


@pytest.mark.parametrize("name", REQUIRED)
def test_every_promised_name_is_a_target(name):
    assert target_named(name) in targets()


@pytest.mark.parametrize(("isa", "arch", "expected"), MACHINES)
def test_best_target_for_a_machine(isa, arch, expected):
    assert host_target(isa, arch).name == expected


def test_a_host_target_never_needs_what_the_machine_lacks():
    for row in targets():
        chosen = host_target(row.isa, row.arch)
        assert set(chosen.isa) <= set(row.isa)
        for lacking in row.isa:
            left = set(row.isa) - {lacking}
            assert lacking not in host_target(left, row.arch).isa


def test_names_are_unique_and_aliases_lead_to_targets():
    names = [row.name for row in targets()] + [alias.name for alias in aliases()]
    assert len(names) == len(set(names))
    for alias in aliases():
        assert target_named(alias.name).name == alias.target


def test_rows_use_known_words():
    known = set(X86_ISA.values()) | set(ARM_ISA.values())
    for row in targets():
        assert row.vector in VECTORS, row.name
        assert set(row.isa) <= known, row.name
        assert list(row.isa) == sorted(row.isa), row.name
        assert row.title and row.why and row.zig_triple and row.zig_flags, row.name


def test_signed_codes_go_with_signed_instructions():
    for row in targets():
        assert row.signed == row.vector.startswith("neon"), row.name


def test_unknown_name_lists_what_is_known():
    with pytest.raises(UsageError, match="no target 'pentium'") as caught:
        target_named("pentium")
    assert "x86-64-avx2" in str(caught.value.hint)
    assert "raspberry-pi-4" in str(caught.value.hint)


@pytest.mark.parametrize("change", [{"cores": 4}, {"signed": 1}, {"system": "windows"}, {"isa": "avx2"}])
def test_the_schema_is_closed(change):
    text = resources.files("shoestring.native").joinpath("targets.toml").read_text()
    row = tomllib.loads(text)["target"][0]
    with pytest.raises(UsageError):
        canonical.convert(row | change, table.Target, UsageError)


def test_targets_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        target_named("c").name = "d"
