"""The way of a model into the registry, stage by stage, as a user goes it: with MLflow's own
client, through the gateway."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hokusai_validation.errors import EarlierFailed, ExpectationUnmet, NotConfigured, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import mlflow_client
from hokusai_validation.probes.contract.check import expect, failure
from hokusai_validation.probes.mlflow_guard import Guard
from hokusai_validation.probes.ownership import owned_name
from hokusai_validation.probes.symptoms import note_symptom
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.mlflow import Mlflow
from hokusai_validation.resources.names import Resolver
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STAGES = (
    "key_validated",
    "bearer_token_accepted",
    "client_initialised",
    "experiment_created",
    "run_logged",
    "metrics_logged",
    "artifact_round_trip",
    "model_registered",
    "version_moved_by_alias",
)
ARTIFACT = bytes(range(256)) * 64
METRICS = {"loss": [0.9, 0.5, 0.25, 0.125], "accuracy": [0.1, 0.5, 0.75, 0.875]}
ALIAS = "candidate"
# Which component a stage is about, where its failure says nothing more exact.
COMPONENT: Mapping[str, Role] = {
    "key_validated": Role.AUTH,
    "bearer_token_accepted": Role.API_GATEWAY,
    "artifact_round_trip": Role.ARTIFACT_STORE,
}


@dataclass
class Journey:
    """One model's way. Stages that succeeded are not gone again; each one's time is kept."""

    target: Target
    key: SecretStr
    resolver: Resolver
    auth: HttpClient | None
    gateway: Mlflow
    name: str = field(default_factory=lambda: owned_name(datetime.now(UTC)))
    times_s: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    values: dict[str, Any] = field(default_factory=dict)
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard.of(self.target)

    def go(self, stage: str, evidence: Evidence) -> None:
        """One stage, those before it where they were not gone yet.

        Skips the test when an earlier one failed; raises ExpectationUnmet and the leaves of
        RequestFailed when the stage itself does."""
        for earlier in STAGES[: STAGES.index(stage)]:
            if earlier in self.failed:
                raise EarlierFailed(f"needs {earlier}")
            if earlier not in self.times_s:
                try:
                    self._do(earlier, Evidence(self.target))
                except (ExpectationUnmet, RequestFailed):
                    raise EarlierFailed(f"needs {earlier}") from None
        self.times_s.pop(stage, None)
        self._do(stage, evidence)
        evidence.metric("stage_s", self.times_s[stage])

    def _do(self, stage: str, evidence: Evidence) -> None:
        started = time.perf_counter()
        try:
            with mlflow_client.environment(self.target, self.key, self.resolver, self.guard):
                act: Callable[[Evidence], None] = getattr(self, f"_{stage}")
                self._guarded(stage, act, evidence)
        except BaseException:
            self.failed.add(stage)
            raise
        self.failed.discard(stage)
        self.times_s[stage] = time.perf_counter() - started

    def _guarded(self, stage: str, act: Callable[[Evidence], None], evidence: Evidence) -> None:
        """MLflow's client raises errors of its own: the target's fault, with what they tell."""
        component = COMPONENT.get(stage, Role.TRACKING_SERVER)
        store = component is Role.ARTIFACT_STORE
        kind = FactKind.ARTIFACT_STORE_FAILED if store else FactKind.PROXY_ERROR
        refused = len(self.guard.refused)
        try:
            act(evidence)
        except RequestFailed as error:
            evidence.failure(error, component, Role.LOAD_BALANCER)
            raise
        except Exception as error:
            if len(self.guard.refused) > refused:  # MLflow's client tells it in words of its own
                said = self.guard.refused[refused]
                evidence.fact(kind, component, said, Role.API_GATEWAY)
                raise ExpectationUnmet(f"Stage {stage} failed: {said}") from error
            if isinstance(error, ExpectationUnmet) or not _of_the_client(error):
                raise
            text = f"{type(error).__name__}: {error}"
            # Without any answer it is the way to the API that failed, not what lies behind it.
            answered = "failed with exception" not in text
            at_fault, via = (component, Role.API_GATEWAY) if answered else (Role.LOAD_BALANCER, None)
            if note_symptom(text, at_fault, evidence, self.target, via=via) is None:
                evidence.fact(kind, component, text, Role.API_GATEWAY)
            raise ExpectationUnmet(f"Stage {stage} failed: {shown(text, 400)}") from error

    @cached_property
    def _client(self) -> "MlflowClient":
        return mlflow_client.new_client(self.target)

    def _attempt(self, what: str) -> int:
        """How many times something was begun: what an attempt that failed half-way wrote stays."""
        count = int(self.values.get(f"attempts at {what}", 0)) + 1
        self.values[f"attempts at {what}"] = count
        return count

    def _new_name(self, what: str) -> str:
        """One for each attempt."""
        return f"{self.name}-{self._attempt(what)}"

    def _key_validated(self, evidence: Evidence) -> None:
        if self.auth is None or self.target.auth is None:
            raise NotConfigured("no auth service configured")
        answer = self.auth.post(
            "/api/v1/keys/validate",
            json={"service_id": self.target.auth.service_id},
            headers={"authorization": f"Bearer {self.key.get_secret_value()}"},
        )
        evidence.answer("validate", answer)
        expect(
            answer.status == 200,
            f"The auth service answered {answer.status} to the good key, expected 200.",
            evidence,
            FactKind.KEY_REFUSED if answer.status == 401 else FactKind.UNEXPECTED_STATUS,
            Role.AUTH,
        )

    def _bearer_token_accepted(self, evidence: Evidence) -> None:
        # MLflow's client makes `Authorization: Bearer` of MLFLOW_TRACKING_TOKEN.
        answer = self.gateway.ask("GET", "/experiments/search?max_results=1")
        evidence.answer("search", answer)
        if answer.status in (401, 403):
            raise failure(
                f"The key as bearer token was answered {answer.status} at the gateway.",
                evidence,
                FactKind.KEY_FORM_REFUSED,
            )
        if answer.status >= 500:
            note_symptom(answer.text, Role.TRACKING_SERVER, evidence, self.target, via=Role.API_GATEWAY)
        expect(
            answer.status == 200,
            f"Experiments through the gateway were answered {answer.status}: {shown(answer.text, 80)!r}.",
            evidence,
            FactKind.PROXY_ERROR,
            via=Role.API_GATEWAY,
        )

    def _client_initialised(self, evidence: Evidence) -> None:
        found = self._client.search_experiments(max_results=1)
        evidence.record("experiments seen", len(found))

    def _experiment_created(self, evidence: Evidence) -> None:
        name = self._new_name("experiment")
        self.values["experiment_id"] = self._client.create_experiment(name)
        seen = self._client.get_experiment(self.values["experiment_id"])
        _same(seen.name, name, "the experiment's name", evidence)

    def _run_logged(self, evidence: Evidence) -> None:
        run = self._client.create_run(self.values["experiment_id"], run_name=self.name)
        self.values["run_id"] = run.info.run_id
        self._client.log_param(run.info.run_id, "layers", 3)
        self._client.set_tag(run.info.run_id, "purpose", "validation")
        seen = self._client.get_run(run.info.run_id).data
        _same((seen.params.get("layers"), seen.tags.get("purpose")), ("3", "validation"), "the run", evidence)

    def _metrics_logged(self, evidence: Evidence) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        attempt = self._attempt("metrics")
        logged = {f"{name}_{attempt}": values for name, values in METRICS.items()}
        batch = [
            Metric(name, value, now + step, step)
            for name, values in logged.items()
            for step, value in enumerate(values)
        ]
        self._client.log_batch(self.values["run_id"], metrics=batch)
        for name, values in logged.items():
            history = self._client.get_metric_history(self.values["run_id"], name)
            seen = [item.value for item in sorted(history, key=lambda item: item.step)]
            _same(seen, values, f"the metric {name}", evidence)

    def _artifact_round_trip(self, evidence: Evidence) -> None:
        run_id = self.values["run_id"]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "weights.bin")
            source.write_bytes(ARTIFACT)
            before = self.guard.carried()
            self._client.log_artifact(run_id, str(source), "model")
            target = Path(folder, "read")
            target.mkdir()
            read = Path(self._client.download_artifacts(run_id, "model/weights.bin", str(target)))
            seen = read.read_bytes()
        sent, received = (now - then for now, then in zip(self.guard.carried(), before, strict=True))
        expect(
            min(sent, received) >= len(ARTIFACT),
            f"An artifact of {len(ARTIFACT)} bytes came back, but MLflow's client sent only {sent} bytes and"
            f" received {received}: it did not travel to the artifact endpoint.",
            evidence,
            FactKind.ARTIFACT_STORE_FAILED,
            Role.ARTIFACT_STORE,
        )
        self._same_bytes(seen, "by MLflow's client", evidence)
        # The client may read from the bucket itself; whoever goes through the gateway must get the same.
        place = self._client.get_run(run_id).info.artifact_uri
        if place.startswith("mlflow-artifacts:"):
            path = f"{place.partition(':')[2].strip('/')}/model/weights.bin"
            self._same_bytes(
                self.gateway.get_artifact(path), "through the gateway", evidence, via=Role.API_GATEWAY
            )

    @staticmethod
    def _same_bytes(seen: bytes, how: str, evidence: Evidence, via: str | None = None) -> None:
        expect(
            seen == ARTIFACT,
            f"An artifact of {len(ARTIFACT)} bytes read {how} came back with {len(seen)} bytes, SHA-256"
            f" {hashlib.sha256(seen).hexdigest()[:12]}… instead of"
            f" {hashlib.sha256(ARTIFACT).hexdigest()[:12]}….",
            evidence,
            FactKind.ARTIFACT_DAMAGED,
            Role.ARTIFACT_STORE,
            via=via,
        )

    def _model_registered(self, evidence: Evidence) -> None:
        model = self._new_name("model")
        self._client.create_registered_model(model)
        self.values["model"] = model
        source = f"runs:/{self.values['run_id']}/model"
        version = self._client.create_model_version(model, source, self.values["run_id"])
        self.values["version"] = str(version.version)
        seen = self._client.get_model_version(model, self.values["version"])
        _same((seen.status, seen.run_id), ("READY", self.values["run_id"]), "the model version", evidence)

    def _version_moved_by_alias(self, evidence: Evidence) -> None:
        model, first = self.values["model"], self.values["version"]
        source = f"runs:/{self.values['run_id']}/model"
        second = str(self._client.create_model_version(model, source, self.values["run_id"]).version)
        for version in (first, second):
            self._client.set_registered_model_alias(model, ALIAS, version)
            seen = str(self._client.get_model_version_by_alias(model, ALIAS).version)
            _same(seen, version, f"the version of alias {ALIAS}", evidence)


def _of_the_client(error: Exception) -> bool:
    """Whether MLflow's client, or the libraries for HTTP and messages under it, raised it."""
    return type(error).__module__.partition(".")[0] in ("mlflow", "requests", "urllib3", "google")


def _same(seen: object, expected: object, what: str, evidence: Evidence) -> None:
    expect(
        seen == expected,
        f"{what[0].upper()}{what[1:]} was read back as {seen!r}, expected {expected!r}.",
        evidence,
        FactKind.SCHEMA_MISMATCH,
        Role.TRACKING_SERVER,
    )
