"""Data sets from folders, CSV files and arrays; good and bad ones."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shoestring.base.errors import DataError
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate import dataset_npz
from shoestring.evaluate.dataset import Dataset, open_dataset

SPEC = Preprocess(height=8, width=8)


def picture(seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def save(path: Path, seed: int, size: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, size)).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three classes with 3, 2 and 1 images."""
    root = tmp_path / "data"
    for seed, name in enumerate(["cat/a.png", "cat/b.png", "cat/c.png", "dog/a.png", "dog/b.png", "ant/a.png"]):
        save(root / name, seed)
    return root


def labels_by_name(dataset: Dataset) -> dict[str, int]:
    assert dataset.labels is not None
    return {dataset.name(index): dataset.labels[index] for index in range(len(dataset))}


def npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


# --- folders -----------------------------------------------------------------------------------------------------


def test_class_folders_are_numbered_in_sorted_order(folders: Path) -> None:
    dataset = open_dataset(folders)
    assert dataset.names == ("ant", "cat", "dog")
    assert labels_by_name(dataset) == {
        "ant/a.png": 0, "cat/a.png": 1, "cat/b.png": 1, "cat/c.png": 1, "dog/a.png": 2, "dog/b.png": 2,
    }  # fmt: skip
    assert list(dataset.hashes) == sorted(dataset.hashes)
    assert dataset.notes == ()
    for index, sha256 in enumerate(dataset.hashes):
        assert hashlib.sha256((folders / dataset.name(index)).read_bytes()).hexdigest() == sha256


def test_the_order_of_the_model_wins_over_the_alphabet(folders: Path) -> None:
    names = ("dog", "fox", "cat", "ant")
    dataset = open_dataset(folders, label_names=names)
    assert dataset.names == names
    assert set(labels_by_name(dataset).items()) >= {("dog/a.png", 0), ("cat/a.png", 2), ("ant/a.png", 3)}


def test_integer_folders_are_class_indices(tmp_path: Path) -> None:
    for seed, name in enumerate(["10/a.png", "2/a.png", "0/a.png"]):
        save(tmp_path / name, seed)
    dataset = open_dataset(tmp_path)
    assert labels_by_name(dataset) == {"10/a.png": 10, "2/a.png": 2, "0/a.png": 0}
    assert dataset.names == ()
    assert open_dataset(tmp_path, label_names=tuple("abcdefghijk")).labels is not None
    with pytest.raises(DataError, match=r"label 10 is outside 0\.\.2"):
        open_dataset(tmp_path, label_names=("a", "b", "c"))


def test_names_that_look_like_integers_are_names_when_the_model_says_so(tmp_path: Path) -> None:
    save(tmp_path / "7/a.png", 0)
    assert open_dataset(tmp_path, label_names=("9", "7")).labels == (1,)


def test_a_flat_folder_is_unlabelled(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 0)
    save(tmp_path / "b.PNG", 1)
    dataset = open_dataset(tmp_path, label_names=("x", "y"))
    assert (len(dataset), dataset.labels, dataset.names) == (2, None, ("x", "y"))


def test_other_files_hidden_files_and_links_are_left_out_and_told(folders: Path, tmp_path: Path) -> None:
    outside = save(tmp_path / "outside.png", 99)
    (folders / "README.txt").write_text("hello")
    (folders / "cat" / "boxes.json").write_text("{}")
    (folders / ".DS_Store").write_bytes(b"x")
    (folders / "cat" / "link.png").symlink_to(outside)
    (folders / "owl").symlink_to(tmp_path)
    dataset = open_dataset(folders)
    assert len(dataset) == 6
    assert dataset.names == ("ant", "cat", "dog")
    assert dataset.notes == (
        "2 files that are not images left out: README.txt, cat/boxes.json",
        "2 links not followed: owl, cat/link.png",
    )


