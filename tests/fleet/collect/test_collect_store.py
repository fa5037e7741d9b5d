"""What every store promises, and what each keeps through a restart."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fleet_reports import NEW, NOW_S, OLD, received
from shoestring.base.errors import StorageError, UsageError
from shoestring.fleet.collect.memory import MemoryStore
from shoestring.fleet.collect.store import Count, open_store
from shoestring.fleet.error_rate import Tally


def test_each_number_is_kept_once(store):
    assert store.add([received(1), received(1), received(2), received(1, 2)]) == ("stored", "known", "stored", "stored")
    assert store.add([received(1), received(1, 2, state="trial"), received(3)]) == ("known", "other", "stored")
    assert store.add([]) == ()
    assert sum(one.devices for one in store.counts()) == 3


def test_one_failure_of_a_device_outweighs_all_else(store):
    failed = {"state": "rolled-back", "running_sha256": OLD}
    store.add([received(1, 1, state="trial"), received(1, 2)])
    store.add([received(2, 1, state="trial"), received(2, 2, reason="it crashed", **failed), received(2, 3)])
    store.add([received(3, 1, state="refused", running_sha256=OLD, reason="no space")])
    store.add(
        [
            received(4, 1, state="trial"),
            received(5, 1, bundle_sha256=OLD),
            received(6, 1, reason="it crashed", **failed),
        ]
    )
    store.add([received(7, 1, state="unreachable", bundle_sha256="")])
    assert store.tally("porch", NEW) == Tally(1, 3, 1, (("it crashed", 2), ("no space", 1)))
    assert store.tally("attic", NEW) == Tally(0, 0, 0)


def test_devices_are_counted_by_their_last_word(store):
    store.add([received(1, 2, state="stale", bundle_sha256="", running_sha256=OLD), received(1, 1)])
    store.add([received(2), received(3)])
    assert store.counts() == (Count("porch", "good", NEW, 2), Count("porch", "stale", OLD, 1))


def test_old_reports_are_forgotten(store):
    store.add([received(1, 1, NOW_S - 100), received(1, 2, NOW_S), received(2, 1, NOW_S - 1)])
    assert store.forget(NOW_S) == 2
    assert store.forget(NOW_S) == 0
    assert store.counts() == (Count("porch", "good", NEW, 1),)
    assert store.tally("porch", NEW).good == 1


def test_words_of_devices_do_no_harm(store):
    words = "'); DROP TABLE reports; -- \x00 \x1b[2J \u202e %s ? {p}"
    store.add([received(1, state="refused", reason=words)])
    assert store.tally("porch", NEW).reasons == (("'); DROP TABLE reports; --    [2J   %s ? {p}", 1),)


def test_all_stores_agree_on_random_reports(store):
    rng, memory = random.Random("reports"), MemoryStore()
    for _ in range(30):
        batch = [
            received(
                rng.randrange(12),
                rng.randint(1, 6),
                NOW_S + rng.randrange(5),
                state=rng.choice(("good", "trial", "rolled-back", "refused", "stale")),
                bundle_sha256=rng.choice((OLD, NEW)),
                reason=rng.choice(("", "it crashed", "no space")),
            )
            for _ in range(rng.randrange(8))
        ]
        assert store.add(batch) == memory.add(batch)
        assert store.counts() == memory.counts()
        assert store.tally("porch", NEW) == memory.tally("porch", NEW)
        if rng.random() < 0.1:
            assert store.forget(NOW_S + 2) == memory.forget(NOW_S + 2)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_kept_is_there_for_the_next(kind, tmp_path, request):
    place = str(tmp_path / "reports") if kind == "sqlite" else request.getfixturevalue("postgres")
    one = open_store(place, writing=True)
    one.add([received(50 + number) for number in range(3)])
    before = one.tally("porch", NEW).good
    one.close()
    one.close()
    for writing in (False, True):
        other = open_store(place, writing=writing)
        assert other.tally("porch", NEW).good == before >= 3
        other.close()


def test_a_reader_and_a_writer_share_a_file(tmp_path):
    place = str(tmp_path / "reports.sqlite")
    writer = open_store(place, writing=True)
    reader = open_store(place, writing=False)
    for number in range(1, 6):
        writer.add([received(number)])
        assert reader.tally("porch", NEW).good == number
    with pytest.raises(StorageError, match="readonly"):
        reader.add([received(9)])
    writer.close()
    reader.close()


def test_another_program_s_file_is_left_alone(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE recipes (name TEXT)")
    (tmp_path / "words.txt").write_text("no database at all\n" * 100)
    for name in ("other.sqlite", "words.txt"):
        data = (tmp_path / name).read_bytes()
        with pytest.raises((UsageError, StorageError)):
            open_store(str(tmp_path / name), writing=True)
        assert (tmp_path / name).read_bytes() == data
    with pytest.raises(UsageError, match="is not there"):
        open_store(str(tmp_path / "missing"), writing=False)
    with pytest.raises(UsageError, match="cannot be kept"):
        open_store("mysql://host/base", writing=True)
    with pytest.raises(UsageError, match="password"):
        open_store("postgresql://user:secret@host/base", writing=True)


def test_every_commit_of_sqlite_syncs(tmp_path):
    """Settings that survive a power cut, in force: NORMAL would lose the last commits of a write-ahead log."""
    store = open_store(str(tmp_path / "reports"), writing=True)
    assert store._base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._base.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_what_add_returned_from_survives_sigkill(tmp_path):
    code = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from fleet_reports import received
        from shoestring.fleet.collect.store import open_store
        store = open_store({str(tmp_path / "reports")!r}, writing=True)
        for number in range(1, 100_000):
            assert store.add([received(1, number)]) == ("stored",)
            print(number, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        told = 0
        while told < 40:
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        told = int(([str(told), *child.stdout.read().split()])[-1])
    store = open_store(str(tmp_path / "reports"), writing=True)
    assert store.add([received(1, number) for number in range(1, told + 1)]) == ("known",) * told
    store.close()


def test_a_server_that_was_away_is_used_again(postgres):
    import psycopg

    store = open_store(postgres, writing=True)
    store.add([received(70)])
    with psycopg.connect(postgres, autocommit=True) as base:
        base.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'fleet'"
        )
    with pytest.raises(StorageError, match="the database"):
        store.add([received(71)])
    assert store.add([received(70), received(71)]) == ("known", "stored")
    store.close()
