"""Texts of /proc as four kinds of machine write them, shortened to two cores where they repeat."""

import pytest

from shoestring.base.errors import StorageError
from shoestring.chips import host

PI_4 = """\
processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3

processor	: 1
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3

Revision	: c03114
Serial		: 1000000000000000
Model		: Raspberry Pi 4 Model B Rev 1.4
"""
PI_4_32_BIT = """\
processor	: 0
model name	: ARMv7 Processor rev 3 (v7l)
BogoMIPS	: 108.00
Features	: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32
CPU implementer	: 0x41
CPU architecture: 7
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3
"""
PI_5_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
PI_5 = "".join(
    f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {PI_5_FEATURES}\nCPU implementer\t: 0x41\n"
    "CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n"
    for core in range(4)
)
BIG_LITTLE = """\
processor	: 0
Features	: fp asimd evtstrm aes asimddp fphp
CPU implementer	: 0x41
CPU part	: 0xd05

processor	: 1
Features	: fp asimd evtstrm aes asimddp fphp i8mm
CPU implementer	: 0x41
CPU part	: 0xd0b

processor	: 2
Features	: fp asimd evtstrm aes asimddp fphp i8mm
CPU implementer	: 0x41
CPU part	: 0xfff
"""
N100 = """\
processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 190
model name	: Intel(R) N100
stepping	: 0
cache size	: 6144 KB
flags		: fpu vme sse sse2 ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand avx2 avx_vnni gfni
vmx flags	: vnmi preemption_timer invvpid avx512f
bugs		: spectre_v1 spectre_v2
"""
EPYC = """\
processor	: 0
vendor_id	: AuthenticAMD
model name	: AMD EPYC 9124 16-Core Processor
flags		: fpu vme sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c avx2 avx512f avx512dq avx512_bf16 avx512vl avx512_vnni

processor	: 1
vendor_id	: AuthenticAMD
model name	: AMD EPYC 9124 16-Core Processor
flags		: fpu vme sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c avx2 avx512f avx512dq avx512_bf16 avx512vl avx512_vnni
"""
MEMINFO = "MemTotal:        3884360 kB\nMemFree:          210044 kB\nMemAvailable:    3312248 kB\n"


@pytest.mark.parametrize(
    ("cpuinfo", "board", "name", "isa"),
    [
        (PI_4, "Raspberry Pi 4 Model B Rev 1.4\0", "Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)", ("asimd",)),
        (PI_4, None, "Cortex-A72", ("asimd",)),
        (PI_4_32_BIT, "Raspberry Pi 4 Model B Rev 1.4\0", "Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)", ("asimd",)),
        (
            PI_5,
            "Raspberry Pi 5 Model B Rev 1.0\0",
            "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)",
            ("asimd", "asimddp", "fphp"),
        ),
        (BIG_LITTLE, None, "Cortex-A55 + Cortex-A76 + Arm core 0x41/0xfff", ("asimd", "asimddp", "fphp")),
        (N100, None, "Intel(R) N100", ("avx2", "avx_vnni", "fma", "sse4_1")),
        (
            EPYC,
            None,
            "AMD EPYC 9124 16-Core Processor",
            ("avx2", "avx512_bf16", "avx512_vnni", "avx512f", "fma", "sse4_1"),
        ),
        ("", None, host.UNKNOWN_PROCESSOR, ()),
    ],
)
def test_processors_by_name_and_instruction_sets(cpuinfo, board, name, isa):
    assert host.processor_name(cpuinfo, board) == name
    assert host.instruction_sets(cpuinfo) == isa


def test_a_pi_4_has_no_dot_product_and_a_pi_5_has():
    assert "asimddp" not in host.instruction_sets(PI_4)
    assert "asimddp" in host.instruction_sets(PI_5)


def test_a_set_counts_only_when_every_core_has_it():
    assert "i8mm" in BIG_LITTLE
    assert "i8mm" not in host.instruction_sets(BIG_LITTLE)


def test_flags_of_the_virtual_machine_extensions_are_not_the_processors():
    assert "avx512f" not in host.instruction_sets(N100)


def test_memory_is_what_is_installed_or_the_containers_limit():
    installed = 3884360 * 1024
    assert host.memory_bytes(MEMINFO, None) == installed
    assert host.memory_bytes(MEMINFO, 512 << 20) == 512 << 20
    assert host.memory_bytes(MEMINFO, 64 << 30) == installed
    with pytest.raises(StorageError, match="MemTotal"):
        host.memory_bytes("", None)


@pytest.mark.parametrize(("text", "limit"), [(None, None), ("max\n", None), ("", None), ("536870912\n", 536870912)])
def test_limits_as_control_groups_write_them(text, limit):
    assert host.parse_limit(text) == limit


def test_the_lowest_limit_on_the_way_up_counts(tmp_path):
    inner = tmp_path / "system.slice" / "box"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    assert host.container_limit_bytes(tmp_path, "0::/system.slice/box\n") is None
    (inner.parent / "memory.max").write_text("1000000\n")
    assert host.container_limit_bytes(tmp_path, "0::/system.slice/box\n") == 1000000
    (inner / "memory.max").write_text("900000\n")
    assert host.container_limit_bytes(tmp_path, "12:cpu:/x\n0::/system.slice/box\n") == 900000
    assert host.container_limit_bytes(tmp_path, "0::/../..\n") is None
    assert host.container_limit_bytes(tmp_path, "") is None


def test_this_machine():
    machine = host.this_machine()
    assert machine == host.this_machine()
    assert machine.name
    assert machine.cores >= 1
    assert machine.memory_bytes > 16 << 20
    assert list(machine.isa) == sorted(machine.isa)
    assert machine.arch and machine.system.startswith("Linux")


def test_without_proc_it_says_so(monkeypatch):
    monkeypatch.setattr(host, "_text", lambda path: None)
    with pytest.raises(StorageError, match="cannot read /proc/cpuinfo"):
        host.this_machine()
