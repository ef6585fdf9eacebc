"""MLflow: health, tracking, registry, artifact store."""

import secrets as tokens
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from hokusai_validation.errors import HokusaiError, NotPermitted, ProtocolViolated
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import expect, has_status
from hokusai_validation.probes.ownership import owned_name
from hokusai_validation.redaction import shown
from hokusai_validation.resources.mlflow import Mlflow, MlflowRefused, artifact_path, objects, part
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

BATCH = 1000
ARTIFACT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Bench:
    """An experiment of our own at MLflow, by its own address where it has one, else through the
    gateway. Removed at the end."""

    mlflow: Mlflow
    experiment_id: str
    name: str

    def run(self, **tags: str) -> str:
        """A new run's id."""
        return self.mlflow.create_run(self.experiment_id, round(time.time() * 1000), tags)


@pytest.fixture(scope="module")
def bench(target: Target, secrets: Secrets) -> Iterator[Bench]:
    """Where the tests of this file work."""
    if not target.permissions.write:
        raise NotPermitted("writing not permitted on this target")
    direct = target.mlflow is not None and target.mlflow.url is not None
    client = Mlflow.from_target(target, secrets) if direct else Mlflow.through_gateway(target, secrets)
    name = owned_name(datetime.now(UTC), "tracking")
    made = Bench(client, client.create_experiment(name), name)
    yield made
    client.close()


class TestMlflowHealth:
    """MLflow itself."""

    def test_health(self, mlflow: Mlflow, evidence: Evidence) -> None:
        """It answers `/health` by its own address."""
        has_status(mlflow.health(), 200, evidence, Role.TRACKING_SERVER)

    def test_reads_its_database(self, mlflow: Mlflow, evidence: Evidence) -> None:
        """A search of experiments, which its `/health` would not need, is answered."""
        answer = mlflow.ask("POST", "/experiments/search", {"max_results": 1})
        has_status(answer, 200, evidence, Role.TRACKING_SERVER)
        body = answer.json()
        expect(
            isinstance(body, dict) and isinstance(body.get("experiments", []), list),
            f"MLflow's search of experiments gave no list: {shown(answer.text, 100)!r}.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.TRACKING_SERVER,
        )


class TestTracking:
    """Experiments, runs, parameters, metrics, search."""

    def test_run_with_parameters(self, bench: Bench, evidence: Evidence) -> None:
        """A run keeps its parameters, tags and end."""
        run_id = bench.run(purpose="validation")
        params = {f"parameter_{number}": f"value {number} ü" for number in range(20)}
        bench.mlflow.log_batch(run_id, params=params, tags={"note": "a tag"})
        bench.mlflow.finish_run(run_id, round(time.time() * 1000))
        run = bench.mlflow.run(run_id)
        data = part(run, "data")
        seen, tags = _pairs(data, "params"), _pairs(data, "tags")
        evidence.record("run", {"status": part(run, "info", "status"), "params": len(seen)})
        good = seen == params and tags.get("note") == "a tag" and part(run, "info", "status") == "FINISHED"
        expect(
            good,
            f"A run came back otherwise than it was written: {len(seen)} of {len(params)} parameters,"
            f" status {part(run, 'info', 'status')}.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.TRACKING_SERVER,
        )

    def test_thousand_metrics_in_a_batch(self, bench: Bench, evidence: Evidence) -> None:
        """1,000 metric values go in with one call and all come back."""
        run_id = bench.run()
        at = round(time.time() * 1000)
        metrics = [
            {
                "key": f"metric_{number % 10}",
                "value": number / 7,
                "timestamp": at + number,
                "step": number // 10,
            }
            for number in range(BATCH)
        ]
        started = time.monotonic()
        bench.mlflow.log_batch(run_id, metrics=metrics)
        evidence.metric("batch_ms", (time.monotonic() - started) * 1000)
        latest = _pairs(part(bench.mlflow.run(run_id), "data"), "metrics")
        path = f"/metrics/get-history?run_id={run_id}&metric_key=metric_3&max_results=1000"
        history = objects(bench.mlflow.call("GET", path), "metrics")
        evidence.record("seen", {"keys": len(latest), "values of one key": len(history)})
        wanted = {f"metric_{number % 10}": number / 7 for number in range(BATCH)}
        expect(
            len(history) == BATCH // 10
            and latest.keys() == wanted.keys()
            and all(_near(latest[key], wanted[key]) for key in wanted),
            f"Of a batch of {BATCH} metric values not all came back: {len(latest)} of 10 keys,"
            f" {len(history)} of {BATCH // 10} values of one.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.TRACKING_SERVER,
        )

    def test_search(self, bench: Bench, evidence: Evidence) -> None:
        """Runs are found by tag and by metric, and only those that fit."""
        mark = tokens.token_hex(4)
        wanted, other = bench.run(mark=mark), bench.run(mark="another")
        for run_id, value in ((wanted, 0.9), (other, 0.1)):
            metric = {"key": "score", "value": value, "timestamp": round(time.time() * 1000), "step": 0}
            bench.mlflow.log_batch(run_id, metrics=[metric])
        by_tag = [
            part(run, "info", "run_id")
            for run in bench.mlflow.search_runs(bench.experiment_id, f"tags.mark = '{mark}'")
        ]
        by_metric = [
            part(run, "info", "run_id")
            for run in bench.mlflow.search_runs(bench.experiment_id, "metrics.score > 0.5")
        ]
        evidence.record("found", {"by tag": by_tag, "by metric": by_metric, "wanted": wanted})
        expect(
            by_tag == [wanted] and wanted in by_metric and other not in by_metric,
            f"A search of runs found {len(by_tag)} by tag and {len(by_metric)} by metric, one was written.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.TRACKING_SERVER,
        )


