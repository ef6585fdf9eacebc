"""Registration of models through the gateway: the nine stages, and what goes beyond one of them."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import expect, has_status
from hokusai_validation.probes.ownership import (
    OLD,
    owned_name,
    remaining,
    remove,
    remove_leftovers,
)
from hokusai_validation.probes.registration import STAGES, Journey
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.mlflow import ARTIFACTS, Mlflow, MlflowRefused, part
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

AT_ONCE = 8
# MLflow itself retries a clash of versions a few times and then answers with a conflict; whoever
# registers at the same time as others tries again.
TRIES = 8
BIG_BYTES = 64 * 1024 * 1024
BIG_LIMIT_S = 60.0
ODD_NAMES = {
    "spaces": "a name with  spaces ",
    "unicode": "modèle-模型-🤖",
    "256_characters": "x" * 256,
    "path_like": "../../etc/passwd",
}
NAME_LIMIT = 256


@pytest.fixture(scope="session")
def gateway(target: Target, secrets: Secrets, resolver: Resolver, registry: HttpClient) -> Iterator[Mlflow]:
    """MLflow's REST API through the gateway, with the good key."""
    assert target.url is not None
    assert target.keys.good is not None
    prefix = target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"
    client = HttpClient(
        target.url,
        tls=target.tls,
        resolver=resolver,
        key=secrets.value(target.keys.good),
        timeout_s=BIG_LIMIT_S,
        limit_bytes=BIG_BYTES + 1,
    )
    with client:
        yield Mlflow(client, prefix=prefix, with_key=True)


@pytest.fixture(scope="module")
def journey(target: Target, secrets: Secrets, resolver: Resolver, gateway: Mlflow) -> Iterator[Journey]:
    """One model on its way."""
    assert target.keys.good is not None
    auth = (
        None
        if target.auth is None
        else HttpClient(target.auth.url, tls=target.tls, resolver=resolver, timeout_s=target.limits.request_s)
    )
    made = Journey(target, secrets.value(target.keys.good), resolver, auth, gateway)
    yield made
    if auth is not None:
        auth.close()


@pytest.fixture
def name() -> str:
    """A name of our own."""
    return owned_name(datetime.now(UTC))


class TestModelRegistration:
    """The nine stages, each a row of its own; one whose predecessor failed is skipped."""

    @pytest.mark.parametrize("stage", STAGES)
    def test_stage(self, journey: Journey, stage: str, evidence: Evidence) -> None:
        journey.go(stage, evidence)