def test_an_empty_class_folder_still_counts_and_is_told(folders: Path) -> None:
    (folders / "bee").mkdir()
    dataset = open_dataset(folders)
    assert dataset.names == ("ant", "bee", "cat", "dog")
    assert labels_by_name(dataset)["cat/a.png"] == 2
    assert "bee" in dataset.notes[0]


def test_images_beside_class_folders_are_refused(folders: Path) -> None:
    save(folders / "stray.png", 50)
    with pytest.raises(DataError, match="1 images itself and 6 in folders"):
        open_dataset(folders)


def test_a_folder_of_splits_is_not_taken_for_classes(folders: Path) -> None:
    with pytest.raises(DataError, match="two folders deep") as caught:
        open_dataset(folders.parent)
    assert str(folders) in (caught.value.hint or "")


def test_a_text_file_named_png_is_refused_by_name(folders: Path) -> None:
    (folders / "cat" / "fake.png").write_text("no image at all")
    with pytest.raises(DataError, match=r"cat/fake\.png is not an image"):
        open_dataset(folders)


def test_a_folder_name_that_is_no_label_of_the_model(folders: Path) -> None:
    with pytest.raises(DataError, match="1 of 3 label values are not label names of the model: 'ant'"):
        open_dataset(folders, label_names=("cat", "dog"))
    with pytest.raises(DataError, match="'cat' names several classes"):
        open_dataset(folders, label_names=("cat", "dog", "ant", "cat"))


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images; 1 files that are not images left out: notes\.txt"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="neither a folder nor"):
        open_dataset(tmp_path / "notes.txt")


def test_the_same_image_twice_is_kept_once(folders: Path) -> None:
    (folders / "cat" / "copy.png").write_bytes((folders / "cat" / "a.png").read_bytes())
    dataset = open_dataset(folders)
    assert len(dataset) == 6
    assert dataset.notes == ("1 repeated images left out: cat/copy.png",)


def test_the_same_image_under_two_labels_is_refused_and_both_are_named(folders: Path) -> None:
    (folders / "dog" / "copy.png").write_bytes((folders / "cat" / "a.png").read_bytes())
    with pytest.raises(DataError, match=r"cat/a\.png and dog/copy\.png are the same image, with labels 1 and 2"):
        open_dataset(folders)


def test_limit_takes_a_fixed_sample(folders: Path) -> None:
    some = open_dataset(folders, limit=3)
    assert len(some) == 3
    assert some.hashes == open_dataset(folders, limit=3).hashes
    assert some.names == ("ant", "cat", "dog")
    assert "3 of 6 images taken" in some.notes[0]
    assert open_dataset(folders, limit=6).notes == ()
    with pytest.raises(DataError, match="limit of 0"):
        open_dataset(folders, limit=0)


# --- CSV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "names"),
    [
        ("path,label\ncat/a.png,3\ndog/a.png,1\n", {"cat/a.png": 3, "dog/a.png": 1}, ()),
        ("cat/a.png,cat\ndog/a.png,dog\n", {"cat/a.png": 0, "dog/a.png": 1}, ("cat", "dog")),
        ("label,note,image\nx,1,cat/a.png\nw,2,dog/a.png\n", {"cat/a.png": 1, "dog/a.png": 0}, ("w", "x")),
        ("\ufeffpath,label\r\n./cat/a.png, 0\r\n\r\n", {"./cat/a.png": 0}, ()),
    ],
)
def test_csv_with_labels(folders: Path, text: str, labels: dict[str, int], names: tuple[str, ...]) -> None:
    path = folders / "list.csv"
    path.write_text(text, encoding="utf-8")
    dataset = open_dataset(path)
    assert labels_by_name(dataset) == labels
    assert dataset.names == names


