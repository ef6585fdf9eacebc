"""I1–I23: the health endpoints over HTTP, their states brought about by real faults."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hokusai_validation.errors import RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.answers import (
    DetailedHealth,
    Health,
    Live,
    MlflowHealth,
    MlflowHealthBroken,
    MlflowHealthOpen,
    PlainMetrics,
    Ready,
    Refusal,
    Reset,
    ServiceStatus,
    Version,
)
from hokusai_validation.probes.contract.check import conforms, expect, has_status
from hokusai_validation.probes.contract.overall import overall
from hokusai_validation.probes.health_states import (
    DATABASE_CHECK,
    MLFLOW_CHECK,
    await_ready,
    gauges_show,
    not_passed,
    note_checks,
    note_mlflow_error,
    ready_check,
    says,
    says_overall,
)
from hokusai_validation.probes.states import SLACK_S, Scene, note_services
from hokusai_validation.probes.symptoms import TIMED_OUT, note_symptom, symptom
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import REFUSALS, HttpClient
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

COMMIT = re.compile(r"^[0-9a-f]{7,40}$")
LIVE_PROBES = 20
UPTIME_LIMIT_S = 2.0


@pytest.fixture
def one(target: Target, registry: HttpClient, request: pytest.FixtureRequest) -> HttpClient:
    """For answers that must agree with each other: one instance, where the target lists any."""
    if target.instances:
        client: HttpClient = request.getfixturevalue("instance").client
        return client
    return registry


@pytest.fixture
def every(target: Target, registry: HttpClient, request: pytest.FixtureRequest) -> dict[str, HttpClient]:
    """The load balancer's address, and each instance's own."""
    found: dict[str, HttpClient] = {Role.LOAD_BALANCER: registry}
    if target.instances:
        found |= {each.name: each.client for each in request.getfixturevalue("instances")}
    return found


class TestHealthEndpointIntegration:
    """I1–I20: each endpoint, in each state that it must tell."""

    def test_health_check_all_services_healthy(
        self, every: dict[str, HttpClient], target: Target, evidence: Evidence
    ) -> None:
        for name, client in every.items():
            try:
                answer = client.get("/health")
            except RequestFailed as error:
                evidence.failure(error, name if name == Role.LOAD_BALANCER else Role.API_GATEWAY, name)
                raise
            health = conforms(answer, Health, evidence, via=name)
            if health.status != "healthy":
                said_by = Role.API_GATEWAY if name == Role.LOAD_BALANCER else name
                detailed = client.get("/health?detailed=true").object()
                note_services(health, detailed, evidence, target, via=said_by)
            unwell = {
                word_for(k): v
                for k, v in health.services.states().items()
                if v not in ("healthy", "disabled")
            }
            assert not unwell, f"/health of {name} says {health.status}: {unwell}."

    def test_health_check_with_detailed_info(
        self, one: HttpClient, target: Target, evidence: Evidence
    ) -> None:
        one.get("/health/mlflow")  # so that a response time was measured
        answer = one.get("/health?detailed=true")
        health = conforms(answer, DetailedHealth, evidence)
        details = health.mlflow_details
        if details.response_time_ms is None:
            note_symptom(
                health.error_of(Role.TRACKING_SERVER),
                Role.TRACKING_SERVER,
                evidence,
                target,
                via=Role.API_GATEWAY,
            )
        expect(
            details.response_time_ms is not None and details.response_time_ms > 0,
            f"`mlflow_details.response_time_ms` is {details.response_time_ms}, expected more than 0.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )

    def test_health_check_mlflow_circuit_breaker_open(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            health = scene.detailed()
            says(health, Role.TRACKING_SERVER, ("degraded",), "degraded", scene, "OPEN")
            details = health.mlflow_details
            expect(
                details.circuit_breaker.state == "OPEN" and details.degradation_reason,
                f"OPEN, and `mlflow_details` gives breaker {details.circuit_breaker.state} and reason"
                f" {details.degradation_reason!r}.",
                evidence,
                FactKind.SCHEMA_MISMATCH,
                via=scene.name,
            )

    def test_health_check_mlflow_circuit_breaker_half_open(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
        scene.half_open_breaker()
        health = scene.detailed()
        says(health, Role.TRACKING_SERVER, ("recovering",), "degraded", scene, "HALF_OPEN")
        expect(
            health.mlflow_details.degradation_reason,
            "HALF_OPEN, and `mlflow_details` gives no reason.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            via=scene.name,
        )

    def test_health_check_multiple_services_unhealthy(
        self, scene: Scene, target: Target, evidence: Evidence
    ) -> None:
        before = scene.services()
        deployed = [name for name in (Role.CACHE, Role.QUEUE) if before[name] == "healthy"]
        with scene.cut(Role.TRACKING_SERVER, Role.DATABASE, *deployed):
            scene.open_breaker()
            wanted: dict[str, tuple[str, ...]] = {Role.TRACKING_SERVER: ("degraded", "unhealthy")}
            wanted |= dict.fromkeys((Role.DATABASE, *deployed), ("unhealthy",))
            health = scene.await_health(
                lambda seen: all(seen.services.states()[name] in ok for name, ok in wanted.items()),
                f"{scene.names(wanted)} unhealthy",
            )
            says_overall(health, "unhealthy", scene)
            detailed = scene.detailed()
            unnamed = [name for name in (Role.DATABASE, *deployed) if not detailed.error_of(name)]
            expect(
                not unnamed,
                f"{scene.names(unnamed)} unhealthy, and no `<name>_error` says why.",
                evidence,
                FactKind.SCHEMA_MISMATCH,
                via=scene.name,
            )

    def test_readiness_check_all_ready(self, one: HttpClient, target: Target, evidence: Evidence) -> None:
        answer = one.get("/ready")
        if answer.status == 503:
            note_checks(answer, target, evidence)
        ready = conforms(answer, Ready, evidence)
        if not ready.ready:
            note_checks(answer, target, evidence)
        expect(
            ready.ready and ready.can_serve_traffic and not ready.degraded_mode,
            f"/ready says ready {ready.ready}, can serve {ready.can_serve_traffic}, degraded mode"
            f" {ready.degraded_mode}; not passed: {', '.join(not_passed(ready)) or 'none'}.",
            evidence,
            FactKind.UNEXPECTED_STATUS,
        )
        ready_check(ready, DATABASE_CHECK, evidence, passed=True, critical=True)

    def test_readiness_check_database_down(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.DATABASE):
            answer = await_ready(scene, 503)
            ready = conforms(answer, Ready, evidence, status=503, via=scene.name)
            expect(
                not ready.ready and not ready.can_serve_traffic and not ready.degraded_mode,
                "postgres is cut off, and /ready says"
                f" ready {ready.ready}, can serve {ready.can_serve_traffic}, degraded {ready.degraded_mode}.",
                evidence,
                FactKind.HEALTH_ANSWER_WRONG,
                via=scene.name,
            )
            check = ready_check(ready, DATABASE_CHECK, evidence, passed=False, critical=True)
            expect(check.error, "The database check gives no error.", evidence, FactKind.SCHEMA_MISMATCH)

    def test_readiness_check_mlflow_circuit_breaker_open(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            ready = conforms(scene.get("/ready"), Ready, evidence, via=scene.name)
            expect(
                not ready.ready and ready.can_serve_traffic and ready.degraded_mode,
                f"OPEN, and /ready says ready {ready.ready}, can serve {ready.can_serve_traffic},"
                f" degraded mode {ready.degraded_mode}; expected not ready, serving, degraded.",
                evidence,
                FactKind.HEALTH_ANSWER_WRONG,
                via=scene.name,
            )
            ready_check(ready, MLFLOW_CHECK, evidence, passed=False, critical=False)

    def test_readiness_check_mlflow_half_open(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
        scene.half_open_breaker()
        ready = conforms(scene.get("/ready"), Ready, evidence, via=scene.name)
        check = ready_check(ready, MLFLOW_CHECK, evidence, passed=True, critical=False)
        expect(
            (ready.ready or overall(scene.before) != "healthy") and check.recovering,
            f"HALF_OPEN, and /ready says ready {ready.ready}, mlflow recovering {check.recovering}.",
            evidence,
            FactKind.HEALTH_ANSWER_WRONG,
            via=scene.name,
        )

    def test_liveness_check(self, one: HttpClient, evidence: Evidence) -> None:
        first = conforms(one.get("/live"), Live, evidence)
        expect(
            first.memory_usage_mb > 0,
            f"`memory_usage_mb` is {first.memory_usage_mb}, expected more than 0.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )
        deadline = time.monotonic() + UPTIME_LIMIT_S
        later = conforms(one.get("/live"), Live, evidence)
        while later.uptime <= first.uptime and time.monotonic() < deadline:
            time.sleep(0.05)
            later = conforms(one.get("/live"), Live, evidence)
        expect(
            later.uptime > first.uptime,
            f"`uptime` does not grow: {first.uptime}, then {later.uptime}.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )

    def test_liveness_check_without_psutil(self, steady_instance: Scene, evidence: Evidence) -> None:
        with steady_instance.failpoint("psutil_missing"):
            live = conforms(steady_instance.get("/live"), Live, evidence, via=steady_instance.name)
            expect(
                live.memory_usage_mb == 0,
                f"Memory can't be measured, and `memory_usage_mb` is {live.memory_usage_mb}, expected 0.",
                evidence,
                FactKind.SCHEMA_MISMATCH,
            )

    def test_version_info(self, one: HttpClient, target: Target, evidence: Evidence) -> None:
        version = conforms(one.get("/version"), Version, evidence)
        expect(
            COMMIT.match(version.git_commit),
            f"`git_commit` is {version.git_commit!r}, which is no commit.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )
        expected = target.expected_commit
        expect(
            expected is None
            or version.git_commit.startswith(expected)
            or expected.startswith(version.git_commit),
            f"Commit {version.git_commit} is deployed, expected {expected}.",
            evidence,
            FactKind.COMMIT_UNEXPECTED,
        )

    def test_mlflow_health_check_healthy(
        self, registry: HttpClient, target: Target, evidence: Evidence
    ) -> None:
        answer = registry.get("/health/mlflow")
        if answer.status == 503:
            note_mlflow_error(answer, evidence, target)
            evidence.fact(FactKind.BREAKER_STUCK_OPEN, Role.API_GATEWAY, f"503: {shown(answer.text, 120)}")
        seen = conforms(answer, MlflowHealth, evidence)
        if not seen.connected:
            note_mlflow_error(answer, evidence, target)
        expect(
            seen.connected and seen.circuit_breaker_state == "CLOSED" and not seen.error,
            f"/health/mlflow says connected {seen.connected}, breaker {seen.circuit_breaker_state},"
            f" error {seen.error!r}.",
            evidence,
            FactKind.SERVICE_UNHEALTHY,
            Role.TRACKING_SERVER,
            via=Role.API_GATEWAY,
        )
        expect(
            seen.response_time_ms is not None and seen.response_time_ms > 0,
            f"`response_time_ms` is {seen.response_time_ms}, expected more than 0.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )

    def test_mlflow_health_check_circuit_breaker_open(
        self, scene: Scene, target: Target, evidence: Evidence
    ) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            seen = conforms(scene.counted(), MlflowHealthOpen, evidence, status=503, via=scene.name)
            wait_s = target.gateway.breaker_recovery_timeout_s
            expect(
                0 < seen.can_retry_in_seconds <= wait_s,
                f"`can_retry_in_seconds` is {seen.can_retry_in_seconds:g}, not within the wait of {wait_s:g} s.",
                evidence,
                FactKind.BREAKER_CONTRACT,
                via=scene.name,
            )

    def test_mlflow_health_check_exception(self, steady_instance: Scene, evidence: Evidence) -> None:
        with steady_instance.failpoint("mlflow_check_breaks"):
            answer = steady_instance.counted()
            conforms(answer, MlflowHealthBroken, evidence, status=500, via=steady_instance.name)

    def test_reset_mlflow_circuit_breaker(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            without = scene.reset(key=False)
            evidence.answer("reset without a key", without)
            expect(
                without.status == 401,
                f"A reset without a key was answered {without.status}, expected 401.",
                evidence,
                FactKind.RESET_WITHOUT_KEY if without.status < 400 else FactKind.UNEXPECTED_STATUS,
                via=scene.name,
            )
            conforms(without, Refusal, evidence, status=401, via=scene.name)
            scene.expect_breaker("OPEN", "after a reset that was refused")
            conforms(scene.reset(), Reset, evidence, via=scene.name)
            scene.expect_breaker("CLOSED", "after a reset with a key")

    def test_reset_mlflow_circuit_breaker_exception(self, steady_instance: Scene, evidence: Evidence) -> None:
        with steady_instance.failpoint("reset_fails"):
            conforms(steady_instance.reset(), Refusal, evidence, status=500, via=steady_instance.name)

    def test_detailed_service_status(self, one: HttpClient, target: Target, evidence: Evidence) -> None:
        status = conforms(one.get("/health/status"), ServiceStatus, evidence)
        health = conforms(one.get("/health"), Health, evidence)
        mlflow = one.get("/health/mlflow")
        evidence.answer("GET /health/mlflow", mlflow)
        pairs = {
            "overall_health and /health's status": (status.overall_health, health.status),
            "services and /health's": (status.services.states(), health.services.states()),
            "mlflow.status and /health's": (status.mlflow.status, health.services.mlflow),
            "mlflow.circuit_breaker and /health/mlflow's": (
                status.mlflow.circuit_breaker.state,
                mlflow.object().get("circuit_breaker_state"),
            ),
        }
        differs = [f"{what}: {one} and {other}" for what, (one, other) in pairs.items() if one != other]
        expect(
            not differs,
            f"/health/status does not agree: {'; '.join(differs)}.",
            evidence,
            FactKind.HEALTH_ANSWER_WRONG,
        )

    def test_metrics_endpoint_with_prometheus(self, scene: Scene, evidence: Evidence) -> None:
        has_status(scene.counted(), 200, evidence, Role.TRACKING_SERVER, via=scene.name)
        gauges_show(scene, evidence, connected=1, state=0, when="CLOSED")
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            gauges_show(scene, evidence, connected=0, state=2, when="OPEN")

    def test_metrics_endpoint_fallback(self, steady_instance: Scene, evidence: Evidence) -> None:
        with steady_instance.failpoint("prometheus_missing"):
            conforms(steady_instance.get("/metrics"), PlainMetrics, evidence, via=steady_instance.name)


class TestHealthEndpointScenarios:
    """I21–I23: several states, one after the other."""

    def test_gradual_service_degradation(self, scene: Scene, evidence: Evidence) -> None:
        before = scene.health()
        says_overall(before, overall(before.services.states()), scene)
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            says(scene.health(), Role.TRACKING_SERVER, ("degraded",), "degraded", scene, "MLflow cut off")
            with scene.cut(Role.DATABASE):
                health = scene.await_health(
                    lambda seen: seen.services.postgres == "unhealthy", "postgres unhealthy"
                )
                says_overall(health, "unhealthy", scene)

    def test_service_recovery_sequence(self, scene: Scene, target: Target, evidence: Evidence) -> None:
        limit_s = target.limits.recovery_s
        before = scene.health()
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
            with scene.cut(Role.DATABASE):
                scene.await_health(lambda seen: seen.status == "unhealthy", "unhealthy")
            started = time.monotonic()
            health = scene.await_health(
                lambda seen: seen.services.postgres == "healthy",
                "postgres healthy again",
                limit_s=limit_s,
                part=Role.DATABASE,
            )
            evidence.metric("postgres_recovery_s", time.monotonic() - started)
            says_overall(health, "degraded", scene)
        started = time.monotonic()
        scene.half_open_breaker()
        says(
            scene.health(), Role.TRACKING_SERVER, ("recovering",), "degraded", scene, "MLflow's link restored"
        )
        has_status(scene.counted(), 200, evidence, Role.TRACKING_SERVER, via=scene.name)
        health = scene.await_health(lambda seen: seen.status == before.status, before.status, limit_s=limit_s)
        evidence.metric("mlflow_recovery_s", time.monotonic() - started)
        scene.expect_breaker("CLOSED", "after two good calls")

    def test_timeout_handling(self, scene: Scene, target: Target, evidence: Evidence) -> None:
        before = scene.services()
        hanging = [name for name in (Role.CACHE, Role.DATABASE) if before[name] == "healthy"]
        limit_s = target.gateway.health_timeout_s
        with scene.hanging(Role.TRACKING_SERVER, *hanging), ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(_quietly, scene.counted), pool.submit(_quietly, scene.proxied)]
            health = pool.submit(scene.instance.client.get, "/health", timeout_s=limit_s + SLACK_S)
            times = [_live_ms(scene, evidence) for _ in range(LIVE_PROBES)]
            evidence.metric("live_p99_ms", max(times))
            expect(
                max(times) < target.limits.live_p99_ms,
                f"With {scene.names([Role.TRACKING_SERVER, *hanging])} hanging, /live took {max(times):.0f} ms, limit"
                f" {target.limits.live_p99_ms:g} ms.",
                evidence,
                FactKind.EVENT_LOOP_BLOCKED,
                via=scene.name,
            )
            answer = health.result()
            evidence.metric("health_ms", answer.elapsed_ms)
            expect(
                answer.elapsed_ms <= limit_s * 1000,
                f"With {scene.names([Role.TRACKING_SERVER, *hanging])} hanging, /health took {answer.elapsed_ms:.0f} ms,"
                f" limit {limit_s * 1000:g} ms.",
                evidence,
                FactKind.EVENT_LOOP_BLOCKED,
                via=scene.name,
            )
            conforms(answer, Health, evidence, via=scene.name)
            scene.await_health(
                lambda seen: all(seen.services.states()[name] == "unhealthy" for name in hanging),
                f"{scene.names(hanging, ' and ')} unhealthy",
            )
            for call in waiting:
                call.result()
            detailed = scene.detailed()
            wrong = {
                word_for(name): detailed.error_of(name)
                for name in (Role.TRACKING_SERVER, *hanging)
                if symptom(detailed.error_of(name)) not in TIMED_OUT
            }
            expect(
                not wrong,
                f"Dependencies hang, and the errors given are no time-outs: {wrong}.",
                evidence,
                FactKind.HEALTH_ANSWER_WRONG,
                via=scene.name,
            )


def _live_ms(scene: Scene, evidence: Evidence) -> float:
    answer = scene.instance.client.get("/live", as_anybody=True)
    if answer.status not in REFUSALS:  # a refusal is an answer; with a key it would wait for who judges that
        conforms(answer, Live, evidence, via=scene.name)
    return answer.elapsed_ms


def _quietly(call: Callable[[], object]) -> None:
    """A call whose own outcome is not judged."""
    try:
        call()
    except RequestFailed:
        return
