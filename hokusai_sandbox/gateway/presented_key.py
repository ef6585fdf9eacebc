"""Which key a request presents: three ways, and nothing else."""

import re
from collections.abc import Iterable

RawHeaders = Iterable[tuple[bytes, bytes]]

# RFC 7235: the scheme in any case, then one or more spaces.
_AUTHORIZATION = re.compile(rb"(?:bearer|apikey) +(\S+) *", re.IGNORECASE)
_KEY = re.compile(r"hk_[A-Za-z0-9]+_[A-Za-z0-9_\-]{6,200}")


def presented_key(headers: RawHeaders) -> str | None:
    """The key in `Authorization: Bearer`, `Authorization: ApiKey` or `X-API-Key`; the first wins.
    None where there is none in a form that is accepted."""
    other: str | None = None
    for name, value in headers:
        if name == b"authorization":
            found = _AUTHORIZATION.fullmatch(value.strip())
            if found is not None:
                return found[1].decode("latin-1")
        elif name == b"x-api-key" and other is None and value.strip():
            other = value.strip().decode("latin-1")
    return other


def looks_like_key(key: str) -> bool:
    """Whether it is of the form `hk_<kind>_<random>`; others need not be asked about."""
    return _KEY.fullmatch(key) is not None
