"""Calls to AWS: one session, short time-outs, bounded retries (throttling among them), every list
followed to its end, and errors by kind. Nothing here knows what a service means."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from hokusai_validation.bounds import deadline
from hokusai_validation.bounds.connections import Bounds
from hokusai_validation.errors import (
    AnswerTooLarge,
    AwsCredentialsRefused,
    AwsError,
    AwsNotFound,
    AwsPermissionMissing,
    AwsThrottled,
    AwsUnavailable,
)
from hokusai_validation.redaction import shown
from hokusai_validation.resources import recording
from hokusai_validation.resources.aws.session import ANSWER_LIMIT_BYTES, Login, bounded, make
from hokusai_validation.resources.classification import of_aws

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
ATTEMPTS = 4
# Of a call with all its attempts, and of a list with all its pages.
CALL_LIMIT_S = 45.0
LIST_LIMIT_S = 120.0
LIST_LIMIT_BYTES = 2 * ANSWER_LIMIT_BYTES
PAGES_LIMIT = 200  # a list longer than that is a loop, not a list

_PERMISSION = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
_CREDENTIALS = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "AuthFailure",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidAccessKeyId",
}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
}
_NOT_FOUND_ENDINGS = ("NotFound", "NotFoundException", "NotFoundFault", "NoSuchBucket", "DoesNotExist")

# IAM calls some services otherwise than boto3 does.
_IAM_SERVICE = {"elbv2": "elasticloadbalancing"}
_IAM_ACTION = {"s3:HeadBucket": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket"}

Observer = Callable[[str], None]
Answered = TypeVar("Answered")


class AwsCalls:
    """Read-only calls of one account and region. Safe to use from several threads.

    `observer` is told the IAM action of each call that is made."""

    def __init__(
        self,
        region: str,
        *,
        endpoint_url: str | None = None,
        login: Login | None = None,
        attempts: int = ATTEMPTS,
        observer: Observer | None = None,
    ) -> None:
        self.region = region
        self._endpoint_url = endpoint_url
        self._login = login or Login()
        self._attempts = attempts
        self._observer = observer
        self._clients: dict[str, BaseClient] = {}
        self._bounds: dict[str, Bounds] = {}
        self._session: Session | None = None
        self._lock = threading.Lock()  # boto3's clients may be shared, making them may not

    def once(self) -> "AwsCalls":
        """The same without retries: for a call that may not be offered at all."""
        return AwsCalls(
            self.region,
            endpoint_url=self._endpoint_url,
            login=self._login,
            attempts=1,
            observer=self._observer,
        )

    def own(self, region: str | None = None) -> "AwsCalls":
        """The same without the target's role: what is ours is asked as ourselves."""
        return AwsCalls(
            region or self.region,
            endpoint_url=self._endpoint_url,
            login=self._login.own(),
            attempts=self._attempts,
            observer=self._observer,
        )

    def client(self, service: str) -> "BaseClient":
        """The boto3 client of a service."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def call(self, service: str, operation: str, /, **arguments: Any) -> Mapping[str, Any]:
        """One call; `operation` as boto3 names it (`describe_services`).

        Raises the leaves of AwsError."""
        client = self._guarded(service, lambda: self.client(service), {})
        action = self._told(client, service, operation)
        answer: Mapping[str, Any] = self._guarded(
            action, lambda: getattr(client, operation)(**arguments), arguments
        )
        return answer

    def pages(self, service: str, operation: str, items: str, /, **arguments: Any) -> Iterator[Any]:
        """Every item under `items` of every page.

        Raises the leaves of AwsError."""
        client = self._guarded(service, lambda: self.client(service), {})
        action = self._told(client, service, operation)
        if not client.can_paginate(operation):
            yield from self._by_token(client, service, operation, items, action, arguments)
            return
        pages = iter(client.get_paginator(operation).paginate(**arguments))
        within = _ListLimits(self._bounds.get(service), f"{action} in {self.region}")
        for _ in range(PAGES_LIMIT):
            page = self._guarded(action, lambda: next(pages, None), arguments, within.left_s())
            if page is None:
                return
            yield from page.get(items, ())
        raise within.too_long(f"more than {PAGES_LIMIT} pages")

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _by_token(
        self,
        client: "BaseClient",
        service: str,
        operation: str,
        items: str,
        action: str,
        arguments: Mapping[str, Any],
    ) -> Iterator[Any]:
        """Lists for which boto3 has no paginator: they all speak of `nextToken` or `NextToken`."""
        token: dict[str, str] = {}
        within = _ListLimits(self._bounds.get(service), f"{action} in {self.region}")
        for _ in range(PAGES_LIMIT):
            following = dict(token)
            page = self._guarded(
                action,
                lambda: getattr(client, operation)(**arguments, **following),  # noqa: B023
                arguments,
                within.left_s(),
            )
            yield from page.get(items, ())
            token = {name: page[name] for name in ("nextToken", "NextToken") if page.get(name)}
            if not token:
                return
        raise within.too_long(f"more than {PAGES_LIMIT} pages")

    def _told(self, client: "BaseClient", service: str, operation: str) -> str:
        api_name = client.meta.method_to_api_mapping[operation]
        action = f"{_IAM_SERVICE.get(service, service)}:{api_name}"
        action = _IAM_ACTION.get(action, action)
        if self._observer is not None:
            self._observer(action)
        return action

    def _make(self, service: str) -> "BaseClient":
        from botocore.config import Config

        if self._session is None:
            self._session = make(self._login, self.region, self._endpoint_url)
        client = self._session.client(
            service,
            endpoint_url=self._endpoint_url,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": self._attempts},
                # Cloud Map's data calls prefix the host, which a stand-in has no name for.
                inject_host_prefix=self._endpoint_url is None,
                # Path style: a stand-in answers on one host, not one for each bucket.
                s3={"addressing_style": "path"} if self._endpoint_url is not None else None,
            ),
        )
        self._bounds[service] = bounded(client)
        return client

    def _guarded(
        self,
        action: str,
        make: Callable[[], Answered],
        arguments: Mapping[str, Any],
        limit_s: float | None = None,
    ) -> Answered:
        """Run one call within its time, and name what goes wrong.

        Raises the leaves of AwsError."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            CredentialRetrievalError,
            NoCredentialsError,
            PartialCredentialsError,
            ProfileNotFound,
            TokenRetrievalError,
        )
        from botocore.parsers import ResponseParserError

        # Making a client asks nobody, unless its credentials are to be fetched first.
        question = recording.ask_aws(action if ":" in action else "sts:AssumeRole", arguments)
        try:
            with deadline.within(CALL_LIMIT_S if limit_s is None else limit_s):
                answer = make()
        except ClientError as error:
            question.failed(of_aws(error))
            if error.operation_name == "AssumeRole":
                raise AwsCredentialsRefused(_role_refused(self._login, error.response)) from None
            raise named(error.response, action, self.region) from None
        except (
            NoCredentialsError,
            PartialCredentialsError,
            CredentialRetrievalError,
            ProfileNotFound,
            TokenRetrievalError,
        ) as error:
            question.failed(of_aws(error))
            raise AwsCredentialsRefused(
                f"{action} could not be asked: {error}. Give AWS credentials that boto3 finds"
                " (environment, profile, role)."
            ) from None
        except BotoCoreError as error:
            question.failed(of_aws(error))
            inner = error.kwargs.get("error")
            if isinstance(inner, AnswerTooLarge):
                raise AwsUnavailable(f"{action} in {self.region}: {inner}") from None
            raise AwsUnavailable(f"{action} in {self.region} got no answer: {error}.") from None
        # A proxy's page, say; of botocore's errors it is none. What JSON of a strange form makes of
        # botocore's parsers is none of anybody's.
        except (
            ResponseParserError,
            TypeError,
            AttributeError,
            LookupError,
            ValueError,
            RecursionError,
        ) as error:
            question.failed(of_aws(error))
            raise AwsUnavailable(f"{action} in {self.region} got an answer that AWS does not give.") from None
        if ":" in action:
            question.ok()
        return answer


