"""What transformers answers to the small networks of hf_folders: run by hand, and its answers are kept.

    python -m venv oracle && oracle/bin/pip install torch transformers
    PYTHONPATH=tests oracle/bin/python tests/hf_oracle.py FOLDER

writes tests/importers/huggingface/expected.json. FOLDER is all-MiniLM-L6-v2 as benchmarks/minilm.py unpacks it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

import hf_decoders
import hf_folders

OUT = Path(__file__).parent / "importers" / "huggingface" / "expected.json"


def rounded(values: torch.Tensor, digits: int = 7) -> Any:
    return [[float(f"{value:.{digits}g}") for value in row] for row in values.detach().double().numpy()]


def loaded(folder: Path, config: dict[str, Any]) -> Any:
    """The class that the config names, with every weight of the folder in its place."""
    kind = getattr(transformers, config["architectures"][0])
    model, told = kind.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    missing = [name for name in told["missing_keys"] if "pooler" not in name]
    assert not missing and not told["unexpected_keys"] and not told["mismatched_keys"], told
    return model.eval()


def encoders(scratch: Path) -> dict[str, Any]:
    """Mean over tokens and first token of each bare encoder, logits of each classifier."""
    answers: dict[str, Any] = {}
    for name, config in hf_folders.ENCODERS.items():
        model = loaded(hf_folders.encoder(scratch / name, name), config)
        ids, mask = (torch.tensor(one) for one in hf_folders.encoder_inputs(config))
        with torch.no_grad():
            found = model(input_ids=ids, attention_mask=mask)
        if "logits" in found:
            answers[name] = {"logits": rounded(found.logits)}
            continue
        hidden, column = found.last_hidden_state, mask[:, :, None].float()
        answers[name] = {"mean": rounded((hidden * column).sum(1) / column.sum(1)), "cls": rounded(hidden[:, 0])}
    return answers


def decoders(scratch: Path) -> dict[str, Any]:
    """Logits after some of the tokens of one text."""
    answers: dict[str, Any] = {}
    for name, config in hf_decoders.DECODERS.items():
        model = loaded(hf_decoders.decoder(scratch / name, name), config)
        with torch.no_grad():
            found = model(input_ids=torch.tensor([hf_decoders.decoder_ids(config)]))
        answers[name] = rounded(found.logits[0, list(hf_decoders.SHOWN)], digits=5)
    return answers


def minilm(folder: str) -> Any:
    """Mean over tokens, of length one, of two texts of unlike lengths."""
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    ids, mask = (torch.tensor(one) for one in hf_folders.minilm_inputs())
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    column = mask[:, :, None].float()
    mean = (hidden * column).sum(1) / column.sum(1)
    return rounded(torch.nn.functional.normalize(mean))


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        answers = {"transformers": transformers.__version__, "encoders": encoders(Path(scratch))}
        answers["minilm"] = minilm(sys.argv[1])
        answers["decoders"] = decoders(Path(scratch))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(answers, separators=(",", ":")).replace("],[", "],\n[") + "\n")
    print(f"wrote {OUT}: {OUT.stat().st_size:,} bytes", np.__version__)


if __name__ == "__main__":
    main()
