"""The resources that Dagster injects into the phases. What is set here wins over the target file:
replacing one in the definitions changes what the suite's tests talk to.

Every field is optional; what is not set is as the target file says. Secret fields take an `EnvVar`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field, ValidationError

from hokusai_validation.errors import TargetInvalid
from hokusai_validation.store.results import ResultStore
from hokusai_validation.store.storage import default_base, default_options
from hokusai_validation.target import Target, read_target

SECRET_VARIABLE = "HOKUSAI_INJECTED_{}"


class Overriding(dg.ConfigurableResource[Any]):
    """One section of the target file. `secret_fields` travel by environment, never in a file."""

    def section(self) -> tuple[str, ...]:
        """Where in the target file it belongs."""
        raise NotImplementedError

    def secret_fields(self) -> frozenset[str]:
        """The names of its fields that are secrets."""
        return frozenset()

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        names = (name for name in type(self).model_fields if getattr(self, name, None) is not None)
        return {name: getattr(self, name) for name in names}


class GatewayResource(Overriding):
    """The public endpoints, and the API key that everything is asked with."""

    registry: str | None = None
    api: str | None = None
    auth: str | None = None

    def section(self) -> tuple[str, ...]:
        return ("endpoints",)


class KeyResource(Overriding):
    """The API key that the tests use."""

    good: str | None = None

    def section(self) -> tuple[str, ...]:
        return ("keys",)

    def secret_fields(self) -> frozenset[str]:
        return frozenset({"good"})


class AwsResource(Overriding):
    """AWS: region, a stand-in's endpoint and keys, the cluster."""

    region: str | None = None
    endpoint_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    cluster: str | None = None

    def section(self) -> tuple[str, ...]:
        return ("aws",)

    def secret_fields(self) -> frozenset[str]:
        return frozenset({"access_key", "secret_key"})


class DatabaseResource(Overriding):
    """PostgreSQL as MLflow uses it."""

    host: str | None = None
    port: int | None = None
    name: str | None = None
    user: str | None = None
    password: str | None = None
    sslmode: str | None = None

    def section(self) -> tuple[str, ...]:
        return ("database",)

    def secret_fields(self) -> frozenset[str]:
        return frozenset({"password"})


class MlflowResource(Overriding):
    """MLflow by its own address, and its path through the gateway."""

    url: str | None = None
    through_gateway: str | None = None

    def section(self) -> tuple[str, ...]:
        return ("mlflow",)


class RedisResource(Overriding):
    """Redis by its own address."""

    host: str | None = None
    port: int | None = None
    password: str | None = None

    def section(self) -> tuple[str, ...]:
        return ("redis",)

    def secret_fields(self) -> frozenset[str]:
        return frozenset({"password"})


class TargetResource(dg.ConfigurableResource[Any]):
    """The target file, by name or path; read when a phase starts, not when definitions load."""

    source: str
    expected_commit: str | None = None

    def read(self) -> Target:
        """The target as it is now, `expected_commit` replaced where one is given here.

        Raises TargetNotFound, TargetInvalid."""
        target = read_target(self.source)
        if self.expected_commit is None:
            return target
        return target.model_copy(update={"expected_commit": self.expected_commit})


class ResultsResource(dg.ConfigurableResource[Any]):
    """Where results lie. `base` is a folder or `s3://bucket/prefix`."""

    base: str = ""

    def store(self) -> ResultStore:
        """The store itself."""
        return ResultStore(self.base or default_base(), default_options())


@dataclass(frozen=True)
class TaskSettings:
    """Where a suite runs as an ECS task, and the bucket that its messages go through."""

    cluster: str
    task_definition: str
    container: str
    bucket: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


class ProcessResource(dg.ConfigurableResource[Any]):
    """How suites run: as a process of ours with so many test processes for the tests that only
    read, or, where a `task_definition` is set, as an ECS task inside the VPC."""

    workers: int = 0
    task_definition: str = ""
    cluster: str = ""
    container: str = "suite"
    bucket: str = ""
    subnets: list[str] = Field(default_factory=list)
    security_groups: list[str] = Field(default_factory=list)

    @classmethod
    def from_environment(cls) -> "ProcessResource":
        """As `deploy/stack.yaml` sets it; without those variables a process of ours."""
        return cls(
            task_definition=os.environ.get("HOKUSAI_SUITE_TASK_DEFINITION", ""),
            cluster=os.environ.get("HOKUSAI_VALIDATION_CLUSTER", ""),
            bucket=os.environ.get("HOKUSAI_RESULTS_BUCKET", ""),
            subnets=[item for item in os.environ.get("HOKUSAI_SUBNET", "").split(",") if item],
            security_groups=[
                item for item in os.environ.get("HOKUSAI_SECURITY_GROUP", "").split(",") if item
            ],
        )

    def task(self) -> TaskSettings | None:
        """The settings of a task, or None for a process of ours."""
        if not self.task_definition:
            return None
        return TaskSettings(
            cluster=self.cluster,
            task_definition=self.task_definition,
            container=self.container,
            bucket=self.bucket,
            subnets=tuple(self.subnets),
            security_groups=tuple(self.security_groups),
        )


def effective_target(target: Target, overrides: Sequence[Overriding]) -> tuple[Target, Mapping[str, str]]:
    """The target with what was injected, and the environment that carries the injected secrets.

    Raises TargetInvalid when the two do not fit."""
    values = target.model_dump(mode="json", exclude_unset=True)
    environment: dict[str, str] = {}
    for override in overrides:
        given = override.given()
        if not given:
            continue
        place: dict[str, Any] = values
        for part in override.section():
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
        for name, value in given.items():
            if name in override.secret_fields():
                variable = SECRET_VARIABLE.format("_".join((*override.section(), name)).upper())
                environment[variable] = value
                place[name] = {"env": variable}
            else:
                place[name] = value
    try:
        return Target.model_validate(values), environment
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TargetInvalid(
            f"Target '{target.name}' with the injected resources is not usable: `{where}`: {first['msg']}."
            " Set it on the resource or in the target file."
        ) from None
