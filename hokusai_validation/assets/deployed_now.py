"""What is deployed when all rows are in: a deployment in the middle of a run, or since the rows that
are read back, makes them say nothing of what runs now."""

from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import HokusaiError
from hokusai_validation.report import Deployment
from hokusai_validation.resources.secrets import Secrets


def deployed_now(held: EffectiveTarget) -> tuple[tuple[Deployment, ...], str]:
    """The deployments of every component that AWS knows, and why there are none where AWS can't be
    asked (empty where the target has no AWS)."""
    if held.target.aws is None or not held.target.aws.services:
        return (), ""
    try:
        return _ask(held), ""
    except HokusaiError as error:
        return (), str(error)


def _ask(held: EffectiveTarget) -> tuple[Deployment, ...]:
    from hokusai_validation.probes.deployed import deployed, record, secret_versions
    from hokusai_validation.resources.aws.client import Aws

    target = held.target
    assert target.aws is not None
    aws = Aws.from_target(target, Secrets(target, given=held.secrets))
    try:
        return tuple(record(each, secret_versions(each, aws), None) for each in deployed(aws, target.aws))
    finally:
        aws.close()
