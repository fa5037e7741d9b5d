"""The tiny models of tests: our header reader takes them, llama.cpp loads them and writes tokens."""

import hashlib
import json
import urllib.request

import pytest

from shoestring.importers.gguf.header import read_header
from tiny_gguf import NARROW, ODD, SPECIAL, WIDE, tiny_gguf, tiny_weights, vocabulary

llama = pytest.importorskip("xllamacpp")
TEXT = "The news of the day\nand the rest: ünïcode"


def ask(server, verb, body):
    with urllib.request.urlopen(f"{server.listening_address}/{verb}", json.dumps(body).encode()) as answer:
        return json.load(answer)


@pytest.mark.parametrize("what", [WIDE, NARROW, ODD], ids=["wide", "narrow", "odd"])
def test_llama_cpp_writes_tokens(tmp_path, what):
    path = tiny_gguf(tmp_path / "tiny.gguf", what)
    header = read_header(path)
    assert {tensor.name: tensor.shape for tensor in header.tensors} == {
        name: weight.shape for name, weight in tiny_weights(what).items()
    }
    params = llama.CommonParams()
    params.model.path, params.n_ctx, params.cpuparams.n_threads, params.warmup = str(path), 128, 1, False
    server = llama.Server(params)
    tokens = ask(server, "tokenize", {"content": TEXT})["tokens"]
    assert len(SPECIAL) < len(tokens) < len(TEXT.encode()), "the merges are at work"
    assert max(tokens) < len(vocabulary())
    assert ask(server, "detokenize", {"tokens": tokens})["content"] == TEXT
    told = server.handle_completions({"prompt": TEXT, "n_predict": 8, "temperature": 0, "ignore_eos": True})
    assert told["usage"]["completion_tokens"] == 8


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    once, again = (tiny_gguf(tmp_path / name, NARROW).read_bytes() for name in ("a.gguf", "b.gguf"))
    assert hashlib.sha256(once).digest() == hashlib.sha256(again).digest()
