"""Parts of a target file that other parts of it are made of: tables, references to secrets, stores."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hokusai_validation.fields import Count, Host, Port, Seconds

SSL_MODES = r"^(disable|allow|prefer|require|verify-ca|verify-full)$"


class Section(BaseModel):
    """A table of a target file: frozen, and an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class SecretRef(Section):
    """Where a secret is: the environment variable `env`, the Secrets Manager secret `secret_id`, or
    the Systems Manager parameter `parameter` (of the last two with `key` inside their JSON). Exactly
    one of the three."""

    env: str | None = None
    secret_id: str | None = None
    parameter: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(name is not None for name in (self.env, self.secret_id, self.parameter)) != 1:
            raise ValueError("name one of `env`, `secret_id` and `parameter`")
        return self


DATABASE_USER = "mlflow"


class Database(Section):
    """PostgreSQL as MLflow uses it. Without `host`, the address that `aws.rds_instance` (or `rds_cluster`) has."""

    host: Host = ""
    port: Port = 5432
    name: str = "mlflow_db"
    user: str = DATABASE_USER
    password: SecretRef
    sslmode: Annotated[str, Field(pattern=SSL_MODES)] = "prefer"
    connect_timeout_s: Seconds = 5.0
    statement_timeout_s: Seconds = 10.0
    pool_size: Count = 5
    pool_timeout_s: Seconds = 2.0


class Redis(Section):
    """Redis by its own address. `required`: whether its absence is a failure here."""

    host: Annotated[Host, Field(min_length=1)]
    port: Port = 6379
    password: SecretRef | None = None
    tls: bool = False
    required: bool = False


def secret_refs(section: BaseModel) -> tuple[SecretRef, ...]:
    """Every SecretRef in a section, nested ones too."""
    found: list[SecretRef] = []

    def visit(value: object) -> None:
        if isinstance(value, SecretRef):
            found.append(value)
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                visit(getattr(value, name))
        elif isinstance(value, Mapping):
            for item in value.values():
                visit(item)
        elif isinstance(value, tuple):
            for item in value:
                visit(item)

    visit(section)
    return tuple(found)
