"""A private key under a passphrase: PKCS#8, encrypted by PBES2 (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC.

cryptography writes this container with 2,048 rounds of PBKDF2 alone, which a graphics card tries millions of times a
second. So the container is written here, and read by cryptography or `openssl pkey`, as any other is.
"""

from __future__ import annotations

import os

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
"""OWASP's password storage cheat sheet, of its equal choices the one of 16 MiB: the openssl command takes up to 32."""
SALT_BYTES = 16
BLOCK_BYTES = 16  # of AES
_INTEGER, _OCTETS, _OBJECT, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42


def seal(pkcs8: bytes, passphrase: bytes) -> bytes:
    """DER of an EncryptedPrivateKeyInfo.

    Args:
        pkcs8: DER of the PrivateKeyInfo.
        passphrase: as it is typed, in UTF-8.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from cryptography.hazmat.primitives.padding import PKCS7

    salt, start = os.urandom(SALT_BYTES), os.urandom(BLOCK_BYTES)
    key = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)
    padder = PKCS7(8 * BLOCK_BYTES).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    hidden = encryptor.update(padder.update(pkcs8) + padder.finalize()) + encryptor.finalize()
    numbers = b"".join(_der(_INTEGER, _number(value)) for value in (SCRYPT_N, SCRYPT_R, SCRYPT_P))
    derivation = _der(_SEQUENCE, _der(_OBJECT, _SCRYPT) + _der(_SEQUENCE, _der(_OCTETS, salt) + numbers))
    cipher = _der(_SEQUENCE, _der(_OBJECT, _AES_256_CBC) + _der(_OCTETS, start))
    scheme = _der(_SEQUENCE, _der(_OBJECT, _PBES2) + _der(_SEQUENCE, derivation + cipher))
    return _der(_SEQUENCE, scheme + _der(_OCTETS, hidden))


def _number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _der(tag: int, content: bytes) -> bytes:
    """One value of DER (X.690); none here is longer than 255 bytes."""
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content
