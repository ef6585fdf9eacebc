"""MLflow's own client, as a user's machine has it: through the gateway, with a key as token."""

import contextlib
import math
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hokusai_validation.probes.mlflow_guard import Guard, guarded
from hokusai_validation.resources.names import Resolver
from hokusai_validation.runner.timelimit import not_counted
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def tracking_uri(target: Target) -> str:
    """What a user sets as MLFLOW_TRACKING_URI."""
    prefix = target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"
    return f"{(target.url or '').rstrip('/')}{prefix}"


@contextlib.contextmanager
def environment(target: Target, key: SecretStr, resolver: Resolver, guard: Guard) -> Iterator[None]:
    """The environment that MLflow's client is told by, the target's own names resolved, and the guard
    on what it does, in the block; afterwards everything is as it was."""
    values = {
        "MLFLOW_TRACKING_URI": tracking_uri(target),
        "MLFLOW_TRACKING_TOKEN": key.get_secret_value(),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(math.ceil(target.limits.request_s)),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "NO_PROXY": "*",
    }
    if target.tls.ca_file is not None:
        values["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(target.tls.ca_file)
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        with not_counted():
            import mlflow.tracking  # noqa: F401  takes more than a second
        with _resolved_by(resolver), guarded(guard):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def new_client(target: Target) -> "MlflowClient":
    """A client, in the environment above."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri(target), tracking_uri(target))


@contextlib.contextmanager
def _resolved_by(resolver: Resolver) -> Iterator[None]:
    """MLflow's client knows only the system's resolver; a target may name another one."""
    if resolver.server is None:
        yield
        return
    original = socket.getaddrinfo

    def asked(host: Any, *arguments: Any, **options: Any) -> Any:
        known = isinstance(host, str) and host != "localhost" and "." in host
        return original(resolver.addresses(host)[0] if known else host, *arguments, **options)

    socket.getaddrinfo = asked
    try:
        yield
    finally:
        socket.getaddrinfo = original
