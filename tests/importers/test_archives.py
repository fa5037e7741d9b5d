"""The table of contents of an archive is held to rules before anything is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from shoestring.base.errors import ModelError
from shoestring.importers import archives, import_model

EXPORTED = (
    "archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id", "models/model.json",
    "data/weights/weight_0", "data/weights/model_weights_config.json", "data/constants/model_constants_config.json",
    "data/constants/tensor_0", "data/sample_inputs/model.pt",
)  # fmt: skip


def archive(path: Path, *names: str, root: str = "net/", pack: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", pack) as made:
        for name in names:
            made.writestr(root + name, b"0" * 100)
    return path


@pytest.mark.parametrize(
    ("names", "root", "kind"),
    [
        (EXPORTED, "any name/", "exported"),
        (("version", "serialized_exported_program.json", "serialized_state_dict.pt"), "", "exported"),
        (("data.pkl", "constants.pkl", "code/__torch__.py"), "net/", "script"),
        (("data.pkl", "version", "data/0"), "net/", "pickle"),
        (("metadata.json", "config.json", "model.weights.h5"), "", "keras"),
        (("word/document.xml", "[Content_Types].xml"), "", "unknown"),
        ((), "", "unknown"),
    ],
)
def test_an_archive_is_known_by_its_names(tmp_path: Path, names: tuple[str, ...], root: str, kind: str) -> None:
    found = archives.look(archive(tmp_path / "a.pt2", *names, root=root))
    assert (found.kind, found.members, found.unpacked_bytes) == (kind, len(names), 100 * len(names))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("data/constants/custom_obj_0", "objects of classes of their own"),
        ("data/constants/opaque_obj_3", "objects of classes of their own"),
        ("data/aotinductor/model/model.so", "does not write: 'data/aotinductor"),
        ("data/weights/weight_0.py", "does not write"),
        ("code/evil.py", "does not write"),
        ("../outside", "a file with the name"),
        ("sub\\outside", "a file with the name"),
        ("\x1b[2J", "a file with the name"),
    ],
)
def test_members_that_do_not_belong_are_refused(tmp_path: Path, extra: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as told:
        archives.look(archive(tmp_path / "a.pt2", *EXPORTED, extra))
    assert told.value.hint and "\x1b" not in str(told.value)


def test_absolute_names_and_doubled_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a file with the name '/net/"):
        archives.look(archive(tmp_path / "a.pt2", *EXPORTED, root="/net/"))
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "b.pt2", *EXPORTED, "byteorder")
    with pytest.raises(ModelError, match="two files of one name"):
        archives.look(path)


def test_a_bomb_and_a_link_are_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("net/data.pkl", bytes(10_000_000))
    with pytest.raises(ModelError, match="more than 100 times"):
        archives.look(bomb)
    link = zipfile.ZipInfo("net/data.pkl")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.pt", "w") as made:
        made.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="no plain file"):
        archives.look(tmp_path / "link.pt")


def test_claims_beyond_the_limits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.pt2", *EXPORTED)
    monkeypatch.setattr(archives, "MAX_ARCHIVE_MEMBERS", 5)
    with pytest.raises(ModelError, match="holds 11 files, more than the limit of 5"):
        archives.look(path)
    monkeypatch.setattr(archives, "MAX_ARCHIVE_MEMBERS", 50)
    monkeypatch.setattr(archives, "MAX_MODEL_BYTES", 1000)
    with pytest.raises(ModelError, match="more than the limit of 1 kB"):
        archives.look(path)


def test_a_table_of_contents_is_not_read_before_its_size_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "a.pt2", *EXPORTED)
    monkeypatch.setattr(archives, "MAX_ARCHIVE_MEMBERS", 2)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda _: pytest.fail("the table was read"))
    with pytest.raises(ModelError, match="a table of contents of"):
        archives.look(path)
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    path.write_bytes(data[:end] + b"PK\x06\x07" + bytes(16) + data[end:])
    with pytest.raises(ModelError, match="in an unusual place"):
        archives.look(path)


def test_packed_members_of_an_exported_program_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pt2", *EXPORTED, pack=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match=r"is compressed, as torch.export.save never does"):
        archives.look(path)


def test_every_truncation_is_one_clear_error(tmp_path: Path) -> None:
    data = archive(tmp_path / "a.pt2", *EXPORTED).read_bytes()
    for length in range(4, len(data), 97):
        (tmp_path / "cut.pt2").write_bytes(data[:length])
        with pytest.raises(ModelError) as told:
            import_model(tmp_path / "cut.pt2", tmp_path / "out.onnx")
        assert str(tmp_path / "cut.pt2") in told.value.message
    assert not (tmp_path / "out.onnx").exists()


def test_every_flipped_byte_of_the_table_is_taken_or_refused(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "a.pt2", *EXPORTED).read_bytes())
    start = data.index(b"PK\x01\x02")
    refused = 0
    for place in range(start, len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x41
        (tmp_path / "b.pt2").write_bytes(broken)
        try:
            archives.look(tmp_path / "b.pt2")
        except ModelError:
            refused += 1
    assert refused > 200