class TestRegistry:
    """Registered models: versions, aliases, tags."""

    def test_versions_aliases_and_tags(self, bench: Bench, evidence: Evidence) -> None:
        """Versions count up, an alias moves from one to the next, a tag comes back."""
        mlflow, name = bench.mlflow, f"{bench.name}-registry"
        run_id = bench.run()
        mlflow.create_model(name)
        try:
            versions = [mlflow.create_version(name, f"runs:/{run_id}/model", run_id) for _ in range(2)]
            mlflow.set_alias(name, "champion", versions[0])
            before = part(mlflow.version_by_alias(name, "champion"), "version")
            mlflow.set_alias(name, "champion", versions[1])
            after = part(mlflow.version_by_alias(name, "champion"), "version")
            mlflow.set_version_tag(name, versions[1], "checked", "ja ✓")
            tags = _pairs(mlflow.version(name, versions[1]), "tags")
            found = [part(model, "name") for model in mlflow.search_models(f"name = '{name}'")]
        finally:
            with suppress(HokusaiError):
                mlflow.delete_model(name)
        evidence.record(
            "seen", {"versions": versions, "alias": [before, after], "tags": tags, "found": found}
        )
        expect(
            versions == ["1", "2"]
            and [str(before), str(after)] == versions
            and tags.get("checked") == "ja ✓"
            and found == [name],
            f"The registry gave versions {versions}, alias {before} then {after}, tags {tags}.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.TRACKING_SERVER,
        )
        with pytest.raises(MlflowRefused) as gone:
            mlflow.version(name, "1")
        expect(
            gone.value.status == 404,
            f"A version of a removed model is answered with {gone.value.status}, expected 404.",
            evidence,
            FactKind.LEFTOVERS,
            Role.TRACKING_SERVER,
        )


class TestArtifactStore:
    """Where MLflow puts artifacts."""

    def test_configured(self, target: Target, bench: Bench, evidence: Evidence) -> None:
        """Artifacts go to the bucket or through MLflow to it, not to a task's own disk."""
        found = bench.mlflow.call("GET", f"/experiments/get?experiment_id={bench.experiment_id}")
        location = str(part(found, "experiment", "artifact_location"))
        evidence.record("artifact_location", location)
        scheme = location.partition(":")[0]
        expect(
            scheme in ("mlflow-artifacts", "s3"),
            f"Artifacts of a new experiment go to {location}: lost with the task that wrote them.",
            evidence,
            FactKind.ARTIFACT_STORE_FAILED,
            Role.ARTIFACT_STORE,
        )
        bucket = target.mlflow.artifact_bucket if target.mlflow is not None else None
        expect(
            scheme != "s3" or bucket is None or location.startswith(f"s3://{bucket}/"),
            f"Artifacts of a new experiment go to {location}, not to bucket {bucket}.",
            evidence,
            FactKind.CONFIGURATION_DIFFERS,
            Role.ARTIFACT_STORE,
        )

    def test_written_and_read_back(
        self, target: Target, bench: Bench, evidence: Evidence, request: pytest.FixtureRequest
    ) -> None:
        """An artifact comes back byte for byte, lies in the bucket, and is gone when removed."""
        info = bench.mlflow.run(bench.run())["info"]
        uri = str(part(info, "artifact_uri"))
        try:
            root = artifact_path(uri)
        except ProtocolViolated:
            pytest.skip("this deployment's artifacts are not served by MLflow")
        path, content = f"{root}/validation.bin", tokens.token_bytes(ARTIFACT_BYTES)
        try:
            bench.mlflow.put_artifact(path, content)
            seen = bench.mlflow.get_artifact(path)
        except MlflowRefused as error:
            evidence.fact(
                FactKind.ARTIFACT_STORE_FAILED, Role.ARTIFACT_STORE, str(error), via=Role.TRACKING_SERVER
            )
            pytest.fail(f"The artifact store failed: {error}")
        expect(
            seen == content,
            f"An artifact of {len(content)} bytes came back with {len(seen)} bytes, or changed.",
            evidence,
            FactKind.ARTIFACT_DAMAGED,
            Role.ARTIFACT_STORE,
        )
        bucket = target.aws.bucket if target.aws is not None else None
        if bucket is not None:
            count = request.getfixturevalue("aws").data.object_count(bucket, path)
            expect(
                count == 1,
                f"An artifact that MLflow took does not lie in bucket {bucket} under {path}.",
                evidence,
                FactKind.CONFIGURATION_DIFFERS,
                Role.ARTIFACT_STORE,
            )
        bench.mlflow.delete_artifact(path)
        with pytest.raises(MlflowRefused):
            bench.mlflow.get_artifact(path)


def _pairs(body: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    """Keys and values of a list in an answer."""
    return {str(part(each, "key")): part(each, "value") for each in objects(body, name)}


def _near(seen: JsonValue, wanted: float) -> bool:
    """A number but for rounding."""
    return isinstance(seen, int | float) and abs(seen - wanted) < 1e-9
