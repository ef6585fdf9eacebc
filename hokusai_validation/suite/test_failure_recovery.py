"""C1–C12: real faults under a constant stream of probes, and the way back from each.

Every test is an experiment: steady state before, inject, prove, watch, undo, recovery. What breaks
is one instance (or MLflow, which the API must survive); users are probed through the load balancer.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hokusai_validation.chaos.experiment import Experiment
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.chaos.plans import faults_of
from hokusai_validation.chaos.probe import Route
from hokusai_validation.errors import NoSteadyState, NotJudged
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import mlflow_client
from hokusai_validation.probes.baseline import Baseline, unsteady
from hokusai_validation.probes.contract.answers import Health, Live, MlflowHealthOpen, Ready, Reset
from hokusai_validation.probes.contract.check import conforms, expect, has_status
from hokusai_validation.probes.contract.overall import overall
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.recovery import (
    as_before,
    call_mlflow,
    failures_until_open,
    left_out,
    live_is_fast,
    opens,
    overall_is,
    p95_ms,
    registers,
    resets,
    says,
    served,
    slower,
    traffic,
    traffic_and_as_before,
)
from hokusai_validation.probes.states import Scene
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

LEAST_AVAILABILITY = 0.8
MLFLOW_AWAY = "MLflow was away"
PROBES = 10
TRIES = 3  # a short wait may be over before it is used
SERVED_FOR_S = 2.0

Start = Callable[..., contextlib.AbstractContextManager[Experiment]]


@pytest.fixture(autouse=True)
def baseline(
    target: Target, instances: tuple[ApiInstance, ...], relied_on: tuple[str, ...], evidence: Evidence
) -> Baseline:
    """What every instance says before: the parts that the experiment relies on are well."""
    return Baseline.of(instances, target, relied_on, evidence)


@pytest.fixture
def routes(target: Target, instances: tuple[ApiInstance, ...], request: pytest.FixtureRequest) -> list[Route]:
    """The users' way first: the load balancer, or the first instance where there is none."""
    own = [Route(each.name, each.client, authenticated=False) for each in instances]
    if target.url is None:
        return [Route(instances[0].name, instances[0].client, authenticated=True), *own[1:]]
    return [Route(Role.LOAD_BALANCER, request.getfixturevalue("registry"), authenticated=True), *own]


@pytest.fixture
def experiment(
    target: Target,
    injector: Injector,
    instances: tuple[ApiInstance, ...],
    routes: list[Route],
    evidence: Evidence,
    baseline: Baseline,
) -> Start:
    """Starts an experiment; the test is skipped where there is no steady state to start from."""

    @contextlib.contextmanager
    def start(title: str, away: str = "") -> Iterator[Experiment]:
        made = Experiment(
            title,
            away=away,
            target=target,
            injector=injector,
            routes=routes,
            watched=Route(instances[0].name, instances[0].client, authenticated=False),
            evidence=evidence,
            deviation=baseline.deviation,
        )
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(made)
            except NoSteadyState as error:
                raise unsteady(error, target) from None
            yield made

    return start