@pytest.mark.parametrize("text", ["path\ncat/a.png\n", "cat/a.png\n", "path,label\ncat/a.png,\n"])
def test_csv_without_labels(folders: Path, text: str) -> None:
    path = folders / "list.csv"
    path.write_text(text)
    assert open_dataset(path).labels is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\ncat/a.png,0\ncat/b.png,\ncat/c.png\n", r"no label on 2 of 3 rows: line 3, 4"),
        ("path,label\n", "holds no images"),
        ("", "holds no images"),
        ("cat/a.png,0\n,1\n", "line 2 has no path"),
        ("cat/a.png,0,7\n", "line 1 has 3 cells"),
        ("cat/gone.png,0\n", r"cannot open 'cat/gone\.png'"),
        ("../outside.png,0\n", "not a plain relative path"),
        ("/etc/passwd,0\n", "not a plain relative path"),
        ("cat/link.png,0\n", r"cannot open 'cat/link\.png'"),
        ("away/outside.png,0\n", r"cannot open 'away/outside\.png'"),
        ("cat,0\n", "not a regular file"),
        ("list.csv,0\n", r"list\.csv is not an image"),
        ('cat/a.png,"0\n', "is not CSV"),
        ("cat/a.png,1\ncat/a.png,0\n", "same image"),
        ("cat/a.png,-1\ncat/b.png,1\n", "label '-1' is no class index"),
        ("cat/a.png,0.0\ncat/b.png,1.0\n", "is no class index"),
        ("cat/a.png,10\ncat/b.png,cat\n", "mix numbers"),
        ("cat/a.png,1\ncat/b.png,01\n", "mean the same class"),
    ],
)
def test_bad_csv(folders: Path, tmp_path: Path, text: str, words: str) -> None:
    outside = save(tmp_path / "outside.png", 99)
    (folders / "cat" / "link.png").symlink_to(outside)
    (folders / "away").symlink_to(tmp_path)
    path = folders / "list.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        open_dataset(path)


def test_csv_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not CSV in UTF-8"):
        open_dataset(tmp_path / "list.csv")


