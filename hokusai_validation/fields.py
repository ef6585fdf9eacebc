"""The types of a target file's values: what can't work is refused where it stands, with the reason."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

DAY_S = 86_400.0
TEXT_LIMIT = 4_096
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]{2,45}(%\w+)?")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def _host(value: str) -> str:
    if value and not _HOST.fullmatch(value):
        raise ValueError("is no host's name or address")
    return value


def _url(value: str) -> str:
    parts = urlsplit(_url_with_query(value))
    if parts.query or parts.fragment:
        raise ValueError("has a query or fragment, and paths are put behind it")
    return value


def _url_with_query(value: str) -> str:
    if _CONTROL.search(value) or any(character.isspace() for character in value):
        raise ValueError("has a blank or a control character in it")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL: its host or port is not possible") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL like https://host, or http://host:port/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or password in it, which do not belong into the file")
    if port == 0:
        raise ValueError("has port 0, which nothing listens on")
    _host(parts.hostname)
    return value


def _resolver(value: str) -> str:
    host, _, port = value.rpartition(":") if value.count(":") == 1 else (value, "", "")
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError("must be host:port")
    return value


def _host_pattern(value: str) -> str:
    if "/" in value:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError("is no network like 10.0.0.0/16") from None
        return value
    return value if value.startswith("*.") and _host(value[2:]) else _host(value)


def fits(host: str, pattern: str) -> bool:
    """Whether a host is one that a pattern means: a name, `*.` and a name, or a network of addresses."""
    if "/" in pattern:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(pattern)
        except ValueError:
            return False
    if pattern.startswith("*."):
        return host.lower().endswith(pattern[1:].lower())
    return host.lower() == pattern.lower()


def usable_texts(value: object, where: str = "") -> None:
    """Every text of a file can be a name: no control characters, and not endless.

    Raises ValueError."""
    if isinstance(value, str):
        if _CONTROL.search(value) or len(value) > TEXT_LIMIT:
            problem = "a control character" if len(value) <= TEXT_LIMIT else f"over {TEXT_LIMIT} characters"
            raise ValueError(f"has {problem}{where}")
    elif isinstance(value, dict):
        for key, item in value.items():
            usable_texts(key, where)
            usable_texts(item, where)
    elif isinstance(value, list | tuple):
        for item in value:
            usable_texts(item, where)


Url = Annotated[str, AfterValidator(_url)]
UrlWithQuery = Annotated[str, AfterValidator(_url_with_query)]
Host = Annotated[str, AfterValidator(_host)]
HostPattern = Annotated[str, AfterValidator(_host_pattern), Field(min_length=1)]
Resolver = Annotated[str, AfterValidator(_resolver)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
# Nothing over a network is done in less than 10 ms for certain, and nothing here waits for a day.
Seconds = Annotated[float, Field(ge=0.01, le=DAY_S, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=DAY_S, allow_inf_nan=False)]  # 0: not at all
Milliseconds = Annotated[float, Field(ge=0.1, le=1000 * DAY_S, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Limit = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
