"""L1–L9: what the API promises under load, each in a closed and in a constant-rate run.

A limit on a percentile is judged on the constant-rate run, whose latencies count from when each
request was due. Faults are real ones, on one instance.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from hokusai_validation.errors import ExpectationUnmet, NotJudged, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.load.engine import Engine
from hokusai_validation.load.outcome import Outcome
from hokusai_validation.load.samplers import ProcessSampler, Sampler, Watch
from hokusai_validation.load.verdict import BASELINE_FLOOR_MS, carried, growth_mb, kept_up
from hokusai_validation.permission import Gate
from hokusai_validation.probes.baseline import in_steady_state
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.load_session import SAMPLES_P95, SAMPLES_P99, LoadSession, endpoint, samplers
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

if TYPE_CHECKING:
    from hokusai_validation.chaos.injection import Injector
    from hokusai_validation.resources.control import ControlClient
    from hokusai_validation.resources.links import LinkClient

MARGIN_BYTES = 96 * 1024 * 1024
WARM_UP = 400
MEMORY_REQUESTS = 2_000
LOOK_S = 0.2
CARRIED_P95 = 100


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One generator for all of them: starting Python anew for each run would cost seconds."""
    with Engine() as made:
        yield made


@pytest.fixture(scope="module")
def looking(target: Target, secrets: Secrets, resolver: Resolver) -> Iterator[tuple[Sampler, ...]]:
    """What is looked at each second beside every run."""
    with samplers(target, secrets, resolver) as found:
        yield found


@pytest.fixture
def session(
    target: Target,
    secrets: Secrets,
    resolver: Resolver,
    evidence: Evidence,
    engine: Engine,
    gate: Gate,
    looking: tuple[Sampler, ...],
) -> Callable[[str], LoadSession]:
    """Makes the session of a test by its id."""
    return lambda test_id: LoadSession(test_id, target, secrets, resolver, evidence, engine, gate, looking)


