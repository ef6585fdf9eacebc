"""Where AWS's credentials come from, for everything that asks AWS about a target: keys of the target file,
a profile, or boto3's usual chain; and over them a role of the target's account.

Proxies and FIPS endpoints are boto3's own variables (`HTTPS_PROXY`, `NO_PROXY`, `AWS_USE_FIPS_ENDPOINT`):
set once for a process, they hold for each of its clients, the results' bucket too.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, SecretStr

from hokusai_validation.bounds import connections
from hokusai_validation.bounds.connections import Bounds
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Aws

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient
    from botocore.credentials import DeferredRefreshableCredentials, ReadOnlyCredentials
    from botocore.loaders import JSONFileLoader
    from botocore.session import Session as BotocoreSession

# What a target's tests ask.
SERVICES = ("ecs", "elbv2", "rds", "elasticache", "secretsmanager", "s3", "logs", "servicediscovery")
SESSION_NAME = "hokusai-validation"
STS_TIMEOUT_S = 5.0
# Of one attempt at a call. No answer that we ask for comes near the size: AWS's pages end at some MiB.
ATTEMPT_LIMIT_S = 20.0
ANSWER_LIMIT_BYTES = 8 * 1024 * 1024


class Login(BaseModel):
    """Who asks. Without anything here it is boto3's usual chain."""

    model_config = ConfigDict(frozen=True)

    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    session_token: SecretStr | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: SecretStr | None = None

    @classmethod
    def of(cls, aws: Aws, value: Callable[[SecretRef], SecretStr]) -> Self:
        """As the target file says; `value` looks secrets up.

        Raises SecretMissing."""

        def looked_up(ref: SecretRef | None) -> SecretStr | None:
            return None if ref is None else value(ref)

        return cls(
            access_key=looked_up(aws.access_key),
            secret_key=looked_up(aws.secret_key),
            session_token=looked_up(aws.session_token),
            profile=aws.profile,
            role_arn=aws.role_arn,
            external_id=looked_up(aws.external_id),
        )

    def own(self) -> "Login":
        """The same without the role: who we are before we take it."""
        return self.model_copy(update={"role_arn": None, "external_id": None})


def make(login: Login, region: str, endpoint_url: str | None = None) -> "Session":
    """A boto3 session. A role's credentials are fetched with the first call and anew before they end."""
    import boto3

    own = boto3.session.Session(
        botocore_session=_session(),
        region_name=region,
        profile_name=login.profile,
        aws_access_key_id=_text(login.access_key),
        aws_secret_access_key=_text(login.secret_key),
        aws_session_token=_text(login.session_token),
    )
    if login.role_arn is None:
        return own
    taken = _session()
    taken.set_config_variable("region", region)
    # botocore has no public way to give a session credentials that renew themselves.
    taken._credentials = _role(own, login, region, endpoint_url)
    return boto3.session.Session(botocore_session=taken, region_name=region)


def _session() -> "BotocoreSession":
    """One that reads AWS's descriptions of its services once a process, not once a session: a sensor makes a
    session a tick, and to read them takes longer than what it asks."""
    from botocore.session import Session as BotocoreSession

    made = BotocoreSession()
    made.get_component("data_loader").file_loader = _descriptions()
    return made


@cache
def _descriptions() -> "JSONFileLoader":
    from botocore.loaders import JSONFileLoader

    reader = JSONFileLoader()
    reader.load_file = cache(reader.load_file)
    return reader


@cache
def read_ahead() -> None:
    """Read the descriptions of what a target's tests ask, for all processes that are forked from here on."""
    nobody = SecretStr("nobody")
    session = make(Login(access_key=nobody, secret_key=nobody), "us-east-1")
    for service in SERVICES:
        session.client(service)


def bounded(client: "BaseClient") -> Bounds:
    """Let a boto3 client's requests keep bounds; gives these."""
    bounds = Bounds(ATTEMPT_LIMIT_S, ANSWER_LIMIT_BYTES)
    connections.of_botocore(client, bounds)
    return bounds


def _role(
    own: "Session", login: Login, region: str, endpoint_url: str | None
) -> "DeferredRefreshableCredentials":
    from botocore.config import Config
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    def client(service: str, **arguments: str | None) -> "BaseClient":
        made = own.client(
            service,
            region_name=region,
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=STS_TIMEOUT_S,
                read_timeout=STS_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
            **arguments,
        )
        bounded(made)
        return made

    arguments = {"RoleSessionName": SESSION_NAME}
    if login.external_id is not None:
        arguments["ExternalId"] = login.external_id.get_secret_value()
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=client,
        source_credentials=own.get_credentials() or _NoCredentials(),
        role_arn=login.role_arn,
        extra_args=arguments,
    )
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


class _NoCredentials:
    """In place of credentials that boto3 does not find: says so when they are used, not before."""

    def get_frozen_credentials(self) -> "ReadOnlyCredentials":
        from botocore.exceptions import NoCredentialsError

        raise NoCredentialsError


def _text(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
