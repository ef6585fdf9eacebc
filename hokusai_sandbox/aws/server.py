"""moto's WSGI application behind ours: only the sandbox's own keys are let in, states act on the
calls, and `/_sandbox/…` is our interface beside AWS's."""

import hmac
import io
import json
import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from pydantic import JsonValue
from werkzeug.serving import BaseWSGIServer, make_server

from hokusai_sandbox.aws import routing
from hokusai_sandbox.aws.observed import measure
from hokusai_sandbox.aws.resources import Resources
from hokusai_sandbox.aws.settings import AwsSettings
from hokusai_sandbox.aws.states import States
from hokusai_sandbox.aws.states_base import StateError
from hokusai_sandbox.plan import BUCKET
from hokusai_sandbox.routing_table import TableEntry

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/[^/]*/([^/]+)/")
LOOPBACK = "127.0.0.1"


class Application:
    """The WSGI application of the AWS process."""

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.resources = Resources(settings)
        self.resources.register()
        self.states = States(self.resources)
        self._scenario()
        self._lock = threading.Lock()

    def _scenario(self) -> None:
        """The states that the sandbox was started with; what is undone is undone back to these."""
        for state in self.settings.states:
            values = dict(state)
            self.states.set(str(values.pop("state")), values)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith("/_sandbox/"):
            return self._own(environ, start_response, path)
        refused = self._refused(environ)
        if refused is not None:
            status, kind, body = refused
            start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
            return [body]
        if self.states.damages_objects and environ["REQUEST_METHOD"] == "GET" and _is_object(path):
            return _damaged(self.moto(environ, _without_checksums(start_response)))
        answer: Iterable[bytes] = self.moto(environ, start_response)
        return answer

    def _refused(self, environ: WSGIEnvironment) -> tuple[str, str, bytes] | None:
        found = _CREDENTIAL.search(str(environ.get("HTTP_AUTHORIZATION", "")))
        if found is None:
            return None  # unsigned: MLflow's health, moto's own pages
        action = _action(environ)
        if not hmac.compare_digest(found.group(1), self.settings.access_key):
            return _error(
                environ, 403, "InvalidClientTokenId", "The security token included in the request is invalid."
            )
        denial = self.states.denied(found.group(2), action)
        if denial is not None:
            return _error(environ, *denial)
        return None

    def _own(self, environ: WSGIEnvironment, start_response: StartResponse, path: str) -> Iterable[bytes]:
        given = str(environ.get("HTTP_AUTHORIZATION", "")).removeprefix("Bearer ")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        answer: Mapping[str, JsonValue] | TableEntry
        if not hmac.compare_digest(given, self.settings.token):
            status, answer = "401 Unauthorized", {"detail": "The sandbox's token is missing or wrong."}
        else:
            try:
                value = json.loads(body) if body.strip() else {}
                status, answer = "200 OK", self._handle(str(environ["REQUEST_METHOD"]), path, value)
            except (StateError, ValueError, KeyError, TypeError) as error:
                status, answer = "400 Bad Request", {"detail": f"{error}"}
        text = json.dumps(answer, default=str).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def _handle(self, method: str, path: str, value: Any) -> Mapping[str, JsonValue] | TableEntry:
        parts = path.strip("/").split("/")[1:]
        with self._lock:
            match method, parts:
                case "GET", ["ready"]:
                    return {"ready": True}
                case "GET", ["routing"]:
                    return routing.table(self.resources)
                case "GET", ["names"]:
                    return {
                        name: list[JsonValue](found) for name, found in routing.names(self.resources).items()
                    }
                case "GET", ["states"]:
                    return self.states.active()
                case "POST", ["states", name]:
                    self.states.set(name, value)
                    return self.states.active()
                case "DELETE", ["states"]:
                    self.states.as_at_start()
                    self._scenario()
                    return self.states.active()
                case "DELETE", ["states", name]:
                    self.states.clear(name)
                    return self.states.active()
                case "POST", ["health"]:
                    self.states.seen_health(value)
                    return {}
                case "POST", ["process"]:
                    self.states.process(**value)
                    return {}
                case _:
                    raise StateError(f"{method} {path} is not known.")


class _Handler(MotoRequestHandler):
    """Without a log line for each request, and without waiting for small packets."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: a run makes thousands of calls."""


def _is_object(path: str) -> bool:
    """Whether it is something in the bucket, and not the bucket itself."""
    return path.startswith(f"/{BUCKET}/") and len(path) > len(BUCKET) + 2


def _without_checksums(start_response: StartResponse) -> StartResponse:
    """As if it had been written damaged: the store itself knows of nothing wrong."""

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith("x-amz-checksum")]
        return start_response(status, kept, *more)

    return start


def _damaged(content: Iterable[bytes]) -> Iterable[bytes]:
    """The same length, one bit of it another."""
    whole = bytearray(b"".join(content))
    if whole:
        whole[len(whole) // 2] ^= 1
    return [bytes(whole)]


def _action(environ: WSGIEnvironment) -> str:
    """The call's name: from the target header (JSON protocols) or the form's `Action`."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return target.rpartition(".")[2]
    if str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        found = re.search(rb"(?:^|&)Action=([A-Za-z0-9]+)", body)
        return found.group(1).decode() if found else ""
    return ""


def _error(environ: WSGIEnvironment, status: int, code: str, message: str) -> tuple[str, str, bytes]:
    """An error in the form that the call's protocol has."""
    line = f"{status} {'Bad Request' if status == 400 else 'Forbidden'}"
    if environ.get("HTTP_X_AMZ_TARGET"):
        body = json.dumps({"__type": code, "message": message}).encode()
        return line, "application/x-amz-json-1.1", body
    text = (
        "<ErrorResponse><Error><Type>Sender</Type>"
        f"<Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>sandbox</RequestId></ErrorResponse>"
    )
    return line, "text/xml", text.encode()


def _measure_forever() -> None:
    """Metrics stay fresh however long the sandbox is up."""
    while True:
        time.sleep(60.0)
        measure(datetime.now(UTC))


def serve(settings: AwsSettings) -> None:
    """Serve until the process ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    threading.Thread(target=_measure_forever, daemon=True).start()
    server: BaseWSGIServer = make_server(
        LOOPBACK, settings.port, Application(settings), threaded=True, request_handler=_Handler
    )
    print(f"aws: ready on {LOOPBACK}:{settings.port} at {time.time():.3f}", flush=True)
    server.serve_forever()
