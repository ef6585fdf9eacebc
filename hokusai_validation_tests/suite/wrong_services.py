"""Services behind the gateway that answer wrongly in one place: a proxy in front of the real one,
with a rule for what it alters. Used where the gateway itself is right and a test must be red."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Any

import httpx

from hokusai_validation_tests.http_handler import Handler

HOP = ("connection", "transfer-encoding", "keep-alive", "content-length", "host", "date", "server")


@dataclass(frozen=True)
class Asked:
    """A request on its way."""

    method: str
    path: str
    body: bytes

    def is_for(self, part: str) -> bool:
        """Whether a part stands in the path."""
        return part in self.path

    def json(self) -> dict[str, Any]:
        """Its body."""
        return dict(json.loads(self.body or b"{}"))


@dataclass(frozen=True)
class Given:
    """An answer on its way back."""

    status: int
    body: bytes
    content_type: str = "application/json"

    def changed(self, **fields: Any) -> "Given":
        """With other fields in its JSON."""
        return Given(self.status, json.dumps({**json.loads(self.body), **fields}).encode())


Rule = Callable[[Asked, Callable[[Asked], Given]], Given]
FAILED = Given(500, b'{"error_code": "INTERNAL_ERROR", "message": "wrong on purpose"}')
EMPTY = Given(200, b"{}")


@dataclass(frozen=True)
class WrongService:
    """`service` is the real one behind (`auth` or `mlflow`); `says` what is wrong; `contract` the
    promise that it breaks."""

    service: str
    says: str
    contract: str
    rule: Rule


def _fails(part: str) -> Rule:
    return lambda asked, onward: FAILED if asked.is_for(part) else onward(asked)


def _fails_by_post(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    by_client = asked.method == "POST" and asked.is_for("/experiments/search")
    return FAILED if by_client and asked.json().get("max_results") == 1 else onward(asked)


def _ignored(part: str, method: str) -> Rule:
    """Answered well, and nothing done."""
    return lambda asked, onward: EMPTY if asked.is_for(part) and asked.method == method else onward(asked)


def _says_degraded(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    given = onward(asked)
    return given.changed(status="degraded") if asked.path == "/health" else given


def _knows_every_key(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    if not asked.is_for("/keys/validate"):
        return onward(asked)
    fields = {"user_id": "u", "key_id": "k", "scopes": [], "rate_limit_per_hour": 1_000_000}
    return Given(200, json.dumps({**fields, **asked.json()}).encode())


def _knows_no_key(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    return Given(401, b'{"detail": "unknown"}') if asked.is_for("/keys/validate") else onward(asked)


def _without_scopes(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    given = onward(asked)
    if not asked.is_for("/keys/validate") or given.status != 200:
        return given
    fields = {name: value for name, value in json.loads(given.body).items() if name != "scopes"}
    return Given(200, json.dumps(fields).encode())


def _loses_metrics(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    if asked.is_for("/runs/log-batch"):
        body = asked.json()
        body["metrics"] = body.get("metrics", [])[:-1]
        asked = Asked(asked.method, asked.path, json.dumps(body).encode())
    return onward(asked)


def _one_version_for_all(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    given = onward(asked)
    if not asked.is_for("/model-versions/create") or given.status != 200:
        return given
    version = {**json.loads(given.body)["model_version"], "version": "1"}
    return given.changed(model_version=version)


def _cuts_names(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    given = onward(asked)
    if not asked.is_for("/registered-models/search") or given.status != 200:
        return given
    models = json.loads(given.body).get("registered_models", [])
    return given.changed(registered_models=[{**model, "name": model["name"][:30]} for model in models])


def _breaks_at_odd_names(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    odd = asked.is_for("/registered-models/create") and len(asked.json()["name"]) > 50
    return Given(500, b"<h1>500</h1>", "text/html") if odd else onward(asked)


def _damages_big_ones(asked: Asked, onward: Callable[[Asked], Given]) -> Given:
    given = onward(asked)
    big = asked.method == "GET" and asked.is_for("/mlflow-artifacts/artifacts/") and len(given.body) > 1 << 20
    return Given(given.status, given.body[:-1] + b"\0", given.content_type) if big else given


_STAGES = "The nine stages of model registration through the gateway."
_KEYS = "POST /api/v1/keys/validate: 200 with user_id, key_id, service_id, scopes, rate_limit_per_hour; 401 for an unknown, expired or revoked key."
_CLEAN = "Clean-up leaves nothing behind, and a later run removes what a killed run left."
_NAMES = "Odd names are accepted or refused cleanly."

SERVICES: Mapping[str, WrongService] = {
    "auth_says_degraded": WrongService(
        "auth", "The auth service is not healthy.", "Auth service healthy.", _says_degraded
    ),
    "auth_knows_every_key": WrongService(
        "auth", "The auth service calls every key valid.", _KEYS, _knows_every_key
    ),
    "auth_knows_no_key": WrongService("auth", "The auth service knows no key.", _KEYS, _knows_no_key),
    "auth_without_scopes": WrongService(
        "auth", "A valid key's answer has no scopes.", _KEYS, _without_scopes
    ),
    "mlflow_search_fails": WrongService(
        "mlflow", "Searching experiments fails.", _STAGES, _fails("/experiments/search")
    ),
    "mlflow_client_refused": WrongService(
        "mlflow", "Searching as MLflow's own client does it fails.", _STAGES, _fails_by_post
    ),
    "mlflow_experiment_fails": WrongService(
        "mlflow", "Creating an experiment fails.", _STAGES, _fails("/experiments/create")
    ),
    "mlflow_run_fails": WrongService("mlflow", "Creating a run fails.", _STAGES, _fails("/runs/create")),
    "mlflow_loses_metrics": WrongService(
        "mlflow", "The last metric of a batch is lost.", _STAGES, _loses_metrics
    ),
    "mlflow_model_fails": WrongService(
        "mlflow", "Creating a model version fails.", _STAGES, _fails("/model-versions/create")
    ),
    "mlflow_alias_ignored": WrongService(
        "mlflow", "Setting an alias does nothing.", _STAGES, _ignored("/registered-models/alias", "POST")
    ),
    "mlflow_one_version": WrongService(
        "mlflow",
        "Every registration is told that it is version 1.",
        "Concurrent registrations get distinct versions.",
        _one_version_for_all,
    ),
    "mlflow_cuts_names": WrongService("mlflow", "Names are listed cut short.", _NAMES, _cuts_names),
    "mlflow_breaks_at_odd_names": WrongService(
        "mlflow", "A long name ends in an HTML error page.", _NAMES, _breaks_at_odd_names
    ),
    "mlflow_damages_artifacts": WrongService(
        "mlflow",
        "The last byte of a big artifact is another one.",
        "A 64 MiB artifact survives byte for byte.",
        _damages_big_ones,
    ),
    "mlflow_keeps_models": WrongService(
        "mlflow", "Deleting a model does nothing.", _CLEAN, _ignored("/registered-models/delete", "DELETE")
    ),
    "mlflow_keeps_artifacts": WrongService(
        "mlflow",
        "Deleting an artifact does nothing.",
        _CLEAN,
        _ignored("/mlflow-artifacts/artifacts/", "DELETE"),
    ),
}


@contextmanager
def served(wrong: WrongService, real: str) -> Iterator[str]:
    """The wrong service in front of the real one at `host:port`; its own base URL."""
    client = httpx.Client(base_url=f"http://{real}", timeout=60.0, trust_env=False)

    class Answering(Handler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}

            def onward(asked: Asked) -> Given:
                answer = client.request(asked.method, asked.path, content=asked.body, headers=headers)
                return Given(answer.status_code, answer.content, answer.headers.get("content-type", ""))

            given = wrong.rule(Asked(self.command, self.path, body), onward)
            self.send_response(given.status)
            self.send_header("content-type", given.content_type)
            self.send_header("content-length", str(len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        client.close()
