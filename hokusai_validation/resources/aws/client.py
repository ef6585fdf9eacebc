"""AWS as the checks see it: read-only, typed, bounded. One object for one account and region.

`aws.ecs`, `aws.balancing`, `aws.discovery` and `aws.data` read; nothing here writes. boto3 is
imported with the first call.
"""

from typing import Self

from hokusai_validation.errors import TargetInvalid
from hokusai_validation.resources.aws.calls import AwsCalls, Observer
from hokusai_validation.resources.aws.data import Data
from hokusai_validation.resources.aws.ecs import Ecs
from hokusai_validation.resources.aws.models import Identity
from hokusai_validation.resources.aws.network import Balancing, Discovery
from hokusai_validation.resources.aws.session import Login
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target


class Aws:
    """The account that a target stands in. Every method raises the leaves of AwsError."""

    def __init__(self, calls: AwsCalls, cluster: str) -> None:
        self.calls = calls
        self.ecs = Ecs(calls, cluster)
        self.balancing = Balancing(calls)
        self.discovery = Discovery(calls)
        self.data = Data(calls)

    @classmethod
    def from_target(cls, target: Target, secrets: Secrets, *, observer: Observer | None = None) -> Self:
        """As `[aws]` of the target file says; without keys there, boto3's usual chain.

        Raises TargetInvalid without that section, SecretMissing."""
        aws = target.aws
        if aws is None:
            raise TargetInvalid(f"Target '{target.name}' has no [aws] section; add one to look into AWS.")
        calls = AwsCalls(
            aws.region,
            endpoint_url=aws.endpoint_url,
            login=Login.of(aws, secrets.value),
            observer=observer,
        )
        return cls(calls, aws.cluster)

    def own_calls(self, region: str | None = None) -> AwsCalls:
        """Calls as ourselves, not in the target's role; to be closed by the caller."""
        return self.calls.own(region)

    def identity(self) -> Identity:
        """Who we are: the one call that needs no permission.

        Raises AwsCredentialsRefused."""
        answer = self.calls.call("sts", "get_caller_identity")
        return Identity(account=str(answer["Account"]), arn=str(answer["Arn"]))

    def close(self) -> None:
        """Close the kept connections."""
        self.calls.close()
