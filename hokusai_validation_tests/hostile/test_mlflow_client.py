"""MLflow's own client against a registry that leads it astray: it writes nowhere, goes nowhere else, waits and
grows within its bounds, and a round trip whose bytes did not travel is none."""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from pydantic import SecretStr

from hokusai_validation.bounds.connections import Bounds
from hokusai_validation.errors import EarlierFailed, ExpectationUnmet, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass, Observation, Outcome
from hokusai_validation.probes.mlflow_guard import ClientMisled, Guard
from hokusai_validation.probes.registration import Journey
from hokusai_validation.resources import recording
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.mlflow import Mlflow
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Endpoints, Limits, Target
from hokusai_validation_tests.hostile.test_client import MEMORY_MB, memory_mb

Answer = tuple[int, dict[str, str], bytes]
LIMIT_S = 2.0


@dataclass
class Registry:
    """What of MLflow the stages up to the artifact ask for. `astray` may answer instead."""

    artifact_uri: str = "mlflow-artifacts:/1/r/artifacts"
    astray: Callable[["Registry", str, str], Answer | None] = lambda *_: None
    asked: list[str] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    name: str = ""
    # Of its own, as a server's are: MLflow's client keeps an artifact store for each in its process.
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        self.asked.append(f"{method} {path}")
        instead = self.astray(self, method, path)
        if instead is not None:
            return instead
        route = path.partition("?")[0].removeprefix("/api/mlflow/api/2.0/")
        if route.startswith("mlflow-artifacts/artifacts/"):
            if method == "PUT":
                self.kept[route] = body
                return self.json({})
            return (200, {}, self.kept[route]) if route in self.kept else (404, {}, b"{}")
        if route == "mlflow-artifacts/artifacts":
            return self.json({"files": []})
        info = {
            "run_id": self.run_id,
            "run_uuid": self.run_id,
            "experiment_id": "1",
            "status": "RUNNING",
            "artifact_uri": self.artifact_uri,
            "lifecycle_stage": "active",
        }
        data = {
            "params": [{"key": "layers", "value": "3"}],
            "tags": [{"key": "purpose", "value": "validation"}],
        }
        if route == "mlflow/experiments/create":
            self.name = json.loads(body)["name"]
        answers: dict[str, object] = {
            "mlflow/experiments/create": {"experiment_id": "1"},
            "mlflow/experiments/get": {"experiment": {"experiment_id": "1", "name": self.name}},
            "mlflow/runs/create": {"run": {"info": info, "data": data}},
            "mlflow/runs/get": {"run": {"info": info, "data": data}},
        }
        return self.json(answers.get(route, {}))

    @staticmethod
    def json(value: object) -> Answer:
        return 200, {"content-type": "application/json"}, json.dumps(value).encode()


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            registry.traces.append(self.headers.get("traceparent"))
            status, headers, content = registry.answer(self.command, self.path, body)
            if status == 0:  # stands for a connection that ends without an answer
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 299:
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.send_header("content-length", "1000000000")
            self.end_headers()
            while not over.is_set():  # 299 stands for a body without end
                self.wfile.write(content)
                over.wait(0 if len(content) > 1 else 0.05)

        do_GET = do_POST = do_PUT = do_DELETE = do

        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    registry.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def journey(registry: Registry) -> Journey:
    target = Target(name="stub", endpoints=Endpoints(registry=registry.url), limits=Limits(request_s=LIMIT_S))
    made = Journey(
        target,
        SecretStr("a-good-key"),
        Resolver(None),
        None,
        Mlflow(HttpClient(registry.url, timeout_s=LIMIT_S), prefix="/api/mlflow"),
    )
    made.times_s |= dict.fromkeys(("key_validated", "bearer_token_accepted", "metrics_logged"), 0.0)
    return made


def test_a_fair_registry_passes() -> None:
    with serving(Registry()) as registry:
        journey(registry).go("artifact_round_trip", Evidence(Target(name="stub")))
        assert len(registry.kept) == 1


def test_what_the_client_asks_is_observed_and_part_of_the_trace() -> None:
    with serving(Registry()) as registry:
        seen = _observed(registry, "artifact_round_trip")
    asked = {item.operation for item in seen}
    assert {"proxy.experiments.create", "proxy.runs.create", "proxy.artifacts.write"} <= asked
    assert {item.outcome for item in seen} == {Outcome.OK}
    assert None not in registry.traces
    # Like answers are kept once.
    assert {item.span_id for item in seen} <= {str(trace).split("-")[2] for trace in registry.traces}


@pytest.mark.parametrize(
    ("answer", "found"), [((0, {}, b""), ErrorClass.RESET), ((500, {}, b"{}"), ErrorClass.SERVER_ERROR)]
)
def test_what_the_client_fails_by_is_observed(answer: Answer, found: ErrorClass) -> None:
    with serving(Registry(astray=lambda *_: answer)) as registry:
        seen = _observed(registry, "client_initialised")
    assert {item.error_class for item in seen} == {found}


