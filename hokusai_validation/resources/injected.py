"""The resources that Dagster injects into the phases. What is set here wins over the target file:
replacing one in the definitions changes what the suite's tests talk to.

Every field is optional; what is not set is as the target file says. Secret fields take an `EnvVar`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field, ValidationError

from hokusai_validation.checks import Check
from hokusai_validation.effective import EffectiveTarget, Snapshot
from hokusai_validation.errors import SecretMissing, TargetChanged, TargetInvalid, UsageError
from hokusai_validation.resources.secrets import checked, secret
from hokusai_validation.sections import secret_refs
from hokusai_validation.store.lock import target_lock
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
        """The fields that are set, with the values of those that come from the environment.

        Raises SecretMissing when such a variable is not set."""
        try:
            ready = self.process_config_and_initialize()
        except dg.DagsterInvalidConfigError:
            raise SecretMissing(
                f"{type(self).__name__} takes a value from an environment variable that is not set;"
                f" it was given {self!r}. Set the variable, or leave the field out."
            ) from None
        names = (name for name in type(self).model_fields if getattr(ready, name) is not None)
        return {name: getattr(ready, name) for name in names}


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


@dataclass(frozen=True)
class TargetResource:
    """Where a run's target comes from: a file by name or path, and what replaces its sections.
    `resolved` is one that whoever starts the run has resolved already."""

    source: str
    overrides: tuple[Overriding, ...] = ()
    expected_commit: str | None = None
    resolved: EffectiveTarget | None = None

    def name(self) -> str:
        """The target's name; no stack needs to be up.

        Raises TargetNotFound, TargetInvalid."""
        if self.resolved is not None:
            return self.resolved.name
        return read_target(self.source, follow_include=False).name

    def checks(self) -> tuple[Check, ...]:
        """The target's own checks, as its file has them now; no stack needs to be up.

        Raises TargetNotFound, TargetInvalid."""
        if self.resolved is not None:
            return self.resolved.target.checks
        try:
            return read_target(self.source).checks
        except UsageError:  # what it includes is not there: its own are known
            return read_target(self.source, follow_include=False).checks

    def resolve(self) -> EffectiveTarget:
        """The target as it is now, unless it was resolved before.

        Raises TargetNotFound, TargetInvalid."""
        if self.resolved is not None:
            return self.resolved
        target = read_target(self.source)
        if self.expected_commit is not None:
            target = target.model_copy(update={"expected_commit": self.expected_commit})
        return effective_target(target, self.overrides)

    def of_run(self, name: str, run_id: str, store: ResultStore) -> EffectiveTarget:
        """The target that a run began with: whoever is first resolves it and keeps it with the run,
        and the run's later processes get that, whatever has become of the file.

        Raises TargetNotFound, TargetInvalid; TargetChanged when the run's own can't be had again."""
        kept = store.target(name, run_id)
        if kept is not None and kept.target is not None:
            return effective_target(kept.target, self.overrides)
        now = self.resolve()
        if now.name != name:
            raise TargetChanged(
                f"{self.source} now names the target '{now.name}', not '{name}': reload the definitions."
            )
        if kept is None:
            store.keep_target(name, Snapshot.of(now, run_id))
        elif kept.hash != now.hash:
            raise TargetChanged(
                f"Target '{name}' was changed while run {run_id} was under way, and what the run began with"
                f" holds secrets, so it was not kept. Put {self.source} back, or start a new run."
            )
        return now

    def definition(self, name: str, results: "ResultsResource") -> dg.ResourceDefinition:
        """The resource of a run: Dagster asks for it once, before the first step, and ends it after the
        last; the target is locked in between. It takes no run configuration: a run chooses phases,
        and never what they are done to."""

        @contextmanager
        def of_run(context: dg.InitResourceContext) -> Iterator[EffectiveTarget]:
            run_id = "" if context.run is None else context.run.run_id
            store = results.store()
            effective = self.of_run(name, run_id, store)
            with target_lock(effective.target, str(store.base), what=f"run {run_id}"):
                yield effective

        return dg.ResourceDefinition(
            of_run,
            config_schema={},
            description=f"Target {name} as the run began with it, locked until the run ends.",
        )


def fixed(resource: object, description: str) -> dg.ResourceDefinition:
    """A resource that takes no run configuration."""
    return dg.ResourceDefinition(lambda _: resource, config_schema={}, description=description)


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

    workers: int = 2
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


def effective_target(target: Target, overrides: Sequence[Overriding] = ()) -> EffectiveTarget:
    """The target with what was injected, and with the secrets that its variables hold now. Those
    that are missing are left out: what needs them says so.

    Raises TargetInvalid when the two do not fit, SecretUnusable."""
    target, injected = _merged(target, overrides)
    secrets = {name: checked(value, f"what was given for {name}") for name, value in injected.items()}
    for ref in secret_refs(target):
        if ref.env is not None and ref.env not in secrets:
            with suppress(SecretMissing):
                secrets[ref.env] = secret(ref, target)
    return EffectiveTarget(target=target, secrets=secrets, injected=frozenset(injected))


def _merged(target: Target, overrides: Sequence[Overriding]) -> tuple[Target, Mapping[str, str]]:
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