class TestServiceLoadCapacity:
    """L1–L7."""

    def test_health_endpoint_sequential_load(self, session: Callable[[str], LoadSession]) -> None:
        load, health = session("L1"), endpoint("/health")
        closed = load.closed_run(health, connections=1, requests=100)
        load.judge(closed, load.open_run(health, samples=SAMPLES_P95))

    def test_health_endpoint_concurrent_load(self, session: Callable[[str], LoadSession]) -> None:
        load, health = session("L2"), endpoint("/health")
        closed = load.closed_run(health, connections=10, requests=200)
        load.judge(closed, load.open_run(health, samples=SAMPLES_P99))

    def test_detailed_health_endpoint_load(self, session: Callable[[str], LoadSession]) -> None:
        load, health = session("L3"), endpoint("/health?detailed=true")
        closed = load.closed_run(health, connections=5, requests=50)
        load.judge(closed, load.open_run(health))

    def test_readiness_endpoint_load(self, session: Callable[[str], LoadSession]) -> None:
        load, ready = session("L4"), endpoint("/ready")
        closed = load.closed_run(ready, connections=5, requests=150)
        load.judge(closed, load.open_run(ready))

    def test_mixed_endpoint_load(self, session: Callable[[str], LoadSession]) -> None:
        load = session("L5")
        mix = [endpoint(path) for path in ("/health", "/ready", "/live", "/version")]
        closed = load.closed_run(*mix, connections=4, requests=100)
        load.judge(closed, load.open_run(*mix, samples=4 * CARRIED_P95), each=True)

    def test_load_with_degraded_services(
        self,
        session: Callable[[str], LoadSession],
        instance: ApiInstance,
        links: "LinkClient",
        injector: "Injector",
        target: Target,
        evidence: Evidence,
        relied_on: tuple[str, ...],
    ) -> None:
        load = session("L6")
        url = instance.client.base_url
        health = endpoint("/health", deadline_s=target.gateway.health_timeout_s + 10)
        live = endpoint("/live", weight=10)
        problem = ""
        try:
            with (
                in_steady_state(instance, links, target, evidence, relied_on) as steady_scene,
                Engine() as beside,
            ):
                scene = steady_scene.with_injector(injector)
                with scene.cut(Role.TRACKING_SERVER), scene.hanging(Role.CACHE):
                    scene.open_breaker()
                    # Gently first: a blocked event loop shows at once, and would be buried for
                    # minutes under what the whole load leaves behind in it.
                    few = load.open_run(
                        live, health, name="first", samples=121, rate=121, url=url, judged=False
                    )
                    problem = self._blocked(load, few, 95.0, instance.name)
                    _unless(problem)
                    running = load.start_closed(beside, health, connections=10, requests=50, url=url)
                    # Enough connections that slow answers of /health don't keep /live waiting here.
                    constant = load.open_run(
                        live, health, samples=SAMPLES_P99 * 11 // 10, url=url, connections=200
                    )
                    closed = running.result()
                    load.note("closed", closed)
                    problem = self._blocked(load, constant, 99.0, instance.name)
                    _unless(problem)
                    load.judge(closed, constant, each=True, via=instance.name)
                    scene.expect_breaker("OPEN", "after the load")
        except RequestFailed as error:
            if problem:  # then that it does not answer afterwards either is no news
                raise ExpectationUnmet(f"{problem} Afterwards: {error}") from None
            raise
        if carried(constant.endpoints["/live"].intended, 99.0) is None:
            raise NotJudged("L6: too few good answers of /live; a p99 needs 2,000.")

    @staticmethod
    def _blocked(load: LoadSession, run: Outcome, percent: float, instance: str) -> str:
        """Whether /live stopped with the dependencies, in a sentence; the fact is noted."""
        value_ms, limit_ms = carried(run.endpoints["/live"].intended, percent), load.limits.live_p99_ms
        if value_ms is None or limit_ms is None or value_ms < limit_ms:
            return ""
        seen = f"/live p{percent:g} {value_ms:.1f} ms with MLflow cut and redis hanging"
        load.evidence.fact(FactKind.EVENT_LOOP_BLOCKED, Role.API_GATEWAY, seen, instance)
        return f"{seen}, under {limit_ms:g} ms was promised."

    def test_spike_load_resilience(self, session: Callable[[str], LoadSession], evidence: Evidence) -> None:
        load, health = session("L7"), endpoint("/health")
        limits = load.limits
        baseline = load.open_run(health, name="baseline", samples=SAMPLES_P95)
        spike = load.closed_run(health, name="spike", connections=20, requests=200)
        ended = time.monotonic()
        before_ms = carried(baseline.intended, 95.0)
        longest_s, factor = limits.recovery_s or 5.0, limits.trend_factor or 1.5
        after: list[float | None] = []
        while True:
            began_s = time.monotonic() - ended
            run = load.open_run(health, name="after", samples=SAMPLES_P95)
            after.append(carried(run.intended, 95.0))
            if kept_up(after[-1], before_ms, factor) or time.monotonic() - ended > longest_s:
                break
        evidence.metric("spike_recovery_s", round(began_s, 3))
        load.judge(baseline, spike)
        if not kept_up(after[-1], before_ms, factor):
            seen = (
                f"p95 {_ms(after[-1])} {longest_s:g} s after the spike, {_ms(before_ms)} before it"
                f" (allowed: × {factor:g} or + {BASELINE_FLOOR_MS:g} ms)"
            )
            evidence.fact(FactKind.NOT_RECOVERED, Role.API_GATEWAY, seen)
            raise ExpectationUnmet(f"{seen}.")


