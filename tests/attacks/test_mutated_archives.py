"""Damaged archives of PyTorch: what our own process does with them first, and what the closed one does then.

SHOESTRING_PROOF=200 python -m pytest tests/attacks/test_mutated_archives.py     20,000 looked at, 2,000 opened
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacking import Server, server
from mutating import damage, edge, endless
from proof_scale import SCALE
from shoestring.base import landlock

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")

LOOKED_AT, OPENED = 100 * SCALE, 10 * SCALE
SEED = 8
NAMES = ("archive_format", "archive_version", "byteorder", "models/model.json", "data/weights/weight_0",
         "data/weights/model_weights_config.json", "data/constants/model_constants_config.json")  # fmt: skip
RECORDS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06")


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name in NAMES:
            out.writestr(zipfile.ZipInfo(f"model/{name}"), name.encode() * 3)
    return made.getvalue()


SOUND = archive()


def zip_case(data: bytes, chance: random.Random) -> bytes:
    """Blind damage, or a record whose fields lie."""
    if chance.random() < 0.4:
        return damage(data, chance)
    made = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        starts = [
            at for at in range(len(made) - 4) if made[at : at + 2] == b"PK" and bytes(made[at : at + 4]) in RECORDS
        ]
        if not starts:
            break
        at = chance.choice(starts) + chance.randrange(4, 46)
        size = chance.choice((1, 2, 4))
        made[at : at + size] = (edge(chance) % 2**64).to_bytes(8, "little")[:size]
    return bytes(made)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("archives"), "attack_server", "shoestring.importers.pytorch") as made:
        yield made


@pytest.mark.timeout(3600)
def test_our_own_process_says_what_is_wrong(running: Server) -> None:
    cases = endless(lambda chance: {"in.pt2": zip_case(SOUND, chance)}, SEED)
    tally = running.run("attack_server:look_at_archive", cases, LOOKED_AT, "in.pt2")
    print(f"\n{LOOKED_AT:,} damaged archives looked at (seed {SEED}): {tally}")
    assert tally.faults == [] and tally.died == 0, tally.deaths
    assert tally.outcomes["ModelError"] > LOOKED_AT // 4
    assert tally.most_grown_bytes < 64 << 20


@pytest.mark.skipif(SCALE == 1, reason="torch takes a minute to make the file; test_hostile_pickles opens some always")
@pytest.mark.timeout(3600)
def test_the_closed_process_may_die_and_tells_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import torch_files

    sound = torch_files.exported(tmp_path / "sound.pt2").read_bytes()
    (tmp_path / "attacked").mkdir()
    with server(
        tmp_path / "attacked", "attack_server", "shoestring.importers.pytorch_child", "torch.export", "torch.onnx"
    ) as made:
        made.seconds = 300.0  # torch takes seconds for a sound file, on a quiet machine
        cases = endless(lambda chance: {"in.pt2": zip_case(sound, chance)}, SEED)
        tally = made.run("attack_server:import_torch", cases, OPENED, "in.pt2")
        alive = made.alive()
    print(f"\n{OPENED:,} damaged exported programs opened (seed {SEED}): {tally}")
    for death in tally.deaths:
        print(f"  {death}")
    assert alive and tally.faults == []
    assert tally.outcomes["ModelError"] > 0
