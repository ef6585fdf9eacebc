"""What MLflow's own client may do on this machine while the target tells it where to go: ask the gateway and
the bucket that the target file names, within a time and a size, and keep artifacts nowhere else."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hokusai_validation.bounds import connections as bounded
from hokusai_validation.bounds.connections import Bounds
from hokusai_validation.errors import AnswerTooLarge, ProtocolViolated
from hokusai_validation.redaction import shown
from hokusai_validation.resources import recording
from hokusai_validation.resources.classification import of_exception
from hokusai_validation.resources.http import ANSWER_LIMIT_BYTES, unpacked
from hokusai_validation.target import Target

if TYPE_CHECKING:
    import requests

REDIRECTS_LIMIT = 5
_PORTS = {"http": 80, "https": 443}


class ClientMisled(Exception):
    """The target told MLflow's client to go or to write where no user's client should."""


@dataclass
class Guard:
    """Of one client. `refused` says what it was told to do and did not; `bounds` counts what its own
    connections carried."""

    gateway: str
    bucket: str | None
    bounds: Bounds
    stand_in_host: str | None = None  # where a stand-in for AWS answers
    refused: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, target: Target) -> "Guard":
        """As the target file says: its gateway, and the bucket of `mlflow.artifact_bucket`."""
        bucket = target.mlflow.artifact_bucket if target.mlflow is not None else None
        stand_in = target.aws.endpoint_url if target.aws is not None else None
        host = urlsplit(stand_in).hostname if stand_in is not None else None
        return cls(target.url or "", bucket, Bounds(target.limits.request_s, ANSWER_LIMIT_BYTES), host)

    def check_url(self, url: str) -> None:
        """Whether it may be asked.

        Raises ClientMisled."""
        try:
            allowed = _origin(url) == _origin(self.gateway) or self._in_bucket(url)
        except ValueError:  # no address at all
            allowed = False
        if not allowed:
            self._refuse(
                f"was sent to {shown(url, 200)}, which is neither the gateway nor the artifact bucket"
            )

    def check_artifacts(self, uri: str) -> None:
        """Whether artifacts may be kept there.

        Raises ClientMisled."""
        parts = urlsplit(uri)
        if parts.scheme == "mlflow-artifacts":
            return
        if parts.scheme == "s3" and parts.netloc == self.bucket:
            return
        if parts.scheme in _PORTS:
            self.check_url(uri)
            return
        self._refuse(
            f"was told to keep artifacts in {shown(uri, 200)}, which is neither MLflow's artifact endpoint"
            " nor the artifact bucket"
        )

    def carried(self) -> tuple[int, int]:
        """The bytes that connections of the client have sent and received so far."""
        return self.bounds.sent.total(), self.bounds.received.total()

    def _refuse(self, what: str) -> None:
        self.refused.append(f"MLflow's client {what}.")
        raise ClientMisled(self.refused[-1])

    def _in_bucket(self, url: str) -> bool:
        """A signed address of the bucket, as AWS writes them, or a stand-in for it."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if self.bucket is not None and host == self.stand_in_host:
            return parts.path.startswith(f"/{self.bucket}/")
        if self.bucket is None or parts.scheme != "https" or not host.endswith(".amazonaws.com"):
            return False
        if host.startswith(f"{self.bucket}.s3."):
            return True
        return host.startswith("s3.") and parts.path.startswith(f"/{self.bucket}/")


@contextlib.contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """In the block every request of this process's `requests` and boto3 keeps to the guard, and MLflow's
    client takes no artifact store that it refuses."""
    import requests
    from botocore.session import Session
    from mlflow.store.artifact.artifact_repository_registry import ArtifactRepositoryRegistry

    adapter = _adapter(guard)
    create_client, repository = Session.create_client, ArtifactRepositoryRegistry.get_artifact_repository

    def bounded_client(self: Any, *arguments: Any, **options: Any) -> Any:
        made = create_client(self, *arguments, **options)
        bounded.within(guard.bounds, made._endpoint.http_session._pool_classes_by_scheme)
        return made

    def checked(self: Any, artifact_uri: str, *arguments: Any, **options: Any) -> Any:
        if not artifact_uri.startswith(("runs:", "models:")):  # they lead to another, which comes here too
            guard.check_artifacts(artifact_uri)
        return repository(self, artifact_uri, *arguments, **options)

    replaced: tuple[tuple[Any, str, Any], ...] = (
        (requests.Session, "get_adapter", lambda self, url: adapter),
        (Session, "create_client", bounded_client),
        (ArtifactRepositoryRegistry, "get_artifact_repository", checked),
    )
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        adapter.close()


def _adapter(guard: Guard) -> Any:
    """What `requests` sends by: each hop of a redirect comes through it."""
    import requests
    from requests.adapters import HTTPAdapter
    from requests.exceptions import ContentDecodingError, TooManyRedirects

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options)
            pools = dict(self.poolmanager.pool_classes_by_scheme)
            bounded.within(guard.bounds, pools)
            self.poolmanager.pool_classes_by_scheme = pools

        def send(self, request: Any, *arguments: Any, **options: Any) -> "requests.Response":
            guard.check_url(str(request.url))
            question = recording.ask_http(
                request.method, request.url, with_key="authorization" in request.headers
            )
            if question.traceparent:
                request.headers.setdefault("traceparent", question.traceparent)
            try:
                answer = super().send(request, *arguments, **options)
                self._unpack(answer, request)
                # Of an artifact that comes in pieces nothing is read here.
                pieces = options.get("stream") and answer.ok
                body = b"" if pieces else answer.content
            except requests.RequestException as error:
                question.failed(of_exception(error))
                raise
            question.answered(answer.status_code, {**answer.headers}, body)
            if answer.is_redirect:
                self._hops += 1
                if self._hops > REDIRECTS_LIMIT:
                    answer.close()
                    raise TooManyRedirects(f"more than {REDIRECTS_LIMIT} redirects", request=request)
            else:
                self._hops = 0
            return answer

        def _unpack(self, answer: "requests.Response", request: Any) -> None:
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                packed = answer.raw.read(decode_content=False)
                try:
                    answer._content = unpacked(packed, guard.bounds.limit_bytes)
                except (AnswerTooLarge, ProtocolViolated) as error:
                    raise ContentDecodingError(str(error), request=request) from None
                answer._content_consumed = True

        _hops = 0

    return Adapter(max_retries=0)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