def _observed(registry: Registry, stage: str) -> tuple[Observation, ...]:
    going = journey(registry)
    recorder = Recorder(Places(going.target))
    with recording.recording(recorder), contextlib.suppress(ExpectationUnmet, EarlierFailed):
        going.go(stage, Evidence(going.target))
    return recorder.finished(passed=False)


@pytest.mark.parametrize(
    "uri",
    [
        "file://{folder}/taken",
        "{folder}/taken",
        "s3://somebody-elses/x",
        "ftp://127.0.0.1:9/x",
        "dbfs:/x",
        "http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts",
        "mlflow-artifacts://127.0.0.1:9/x",
    ],
)
def test_artifacts_go_to_the_endpoint_or_nowhere(uri: str, tmp_path: Path) -> None:
    with serving(Registry(artifact_uri=uri.format(folder=tmp_path))) as registry:
        evidence = Evidence(Target(name="stub"))
        with pytest.raises(ExpectationUnmet, match="MLflow's client was"):
            journey(registry).go("artifact_round_trip", evidence)
    assert list(tmp_path.iterdir()) == []
    assert (FactKind.ARTIFACT_STORE_FAILED, "artifacts") in {(f.kind, f.component) for f in evidence.facts}


def test_signed_addresses_of_the_named_bucket_alone_are_asked() -> None:
    guard = Guard("https://gateway.example", "ours", Bounds(1.0, 1), "stand-in.example")
    for url in (
        "https://gateway.example/api/mlflow/x",
        "https://ours.s3.amazonaws.com/1/a?X-Amz-Signature=1",
        "https://ours.s3.eu-west-1.amazonaws.com/1/a",
        "https://s3.eu-west-1.amazonaws.com/ours/1/a",
        "http://stand-in.example:9000/ours/1/a",
    ):
        guard.check_url(url)
    for url in (
        "http://gateway.example/",
        "https://gateway.example:8443/",
        "https://gateway.example@elsewhere.example/",
        "https://theirs.s3.amazonaws.com/1/a",
        "https://ours.s3.amazonaws.com.elsewhere.example/1/a",
        "https://s3.eu-west-1.amazonaws.com/theirs/ours/1/a",
        "http://ours.s3.amazonaws.com/1/a",
        "http://stand-in.example:9000/theirs/1/a",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "https://[::1",
    ):
        with pytest.raises(ClientMisled):
            guard.check_url(url)


def test_artifacts_kept_on_the_registrys_word_alone_are_no_round_trip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Bytes that come back without having travelled: kept beside the connection."""
    kept = tmp_path / "weights.bin"
    with serving(Registry()) as registry:
        going = journey(registry)
        going.go("run_logged", Evidence(Target(name="stub")))
        monkeypatch.setattr(
            MlflowClient,
            "log_artifact",
            lambda client, run, file, place: kept.write_bytes(Path(file).read_bytes()),
        )
        monkeypatch.setattr(MlflowClient, "download_artifacts", lambda *_: str(kept))
        with pytest.raises(ExpectationUnmet, match="did not travel to the artifact endpoint"):
            going.go("artifact_round_trip", Evidence(Target(name="stub")))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_elsewhere_is_not_followed(status: int) -> None:
    with serving(Registry()) as elsewhere:

        def astray(_: Registry, method: str, path: str) -> Answer | None:
            return status, {"location": f"{elsewhere.url}{path}"}, b""

        said = r"was sent to .* neither the gateway nor the artifact"
        with serving(Registry(astray=astray)) as registry, pytest.raises(ExpectationUnmet, match=said):
            journey(registry).go("client_initialised", Evidence(Target(name="stub")))
    assert elsewhere.asked == []


def test_a_redirect_within_the_gateway_is_followed_and_ends() -> None:
    def astray(registry: Registry, method: str, path: str) -> Answer | None:
        return 307, {"location": f"{path}"}, b""

    with serving(Registry(astray=astray)) as registry:
        with pytest.raises((ExpectationUnmet, EarlierFailed)):
            journey(registry).go("client_initialised", Evidence(Target(name="stub")))
        assert 1 < len(registry.asked) < 20


@pytest.mark.parametrize("content", [b"x", b"x" * 1_000_000], ids=["dripping", "endless"])
@pytest.mark.parametrize("on", ["experiments/search", "mlflow-artifacts/artifacts/"])
def test_no_answer_makes_the_client_wait_or_grow(content: bytes, on: str) -> None:
    def astray(_: Registry, method: str, path: str) -> Answer | None:
        return (299, {}, content) if on in path and method != "PUT" else None

    with serving(Registry(astray=astray)) as registry:
        going = journey(registry)
        if "artifacts" in on:
            going.go("run_logged", Evidence(Target(name="stub")))
        begun = time.monotonic()
        Path("/proc/self/clear_refs").write_text("5")
        before_mb = memory_mb("VmRSS")
        with pytest.raises((ExpectationUnmet, RequestFailed)):
            going.go(
                "artifact_round_trip" if "artifacts" in on else "client_initialised",
                Evidence(Target(name="stub")),
            )
        # This is about waiting for ever, not about speed.
        assert time.monotonic() - begun < 20 * LIMIT_S
        assert memory_mb("VmHWM") - before_mb < MEMORY_MB
