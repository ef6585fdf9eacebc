"""Everything the auth service can be told, from the environment."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator


class KeyKind(StrEnum):
    """What becomes of a key when it is asked about."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"
    LIMITED = "limited"  # a good one with a small limit
    REVOCABLE = "revocable"  # a good one that tests may revoke


class SeedKey(BaseModel):
    """A key that is there from the start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SecretStr
    kind: KeyKind = KeyKind.GOOD
    key_id: str | None = None
    user_id: str = "sandbox"
    scopes: tuple[str, ...] = ("mlflow:read", "mlflow:write")
    rate_limit_per_hour: Annotated[int, Field(ge=0)] | None = None


class _Seeds(BaseModel):
    keys: tuple[SeedKey, ...]

    @model_validator(mode="before")
    @classmethod
    def _by_kind(cls, values: Any) -> Any:
        keys = values.get("keys")
        if isinstance(keys, dict):
            values = {"keys": [{"kind": kind, "key": key} for kind, key in keys.items()]}
        return values


class Settings(BaseModel):
    """One field an environment variable, of the same name in capitals. `AUTH_KEYS` is a JSON list
    of SeedKey, `[{"key": "hk_good_…", "kind": "good", "rate_limit_per_hour": 1000000}, …]`, or, for
    one key of a kind, `{"good": "hk_good_…", "expired": "hk_expired_…", …}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8002
    version: str = "1.0.0"
    auth_service_id: str = "platform"
    auth_store: Path | None = None  # an SQLite file, so that keys outlive a restart; none: memory
    auth_keys: tuple[SeedKey, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment (this process's, when not given).

        Raises ValueError: one sentence that names each variable at fault; values are not shown."""
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {
            name: environ[name.upper()]
            for name in cls.model_fields
            if name != "auth_keys" and environ.get(name.upper(), "") != ""
        }
        try:
            seeds = environ.get("AUTH_KEYS") or "[]"
            values["auth_keys"] = _Seeds.model_validate_json(f'{{"keys": {seeds}}}').keys
            return cls.model_validate(values)
        except ValidationError as error:
            faults = [
                f"{'AUTH_KEYS' if item['loc'][:1] in ((), ('keys',)) else str(item['loc'][0]).upper()}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
            ]
            raise ValueError(f"The auth service's environment is not usable: {'; '.join(faults)}.") from None
