"""What is validated, and what may be done to it: a TOML file, read into a frozen model.

Any part may be absent; what is missing makes its tests `skipped` with the reason. No secret
stands in the file: a `SecretRef` names an environment variable or a Secrets Manager id.
`targets/example.toml` shows and explains every key.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hokusai_validation import target_file
from hokusai_validation.announcing import Automation
from hokusai_validation.checks import Check, RedisCheck, SqlCheck
from hokusai_validation.errors import TargetInvalid, TargetNotFound
from hokusai_validation.fields import (
    Count,
    HostPattern,
    Limit,
    Milliseconds,
    Rate,
    Resolver,
    Seconds,
    SecondsOrNone,
    Share,
    Url,
    fits,
    usable_texts,
)
from hokusai_validation.quiet import Quiet
from hokusai_validation.sections import Database, Redis, SecretRef, Section
from hokusai_validation.topology import Component, Role, check_edges, extended
from hokusai_validation.waiver import Waiver

PARTIAL = "without what it includes"  # how a file is read where that need not be there
TARGETS_VARIABLE = "HOKUSAI_TARGETS_DIR"
NAME_SHOWN = 80  # characters of one that is not known
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"


class Endpoints(Section):
    """Base URLs as a client types them (the load balancer). `plain` is the registry's over plain
    HTTP where that is not port 80; `instance_header` the response header that names the instance
    which answered, where there is one."""

    registry: Url | None = None
    api: Url | None = None
    auth: Url | None = None
    plain: Url | None = None
    instance_header: str | None = None


class Tls(Section):
    """How certificates are checked: a CA file beside the system's, and when one counts as expiring.
    `served`: false where there is no TLS at all, and that is no failure."""

    served: bool = True
    ca_file: Path | None = None
    expiring_days: Count = 21


class Dns(Section):
    """Which resolver to ask (`host:port`; none: the system's) and the names that must resolve.
    `private_names` resolve inside the VPC only."""

    resolver: Resolver | None = None
    public_names: tuple[str, ...] = ()
    private_names: tuple[str, ...] = ()
    search_private: bool = True


class Keys(Section):
    """API keys for the authentication cases; `good` is the one everything else uses.
    `revocable` is one that the tests may revoke through the auth service's admin (sandbox only)."""

    good: SecretRef | None = None
    expired: SecretRef | None = None
    revoked: SecretRef | None = None
    limited: SecretRef | None = None
    revocable: SecretRef | None = None


class Instance(Section):
    """One API instance, reached by its own address. `failpoints` is the sandbox's admin URL for it."""

    name: str
    url: Url
    failpoints: Url | None = None


class Gateway(Section):
    """What the API promises as it is deployed: time-outs, cache, breaker. Tests hold it to them; nothing
    here sets anything there."""

    health_timeout_s: Seconds = 10.0
    proxy_timeout_s: Seconds = 10.0
    key_cache_s: SecondsOrNone = 300.0
    breaker_failure_threshold: Count = 5
    breaker_recovery_timeout_s: Seconds = 60.0
    breaker_max_recovery_attempts: Count = 5


class Auth(Section):
    """The auth service by its own address, and how the gateway asks it. `admin` is the sandbox's
    URL to make and revoke keys."""

    url: Url
    service_id: str = "platform"
    admin: Url | None = None


class Mlflow(Section):
    """MLflow by its own (internal) address; `through_gateway` is the proxy's path, `version` what is
    deployed (none: any)."""

    url: Url | None = None
    through_gateway: str = "/api/mlflow"
    artifact_bucket: str | None = None
    expected_alembic_revision: str | None = None
    version: str | None = None


class EcsService(Section):
    """One component's ECS service. `environment` is what its task definition must declare (parity);
    `secrets` the names that must come from Secrets Manager."""

    service: str
    desired: int | None = None
    target_group: str | None = None
    log_group: str | None = None
    container: str | None = None
    environment: Mapping[str, str] = Field(default_factory=dict)
    secrets: tuple[str, ...] = ()


class ListenerRoute(Section):
    """A public path and the component whose target group must get it."""

    host: str
    path: str
    component: str


class Aws(Section):
    """Names in AWS. `endpoint_url` is for a stand-in. Without keys or a `profile` the usual credential
    chain is used; `role_arn` (with `external_id`) is a role that is taken over it, in another account."""

    region: str = "us-east-1"
    endpoint_url: Url | None = None
    access_key: SecretRef | None = None
    secret_key: SecretRef | None = None
    session_token: SecretRef | None = None
    profile: str | None = None
    role_arn: Annotated[str, Field(pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/.+$")] | None = None
    external_id: SecretRef | None = None
    account_id: str | None = None
    cluster: str
    services: Mapping[str, EcsService] = Field(default_factory=dict)
    load_balancers: tuple[str, ...] = ()
    routes: tuple[ListenerRoute, ...] = ()
    namespace: str | None = None
    discovery_names: Mapping[str, str] = Field(default_factory=dict)  # component -> service in it
    rds_instance: str | None = None
    rds_cluster: str | None = None
    database_secret: str | None = None
    elasticache_cluster: str | None = None
    elasticache_replication_group: str | None = None
    elasticache_serverless: str | None = None
    bucket: str | None = None


class Breaker(Section):
    """The circuit breaker under test: `module:Class` in folder `source` (none: importable as is).
    `shared` is the module of `get_circuit_breaker_status()` and `reset_circuit_breaker()`; none:
    the class's own."""

    path: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    source: Path | None = None
    shared: str | None = None


class Links(Section):
    """Links that faults can be put on: a server of Toxiproxy's HTTP API, and which proxy stands on
    which edge. Edge keys are `from->to`, `from` an instance or a component: `api-1->mlflow`. Where two
    edges name one proxy, a fault on either is on both."""

    url: Url
    edges: Mapping[str, str] = Field(default_factory=dict)


class Control(Section):
    """An agent that can kill, pause, restart and limit the processes of the stack (the sandbox's
    supervisor). `processes` maps instance or component to the agent's process name."""

    url: Url
    token: SecretRef
    processes: Mapping[str, str] = Field(default_factory=dict)


class FaultKind(StrEnum):
    """Faults that a target file may permit, each by name. See `chaos/faults/`."""

    REFUSE = "refuse"
    RESET = "reset"
    LATENCY = "latency"
    BANDWIDTH = "bandwidth"
    BLACK_HOLE = "black_hole"
    HALF_OPEN = "half_open"
    CONNECT_TIMEOUT = "connect_timeout"
    EVERY_NTH = "every_nth"
    GARBAGE = "garbage"
    KILL = "kill"
    PAUSE = "pause"
    RESTART = "restart"
    MEMORY = "memory"
    CPU = "cpu"
    STOP_TASK = "stop_task"
    FIS = "fis"


LOAD = "load"  # beside the kinds of faults


class Standing(Section):
    """What runs of a Dagster job may do to a production target without a person: kinds of faults,
    or `load`, each of them permitted in the file as well, to the end of a day (UTC)."""

    job: str
    kinds: tuple[FaultKind | Literal["load"], ...]
    until: date


class LoadPermission(Section):
    """Ceilings that nothing on the command line can lift, the stop condition, and what a
    constant-arrival-rate run uses here."""

    max_rate: Rate
    max_duration_s: Seconds
    max_connections: Count = 50
    rate: Rate = 200.0
    duration_s: Seconds | None = None
    stop_error_rate: Share = 0.5
    stop_p99_ms: Milliseconds = 10_000.0


class Permissions(Section):
    """What may be done to the target. Nothing by default."""

    faults: tuple[FaultKind, ...] = ()
    load: LoadPermission | None = None
    write: bool = True  # whether models may be registered (and removed again)
    min_availability: Share = 0.5  # an experiment stops at once under it
    fis_templates: tuple[str, ...] = ()
    hosts: tuple[HostPattern, ...] = ()  # whom `[[checks]]` may ask, beside the hosts that the file names
    standing: tuple[Standing, ...] = ()
    quiet: tuple[Quiet, ...] = ()


class Limits(Section):
    """Where the target is stricter (or slower) than the catalogue. `request_s` is how long one
    request may take where a test says nothing else."""

    request_s: Seconds = 10.0
    recovery_s: Seconds = 60.0
    live_p99_ms: Milliseconds = 100.0
    tests: Mapping[str, Mapping[str, Limit]] = Field(default_factory=dict)


class Budgets(Section):
    """How long each phase may take, in seconds of its tests. What is left over is skipped, what is
    critical or about a component that nothing was tried of last. The defaults keep a run without load and
    faults under 5 minutes and a whole one under 10."""

    environment_s: Annotated[float, Field(gt=0)] = 30.0
    discovery_s: Annotated[float, Field(gt=0)] = 45.0
    health_s: Annotated[float, Field(gt=0)] = 75.0
    functional_s: Annotated[float, Field(gt=0)] = 120.0
    load_s: Annotated[float, Field(gt=0)] = 120.0
    chaos_s: Annotated[float, Field(gt=0)] = 150.0

    def of(self, phase: str) -> float:
        """A phase's, by its name."""
        return float(getattr(self, f"{phase}_s"))


class Alerts(Section):
    """Thresholds of the contract; one passed makes the verdict at best `degraded`."""

    min_availability: Share = 0.99
    health_p99_ms: Milliseconds = 1000.0
    max_error_rate: Share = 0.01
    max_connection_share: Share = 0.8


class Target(Section):
    """The whole file. Absent parts are None or empty; see each section."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    description: str = ""
    production: bool = False
    environment: str = "development"
    env_file: Path | None = None
    include: Path | None = None
    stack_id: str | None = None  # of a stack that is made anew at the same addresses (the sandbox)
    expected_commit: str | None = None
    endpoints: Endpoints = Endpoints()
    tls: Tls = Tls()
    dns: Dns = Dns()
    keys: Keys = Keys()
    gateway: Gateway = Gateway()
    instances: tuple[Instance, ...] = ()
    auth: Auth | None = None
    database: Database | None = None
    mlflow: Mlflow | None = None
    redis: Redis | None = None
    aws: Aws | None = None
    breaker: Breaker | None = None
    links: Links | None = None
    control: Control | None = None
    permissions: Permissions = Permissions()
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    alerts: Alerts = Alerts()
    automation: Automation = Automation()
    catalogue: bool = True  # false: it is no stack of the service contract, and `checks` are what is asked
    topology: Annotated[Mapping[str, Component], Field(validate_default=True)] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @field_validator("topology")
    @classmethod
    def _extend_topology(
        cls, given: Mapping[str, Component], info: ValidationInfo
    ) -> Mapping[str, Component]:
        return extended(given) if info.data.get("catalogue", True) else given

    @model_validator(mode="after")
    def _checks_are_of_this_target(self, info: ValidationInfo) -> Self:
        if info.context is PARTIAL:
            return self
        names = [each.name.replace("-", "_") for each in self.checks]  # as Dagster has them
        for number, each in enumerate(self.checks):
            at = f"checks.{number}"
            if names.index(names[number]) != number:
                raise ValueError(f"`{at}.name`: '{each.name}' is the name of another check")
            if each.component not in self.topology:
                raise ValueError(f"`{at}.component`: '{each.component}' is in no [topology]")
            if isinstance(each, SqlCheck) and each.database is None and self.database is None:
                raise ValueError(f"`{at}.database`: the file has no [database], so the check names its own")
            if isinstance(each, RedisCheck) and each.redis is None and self.redis is None:
                raise ValueError(f"`{at}.redis`: the file has no [redis], so the check names its own")
            for host in each.hosts:
                if not self.may_ask(host):
                    raise ValueError(
                        f"`{at}`: host '{host}' is none that the file names; permissions.hosts may permit it"
                    )
        return self

    @model_validator(mode="after")
    def _edges_are_of_this_target(self, info: ValidationInfo) -> Self:
        if info.context is PARTIAL or self.links is None:
            return self
        parts = {*self.topology, *(each.name for each in self.instances)}
        parts |= set(self.control.processes if self.control is not None else ())
        check_edges(self.links.edges, parts)
        return self

    def may_ask(self, host: str) -> bool:
        """Whether checks may ask a host: one that the file names elsewhere, or `permissions.hosts`."""
        named = {
            *(urlsplit(url).hostname or "" for url in self._urls()),
            *(part.host for part in (self.database, self.redis) if part is not None),
            *self.dns.public_names,
            *self.dns.private_names,
        }
        return host in named or any(fits(host, pattern) for pattern in self.permissions.hosts)

    def _urls(self) -> Iterator[str]:
        ends = self.endpoints
        yield from filter(None, (ends.registry, ends.api, ends.auth, ends.plain))
        yield from (instance.url for instance in self.instances)
        yield from (part.url for part in (self.auth, self.mlflow) if part is not None and part.url)

    @property
    def url(self) -> str | None:
        """The API's base URL through the load balancer: `registry`, else `api`."""
        return self.endpoints.registry or self.endpoints.api

    def named(self, part: str) -> str:
        """What this target calls a part that is given by its role; any other name stays, and a role
        that nobody plays here."""
        if not isinstance(part, Role):
            return part
        return next((name for name, each in self.topology.items() if each.role is part), part.value)

    def role(self, component: str) -> Role | None:
        """The role that a component plays, or None where it is a part of the target's own (or unknown)."""
        return self.topology[component].role if component in self.topology else None


def targets_dir() -> Path:
    """Where target files lie: `HOKUSAI_TARGETS_DIR`, else `targets/` in the current folder."""
    return Path(os.environ.get(TARGETS_VARIABLE, "targets"))


def target_path(name_or_path: str) -> Path:
    """The file of a target, by name or by path.

    Raises TargetNotFound."""
    looks_like_path = name_or_path.endswith(".toml") or os.sep in name_or_path
    path = Path(name_or_path) if looks_like_path else targets_dir() / f"{name_or_path}.toml"
    if not target_file.is_file(path):
        known = ", ".join(sorted(p.stem for p in targets_dir().glob("*.toml"))) or "none"
        name, place = (
            text if len(text) <= NAME_SHOWN else f"{text[:NAME_SHOWN]}…" for text in (name_or_path, str(path))
        )
        raise TargetNotFound(
            f"Target '{name}' is not known: there is no file {place}."
            f" Known targets: {known}; or give the path of a .toml file."
        )
    return path


def read_target(name_or_path: str, *, follow_include: bool = True) -> Target:
    """Read and check a target file; `include` names a file whose keys it extends (tables are
    merged, the including file wins). Relative paths are relative to the file they stand in. With
    `follow_include=False` only the file's own keys are read, so a stack need not be up.

    Raises TargetNotFound, TargetInvalid."""
    path = target_path(name_or_path)
    values = target_file.read(path)
    include = values.get("include")
    if follow_include and isinstance(include, str):
        included = Path(include)
        if not target_file.is_file(included):
            raise TargetNotFound(
                f"Target '{values.get('name', name_or_path)}' is not up: {path} includes {included},"
                " which is not there. Start it (`hokusai-validation sandbox up`) or correct `include`."
            )
        values = target_file.merged(target_file.read(included), values)
    try:
        usable_texts(values)
        partial = isinstance(include, str) and not follow_include
        target = Target.model_validate(values, context=PARTIAL if partial else None)
    except ValidationError as error:
        raise TargetInvalid(target_file.explained(path, error, values)) from None
    except ValueError as error:
        raise TargetInvalid(f"Target file {path} is not usable: a text {error}.") from None
    if follow_include:
        target_file.check_files(path, ca_file=target.tls.ca_file, env_file=target.env_file)
    return target
