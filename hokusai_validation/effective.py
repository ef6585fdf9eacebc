"""The target as a run has it: the file, what it includes, its env file and what was given in code,
resolved once when the run starts. Frozen; nothing after that reads the file again.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, SecretStr

from hokusai_validation.redaction import Redactor
from hokusai_validation.target import Target


class Identity(BaseModel):
    """What makes a stack this one and no other, whatever its target is called and whatever else its
    file says. Where neither endpoints nor AWS nor a stack's id are given, the parts' own addresses."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    registry: str | None = None
    api: str | None = None
    auth: str | None = None
    plain: str | None = None
    account_id: str | None = None
    region: str | None = None
    cluster: str | None = None
    aws_endpoint: str | None = None
    stack_id: str | None = None
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: Target) -> Self:
        """The identity of what a target names."""
        ends = target.endpoints
        known = cls(
            registry=_origin(ends.registry),
            api=_origin(ends.api),
            auth=_origin(ends.auth),
            plain=_origin(ends.plain),
            stack_id=target.stack_id,
        )
        if target.aws is not None:
            aws = target.aws
            known = known.model_copy(
                update={
                    "account_id": aws.account_id,
                    "region": aws.region,
                    "cluster": aws.cluster,
                    "aws_endpoint": _origin(aws.endpoint_url),
                }
            )
        return known if known != cls() else cls(parts=_parts(target))

    def differences(self, other: Self) -> tuple[str, ...]:
        """The names of what differs."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) != getattr(other, name))


class EffectiveTarget(BaseModel):
    """What one run validates. `secrets` are the values that the target's variables had when it was
    resolved, by the variable's name; they are in no dump of this model. `injected` names those of
    them that were given in code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Target
    secrets: Mapping[str, SecretStr] = Field(default_factory=dict, exclude=True, repr=False)
    injected: frozenset[str] = frozenset()

    @cached_property
    def canonical(self) -> str:
        """The target as JSON, keys sorted. References to secrets, never their values."""
        return _dumped(self.target.model_dump(mode="json"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal: equal for two runs that were to do the same."""
        return digest(self.canonical)

    @cached_property
    def identity(self) -> Identity:
        """Which stack it is."""
        return Identity.of(self.target)

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target.name


class Snapshot(BaseModel):
    """What is kept of an effective target with its run. `text` is `canonical`, redacted."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    resolved_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    hash: str
    identity: Identity
    text: str

    @classmethod
    def of(cls, effective: EffectiveTarget, run_id: str) -> Self:
        """Of a run's target."""
        redactor = Redactor(effective.secrets.values())
        return cls(
            run_id=run_id,
            hash=effective.hash,
            identity=redactor.model(effective.identity),
            text=_dumped(redactor.json(json.loads(effective.canonical))),
        )

    @property
    def target(self) -> Target | None:
        """The target again; None where the text was redacted, and so is not what was resolved."""
        return Target.model_validate_json(self.text) if digest(self.text) == self.hash else None


def _dumped(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _origin(url: str | None) -> str | None:
    return None if url is None else url.rstrip("/").lower()


def _parts(target: Target) -> tuple[str, ...]:
    """Every part's own address, sorted."""
    found = [instance.url for instance in target.instances]
    found += [part.url for part in (target.auth, target.links, target.control) if part is not None]
    found += [target.mlflow.url] if target.mlflow is not None and target.mlflow.url else []
    found += [f"{part.host}:{part.port}" for part in (target.database, target.redis) if part is not None]
    return tuple(sorted(found))
