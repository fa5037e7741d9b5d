"""The reader of symbol versions, against binutils' and against programs whose answer is known."""

import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emulation import symbols
from shoestring.native.build import build, find_compiler
from shoestring.native.targets import target_named

SOURCE = """
#include <stdio.h>
__attribute__((visibility("default"))) int main(void) { puts("x"); return 0; }
"""


def test_it_reads_what_readelf_reads():
    if shutil.which("readelf") is None:
        pytest.skip("readelf (package binutils) is not installed")
    file = Path(sys.executable)
    done = subprocess.run(["readelf", "-V", "-W", file], capture_output=True, text=True, check=True)
    wanted = set(re.findall(r"Name: (\S+)", done.stdout.partition(".gnu.version_r")[2]))
    found = symbols.needs(file.read_bytes())
    assert found is not None
    assert {name for names in found.libraries.values() for name in names} == wanted


def made(folder, kind):
    pytest.importorskip("ziglang")
    (folder / "made.c").write_text(SOURCE)
    row = target_named("raspberry-pi-4")
    return build(find_compiler(row), row, [folder / "made.c"], folder / kind, kind).read_bytes()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return made(tmp_path_factory.mktemp("library"), "library")


def test_libraries_for_boards_need_no_more_than_2_17(library):
    found = symbols.needs(library)
    assert found.machine == symbols.AARCH64
    assert found.glibc == (2, 17)


def test_programs_for_boards_need_no_library_at_all(tmp_path):
    found = symbols.needs(made(tmp_path, "program"))
    assert (found.machine, found.glibc, found.libraries) == (symbols.AARCH64, None, {})


def test_a_newer_symbol_in_a_wheel_is_found(library, tmp_path):
    """The saboteur: the tag says 2.17, one file in the wheel was linked against 2.34."""
    old, new = b"GLIBC_2.17\0", b"GLIBC_2.34\0"
    assert old in library
    wheel = tmp_path / "a-1-py3-none-manylinux2014_aarch64.whl"
    for data, wanted in ((library, (2, 17)), (library.replace(old, new), (2, 34))):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("a/lib.so", data)
            archive.writestr("a/__init__.py", "")
        assert symbols.wheel_needs(wheel) == (wanted, "a/lib.so")
    assert symbols.claimed(wheel.name) == (2, 17)


def test_tags_are_read():
    assert symbols.claimed("a-1-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl") == (2, 27)
    assert symbols.claimed("a-1-py3-none-any.whl") is None


def test_what_is_no_program_is_none_and_a_cut_one_is_refused(library):
    assert symbols.needs(b"#!/bin/sh\n") is None
    with pytest.raises((ValueError, struct.error)):
        symbols.needs(library[:64])