class TestRegistrationLimits:
    """Many at once, odd names, a big artifact, and nothing left behind."""

    def test_concurrent_registrations(self, gateway: Mlflow, name: str, evidence: Evidence) -> None:
        run_id = _run(gateway, name)
        gateway.create_model(name)

        def register(_: int) -> tuple[str, int]:
            for attempt in range(1, TRIES + 1):
                try:
                    return gateway.create_version(name, f"runs:/{run_id}/model", run_id), attempt
                except MlflowRefused as error:
                    if error.code != "RESOURCE_ALREADY_EXISTS" or attempt == TRIES:
                        raise
            raise AssertionError  # not reached

        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(register, range(AT_ONCE)))
        versions = sorted(int(version) for version, _ in outcomes)
        evidence.record("attempts", [attempts for _, attempts in outcomes])
        expect(
            len(set(versions)) == AT_ONCE,
            f"{AT_ONCE} registrations at once got versions {versions}, expected distinct ones.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.TRACKING_SERVER,
        )

    @pytest.mark.parametrize("kind", ODD_NAMES)
    def test_odd_name(self, gateway: Mlflow, name: str, kind: str, evidence: Evidence) -> None:
        odd = f"{name}{ODD_NAMES[kind]}"[:NAME_LIMIT]
        answer = gateway.ask("POST", "/registered-models/create", {"name": odd})
        evidence.answer("create", answer)
        if answer.status == 200:
            listed = [part(model, "name") for model in gateway.search_models(f"name LIKE '{name}%'")]
            expect(
                listed == [odd],
                f"A model named {odd!r} was accepted, and is listed as {listed!r}.",
                evidence,
                FactKind.SCHEMA_MISMATCH,
                Role.TRACKING_SERVER,
            )
            return
        body = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
        expect(
            400 <= answer.status < 500 and isinstance(body, dict) and body.get("error_code"),
            f"The name {odd!r} was neither accepted nor refused cleanly: {answer.status}"
            f" {shown(answer.text, 80)!r}.",
            evidence,
            FactKind.UNEXPECTED_STATUS,
            Role.TRACKING_SERVER,
        )

    def test_big_artifact_survives(self, gateway: Mlflow, name: str, evidence: Evidence) -> None:
        experiment_id = gateway.create_experiment(name)
        run_id = gateway.create_run(experiment_id, _now_ms())
        path = f"{experiment_id}/{run_id}/artifacts/big.bin"
        content = hashlib.shake_128(b"big").digest(BIG_BYTES)
        written = gateway.put_artifact(path, content)
        evidence.metric("write_s", written.elapsed_ms / 1000)
        prefix = gateway.path_prefix
        read = gateway.http.get(f"{prefix}{ARTIFACTS}/{path}", key=True, timeout_s=BIG_LIMIT_S)
        evidence.metric("read_s", read.elapsed_ms / 1000)
        if read.status != 200:  # else its body is big
            has_status(read, 200, evidence, Role.ARTIFACT_STORE)
        digests = [hashlib.sha256(data).hexdigest() for data in (content, read.body)]
        expect(
            digests[0] == digests[1],
            f"An artifact of {BIG_BYTES} bytes came back with {len(read.body)} bytes,"
            f" SHA-256 {digests[1][:12]}… instead of {digests[0][:12]}….",
            evidence,
            FactKind.ARTIFACT_DAMAGED,
            Role.ARTIFACT_STORE,
        )

    def test_clean_up_leaves_nothing(self, gateway: Mlflow, name: str, evidence: Evidence) -> None:
        experiment_id = gateway.create_experiment(name)
        run_id = gateway.create_run(experiment_id, _now_ms())
        path = f"{experiment_id}/{run_id}/artifacts/small.bin"
        gateway.put_artifact(path, b"small")
        gateway.create_model(name)
        gateway.create_version(name, f"runs:/{run_id}/model", run_id)
        removed = remove(gateway, lambda found: found.startswith(name))
        evidence.record("removed", list(removed))
        left = list(remaining(gateway, lambda found: found.startswith(name)))
        artifact = gateway.http.get(f"{gateway.path_prefix}{ARTIFACTS}/{path}", key=True)
        evidence.answer("the artifact afterwards", artifact)
        if artifact.status == 200:
            left.append(f"artifact {path}")
        expect(
            not left and len(removed) == 2,
            f"Clean-up removed {', '.join(removed) or 'nothing'} and left {', '.join(left) or 'nothing'}.",
            evidence,
            FactKind.LEFTOVERS,
            Role.TRACKING_SERVER,
        )

    def test_leftovers_of_killed_runs_removed(self, gateway: Mlflow, evidence: Evidence) -> None:
        now = datetime.now(UTC)
        old = owned_name(now - OLD - timedelta(minutes=1), "killed")
        young = owned_name(now, "running")
        for each in (old, young):
            gateway.create_experiment(each)
            gateway.create_model(each)
        removed = remove_leftovers(gateway, now)
        evidence.record("removed", list(removed))
        left = remaining(gateway, lambda found: found in (old, young))
        expect(
            sorted(left) == [young, young],
            f"Of a killed run's {old} and a running one's {young}, {', '.join(left) or 'nothing'} is"
            " left; expected the running one's model and experiment.",
            evidence,
            FactKind.LEFTOVERS,
            Role.TRACKING_SERVER,
        )


def _run(gateway: Mlflow, name: str) -> str:
    return gateway.create_run(gateway.create_experiment(name), _now_ms())


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
