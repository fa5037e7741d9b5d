"""`predict` and `chips --for` on models that write, as their users run them."""

from __future__ import annotations

from pathlib import Path

import pytest

import transformer_files as files


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("language") / "tiny.gguf"
    path.write_bytes(files.gguf_bytes())
    return path


def test_a_plan_gives_every_figure_its_interval_and_ground(cli, model: Path) -> None:
    said = cli("predict", model, "--chip", "raspberry-pi-5-8gb", "--context", "300", "--json")
    assert said.code == 0
    plan = said.data["plan"]
    for name in ("writing", "reading", "first_token", "energy", "watts", "price"):
        figure = plan[name]
        assert figure["low"] < figure["value"] < figure["high"], name
        assert figure["rests_on"] and figure["protocol"], name
    assert [one["context"] for one in plan["memory"]] == [300, 512]
    assert plan["longest"] == 512 and plan["fits"] == "yes" and said.data["heat"] is None


def test_a_plan_is_told_in_words(cli, model: Path) -> None:
    said = cli("predict", model, "--chip", "raspberry-pi-5-8gb", "--minutes", "5", "--cache", "q8_0", "--type", "Q4_0")
    assert said.code == 0
    for word in ("longest context", "writes", "first token", "a million", "rests on", "cache in Q8_0", "hottest"):
        assert word in said.out, word
    assert "Q4_0" in said.out.splitlines()[0]


def test_every_board_is_weighed_without_a_chip(cli, model: Path) -> None:
    said = cli("predict", model, "--json")
    boards = [one["chip"] for one in said.data["plans"]]
    assert len(boards) == len(set(boards)) > 15 and "raspberry-pi-zero-2w" in boards
    assert not {"hailo-8", "esp32-s3", "nvidia-l4"} & set(boards)
    table = cli("chips", "--for", model, "--prompt", "64", "--context", "512")
    assert table.code == 0 and "a prompt of 64 tokens" in table.out
    assert [line.split()[0] for line in table.out.splitlines() if line.startswith("raspberry")]


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (("--type", "Q9"), 2, "no block type"),
        (("--type", "Q4_0", "--size", "1MB"), 2, "two things"),
        (("--size", "1kB"), 2, "smaller than this model"),
        (("--cache", "Q2_K"), 2, "not planned"),
        (("--context", "0"), 2, "outside 1"),
        (("--fps", "5"), 2, "models of images"),
        (("--minutes", "5"), 2, "for one chip"),
        (("--threads", "9", "--chip", "raspberry-pi-5-8gb"), 2, "9 threads"),
    ],
)
def test_what_nobody_can_plan_is_refused(cli, model: Path, options: tuple[str, ...], code: int, why: str) -> None:
    said = cli("predict", model, *options)
    assert said.code == code and why in said.err


def test_a_file_that_lies_is_refused(cli, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(files.gguf_bytes()[:2000])
    said = cli("predict", path)
    assert said.code == 1 and "left" in said.err
    part = cli("predict", path, "--header-only")
    assert part.code == 1 and "fetch more" in part.err


def test_inspect_reads_the_first_bytes_of_a_file_too(cli, tmp_path: Path) -> None:
    path = tmp_path / "head.gguf"
    path.write_bytes(files.gguf_bytes()[:-1000])
    assert cli("inspect", path).code == 1
    said = cli("inspect", path, "--header-only")
    assert said.code == 0 and "llama.block_count" in said.out