class TestServiceFailureScenarios:
    """C1–C6: something breaks."""

    def test_mlflow_complete_failure_recovery(
        self, scene: Scene, experiment: Start, evidence: Evidence
    ) -> None:
        with experiment("MLflow is gone", away=MLFLOW_AWAY) as run:
            with run.inject(*faults_of("C1", scene.target)):
                opens(scene, run)
                health = scene.await_health(lambda seen: seen.status == "degraded", "degraded")
                says(scene, health, {Role.TRACKING_SERVER: "degraded"})
            run.recovers("healthy", lambda: traffic_and_as_before(scene), component=Role.TRACKING_SERVER)
            share = run.availability()
            expect(
                share >= LEAST_AVAILABILITY,
                f"Availability was {share:.0%} while MLflow was away, expected at least"
                f" {LEAST_AVAILABILITY:.0%}. {' '.join(run.blocked())}".rstrip(),
                evidence,
                FactKind.AVAILABILITY,
            )

    def test_database_connection_failure(
        self, scene: Scene, experiment: Start, target: Target, evidence: Evidence
    ) -> None:
        with experiment("The database can't be reached") as run:
            before = conforms(scene.get("/live"), Live, evidence, via=scene.name)
            with run.inject(*faults_of("C2", target)):
                health = scene.await_health(lambda seen: seen.status == "unhealthy", "unhealthy")
                says(scene, health, {Role.DATABASE: "unhealthy"})
                ready = conforms(scene.get("/ready"), Ready, evidence, status=503, via=scene.name)
                expect(
                    not ready.can_serve_traffic,
                    f"/ready of {scene.name} says that it can serve traffic without its database.",
                    evidence,
                    FactKind.HEALTH_ANSWER_WRONG,
                    via=scene.name,
                )
            run.recovers("healthy", lambda: as_before(scene), component=Role.DATABASE)
            has_status(scene.get("/ready"), 200, evidence, via=scene.name)
            after = conforms(scene.get("/live"), Live, evidence, via=scene.name)
            expect(
                after.uptime >= before.uptime,
                f"{scene.name} was restarted: its uptime went from {before.uptime:.1f} s to"
                f" {after.uptime:.1f} s; pools must connect again by themselves.",
                evidence,
                FactKind.TASK_RESTARTED,
                via=scene.name,
            )

    def test_redis_connection_chaos(self, scene: Scene, experiment: Start, evidence: Evidence) -> None:
        with experiment("Redis connections break again and again") as run:
            edge = scene.edge(Role.CACHE)
            with run.inject(*faults_of("C3", scene.target)):
                before = resets(scene, edge)
                answers = []
                until = time.monotonic() + SERVED_FOR_S
                while time.monotonic() < until:
                    answers.append(served(scene, evidence, "while redis connections break"))
                    health = scene.get("/health")
                    has_status(health, 200, evidence, via=scene.name)
                broken = resets(scene, edge) - before
            evidence.metric("requests_served", len(answers))
            evidence.metric("connections_reset", broken)
            if broken == 0:
                raise NotJudged(f"{scene.name} held no connection to redis that could be reset.")
            run.recovers("healthy", lambda: as_before(scene), component=Role.CACHE)

    def test_circuit_breaker_cascading_failures(
        self, scene: Scene, experiment: Start, target: Target, evidence: Evidence
    ) -> None:
        with experiment("A breaker keeps a failure to itself", away=MLFLOW_AWAY) as run:
            with ThreadPoolExecutor(1) as pool, traffic(pool, scene):
                before = p95_ms(scene)
            with run.inject(*faults_of("C4", target)):
                failures = failures_until_open(scene, target, evidence)
                evidence.metric("failures_until_open", failures)
                with ThreadPoolExecutor(1) as pool, traffic(pool, scene):
                    during = p95_ms(scene)
            run.recovers("CLOSED and healthy", lambda: traffic_and_as_before(scene))
            if slower(before, during):
                # A machine that became busy meanwhile is slow without the fault, too.
                with ThreadPoolExecutor(1) as pool, traffic(pool, scene):
                    after = p95_ms(scene)
                before = {path: max(before[path], after[path]) for path in before}
            for path in during:
                evidence.metric(f"p95_ms_without {path}", before[path])
                evidence.metric(f"p95_ms_during {path}", during[path])
            rose = slower(before, during)
            expect(
                not rose,
                f"p95 rose while MLflow was cut off: {'; '.join(rose)}.",
                evidence,
                FactKind.SLOW,
                via=scene.name,
            )

    def test_message_queue_failure_isolation(
        self,
        scene: Scene,
        experiment: Start,
        target: Target,
        secrets: Secrets,
        resolver: Resolver,
        evidence: Evidence,
    ) -> None:
        mlflow_client.new_client(target)  # its import takes longer than all the rest
        with experiment("The message queue can't be reached") as run:
            with run.inject(*faults_of("C5", target)):
                health = scene.await_health(
                    lambda seen: seen.services.message_queue == "unhealthy", "message_queue unhealthy"
                )
                expected = {Role.QUEUE: "unhealthy", Role.CACHE: "healthy", Role.DATABASE: "healthy"}
                says(scene, health, expected)
                overall_is(scene, health, "degraded")
                ready = conforms(scene.get("/ready"), Ready, evidence, via=scene.name)
                expect(
                    ready.can_serve_traffic,
                    f"/ready of {scene.name} says that it can't serve traffic without the message queue.",
                    evidence,
                    FactKind.OPTIONAL_REQUIRED,
                    Role.QUEUE,
                    via=scene.name,
                )
                registers(scene, target, secrets, resolver, evidence)
            run.recovers("healthy", lambda: as_before(scene), component=Role.QUEUE)

    def test_network_partition_simulation(
        self, scene: Scene, experiment: Start, target: Target, evidence: Evidence
    ) -> None:
        with experiment("An instance is cut off from everything", away=MLFLOW_AWAY) as run:
            with run.inject(*faults_of("C6", target)), ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(call_mlflow, scene)  # so that MLflow's state is of now
                health = scene.await_health(
                    lambda seen: (
                        set(seen.services.states().values()) <= {"unhealthy", "degraded", "disabled"}
                    ),
                    "every service unhealthy or degraded",
                    limit_s=target.gateway.proxy_timeout_s + target.gateway.health_timeout_s + 3,
                )
                overall_is(scene, health, "unhealthy")
                live_is_fast(scene, target, evidence, "cut off from everything")
                waiting.result()
            run.recovers("healthy", lambda: traffic_and_as_before(scene))


