"""The settings of a web server in docs/agent.md are ones that nginx takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agent.md"


def test_nginx_takes_the_settings_on_the_page(tmp_path):
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    block = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    certificate(tmp_path)
    text = block[1].replace("/etc/ssl", str(tmp_path)).replace("listen 443", "listen 127.0.0.1:44300")
    settings = tmp_path / "nginx.conf"
    settings.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n")
    command = [nginx, "-t", "-c", str(settings), "-e", str(tmp_path / "log")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def certificate(folder: Path) -> None:
    """Any, with its key."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet.example")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .sign(key, SHA256())
    )
    (folder / "fleet.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "fleet.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
