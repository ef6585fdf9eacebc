"""The MLflow and proxy checks against an MLflow and a gateway that get one thing wrong."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from hokusai_validation.facts import FactKind as Kind
from hokusai_validation.resources.http import Answer
from hokusai_validation.resources.links import Counters, LinkState
from hokusai_validation.resources.mlflow import Mlflow, MlflowRefused, refused
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Status
from hokusai_validation.suite.test_mlflow import Bench
from hokusai_validation.suite.test_mlflow import TestArtifactStore as ArtifactStore
from hokusai_validation.suite.test_mlflow import TestMlflowHealth as MlflowHealth
from hokusai_validation.suite.test_mlflow import TestRegistry as Registry
from hokusai_validation.suite.test_mlflow import TestTracking as Tracking
from hokusai_validation.suite.test_proxy_routing import TestProxyRouting as ProxyRouting
from hokusai_validation_tests.judging import Judgement, judge
from hokusai_validation_tests.suite_beyond.stub import GOOD_KEY, Reply, Stub

NOT_FOUND = Answer("GET", "http://mlflow", 404, {}, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', 1.0)


@dataclass
class Memory:
    """MLflow in memory, with the calls that the checks make. `wrong` names what it gets wrong."""

    wrong: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    location: str = "mlflow-artifacts:/1"

    def create_run(self, experiment_id: str, _: int, tags: Mapping[str, str] | None = None) -> str:
        name = f"run{len(self.runs)}"
        self.runs[name] = {"status": "RUNNING", "params": {}, "tags": dict(tags or {}), "metrics": []}
        return name

    def log_batch(self, run_id: str, *, metrics: Any = (), params: Any = None, tags: Any = None) -> None:
        run = self.runs[run_id]
        run["metrics"] += list(metrics)[:999] if self.wrong == "drops a metric" else list(metrics)
        run["params"] |= (
            dict(list((params or {}).items())[1:]) if self.wrong == "drops a parameter" else params or {}
        )
        run["tags"] |= tags or {}

    def finish_run(self, run_id: str, _: int) -> None:
        if self.wrong != "never ends a run":
            self.runs[run_id]["status"] = "FINISHED"

    def run(self, run_id: str) -> dict[str, Any]:
        run = self.runs[run_id]
        latest = {each["key"]: each["value"] for each in run["metrics"]}
        pairs = {name: [{"key": k, "value": v} for k, v in run[name].items()] for name in ("params", "tags")}
        metrics = [{"key": key, "value": value} for key, value in latest.items()]
        info = {"status": run["status"], "artifact_uri": f"{self.location}/{run_id}/artifacts"}
        return {"info": info, "data": pairs | {"metrics": metrics}}

    def call(self, method: str, path: str) -> dict[str, Any]:
        if path.startswith("/experiments/get"):
            return {"experiment": {"artifact_location": self.location}}
        run_id = path.partition("run_id=")[2].partition("&")[0]
        return {"metrics": [each for each in self.runs[run_id]["metrics"] if each["key"] == "metric_3"]}

    def search_runs(self, _: str, text: str) -> Iterator[dict[str, Any]]:
        for run_id, run in self.runs.items():
            value = next((each["value"] for each in run["metrics"] if each["key"] == "score"), 0)
            mark = text.partition("'")[2].rstrip("'")
            if self.wrong == "finds everything" or (
                value > 0.5 if "score" in text else run["tags"].get("mark") == mark
            ):
                yield {"info": {"run_id": run_id}}

    def create_model(self, name: str) -> None:
        self.models[name] = {"versions": [], "alias": None}

    def create_version(self, name: str, *_: object) -> str:
        versions = self.models[name]["versions"]
        number = "1" if self.wrong == "same version" else str(len(versions) + 1)
        versions.append(number)
        return number

    def set_alias(self, name: str, _: str, version: str) -> None:
        if self.wrong != "alias stays" or self.models[name]["alias"] is None:
            self.models[name]["alias"] = version

    def version_by_alias(self, name: str, _: str) -> dict[str, Any]:
        return {"version": self.models[name]["alias"]}

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.models[name]["tag"] = {"key": key, "value": "lost" if self.wrong == "loses a tag" else value}

    def version(self, name: str, version: str) -> dict[str, Any]:
        if name not in self.models:
            raise refused(NOT_FOUND)
        return {"tags": [self.models[name]["tag"]]}

    def search_models(self, text: str) -> Iterator[dict[str, Any]]:
        yield from ({"name": name} for name in self.models if f"'{name}'" in text)

    def delete_model(self, name: str) -> None:
        if self.wrong != "keeps a removed model":
            del self.models[name]

    def put_artifact(self, path: str, content: bytes) -> None:
        if self.wrong == "store is down":
            raise refused(Answer("PUT", "http://mlflow", 500, {}, b"{}", 1.0))
        self.artifacts[path] = content[:-1] if self.wrong == "damages" else content

    def get_artifact(self, path: str) -> bytes:
        if path not in self.artifacts:
            raise refused(NOT_FOUND)
        return self.artifacts[path]

    def delete_artifact(self, path: str) -> None:
        del self.artifacts[path]


CHECKS: dict[str, Callable[..., None]] = {
    "run": Tracking().test_run_with_parameters,
    "batch": Tracking().test_thousand_metrics_in_a_batch,
    "search": Tracking().test_search,
    "registry": Registry().test_versions_aliases_and_tags,
    "configured": ArtifactStore().test_configured,
    "artifact": ArtifactStore().test_written_and_read_back,
}


def run(check: str, memory: Memory, stub: Stub, **given: object) -> Judgement:
    bench = Bench(memory, "1", "ours")  # type: ignore[arg-type]
    return judge(CHECKS[check], "mlflow", target=stub.target(), bench=bench, **given)


@pytest.mark.parametrize("check", CHECKS)
def test_passes_on_a_good_mlflow(stub: Stub, check: str) -> None:
    seen = run(check, Memory(), stub)
    assert (seen.status, seen.message, seen.facts) == (Status.PASSED, "", ())


@pytest.mark.parametrize(
    ("check", "wrong", "kind"),
    [
        ("run", "drops a parameter", Kind.SCHEMA_MISMATCH),
        ("run", "never ends a run", Kind.SCHEMA_MISMATCH),
        ("batch", "drops a metric", Kind.SCHEMA_MISMATCH),
        ("search", "finds everything", Kind.SCHEMA_MISMATCH),
        ("registry", "same version", Kind.SCHEMA_MISMATCH),
        ("registry", "alias stays", Kind.SCHEMA_MISMATCH),
        ("registry", "loses a tag", Kind.SCHEMA_MISMATCH),
        ("registry", "keeps a removed model", None),
        ("artifact", "damages", Kind.ARTIFACT_DAMAGED),
        ("artifact", "store is down", Kind.ARTIFACT_STORE_FAILED),
    ],
)
def test_one_thing_wrong_is_red(stub: Stub, check: str, wrong: str, kind: Kind | None) -> None:
    seen = run(check, Memory(wrong), stub)
    assert seen.status is Status.FAILED, seen.message
    assert kind is None or kind in {fact.kind for fact in seen.facts}


def test_artifacts_on_a_tasks_own_disk_are_red(stub: Stub) -> None:
    seen = run("configured", Memory(location="/mlflow/artifacts"), stub)
    assert seen.seen == {(Kind.ARTIFACT_STORE_FAILED, "artifacts")}


def test_an_artifact_in_another_bucket_is_red(stub: Stub) -> None:
    aws = SimpleNamespace(data=SimpleNamespace(object_count=lambda bucket, path: 0))
    target = stub.target(aws={"cluster": "c", "bucket": "ours"})
    bench = Bench(Memory(), "1", "ours")  # type: ignore[arg-type]
    seen = judge(CHECKS["artifact"], "artifacts", target=target, bench=bench, aws=aws)
    assert seen.seen == {(Kind.CONFIGURATION_DIFFERS, "artifacts")}


class TestDirect:
    """MLflow by its own address."""

    @pytest.mark.parametrize(
        ("check", "path", "reply", "kind"),
        [
            (MlflowHealth().test_health, "/health", Reply(503), Kind.UNEXPECTED_STATUS),
            (MlflowHealth().test_reads_its_database, "/api/2.0/mlflow/experiments/search", Reply(500), Kind.UNEXPECTED_STATUS),
            (MlflowHealth().test_reads_its_database, "/api/2.0/mlflow/experiments/search", Reply(200, []), Kind.SCHEMA_MISMATCH),
        ],
    )  # fmt: skip
    def test_a_sick_mlflow_is_red(
        self, stub: Stub, check: Callable[..., None], path: str, reply: Reply, kind: Kind
    ) -> None:
        stub.replies[path] = reply
        seen = judge(check, "mlflow", mlflow=Mlflow(stub.client()))
        assert seen.status is Status.FAILED
        assert (kind, "mlflow") in seen.seen

    def test_refusals_carry_mlflows_own_code(self, stub: Stub) -> None:
        stub.replies["/api/2.0/mlflow/runs/get"] = Reply(
            404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run"}
        )
        with pytest.raises(MlflowRefused, match="404 RESOURCE_DOES_NOT_EXIST: no run") as error:
            Mlflow(stub.client()).run("x")
        assert (error.value.status, error.value.code) == (404, "RESOURCE_DOES_NOT_EXIST")

    def test_pages_are_followed(self, stub: Stub) -> None:
        def models(path: str, _: Mapping[str, str]) -> Reply:
            if "page_token=two" in path:
                return Reply(200, {"registered_models": [{"name": "b"}]})
            return Reply(200, {"registered_models": [{"name": "a"}], "next_page_token": "two"})

        stub.replies["/api/2.0/mlflow/registered-models/search"] = models
        assert [each["name"] for each in Mlflow(stub.client()).search_models()] == ["a", "b"]


class Link:
    """A link's counters; `forwards` says how many bytes a request with these headers sends on."""

    def __init__(self, forwards: Callable[[Mapping[str, str]], int] | None) -> None:
        self.bytes_up = 0
        self.forwards = forwards

    def state(self, edge: str) -> LinkState:
        counters = None if self.forwards is None else Counters(bytes_up=self.bytes_up)
        return LinkState(edge, "a", "b", True, (), counters)

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, key: bool = False) -> Answer:
        if headers is None:
            return Answer("GET", path, 200, {}, b'{"services": {"mlflow": "healthy"}}', 1.0)
        self.bytes_up += self.forwards(headers) if self.forwards else 0
        return Answer("GET", path, 200, {}, b"{}", 1.0)