class TestRecoveryMechanisms:
    """C7–C10: the way back."""

    def test_circuit_breaker_auto_reset(self, scene: Scene, experiment: Start, evidence: Evidence) -> None:
        with experiment("A breaker closes by itself", away=MLFLOW_AWAY) as run:
            with run.inject(*faults_of("C7", scene.target)):
                opens(scene, run)
            seen = ["OPEN"]

            def closed() -> bool:
                scene.proxied()
                state = scene.breaker_state()
                run.watch.note(scene.health().status, state)
                if state != seen[-1]:
                    seen.append(state)
                return state == "CLOSED"

            run.recovers("CLOSED by ordinary traffic", closed)
            evidence.record("states by traffic", seen)
            expect(
                seen == ["OPEN", "HALF_OPEN", "CLOSED"],
                f"The breaker of {scene.name} went {' → '.join(seen)}, expected OPEN → HALF_OPEN → CLOSED.",
                evidence,
                FactKind.BREAKER_CONTRACT,
                via=scene.name,
            )

    def test_manual_circuit_breaker_reset(self, scene: Scene, experiment: Start, evidence: Evidence) -> None:
        with experiment("A breaker is reset by hand", away=MLFLOW_AWAY) as run:
            for _ in range(TRIES):
                with run.inject(*faults_of("C8", scene.target)):
                    opens(scene, run)
                still = scene.counted()
                if still.status == 503:
                    break
            else:
                raise NotJudged(
                    f"The wait of {scene.name}'s breaker was over before it could be reset"
                    f" ({scene.target.gateway.breaker_recovery_timeout_s:g} s)."
                )
            left = conforms(still, MlflowHealthOpen, evidence, status=503, via=scene.name)
            evidence.metric("wait_left_s", left.can_retry_in_seconds)
            conforms(scene.reset(), Reset, evidence, via=scene.name)
            scene.expect_breaker("CLOSED", "right after the reset")
            has_status(scene.proxied(), 200, evidence, Role.TRACKING_SERVER, via=scene.name)
            run.recovers("healthy", lambda: as_before(scene))

    def test_gradual_service_recovery(self, scene: Scene, experiment: Start, evidence: Evidence) -> None:
        with experiment("Everything is down and comes back piece by piece", away=MLFLOW_AWAY) as run:
            faults = {
                name: fault
                for name in (Role.DATABASE, Role.CACHE, Role.QUEUE, Role.TRACKING_SERVER)
                for fault in faults_of("C9", scene.target, without=left_out(scene))
                if fault.touches == (f"link {scene.edge(name)}",)
            }
            present = [name for name in faults if name != Role.TRACKING_SERVER]
            order = []
            with run.inject(*faults.values()) as injection:
                opens(scene, run)
                health = scene.await_health(
                    lambda seen: all(seen.services.states()[name] == "unhealthy" for name in present),
                    f"{scene.names(present)} unhealthy",
                )
                overall_is(scene, health, "unhealthy")
                order.append(health.status)
                for name in present:
                    injection.undo(faults[name])
                    health = scene.await_health(
                        lambda seen, name=name: seen.services.states()[name] == "healthy",  # type: ignore[misc]
                        f"{scene.names([name])} healthy again",
                        limit_s=scene.target.limits.recovery_s,
                        part=name,
                    )
                    order.append(health.status)
            run.recovers("healthy", lambda: traffic_and_as_before(scene))
            order.append(scene.health().status)
            evidence.record("states in order", order)
            expected = ["unhealthy", *["degraded"] * len(present), overall(scene.before)]
            expect(
                order == expected,
                f"/health of {scene.name} went {' → '.join(order)}, expected {' → '.join(expected)}.",
                evidence,
                FactKind.HEALTH_ANSWER_WRONG,
                via=scene.name,
            )

    def test_service_health_persistence(
        self, routes: list[Route], instances: tuple[ApiInstance, ...], evidence: Evidence
    ) -> None:
        asked = [Route(each.name, each.client, authenticated=False) for each in instances]
        asked += [route for route in routes if route.name == Role.LOAD_BALANCER]
        seen: dict[str, list[str]] = {}
        for route in asked:
            for _ in range(PROBES):
                health = conforms(route.client.get("/health"), Health, evidence, via=route.name)
                seen.setdefault(route.name, []).append(health.status)
        evidence.record("states", seen)
        for name, states in seen.items():
            unwell = [state for state in states if state != "healthy"]
            expect(
                not unwell,
                f"{len(unwell)} of {PROBES} probes of {name} were not healthy: {', '.join(states)}.",
                evidence,
                FactKind.SERVICE_UNHEALTHY if len(unwell) == PROBES else FactKind.HEALTH_ANSWER_WRONG,
                via=name,
            )


