"""Everything the gateway can be told, from the environment and from nowhere else."""

import os
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """One field an environment variable, of the same name in capitals. Only MLFLOW_TRACKING_URI,
    DATABASE_PASSWORD and AUTH_SERVICE_URL have no default. An empty REDIS_URL or QUEUE_REDIS_URL
    means that the component is not deployed (`disabled`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # where it listens; port 0 takes a free one, which the first log line names
    host: str = "127.0.0.1"
    port: Port = 8001
    admin_port: Port = 0  # fail points, loopback only
    instance_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,60}$")] = "api-1"

    # what it depends on
    mlflow_tracking_uri: Annotated[str, Field(pattern=r"^https?://")]
    auth_service_url: Annotated[str, Field(pattern=r"^https?://")]
    auth_service_id: str = "platform"
    database_host: str = "127.0.0.1"
    database_port: Port = 5432
    database_name: str = "mlflow_db"
    database_user: str = "mlflow"
    database_password: SecretStr
    db_pool_size: Annotated[int, Field(ge=1, le=100)] = 5
    redis_url: SecretStr = SecretStr("")  # redis://:PASSWORD@HOST:PORT/0; key cache and rate limits
    queue_redis_url: SecretStr = SecretStr("")  # the message queue's own connections

    # the circuit breaker; absent ones are the breaker's own defaults
    mlflow_cb_failure_threshold: Annotated[int, Field(ge=0)] | None = None
    mlflow_cb_recovery_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    mlflow_cb_max_recovery_attempts: Annotated[int, Field(ge=0)] | None = None

    # time-outs and the cache
    health_timeout_s: Seconds = 10.0  # no health answer takes longer
    check_timeout_s: Seconds = 0.8  # one check of one dependency; below `health_timeout_s`
    check_interval_s: Seconds = 0.25  # how often the background looks at each dependency
    proxy_timeout_s: Seconds = 10.0  # until MLflow begins to answer, and between two pieces of it
    artifact_timeout_s: Seconds = 30.0  # the same for artifacts, which MLflow fetches whole from S3
    auth_timeout_s: Seconds = 2.0
    cache_timeout_s: Seconds = 0.3
    key_cache_s: Annotated[int, Field(ge=1, le=86_400)] = 300

    # what /version and /health/status say
    version: str = "1.0.0"
    git_commit: str = "unknown"
    build_date: str = "unknown"
    environment: str = "development"

    # deliberately wrong variants, by name, separated by commas; NAME@INSTANCE for one instance only
    gateway_defects: str = ""

    @model_validator(mode="after")
    def _checks_end_in_time(self) -> Self:
        if self.check_timeout_s >= self.health_timeout_s:
            raise ValueError("CHECK_TIMEOUT_S must be below HEALTH_TIMEOUT_S: health answers wait for checks")
        return self

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment (this process's, when not given).

        Raises ValueError: one sentence that names each variable at fault; values are not shown."""
        environ = os.environ if environ is None else environ
        values = {
            name: environ[name.upper()]
            for name in cls.model_fields
            # an empty variable counts as not set
            if environ.get(name.upper(), "") != ""
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = [
                f"{name} is missing" if item["type"] == "missing" else f"{name}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
                for name in [str(item["loc"][0]).upper() if item["loc"] else "together"]
            ]
            raise ValueError(f"The gateway's environment is not usable: {'; '.join(faults)}.") from None

    @property
    def defects(self) -> tuple[str, ...]:
        """Names of the defects that are switched on for this instance."""
        wanted = [item.strip() for item in self.gateway_defects.split(",") if item.strip()]
        split = [item.partition("@") for item in wanted]
        return tuple(name for name, _, instance in split if instance in ("", self.instance_name))
