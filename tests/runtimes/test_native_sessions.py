"""Loaded programs: batches, memory, several at once, closing."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import handmade
from shoestring.base.errors import EngineError
from shoestring.runtimes import native
from shoestring.runtimes.native import NativeRuntime

RUNTIME = NativeRuntime()
WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)


def feeds(batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"a": rng.integers(-8, 8, (batch, 3)).astype(np.float32), "b": rng.integers(-9, 9, 2)}


def load(*defines: str):
    return RUNTIME.load(handmade.build(*defines), 1)


@pytest.mark.parametrize("batch", [1, 2, 17])
def test_a_free_batch_is_looped_over(batch):
    given = feeds(batch)
    with load() as session:
        answers = session.run(given)
    np.testing.assert_array_equal(answers["y"], given["a"] @ WEIGHTS + np.float32(0.5))
    np.testing.assert_array_equal(answers["z"], -given["b"])


def test_what_it_says_of_itself_is_kept():
    with load() as session:
        assert (session.about.name, session.about.target, session.about.isa) == (
            "handmade",
            "imaginary-64",
            ("quantum",),
        )
        assert session.about.threads == 2


def test_answers_are_not_overwritten_by_the_next_run():
    with load() as session:
        first = session.run(feeds(3, seed=1))
        kept = first["y"].copy()
        session.run(feeds(3, seed=2))
        np.testing.assert_array_equal(first["y"], kept)


def test_memory_is_aligned(monkeypatch):
    made = []
    honest = native._aligned
    monkeypatch.setattr(native, "_aligned", lambda size: made.append(honest(size)) or made[-1])
    with load() as session:
        session.run(feeds(2))
    assert len(made) == 4  # state, arena, two answers
    assert all(block.ctypes.data % 64 == 0 for block in made)


def test_an_array_at_an_odd_address_means_the_same():
    given = feeds(4)
    raw = np.zeros(given["a"].nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(4, 3)
    odd[:] = given["a"]
    with load() as session:
        np.testing.assert_array_equal(session.run({**given, "a": odd})["y"], session.run(given)["y"])


def image_of(colour: int, count: int = 1) -> np.ndarray:
    image = np.zeros((count, 3, 16, 16), np.float32)
    image[:, colour] = 1
    return image


def test_one_example_into_one_input_answers_the_same_on_the_short_way(monkeypatch):
    """Contiguous and writable arrays go the short way, all others the general one."""
    taken: list[int] = []
    honest = native.NativeSession._infer_one
    monkeypatch.setattr(native.NativeSession, "_infer_one", lambda self, array: taken.append(1) or honest(self, array))
    with load("COLOURS") as session:
        for colour in range(3):
            plain = image_of(colour)
            frozen, turned = plain.copy(), np.asfortranarray(plain)
            frozen.flags.writeable = False
            before = len(taken)
            short = session.run({"image": plain})["logits"]
            assert len(taken) == before + 1
            for other in (frozen, turned):
                np.testing.assert_array_equal(session.run({"image": other})["logits"], short)
            assert len(taken) == before + 1
            kept = short.copy()
            session.run({"image": image_of((colour + 1) % 3)})
            np.testing.assert_array_equal(short, kept)  # not overwritten by the next run


def test_feeds_that_do_not_fit_are_refused_after_those_that_did():
    with load("COLOURS") as session:
        session.run({"image": image_of(0)})
        session.run({"image": image_of(0)})
        bad = [
            {"image": image_of(0).astype(np.float64)},
            {"image": image_of(0)[:, :2]},
            {"image": image_of(0).tolist()},
            {"picture": image_of(0)},
            {"image": image_of(0), "more": image_of(0)},
            {},
        ]
        for wrong in bad:
            with pytest.raises(EngineError):
                session.run(wrong)
        session.run({"image": image_of(0)})


def test_several_sessions_of_two_programs_at_once():
    image = np.zeros((1, 3, 16, 16), np.float32)
    image[:, 0] = 1
    with load() as one, load("COLOURS") as other, load() as third:
        assert other.run({"image": image})["logits"].argmax() == 2
        one.close()
        given = feeds(2)
        np.testing.assert_array_equal(third.run(given)["y"], given["a"] @ WEIGHTS + np.float32(0.5))
        with load("COLOURS") as again:  # takes the descriptor that `one` gave back
            assert again.run({"image": image})["logits"].argmax() == 2
        assert other.run({"image": image})["logits"].argmax() == 2


def test_a_session_for_each_of_many_threads():
    wrong: list[int] = []

    def work(seed: int) -> None:
        given = feeds(5, seed)
        with load() as session:
            for _ in range(50):
                if not np.array_equal(session.run(given)["y"], given["a"] @ WEIGHTS + np.float32(0.5)):
                    wrong.append(seed)

    handmade.build()
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_closing_twice_frees_once_and_leaves_no_descriptor():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        session = load()
        session.run(feeds(1))
        session.close()
        session.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(EngineError, match="closed"):
        session.run(feeds(1))


def test_bytes_and_path_are_the_same_program(tmp_path):
    path = tmp_path / "a program.so"
    path.write_bytes(handmade.build())
    given = feeds(3)
    with load() as one, RUNTIME.load(path, 2) as two:
        path.unlink()  # the session has its own copy
        np.testing.assert_array_equal(one.run(given)["y"], two.run(given)["y"])
