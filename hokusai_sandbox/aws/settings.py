"""What the AWS process is told, as JSON in its environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from pydantic import JsonValue

VARIABLE = "SANDBOX_AWS"


@dataclass(frozen=True)
class Placed:
    """Where one task of a service is: the address that is registered for it."""

    process: str
    address: str
    port: int


@dataclass(frozen=True)
class AwsSettings:
    """`tasks` per component; `environment` is what each component's task definition declares;
    `started_at` (epoch seconds) is the moment that all dates of the past count back from;
    `log_files` per component, what its processes write."""

    port: int
    token: str = field(repr=False)
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    tasks: Mapping[str, tuple[Placed, ...]]
    environment: Mapping[str, Mapping[str, str]]
    secret: Mapping[str, JsonValue] = field(repr=False)
    database_address: str
    database_port: int
    redis_port: int
    certificate: str
    certificate_key: str = field(repr=False)
    commit: str
    started_at: float
    states: tuple[Mapping[str, JsonValue], ...] = ()
    log_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_environment(self) -> dict[str, str]:
        """For the process's environment."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> Self:
        """In the process."""
        values = json.loads(os.environ[VARIABLE])
        values["tasks"] = {
            component: tuple(Placed(**item) for item in items) for component, items in values["tasks"].items()
        }
        values["states"] = tuple(values["states"])
        return cls(**values)
