"""What is deployed when all rows are in: a deployment in the middle of a run, or since the rows that
are read back, makes them say nothing of what runs now."""

from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from hokusai_validation.errors import HokusaiError
from hokusai_validation.report import Deployment
from hokusai_validation.resources.injected import Overriding, TargetResource, effective_target
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target


def deployed_now(
    source: TargetResource, overrides: Sequence[Overriding]
) -> tuple[tuple[Deployment, ...], str]:
    """The deployments of every component that AWS knows, and why there are none where AWS can't be
    asked (empty where the target has no AWS)."""
    target, environment = effective_target(source.read(), overrides)
    if target.aws is None or not target.aws.services:
        return (), ""
    try:
        return _ask(target, environment), ""
    except HokusaiError as error:
        return (), str(error)


def _ask(target: Target, environment: Mapping[str, str]) -> tuple[Deployment, ...]:
    from hokusai_validation.probes.deployed import deployed, record, secret_versions
    from hokusai_validation.resources.aws.client import Aws

    assert target.aws is not None
    secrets = Secrets(target, given={name: SecretStr(value) for name, value in environment.items()})
    aws = Aws.from_target(target, secrets)
    try:
        return tuple(record(each, secret_versions(each, aws), None) for each in deployed(aws, target.aws))
    finally:
        aws.close()
