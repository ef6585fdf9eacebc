"""HTTP as the tests speak it: one base URL, bounded in time and size, errors by kind.

Redirects are answers, not followed. Nothing a target answers can make this wait or grow without
limit: the whole request has a deadline and the body a size.
"""

import json
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from pydantic import JsonValue, SecretStr

from hokusai_validation.bounds.deadline import DeadlineTransport, within
from hokusai_validation.errors import (
    AnswerTooLarge,
    ConnectionRefused,
    ConnectionReset,
    ConnectionsExhausted,
    ConnectTimedOut,
    LoginRefused,
    NameNotResolved,
    ProtocolViolated,
    ReadTimedOut,
    RequestFailed,
    StatementTimedOut,
    TlsFailed,
)
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.redaction import shown
from hokusai_validation.resources import hanging, recording
from hokusai_validation.resources.classification import Classified, of_exception, of_name
from hokusai_validation.resources.names import Resolver
from hokusai_validation.target import Tls

CONNECT_TIMEOUT_S = 5.0
ANSWER_LIMIT_BYTES = 16 * 1024 * 1024

FACT_OF_ERROR: Mapping[type[RequestFailed], FactKind] = {
    NameNotResolved: FactKind.NAME_NOT_RESOLVED,
    ConnectionRefused: FactKind.REFUSED,
    ConnectTimedOut: FactKind.CONNECT_TIMED_OUT,
    ReadTimedOut: FactKind.READ_TIMED_OUT,
    ConnectionReset: FactKind.RESET,
    TlsFailed: FactKind.TLS_FAILED,
    ProtocolViolated: FactKind.PROTOCOL_VIOLATED,
    AnswerTooLarge: FactKind.PROTOCOL_VIOLATED,
    LoginRefused: FactKind.PASSWORD_REFUSED,
    StatementTimedOut: FactKind.READ_TIMED_OUT,
    ConnectionsExhausted: FactKind.POOL_EXHAUSTED,
}


SERVER_ERROR_FROM = 500
_KEY_HEADERS = frozenset({"authorization", "x-api-key"})
_TOO_LARGE = Classified(ErrorClass.TOO_LARGE, Native(system="http", code="length"))
_UNPACKED = Classified(ErrorClass.PROTOCOL, Native(system="http", code="content-encoding"))


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is at most the client's limit; `headers` have lower-case names;
    `observation` is the id under which the answer was recorded, empty where nobody records."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: float
    observation: str = ""

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises ProtocolViolated when it is not."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ProtocolViolated(
                f"{self.method} {self.url} answered {self.status} with a body that is not JSON:"
                f" {shown(self.text, 120)!r}."
            ) from None

    def object(self) -> dict[str, JsonValue]:
        """The body as a JSON object.

        Raises ProtocolViolated when it is anything else."""
        body = self.json()
        if not isinstance(body, dict):
            raise ProtocolViolated(
                f"{self.method} {self.url} answered {self.status} with JSON that is no object:"
                f" {shown(self.text, 120)!r}."
            )
        return body

    def evidence(self, limit: int = 2000) -> dict[str, JsonValue]:
        """What a reader of the report needs of it, as JSON."""
        return {
            "request": f"{self.method} {self.url}",
            "status": self.status,
            "body": shown(self.text, limit),
            "elapsed_ms": round(self.elapsed_ms, 2),
        }


def fact_of(error: RequestFailed, component: str, via: str | None = None) -> Fact:
    """The fact that a failed request is."""
    return Fact(
        kind=FACT_OF_ERROR.get(type(error), FactKind.PROTOCOL_VIOLATED),
        component=component,
        via=via,
        seen=shown(error, 300),
    )


REFUSALS = (401, 403)