class TestFailureIsolation:
    """C11 and C12: what is not critical takes nothing else with it."""

    def test_non_critical_service_failure_isolation(
        self, scene: Scene, experiment: Start, evidence: Evidence
    ) -> None:
        with experiment("Everything that is not critical is gone", away=MLFLOW_AWAY) as run:
            faults = faults_of("C11", scene.target, without=left_out(scene))
            gone = [name for name in (Role.CACHE, Role.QUEUE) if name not in left_out(scene)]
            with run.inject(*faults):
                opens(scene, run)
                health = scene.await_health(
                    lambda seen: all(seen.services.states()[name] == "unhealthy" for name in gone),
                    f"{scene.names(gone, ' and ')} unhealthy",
                )
                overall_is(scene, health, "degraded")
                ready = conforms(scene.get("/ready"), Ready, evidence, via=scene.name)
                expect(
                    ready.can_serve_traffic and ready.degraded_mode and not ready.ready,
                    f"/ready of {scene.name} says ready {ready.ready}, can_serve_traffic"
                    f" {ready.can_serve_traffic}, degraded_mode {ready.degraded_mode}; expected false, true,"
                    " true.",
                    evidence,
                    FactKind.HEALTH_ANSWER_WRONG,
                    via=scene.name,
                )
                conforms(scene.get("/live"), Live, evidence, via=scene.name)
                for _ in range(PROBES):
                    served(scene, evidence, "without redis, queue and MLflow")
            run.recovers("healthy", lambda: traffic_and_as_before(scene))

    def test_timeout_handling_isolation(
        self, scene: Scene, experiment: Start, target: Target, evidence: Evidence
    ) -> None:
        faults = faults_of("C12", target, without=left_out(scene))
        with experiment("Every dependency is slow") as run:
            scene.counted()
            before = scene.get("/health").elapsed_ms
            with run.inject(*faults):
                scene.counted()
                answer = scene.get("/health")
                evidence.metric("health_ms_before", before)
                evidence.metric("health_ms", answer.elapsed_ms)
                expect(
                    answer.elapsed_ms < 5000,
                    f"/health of {scene.name} took {answer.elapsed_ms:.0f} ms with links 100 ms slower, limit"
                    f" 5000 ms, without {before:.0f} ms.",
                    evidence,
                    FactKind.SLOW,
                    via=scene.name,
                )
                overall_is(scene, conforms(answer, Health, evidence, via=scene.name), overall(scene.before))
                live_is_fast(scene, target, evidence, "its dependencies are 100 ms slower")
            run.recovers("healthy", lambda: as_before(scene))