# --- arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save_npz", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(6, 8, 9, 3), (6, 8, 9, 1), (6, 8, 9)])
def test_npz_gives_its_pixels(tmp_path: Path, save_npz: object, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "data.npz"
    save_npz(path, labels=np.arange(6), images=images)  # type: ignore[operator]
    dataset = open_dataset(path)
    colour = {"colour": "grey", "mean": (0.0,), "std": (1.0,)} if shape[-1] != 3 else {}
    spec = Preprocess(8, 9, **colour)
    assert dataset.labels is not None
    for index in range(6):
        number = dataset.labels[index]
        assert dataset.name(index) == f"images[{number}]"
        assert dataset.hashes[index] == hashlib.sha256(images[number].tobytes()).hexdigest()
        assert np.array_equal(dataset.pixels(index, spec), images[number].reshape(8, 9, -1))


def test_npz_with_class_names_and_without_labels(tmp_path: Path) -> None:
    images = np.stack([picture(0), picture(1)])
    named = open_dataset(npz(tmp_path / "a.npz", images=images, labels=np.array(["dog", "cat"])))
    assert named.names == ("cat", "dog")
    assert sorted(labels_by_name(named).items()) == [("images[0]", 1), ("images[1]", 0)]
    bare = open_dataset(npz(tmp_path / "b.npz", images=images, extra=np.zeros(3)))
    assert bare.labels is None
    assert bare.notes == ("1 arrays not used: extra.npy",)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pictures": np.zeros((2, 4, 4, 3), np.uint8)}, "no array 'images'"),
        ({"images": np.zeros((2, 4, 4, 3), np.float32)}, "type float32"),
        ({"images": np.zeros((2, 3, 4, 4), np.uint8)}, r"shape \(2, 3, 4, 4\)"),
        ({"images": np.zeros((4, 4), np.uint8)}, "shape"),
        ({"images": np.zeros((0, 4, 4, 3), np.uint8)}, "holds no images"),
        ({"images": np.zeros((2, 0, 4, 3), np.uint8)}, "without pixels"),
        ({"images": np.array([1, "x"], dtype=object)}, "Python objects"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.array([0, None])}, "Python objects"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.array([0])}, r"shape \(1,\) for 2 images"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.array([0.5, 1])}, "type float64"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.array([0, -1])}, "label '-1' for image 1"),
        ({"images": np.asfortranarray(np.zeros((2, 4, 4, 3), np.uint8))}, "Fortran order"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_dataset(npz(tmp_path / "data.npz", **arrays))


def forged(path: Path, shape: tuple[int, ...], body: bytes) -> Path:
    """An archive whose array header claims `shape`."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + body)
    return path


@pytest.mark.parametrize("shape", [(10**9, 32, 32, 3), (1, 10**5, 10**5, 3), (3, -1, 32, 3), (10**30, 1, 1, 3)])
def test_a_claim_of_any_size_is_held_against_the_file(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"claims images\.npy"):
        open_dataset(forged(tmp_path / "data.npz", shape, b"\0" * 3072))


def test_compressed_arrays_have_a_limit_and_plain_ones_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_npz, "MAX_UNPACKED_BYTES", 1000)
    images = np.stack([picture(seed, 16) for seed in range(4)])
    assert len(open_dataset(npz(tmp_path / "plain.npz", images=images))) == 4
    np.savez_compressed(tmp_path / "packed.npz", images=images)
    with pytest.raises(DataError, match="3072 bytes of compressed images, the limit is 1000"):
        open_dataset(tmp_path / "packed.npz")


def test_a_broken_archive_is_a_data_error(tmp_path: Path) -> None:
    whole = npz(tmp_path / "whole.npz", images=np.stack([picture(0), picture(1)])).read_bytes()
    rng = np.random.default_rng(0)
    broken = tmp_path / "broken.npz"
    for cut in range(0, len(whole), 13):
        broken.write_bytes(whole[:cut])
        with pytest.raises(DataError):
            open_dataset(broken)
    for _ in range(200):
        data = bytearray(whole)
        data[rng.integers(len(data))] = rng.integers(256)
        broken.write_bytes(data)
        try:
            open_dataset(broken)
        except DataError as error:
            assert "broken.npz" in error.message


# --- reading -----------------------------------------------------------------------------------------------------


def test_batches_keep_the_order_and_agree_with_single_images(folders: Path) -> None:
    dataset = open_dataset(folders)
    indices = (4, 0, 5, 2, 1)
    batches = list(dataset.batches(indices, SPEC, 2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    for index, image in zip(indices, np.concatenate(batches), strict=True):
        assert np.array_equal(image, dataset.pixels(index, SPEC))
    assert list(dataset.batches((), SPEC, 2)) == []
    with pytest.raises(DataError, match="batch of 0"):
        next(dataset.batches(indices, SPEC, 0))


def test_memory_is_that_of_a_batch_whatever_the_number(tmp_path: Path) -> None:
    n, side = 600, 64
    images = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    dataset = open_dataset(npz(tmp_path / "data.npz", images=images))
    del images
    spec = Preprocess(side, side)
    tracemalloc.start()
    count = sum(len(batch) for batch in dataset.batches(range(n), spec, 8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == n
    assert peak < 6 * 8 * side * side * 3


def test_a_broken_image_is_named_when_it_is_read(folders: Path) -> None:
    path = save(folders / "cat" / "big.png", 77, 64)
    path.write_bytes(path.read_bytes()[:3000])
    dataset = open_dataset(folders)
    with pytest.raises(DataError, match=r"cat/big\.png cannot be decoded"):
        list(dataset.batches(range(len(dataset)), SPEC, 4))


def test_a_file_that_changes_after_hashing_is_noticed(folders: Path) -> None:
    dataset = open_dataset(folders)
    save(folders / dataset.name(0), 1234)
    with pytest.raises(DataError, match="changed while it was being used"):
        dataset.pixels(0, SPEC)


def test_an_archive_that_changes_after_hashing_is_noticed(tmp_path: Path) -> None:
    path = npz(tmp_path / "data.npz", images=np.stack([picture(0), picture(1)]))
    dataset = open_dataset(path)
    npz(path, images=np.stack([picture(2), picture(3)]))
    with pytest.raises(DataError, match="changed while it was being used"):
        dataset.pixels(0, SPEC)
