"""What python-tuf says, in our words: which rule was broken, or how long ago the time was over."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import RepositoryError, StaleError

if TYPE_CHECKING:
    from collections.abc import Iterator

YEAR_9999_S = 253_402_300_799  # the last second that a date in metadata can say


def moment(time_s: float) -> datetime:
    """A time since 1970, s, as a date; whatever a broken clock says becomes one that dates can hold."""
    bounded = min(max(time_s, 0.0), YEAR_9999_S) if time_s == time_s else 0.0  # NaN: no clock at all
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=bounded)


def ending(data: bytes) -> datetime:
    """Until when a file of metadata says it is good; its signatures were verified."""
    from tuf.api.metadata import Metadata

    held: Any = Metadata.from_bytes(data).signed
    ends: datetime = held.expires
    return ends


def stale(what: str, ended: datetime, reference: datetime) -> StaleError:
    """The error for metadata whose signatures hold and whose time is over."""
    return StaleError(
        f"{what} metadata was good until {ended:%Y-%m-%d %H:%M} UTC, and by this device's time that is over",
        late_s=max(0, int((reference - ended).total_seconds())),
        hint="what runs goes on; sign the repository anew, or set the device's clock",
    )


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise RepositoryError with its rule; expiry and equal versions stay python-tuf's, for the caller."""
    from tuf.api import exceptions as of_tuf
    from tuf.api.serialization import DeserializationError, SerializationError

    rules = (
        ((DeserializationError, SerializationError), "form", "is not metadata of that role"),
        ((of_tuf.UnsignedMetadataError,), "signature", "is not signed by enough of its role's keys"),
        ((of_tuf.BadVersionNumberError,), "version", "is not of the version that it must be"),
        ((of_tuf.LengthOrHashMismatchError,), "hash", "is not the file that was signed for"),
    )
    try:
        yield
    except (of_tuf.EqualVersionNumberError, of_tuf.ExpiredMetadataError):
        raise
    except (of_tuf.RepositoryError, ValueError) as error:
        rule, words = "listing", "is not what its list says"
        for kinds, name, meaning in reversed(rules):
            if isinstance(error, kinds):
                rule, words = name, meaning
        raise RepositoryError(
            f"{what} {words}: {error.__cause__ or error}", rule=rule, hint="do not take this copy of the repository"
        ) from error
