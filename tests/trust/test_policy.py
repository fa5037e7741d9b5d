"""Who is trusted: keys are counted, not names, and the file holds nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoestring.base.errors import SignatureError
from shoestring.trust import dsse
from shoestring.trust.key_files import public_pem, save_key_pair
from shoestring.trust.keys import PublicKey
from shoestring.trust.policy import MAX_KEYS, Policy, load_policy, policy_of
from signers import ADA, BOB, EVE, signer, trusting


def envelope(*people: object) -> dsse.Envelope:
    data = dsse.encode("t", b"p", dsse.merge((), dsse.sign("t", b"p", people)), SignatureError)  # type: ignore[arg-type]
    return dsse.decode(data, SignatureError)


def test_enough_of_the_trusted_must_have_signed() -> None:
    two = trusting(ADA, BOB, EVE, threshold=2)
    assert set(two.check(envelope(ADA, EVE))) == {ADA.public.key_id, EVE.public.key_id}
    assert len(two.check(envelope(ADA, BOB, EVE))) == 3
    with pytest.raises(SignatureError, match=r"signed by Ada \(\w+\) alone; 2 of 3 .*missing: Bob .*, Eve"):
        two.check(envelope(ADA, signer("somebody")))
    with pytest.raises(SignatureError, match=r"signed by nobody who is trusted \(keys \w{16}\)"):
        two.check(envelope(signer("somebody")))
    with pytest.raises(SignatureError, match=r"not signed; 2 of 3"):
        two.check(None)


def test_a_policy_that_is_none_is_refused() -> None:
    renamed = PublicKey(ADA.public.raw, "Lovelace")
    with pytest.raises(SignatureError, match=r"one key twice, as Ada .* and Lovelace"):
        Policy((ADA.public, renamed), 2)
    with pytest.raises(SignatureError, match="one key twice"):
        trusting(ADA, ADA, threshold=2)
    for threshold in (0, 3, -1):
        with pytest.raises(SignatureError, match="threshold"):
            trusting(ADA, BOB, threshold=threshold)
    with pytest.raises(SignatureError, match="0 keys"):
        Policy(())
    with pytest.raises(SignatureError, match=f"outside 1 to {MAX_KEYS}"):
        Policy(tuple(signer(str(i)).public for i in range(MAX_KEYS + 1)))


def write(folder: Path, text: str) -> Path:
    (folder / "trusted.toml").write_text(text)
    return folder / "trusted.toml"


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "bob.pub").write_text(public_pem(BOB.public))
    text = f'threshold = 2\n[[key]]\nname = "Countess"\n{PEM}[[key]]\nfile = "bob.pub"\n'
    policy = load_policy(write(tmp_path, text))
    assert policy.threshold == 2
    assert [key.name for key in policy.keys] == ["Countess", "Bob"]
    assert [key.raw for key in policy.keys] == [ADA.public.raw, BOB.public.raw]


PEM = f'pem = """\n{public_pem(ADA.public)}"""\n'
ODD_FILES = {
    "not TOML": ("threshold = ", "is not TOML"),
    "no keys": ("threshold = 1", "0 keys"),
    "unknown key": (f"treshold = 2\n[[key]]\n{PEM}", "unknown key 'treshold'"),
    "unknown key inside": (f"[[key]]\n{PEM}weight = 3\n", "key 1 has the unknown key 'weight'"),
    "threshold as text": (f'threshold = "1"\n[[key]]\n{PEM}', "not a whole number"),
    "threshold as truth": (f"threshold = true\n[[key]]\n{PEM}", "not a whole number"),
    "threshold too large": (f"threshold = 2\n[[key]]\n{PEM}", "threshold of 2 with 1 keys"),
    "threshold of none": (f"threshold = 0\n[[key]]\n{PEM}", "threshold of 0"),
    "one key twice": (f'[[key]]\n{PEM}[[key]]\nname = "B"\n{PEM}', "one key twice"),
    "a table": (f"[key]\n{PEM}", "not a list of tables"),
    "numbers": ("key = [1]", "key 1 is no table"),
    "neither": ('[[key]]\nname = "a"\n', "either pem or file"),
    "both": (f'[[key]]\n{PEM}file = "x"\n', "either pem or file"),
    "outside": ('[[key]]\nfile = "../x"\n', "not a plain relative path"),
    "absolute": ('[[key]]\nfile = "/etc/passwd"\n', "not a plain relative path"),
    "missing": ('[[key]]\nfile = "x"\n', "cannot open 'x'"),
    "link": ('[[key]]\nfile = "link"\n', "cannot open 'link'"),
    "private": ('[[key]]\nfile = "secret"\n', "key 1 holds a private key"),
    "odd name": (f'[[key]]\n{PEM}name = "a\\u001b"\n', "key's name"),
    "long": ("#" * 200_000, "longer than the limit"),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_odd_files_are_refused(tmp_path: Path, name: str) -> None:
    save_key_pair(tmp_path / "secret", ADA, None)
    (tmp_path / "link").symlink_to("secret.pub")
    text, reason = ODD_FILES[name]
    with pytest.raises(SignatureError, match=reason):
        load_policy(write(tmp_path, text))


def test_named_keys_must_all_have_signed_unless_a_number_is_given(tmp_path: Path) -> None:
    files = []
    for person in (ADA, BOB):
        files.append(tmp_path / person.public.name)
        files[-1].write_text(public_pem(person.public))
    assert policy_of(tuple(files)).threshold == 2
    assert policy_of(tuple(files), 1).threshold == 1
