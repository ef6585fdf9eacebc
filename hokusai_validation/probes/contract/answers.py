"""The answers of the API's endpoints, field by field. Read from JSON in strict mode: a number in
quotes or a time stamp without a zone is an error. Further fields are allowed everywhere."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from hokusai_validation.probes.contract.overall import overall
from hokusai_validation.topology import role_of_word, word_for

BreakerState = Literal["CLOSED", "HALF_OPEN", "OPEN"]
Overall = Literal["healthy", "degraded", "unhealthy"]
ServiceState = Literal["healthy", "degraded", "recovering", "unhealthy", "disabled"]
Text = Annotated[str, StringConstraints(min_length=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
NotNegative = Annotated[float, Field(ge=0)]


class Form(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class Services(Form):
    """The four that must be named, and any further ones."""

    __pydantic_extra__: dict[str, ServiceState]

    mlflow: ServiceState
    redis: ServiceState
    message_queue: ServiceState
    postgres: ServiceState

    def states(self) -> dict[str, str]:
        """Part to state: the contract's by their role, further ones by their name."""
        return {role_of_word(name) or name: state for name, state in self._named()}

    def __str__(self) -> str:
        return ", ".join(f"{name} {state}" for name, state in self._named())

    def _named(self) -> Iterator[tuple[str, str]]:
        return ((str(name), str(state)) for name, state in self.model_dump().items())


class Health(Form):
    """`GET /health`. Its overall status must follow from its services."""

    status: Overall
    version: Text
    services: Services
    timestamp: AwareDatetime

    @model_validator(mode="after")
    def _status_follows(self) -> "Health":
        expected = overall(self.services.states())
        if self.status != expected:
            raise ValueError(f"`status` must be '{expected}' with these services, seen '{self.status}'")
        return self


class SystemInfo(Form):
    """Of the machine, in percent."""

    cpu_percent: Percent
    memory_percent: Percent


class BreakerView(Form):
    """A breaker's details inside another answer; the bare state is taken too."""

    state: BreakerState

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"state": value} if isinstance(value, str) else value


class MlflowDetails(Form):
    """`mlflow_details` of `GET /health?detailed=true`. The time is absent while none was measured."""

    tracking_uri: Text
    response_time_ms: NotNegative | None = None
    circuit_breaker: BreakerView
    degradation_reason: str | None = None


class DetailedHealth(Health):
    """`GET /health?detailed=true`."""

    system_info: SystemInfo
    mlflow_details: MlflowDetails

    def error_of(self, part: str) -> str:
        """`<name>_error`, empty where there is none."""
        return str((self.model_extra or {}).get(f"{word_for(part)}_error") or "")


class ReadyCheck(Form):
    """One of the checks of `GET /ready`."""

    name: Text
    passed: bool
    critical: bool
    error: str | None = None
    recovering: bool = False


class Ready(Form):
    """`GET /ready`."""

    ready: bool
    can_serve_traffic: bool
    degraded_mode: bool
    checks: Annotated[list[ReadyCheck], Field(min_length=1)]

    @model_validator(mode="after")
    def _follows(self) -> "Ready":
        if self.degraded_mode != (self.can_serve_traffic and not self.ready):
            raise ValueError("`degraded_mode` must be: not ready, but can serve traffic")
        critical_passed = all(each.passed for each in self.checks if each.critical)
        if self.can_serve_traffic != critical_passed:
            raise ValueError(
                f"`can_serve_traffic` must be {str(critical_passed).lower()} with these critical checks"
            )
        return self

    def check(self, *names: str) -> ReadyCheck | None:
        """The check of one of these names."""
        return next((each for each in self.checks if each.name in names), None)


class Live(Form):
    """`GET /live`. `uptime` in seconds."""

    alive: Literal[True]
    uptime: NotNegative
    memory_usage_mb: NotNegative


class Version(Form):
    """`GET /version`."""

    version: Text
    build_date: Text
    git_commit: Text
    api_version: Text


class MlflowHealth(Form):
    """`GET /health/mlflow` with status 200."""

    connected: bool
    circuit_breaker_state: BreakerState
    tracking_uri: Text
    response_time_ms: NotNegative | None
    timestamp: AwareDatetime
    error: str | None = None


class MlflowHealthOpen(Form):
    """`GET /health/mlflow` with status 503."""

    connected: Literal[False]
    circuit_breaker_state: Literal["OPEN"]
    error: Text
    can_retry_in_seconds: NotNegative


class MlflowHealthBroken(Form):
    """`GET /health/mlflow` with status 500."""

    connected: Literal[False]
    circuit_breaker_state: Literal["UNKNOWN"]
    error: Text


class Reset(Form):
    """`POST /health/mlflow/reset` with status 200."""

    message: Text
    reset_by: Text
    timestamp: AwareDatetime


class Refusal(Form):
    """An error answer of the API: 401 without a key, 500 when a reset failed."""

    detail: Text


class MlflowStatus(Form):
    """MLflow's part of `GET /health/status`."""

    status: ServiceState
    circuit_breaker: BreakerView


class ServiceStatus(Form):
    """`GET /health/status`."""

    service_name: Literal["hokusai-registry"]
    api_version: Text
    overall_health: Overall
    services: Services
    mlflow: MlflowStatus
    environment: Text
    timestamp: AwareDatetime


class PlainMetrics(Form):
    """`GET /metrics` where no Prometheus client is there."""

    requests_total: NotNegative
    requests_per_second: NotNegative
    average_response_time_ms: NotNegative
    active_connections: NotNegative


class ValidKey(Form):
    """The auth service's answer to a good key."""

    user_id: Text
    key_id: Text
    service_id: Text
    scopes: list[str]
    rate_limit_per_hour: Annotated[int, Field(ge=0)]
