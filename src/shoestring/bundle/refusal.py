"""How a bundle is refused: one line of printable text, however odd the file."""

from __future__ import annotations

from shoestring.base.errors import BundleError

HINT = "fetch the file again; it is damaged, was changed, or was made by a newer version of this project"
DELTA_HINT = "fetch the delta again, or the whole bundle"
MAX_CHARACTERS = 400  # a hostile name can be as long as the manifest; a message must not be


def refuse(message: str) -> BundleError:
    """The error that says `message` about a bundle.

    Args:
        message: what is wrong, with the value and the limit; it may quote what the file holds.
    """
    line = "".join(character if character.isprintable() else "?" for character in " ".join(message.split()))
    if len(line) > MAX_CHARACTERS:
        line = line[: MAX_CHARACTERS - 3] + "..."
    return BundleError(f"not a sound bundle: {line}", hint=HINT)


def refuse_delta(message: str) -> BundleError:
    """The error that says `message` about a delta."""
    error = refuse(message)
    return BundleError(error.message.replace("not a sound bundle", "not a sound delta", 1), hint=DELTA_HINT)


def check_fraction(where: str, name: str, value: float) -> None:
    """Raises BundleError unless `value` lies in 0 to 1."""
    if not 0 <= value <= 1:
        raise refuse(f"{where}: {name} is {value}, outside 0 to 1")