class _ListLimits:
    """The time and the size that a list's pages may take together."""

    def __init__(self, bounds: Bounds | None, what: str) -> None:
        self._bounds = bounds
        self._what = what
        self._until = time.monotonic() + LIST_LIMIT_S
        self._before_bytes = self._received_bytes()

    def left_s(self) -> float:
        """For the next page.

        Raises AwsUnavailable when nothing is left."""
        if self._received_bytes() - self._before_bytes > LIST_LIMIT_BYTES:
            raise self.too_long(f"more than {LIST_LIMIT_BYTES} bytes")
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise self.too_long(f"no end within {LIST_LIMIT_S:g} s")
        return min(left_s, CALL_LIMIT_S)

    def too_long(self, seen: str) -> AwsUnavailable:
        """What to raise then."""
        return AwsUnavailable(f"{self._what} gave {seen}; stopped there.")

    def _received_bytes(self) -> int:
        return 0 if self._bounds is None else self._bounds.received.total()


def _role_refused(login: Login, response: Mapping[str, Any]) -> str:
    """An external id is not repeated here: whoever reads a report need not know it."""
    code = response.get("Error", {}).get("Code", "unknown")
    return (
        f"Role {login.role_arn} could not be taken ({code}): its trust policy must name who we are, and the"
        " external id of `aws.external_id` where it asks for one."
    )


def named(response: Mapping[str, Any], action: str, region: str) -> AwsError:
    """An error answer of AWS as ours."""
    details = response.get("Error", {})
    code = str(details.get("Code", "unknown"))
    message = shown(details.get("Message", ""), 200)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    where = f"{action} in {region}"
    # A HEAD has no body: its code is the bare status.
    if code in _PERMISSION or code == "403":
        return AwsPermissionMissing(
            f"{where} is not allowed: the credentials miss the permission {action}.", action
        )
    if code in _CREDENTIALS:
        return AwsCredentialsRefused(f"{where}: AWS does not accept the credentials ({code}). Renew them.")
    if code in _THROTTLED:
        return AwsThrottled(f"{where} was still throttled after all retries ({code}). Try again later.")
    if code == "404" or code.endswith(_NOT_FOUND_ENDINGS):
        return AwsNotFound(f"{where}: not there ({code}): {message}")
    if status >= 500:
        return AwsUnavailable(f"{where} failed on AWS's side after all retries ({status} {code}): {message}")
    return AwsError(f"{where} was refused ({code}): {message}")