class TestServiceCapacityLimits:
    """L8 and L9."""

    def test_response_time_under_sustained_load(
        self,
        session: Callable[[str], LoadSession],
        instance: ApiInstance,
        target: Target,
        injector: "Injector",
        evidence: Evidence,
    ) -> None:
        from hokusai_validation.chaos.faults.latency import Latency

        load, health, url = session("L8"), endpoint("/health"), instance.client.base_url
        cache, tracking = (target.named(role) for role in (Role.CACHE, Role.TRACKING_SERVER))
        slow = Latency(f"{instance.name}->{cache}", 5), Latency(f"{instance.name}->{tracking}", 10)
        with injector.fault(*slow):
            closed = load.closed_run(health, connections=8, requests=200, think_s=0.1, url=url)
            constant = load.open_run(health, samples=330, segments=3, url=url)
        load.judge(closed, constant, via=instance.name)
        thirds = [carried(part, 95.0) for part in constant.endpoints["/health"].segments]
        for index, value in enumerate(thirds):
            if value is not None:
                evidence.metric(f"open_third_{index + 1}_p95_ms", value)
        factor = load.limits.trend_factor or 1.5
        if None in thirds:
            raise NotJudged(
                "L8: a third of the constant-rate run has fewer than 100 samples, too few for p95."
            )
        if not kept_up(thirds[-1], thirds[0], factor):
            seen = (
                f"p95 rose from {_ms(thirds[0])} in the first third to {_ms(thirds[-1])} in the last"
                f" (allowed: × {factor:g} or + {BASELINE_FLOOR_MS:g} ms)"
            )
            evidence.fact(FactKind.SLOW, Role.API_GATEWAY, seen, instance.name)
            raise ExpectationUnmet(f"{seen}.")

    def test_memory_pressure_simulation(
        self,
        session: Callable[[str], LoadSession],
        instance: ApiInstance,
        injector: "Injector",
        control: "ControlClient",
        evidence: Evidence,
    ) -> None:
        from hokusai_validation.chaos.faults.memory import MemoryLimit

        load, detailed, url = session("L9"), endpoint("/health?detailed=true"), instance.client.base_url
        with injector.fault(MemoryLimit(instance.name, MARGIN_BYTES)) as injection:
            evidence.record("memory limit", next(iter(injection.proofs.values())))
            closed = load.closed_run(detailed, connections=5, requests=30, url=url)
            load.open_run(detailed, name="warm_up", samples=WARM_UP, url=url, judged=False)
            before = control.process(instance.name)
            with Watch([ProcessSampler(control)], interval_s=LOOK_S) as watch:
                constant = load.open_run(detailed, samples=MEMORY_REQUESTS, url=url)
            after = control.process(instance.name)
        if after.pid != before.pid:
            seen = f"{instance.name} was started anew under the limit ({MARGIN_BYTES // 2**20} MiB more than it used)"
            evidence.fact(FactKind.TASK_RESTARTED, Role.API_GATEWAY, seen, instance.name)
            raise ExpectationUnmet(f"{seen}.")
        load.judge(closed, constant, via=instance.name)
        growth = _growth(watch, instance.name, constant)
        if growth is None:
            raise NotJudged(f"L9: the control agent showed the memory of {instance.name} too rarely to tell.")
        evidence.metric("growth_mb_per_1000_requests", round(growth, 4))
        limit = load.limits.growth_mb or 1.0
        if growth >= limit:
            seen = (
                f"{instance.name} grew by {growth:.2f} MB in 1,000 requests, under {limit:g} MB was promised"
            )
            evidence.fact(FactKind.MEMORY_GROWTH, Role.API_GATEWAY, seen, instance.name)
            raise ExpectationUnmet(f"{seen}.")


def _unless(problem: str) -> None:
    if problem:
        raise ExpectationUnmet(problem)


def _growth(watch: Watch, name: str, run: Outcome) -> float | None:
    """Megabytes in 1,000 requests; at a constant rate, time stands for requests."""
    looks = [(at * run.rate_per_s, rss_mb * 1e6) for at, rss_mb in watch.looks(f"{name}_rss_mb")]
    return growth_mb(looks)


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f} ms"
