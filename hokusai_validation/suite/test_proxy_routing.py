"""The gateway's proxy to MLflow: what it passes on, what it makes of MLflow's troubles, what it
keeps to itself."""

import secrets as tokens
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hokusai_validation.errors import NotJudged, NotPermitted, ProtocolViolated
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.baseline import Baseline, in_steady_state
from hokusai_validation.probes.contract.check import expect, has_status
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.ownership import owned_name
from hokusai_validation.probes.states import Scene
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.resources.mlflow import API, Mlflow, artifact_path, part
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.suite.test_communication import DIAGNOSIS, diagnosis_checks
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

SEARCH = f"{API}/experiments/search?max_results=1"
STREAM_BYTES = 3 * 1024 * 1024 + 17
# Pauses, and what is asked after each: more than there are instances, so that some find it used.
PAUSES, PAUSE_S, AFTER_EACH = 4, 1.2, 6
# Looks at the counters: background checks of the instance go over the same link now and then.
LOOKS = 5


def prefix(target: Target) -> str:
    """The proxy's path."""
    return target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"


class TestProxyRouting:
    """`ANY /api/mlflow/{path}` and `/mlflow/{path}`."""

    def test_both_prefixes(self, target: Target, registry: HttpClient, evidence: Evidence) -> None:
        """Both of the proxy's paths lead to MLflow."""
        for each in ("/api/mlflow", "/mlflow"):
            answer = registry.get(f"{each}{SEARCH}", key=True)
            if answer.status == 404:
                evidence.fact(
                    FactKind.WRONG_TARGET_GROUP, Role.LOAD_BALANCER, f"{each}: 404", via=Role.API_GATEWAY
                )
            has_status(answer, 200, evidence, Role.TRACKING_SERVER, via=Role.API_GATEWAY)
            assert "experiments" in answer.text or answer.json() == {}, (
                f"GET {each}{SEARCH} gave no list of experiments: {shown(answer.text, 100)!r}."
            )

    def test_kept_connections_are_used(
        self, target: Target, registry: HttpClient, evidence: Evidence
    ) -> None:
        """Requests with a body are answered after a pause as well as without one: nobody on the way
        uses a connection that the next hop has closed."""
        path = f"{prefix(target)}{API}/experiments/search"
        # What fails without a pause, too, fails for another reason: of the first ones, the last counts, for
        # before those was a pause as well.
        answers = [registry.post(path, json={"max_results": 1}, key=True) for _ in range(AFTER_EACH)]
        has_status(answers[-1], 200, evidence, Role.TRACKING_SERVER, via=Role.API_GATEWAY)
        for _ in range(PAUSES):
            time.sleep(PAUSE_S)
            answers += [registry.post(path, json={"max_results": 1}, key=True) for _ in range(AFTER_EACH)]
        evidence.metric("refused_share", sum(answer.status >= 500 for answer in answers) / len(answers))
        has_status(
            max(answers, key=lambda answer: answer.status),
            200,
            evidence,
            Role.TRACKING_SERVER,
            via=Role.API_GATEWAY,
        )

    def test_unknown_path_is_json(self, target: Target, registry: HttpClient, evidence: Evidence) -> None:
        """MLflow's HTML page for an unknown path comes as JSON with `RESOURCE_NOT_FOUND`."""
        answer = registry.get(f"{prefix(target)}/api/2.0/mlflow/no-such-thing", key=True)
        has_status(answer, 404, evidence, Role.API_GATEWAY)
        try:
            body = answer.json()
        except ProtocolViolated as error:
            evidence.fact(FactKind.PROXY_ERROR, Role.API_GATEWAY, str(error))
            pytest.fail(f"A 404 of MLflow is passed on as it is: {error}")
        expect(
            isinstance(body, dict) and body.get("error_code") == "RESOURCE_NOT_FOUND",
            f"A 404 of MLflow came with error_code {body.get('error_code') if isinstance(body, dict) else None!r},"
            " expected RESOURCE_NOT_FOUND.",
            evidence,
            FactKind.PROXY_ERROR,
        )

    def test_mlflow_down_is_502(self, proxied: Scene, evidence: Evidence) -> None:
        """With MLflow unreachable the proxy answers 502, at once."""
        with proxied.cut(Role.TRACKING_SERVER):
            answer = proxied.proxied()
        evidence.answer("with MLflow unreachable", answer)
        _is_status(answer.status, 502, answer.text, "unreachable", evidence, proxied.name)
        evidence.metric("answered_after_ms", answer.elapsed_ms)

    def test_mlflow_hanging_is_504(self, target: Target, proxied: Scene, evidence: Evidence) -> None:
        """With MLflow hanging the proxy answers 504 at its time-out, not later."""
        with proxied.hanging(Role.TRACKING_SERVER):
            answer = proxied.proxied()
        evidence.answer("with MLflow hanging", answer)
        _is_status(answer.status, 504, answer.text, "hanging", evidence, proxied.name)
        evidence.metric("answered_after_ms", answer.elapsed_ms)
        limit_ms = target.gateway.proxy_timeout_s * 1000 + 1000
        expect(
            answer.elapsed_ms <= limit_ms,
            f"The proxy gave a hanging MLflow up after {answer.elapsed_ms:.0f} ms, promised are"
            f" {target.gateway.proxy_timeout_s:g} s.",
            evidence,
            FactKind.SLOW,
        )

    def test_diagnosis_sees_mlflow_down(self, proxied: Scene, evidence: Evidence) -> None:
        """With MLflow unreachable each of `/api/health/mlflow*` answers 503, and says why."""
        with proxied.cut(Role.TRACKING_SERVER):
            answers = {path: proxied.get(path, key=True) for path in DIAGNOSIS}
        for path, answer in answers.items():
            evidence.answer(path, answer)
            found = diagnosis_checks(answer.json())
            unhealthy = [name for name, check in found.items() if check.get("status") != "healthy"]
            silent = [name for name in unhealthy if not found[name].get("message")]
            expect(
                answer.status == 503 and unhealthy and not silent,
                f"With MLflow unreachable GET {path} of {proxied.name} answered {answer.status} and calls"
                f" {', '.join(unhealthy) or 'nothing'} unhealthy{', without a message' if silent else ''}.",
                evidence,
                FactKind.HEALTH_ANSWER_WRONG,
                via=proxied.name,
            )

    def test_body_is_passed_whole(self, target: Target, secrets: Secrets, evidence: Evidence) -> None:
        """Three mebibytes go up and come down through the proxy unchanged."""
        if not target.permissions.write:
            raise NotPermitted("writing not permitted on this target")
        mlflow = Mlflow.through_gateway(target, secrets)
        try:
            name = owned_name(datetime.now(UTC), "proxy")
            experiment_id = mlflow.create_experiment(name)
            run_id = mlflow.create_run(experiment_id, round(time.time() * 1000))
            uri = str(part(mlflow.run(run_id), "info", "artifact_uri"))
            try:
                root = artifact_path(uri)
            except ProtocolViolated:
                pytest.skip("this deployment's artifacts are not served by MLflow")
            content = tokens.token_bytes(STREAM_BYTES)
            path = f"{root}/whole.bin"
            mlflow.put_artifact(path, content)
            seen = mlflow.get_artifact(path)
            evidence.record("bytes", {"sent": len(content), "came back": len(seen)})
            expect(
                seen == content,
                f"{len(content)} bytes came back through the proxy as {len(seen)} bytes, or changed.",
                evidence,
                FactKind.ARTIFACT_DAMAGED,
                Role.ARTIFACT_STORE,
                via=Role.API_GATEWAY,
            )
        finally:
            mlflow.close()

    def test_callers_key_is_not_forwarded(
        self,
        target: Target,
        instance: ApiInstance,
        links: LinkClient,
        secrets: Secrets,
        relied_on: tuple[str, ...],
        evidence: Evidence,
    ) -> None:
        """However the key is sent, the same bytes go on to MLflow: counted at the link."""
        assert target.keys.good is not None
        Baseline.of((instance,), target, relied_on, evidence)
        key = secrets.value(target.keys.good).get_secret_value()
        ways = {
            "as bearer token": {"authorization": f"Bearer {key}"},
            "as X-API-Key": {"x-api-key": key},
            "as both": {"authorization": f"Bearer {key}", "x-api-key": key},
        }
        edge = f"{instance.name}->{target.named(Role.TRACKING_SERVER)}"
        sent = {
            name: _bytes_to_mlflow(target, instance, links, edge, headers) for name, headers in ways.items()
        }
        evidence.record("bytes sent to MLflow", sent)
        expect(
            len(set(sent.values())) == 1,
            f"What goes on to MLflow depends on how the key is sent ({sent}): the key goes along.",
            evidence,
            FactKind.CALLER_KEY_FORWARDED,
            via=instance.name,
        )