@contextmanager
def nothing(*_: str) -> Iterator[None]:
    yield


class TestProxy:
    """What the gateway makes of MLflow's troubles, and what it keeps to itself."""

    @pytest.mark.parametrize(
        ("forwards", "red"),
        [
            (lambda headers: 300, False),
            (lambda headers: 300 + sum(len(value) for value in headers.values()), True),
            (lambda headers: 300 + len(headers.get("x-api-key", "")), True),
            (lambda headers: 300 + len(headers.get("authorization", "")), True),
        ],
    )
    def test_a_forwarded_key_is_seen_by_its_bytes(
        self, stub: Stub, forwards: Callable[[Mapping[str, str]], int], red: bool
    ) -> None:
        link, target = Link(forwards), stub.target()
        instance = SimpleNamespace(name="api-1", client=link)
        seen = judge(
            ProxyRouting().test_callers_key_is_not_forwarded,
            target=target,
            instance=instance,
            links=link,
            secrets=Secrets(target),
            relied_on=(),
        )
        assert (seen.status is Status.FAILED) == red
        assert seen.seen == ({(Kind.CALLER_KEY_FORWARDED, "api")} if red else set())
        assert GOOD_KEY not in str(seen.evidence.values)

    def test_links_that_do_not_count_prove_nothing(self, stub: Stub) -> None:
        link, target = Link(None), stub.target()
        instance = SimpleNamespace(name="api-1", client=link)
        seen = judge(
            ProxyRouting().test_callers_key_is_not_forwarded,
            target=target,
            instance=instance,
            links=link,
            secrets=Secrets(target),
            relied_on=(),
        )
        assert seen.status is Status.BROKEN
        assert "don't count" in seen.message

    @pytest.mark.parametrize(
        ("check", "status", "elapsed_ms", "red"),
        [
            (ProxyRouting().test_mlflow_down_is_502, 502, 5, False),
            (ProxyRouting().test_mlflow_down_is_502, 500, 5, True),
            (ProxyRouting().test_mlflow_down_is_502, 503, 5, True),
            (ProxyRouting().test_mlflow_hanging_is_504, 504, 1000, False),
            (ProxyRouting().test_mlflow_hanging_is_504, 504, 9000, True),
            (ProxyRouting().test_mlflow_hanging_is_504, 502, 1000, True),
        ],
    )
    def test_each_trouble_has_its_status(
        self, stub: Stub, check: Callable[..., None], status: int, elapsed_ms: float, red: bool
    ) -> None:
        answer = Answer("GET", "http://api/x", status, {}, b"{}", elapsed_ms)
        scene = SimpleNamespace(name="api-1", cut=nothing, hanging=nothing, proxied=lambda: answer)
        seen = judge(check, target=stub.target(), proxied=scene)
        assert (seen.status is Status.FAILED) == red
        assert bool(seen.seen) == red
