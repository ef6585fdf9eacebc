"""What links there are: Toxiproxy's configuration file, a JSON list."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hokusai_validation.errors import UsageError

if TYPE_CHECKING:
    from pydantic import JsonValue

MAX_PROXIES = 1000
_FIELDS = {"name", "listen", "upstream", "enabled", "mirror", "toxics"}


class ConfigInvalid(UsageError):
    """The configuration can't be read, or an entry of it is not a link."""


@dataclass(frozen=True)
class ProxyConfig:
    """One link. `listen` and `upstream` are `host:port`; a listen port of 0 takes a free one."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    mirror: bool = True


def read_config(path: Path) -> tuple[ProxyConfig, ...]:
    """The links of a configuration file.

    Raises ConfigInvalid."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigInvalid(f"Link configuration {path} can't be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigInvalid(f"Link configuration {path} is not valid JSON: {error}.") from None
    if not isinstance(values, list):
        raise ConfigInvalid(f"Link configuration {path} must be a JSON list of links.")
    configs = tuple(proxy_config(value) for value in values)
    names = [config.name for config in configs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigInvalid(f"Link configuration {path} names {', '.join(twice)} twice; names are unique.")
    return configs


def proxy_config(values: object) -> ProxyConfig:
    """One link from JSON.

    Raises ConfigInvalid."""
    if not isinstance(values, Mapping):
        raise ConfigInvalid("A link must be a JSON object with name, listen and upstream.")
    unknown = sorted(set(map(str, values)) - _FIELDS)
    if unknown:
        raise ConfigInvalid(
            f"A link has the unknown field {unknown[0]!r}; known: {', '.join(sorted(_FIELDS))}."
        )
    name = values.get("name")
    if not isinstance(name, str) or not name or "/" in name or len(name) > 200:
        raise ConfigInvalid(f"missing required field: name (text without '/'), not {name!r}")
    return ProxyConfig(
        name=name,
        listen=_address(values, "listen", name, default="127.0.0.1:0"),
        upstream=_address(values, "upstream", name),
        enabled=_flag(values, "enabled", name),
        mirror=_flag(values, "mirror", name),
    )


def split_address(address: str) -> tuple[str, int]:
    """`host:port` (or `[::1]:port`) as a pair.

    Raises ConfigInvalid."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigInvalid(f"{address!r} is not an address; write host:port.")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what ":80" means everywhere


def join_address(host: str, port: int) -> str:
    """The inverse of `split_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(values: "Mapping[str, JsonValue]", field: str, name: str, default: str | None = None) -> str:
    value = values.get(field, default)
    if not isinstance(value, str) or not value:
        raise ConfigInvalid(f"missing required field: {field} of link {name!r} (host:port)")
    split_address(value)
    return value


def _flag(values: "Mapping[str, JsonValue]", field: str, name: str) -> bool:
    value = values.get(field, True)
    if not isinstance(value, bool):
        raise ConfigInvalid(f"{field!r} of link {name!r} must be true or false.")
    return value
