"""A target file as it lies on disk: read within limits, its relative paths made absolute, what it
extends merged in, and what is wrong with it said in one sentence."""

import ssl
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from hokusai_validation.errors import TargetInvalid

TomlValue: TypeAlias = (
    "dict[str, TomlValue] | list[TomlValue] | str | int | float | bool | datetime | date | time"
)
LIMIT_BYTES = 1_000_000
PROBLEMS = 5  # named in one sentence
WHERE_LIMIT = 120


def is_file(path: Path) -> bool:
    """Whether a file is there that can be read to its end (a pipe can't)."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a NUL in it
        return False


def read(path: Path) -> dict[str, TomlValue]:
    """The values of a file, paths in it relative to the file.

    Raises TargetInvalid."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
        if len(data) > LIMIT_BYTES:
            raise TargetInvalid(f"Target file {path} is longer than {LIMIT_BYTES} bytes.")
        values = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise TargetInvalid(f"Target file {path} can't be read: {error.strerror}.") from None
    except RecursionError:
        raise TargetInvalid(f"Target file {path} is not usable: its values are nested too deeply.") from None
    except ValueError as error:  # TOML, UTF-8, and an integer of thousands of digits
        raise TargetInvalid(f"Target file {path} is not valid TOML: {error}.") from None
    for holder, key in (
        (values, "env_file"),
        (values, "include"),
        (values.get("tls"), "ca_file"),
        (values.get("breaker"), "source"),
    ):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            try:
                holder[key] = str((path.parent / holder[key]).resolve())
            except (OSError, ValueError, RuntimeError):
                raise TargetInvalid(f"Target file {path} is not usable: `{key}` is no path.") from None
    return values


def merged(base: Mapping[str, TomlValue], over: Mapping[str, TomlValue]) -> dict[str, TomlValue]:
    """Tables merged, the values of `over` winning."""
    found = dict(base)
    for key, value in over.items():
        below = found.get(key)
        found[key] = merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return found


def check_files(path: Path, *, ca_file: Path | None, env_file: Path | None) -> None:
    """What the file names on this machine can be read.

    Raises TargetInvalid."""
    unusable = f"Target file {path} is not usable:"
    if env_file is not None and not is_file(env_file) and _exists(env_file):
        raise TargetInvalid(f"{unusable} `env_file` {env_file} is no regular file.")
    if ca_file is None:
        return
    if not is_file(ca_file):
        raise TargetInvalid(f"{unusable} `tls.ca_file` {ca_file} is not there.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(ca_file))
    except (OSError, ValueError):
        raise TargetInvalid(
            f"{unusable} `tls.ca_file` {ca_file} holds no certificate that can be read."
        ) from None


def explained(path: Path, error: ValidationError, values: object = None) -> str:
    """One sentence: every bad key with its path in the file, whose values these are."""
    parts = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(_in_file(item["loc"], values, is_missing=item["type"] == "missing"))[:WHERE_LIMIT]
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown key `{where}`")
        elif item["type"] == "missing":
            parts.append(f"missing key `{where}`")
        else:
            message = item["msg"].removeprefix("Value error, ")
            parts.append(
                f"`{where}`: {message}" if where else message
            )  # of the whole file: it names the keys
    more = f"; and {len(parts) - PROBLEMS} more" if len(parts) > PROBLEMS else ""
    return f"Target file {path} is not usable: {'; '.join(parts[:PROBLEMS])}{more}. See targets/example.toml."


def _in_file(loc: Sequence[int | str], values: Any, *, is_missing: bool) -> Iterator[str]:
    """A place without the names that pydantic gives to the members of a union: they are no keys."""
    for number, part in enumerate(loc):
        try:
            values = values[part]
        except (LookupError, TypeError):
            if values is not None and not (is_missing and number == len(loc) - 1):
                continue
        yield str(part)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