@pytest.fixture
def proxied(
    target: Target,
    instance: ApiInstance,
    links: LinkClient,
    evidence: Evidence,
    relied_on: tuple[str, ...],
    request: pytest.FixtureRequest,
) -> Iterator[Scene]:
    """One instance, left with its breaker CLOSED and its links whole."""
    with in_steady_state(instance, links, target, evidence, relied_on) as scene:
        yield scene.with_injector(request.getfixturevalue("injector"))


def _is_status(status: int, wanted: int, text: str, state: str, evidence: Evidence, via: str) -> None:
    expect(
        status == wanted,
        f"With MLflow {state} the proxy of {via} answered {status}, expected {wanted}: {shown(text, 100)!r}.",
        evidence,
        FactKind.PROXY_ERROR,
        via=via,
    )


def _bytes_to_mlflow(
    target: Target, instance: ApiInstance, links: LinkClient, edge: str, headers: dict[str, str]
) -> int:
    """What one request makes the instance send to MLflow: the least of several looks, since its own
    checks go over the same link.

    Raises NotJudged where the links don't count."""
    counted = []
    for _ in range(LOOKS):
        before = links.state(edge).counters
        answer = instance.client.get(f"{prefix(target)}{SEARCH}", headers=headers)
        after = links.state(edge).counters
        if before is None or after is None:
            raise NotJudged("This target's links don't count bytes, so nothing can be proven.")
        if answer.status == 200:
            counted.append(after.bytes_up - before.bytes_up)
    if not counted:
        raise NotJudged(f"No request through {instance.name} to MLflow was answered well.")
    return min(counted)