class HttpClient:
    """A client for one base URL. `key` is sent as a bearer token where a call asks for it, and where a path
    that begins as one of `open_paths` refuses who comes without: that it asks for a key is one thing, what it
    answers to those who have one another."""

    def __init__(
        self,
        base_url: str,
        *,
        tls: Tls | None = None,
        resolver: Resolver | None = None,
        key: SecretStr | None = None,
        timeout_s: float = 10.0,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
        open_paths: tuple[str, ...] = (),
    ) -> None:
        self._open_paths = open_paths
        self.base_url = base_url.rstrip("/")
        self.timeout_s = timeout_s
        self._key = key
        self._limit_bytes = limit_bytes
        self._resolver = resolver or Resolver()
        self._client = httpx.Client(
            transport=DeadlineTransport(tls_context(tls)), trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def get(
        self,
        path: str,
        *,
        key: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        as_anybody: bool = False,
    ) -> Answer:
        """GET; see `request`. `as_anybody`: without a key, whatever is answered."""
        answer = self.request("GET", path, key=key, headers=headers, timeout_s=timeout_s)
        refused = answer.status in REFUSALS and not key and not headers and self._key is not None
        if refused and not as_anybody and urlsplit(answer.url).path.startswith(self._open_paths):
            again = self.request("GET", path, key=True, timeout_s=timeout_s)
            return answer if again.status in REFUSALS else again
        return answer

    def post(
        self,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        key: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """POST; see `request`."""
        return self.request(
            "POST", path, json=json, content=content, key=key, headers=headers, timeout_s=timeout_s
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        key: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """One request to `path` (or a whole URL); `timeout_s` is for all of it, unless it hung before.

        Raises the leaves of RequestFailed, UnhealthyBefore where the address is known to answer nothing."""
        url = path if "://" in path else self.base_url + path
        whole_s = limit_s = self.timeout_s if timeout_s is None else timeout_s
        sent = dict(headers or {})
        sent.setdefault("accept-encoding", "identity")
        if key and self._key is not None:
            sent["authorization"] = f"Bearer {self._key.get_secret_value()}"
        question = recording.ask_http(method, url, with_key=not _KEY_HEADERS.isdisjoint(map(str.lower, sent)))
        asked = question.asked
        if asked is not None:
            limit_s = hanging.limit_of(asked, limit_s, question.place.dialled)
        if question.traceparent:
            sent.setdefault("traceparent", question.traceparent)
        started = time.perf_counter()
        try:
            response, body = self._send(method, url, limit_s, sent, json=json, content=content)
        except httpx.TransportError as error:
            found = of_exception(error)
            question.failed(found)
            hanging.ended(asked, found.error_class)
            said = (
                ""
                if limit_s == whole_s
                else f" (it hung before in this run, else it would have {whole_s:g} s)"
            )
            raise _failure(found, error, f"{method} {url}", limit_s, said) from None
        except httpx.InvalidURL as error:
            raise ProtocolViolated(f"{method} {url} is not a usable URL: {error}.") from None
        except NameNotResolved as error:
            question.failed(of_name(error.code))
            raise
        except AnswerTooLarge:
            question.failed(_TOO_LARGE)
            raise
        except ProtocolViolated:
            question.failed(_UNPACKED)
            raise
        elapsed_ms = (time.perf_counter() - started) * 1000
        headers = dict(response.headers)
        question.answered(response.status_code, headers, body, elapsed_ms=round(elapsed_ms, 3))
        hanging.ended(asked, None)
        return Answer(method, url, response.status_code, headers, body, elapsed_ms, question.id)

    def _send(
        self,
        method: str,
        url: str,
        limit_s: float,
        sent: dict[str, str],
        *,
        json: object,
        content: bytes | None,
    ) -> tuple[httpx.Response, bytes]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        address = self._resolver.addresses(host)[0]
        extensions: dict[str, Any] = {}
        if address != host:
            sent.setdefault("host", parts.netloc)
            extensions["sni_hostname"] = host
        request = self._client.build_request(
            method,
            httpx.URL(url).copy_with(host=address),
            json=json,
            content=content,
            headers=sent,
            timeout=httpx.Timeout(limit_s, connect=min(limit_s, CONNECT_TIMEOUT_S)),
            extensions=extensions | {"timeout": _timeouts(limit_s)},
        )
        with within(limit_s):
            response = self._client.send(request, stream=True)
            try:
                return response, self._read(response, f"{method} {url}")
            finally:
                response.close()

    def _read(self, response: httpx.Response, call: str) -> bytes:
        """The body, no longer than the limit; a compressed one (nobody asked for it) neither."""
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_raw(64 * 1024):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._limit_bytes:
                chunks.clear()  # a traceback that is kept would keep them
                raise self._too_large(call)
        body = b"".join(chunks)
        chunks.clear()
        if response.headers.get("content-encoding", "identity") not in ("gzip", "deflate"):
            return body
        try:
            return unpacked(body, self._limit_bytes)
        except AnswerTooLarge:
            body = b""
            raise self._too_large(call) from None
        except ProtocolViolated as error:
            raise ProtocolViolated(f"{call} answered {error}") from None

    def _too_large(self, call: str) -> AnswerTooLarge:
        return AnswerTooLarge(f"{call} answered more than {self._limit_bytes} bytes; reading stopped.")


def unpacked(body: bytes, limit_bytes: int) -> bytes:
    """A body of gzip or deflate.

    Raises ProtocolViolated, AnswerTooLarge where it is larger than the limit."""
    try:
        whole = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise ProtocolViolated(f"a body that does not unpack: {error}.") from None
    if len(whole) > limit_bytes:
        whole = b""  # a traceback that is kept would keep it
        raise AnswerTooLarge(f"a body that unpacks to more than {limit_bytes} bytes.")
    return whole


def tls_context(tls: Tls | None) -> ssl.SSLContext:
    """Certificates are always checked: against the system's CAs and the target's. Shared, since
    reading the CAs takes 35 ms; don't change what it gives."""
    file = None if tls is None else tls.ca_file
    # The file's time, so that a CA that was made anew counts.
    return _context(None if file is None else str(file), 0 if file is None else file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _context(ca_file: str | None, _changed_ns: int) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _timeouts(limit_s: float) -> dict[str, float]:
    return {
        "connect": min(limit_s, CONNECT_TIMEOUT_S),
        "read": limit_s,
        "write": limit_s,
        "pool": limit_s,
    }


def _failure(
    found: Classified, error: httpx.TransportError, call: str, limit_s: float, said: str
) -> RequestFailed:
    """The leaf of our tree that a classified error is; `said` tells of a limit that is shorter than usual."""
    kind = found.error_class
    if kind is ErrorClass.CONNECT_TIMEOUT:
        if found.native.system == "errno":
            return ConnectTimedOut(f"{call}: no connection: {error}.")
        return ConnectTimedOut(f"{call}: no connection within {min(limit_s, CONNECT_TIMEOUT_S):g} s.")
    if kind in (ErrorClass.READ_TIMEOUT, ErrorClass.CONNECTIONS_EXHAUSTED):
        return ReadTimedOut(f"{call}: connected, but no answer within {limit_s:g} s{said}.")
    if found.native.system == "openssl":
        return TlsFailed(f"{call}: TLS failed: {error}.")
    if kind is ErrorClass.REFUSED:
        return ConnectionRefused(f"{call}: connection refused.")
    if kind is ErrorClass.CLOSED_EARLY or found.native.code == "disconnected":
        return ConnectionReset(f"{call}: the connection ended before the answer: {error}.")
    if kind is ErrorClass.PROTOCOL:
        return ProtocolViolated(f"{call}: not a valid HTTP answer: {error}.")
    if isinstance(error, httpx.ConnectError):
        return ConnectTimedOut(f"{call}: no connection: {error}.")
    if isinstance(error, httpx.NetworkError):
        return ConnectionReset(f"{call}: the connection broke: {error}.")
    return ProtocolViolated(f"{call}: {error}.")
