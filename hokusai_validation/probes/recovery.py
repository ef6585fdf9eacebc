"""What the chaos tests do again and again: states asked for, traffic, what must hold meanwhile."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from hokusai_validation.chaos.experiment import Experiment
from hokusai_validation.chaos.probe import AUTHENTICATED, percentile_ms
from hokusai_validation.errors import ExpectationUnmet, NotJudged, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.baseline import WELL
from hokusai_validation.probes.contract.answers import Health
from hokusai_validation.probes.contract.check import expect, failure, has_status
from hokusai_validation.probes.contract.overall import overall
from hokusai_validation.probes.registration import Journey
from hokusai_validation.probes.states import POLL_S, Scene
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.mlflow import Mlflow
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Endpoints, Target
from hokusai_validation.topology import Role, word_for

CALLS = 100
FLOOR_MS = 20.0  # what a comparison of latencies must exceed to mean anything
CALLS_LIMIT_S = 3.0
OTHERS = ("/live", "/ready", "/version", "/health")


def as_before(scene: Scene) -> bool:
    """Whether what the instance called well before is so again: healthy, where all was."""
    health = scene.health()
    seen = health.services.states()
    return health.status == overall(seen) and all(
        seen[name] == state for name, state in scene.before.items() if state in WELL
    )


def left_out(scene: Scene) -> set[str]:
    """Parts that this deployment does without, or that were not well before: nothing can be told of
    them by a fault."""
    return {name for name, state in scene.before.items() if state != "healthy"}


def traffic_and_as_before(scene: Scene) -> bool:
    """Whether it is as before, after one more ordinary call to MLflow."""
    scene.proxied()
    return as_before(scene)


def opens(scene: Scene, run: Experiment) -> None:
    """Failing calls open the breaker, and that is noted in the journal."""
    scene.open_breaker()
    run.watch.note(scene.health().status, "OPEN")


def says(scene: Scene, health: Health, expected: Mapping[Role, str]) -> None:
    """These parts are in these states.

    Raises ExpectationUnmet."""
    seen = health.services.states()
    wrong = [
        f"{word_for(name)} {seen[name]}, expected {state}"
        for name, state in expected.items()
        if seen[name] != state
    ]
    expect(
        not wrong,
        f"/health of {scene.name} says {'; '.join(wrong)}.",
        scene.evidence,
        FactKind.HEALTH_ANSWER_WRONG,
        via=scene.name,
    )


def overall_is(scene: Scene, health: Health, status: str) -> None:
    """The overall status is this one.

    Raises ExpectationUnmet."""
    expect(
        health.status == status,
        f"/health of {scene.name} says {health.status}, expected {status} ({health.services}).",
        scene.evidence,
        FactKind.HEALTH_ANSWER_WRONG,
        via=scene.name,
    )


def served(scene: Scene, evidence: Evidence, when: str) -> int:
    """An authenticated request that needs no MLflow is served."""
    try:
        answer = scene.get(AUTHENTICATED, key=True)
    except RequestFailed as error:
        evidence.failure(error, Role.API_GATEWAY, scene.name)
        raise ExpectationUnmet(f"An authenticated request {when} was not served: {error}") from None
    if answer.status >= 400 and answer.status != 404:
        evidence.answer("authenticated request", answer)
        raise failure(
            f"An authenticated request {when} was answered {answer.status}.",
            evidence,
            FactKind.UNEXPECTED_STATUS,
            via=scene.name,
        )
    return answer.status


def call_mlflow(scene: Scene) -> None:
    """A counted call, whatever becomes of it."""
    with contextlib.suppress(RequestFailed):
        scene.counted()


def failures_until_open(scene: Scene, target: Target, evidence: Evidence) -> int:
    """Proxied calls until the first 503, each one failing as an unreachable MLflow does."""
    threshold = max(1, target.gateway.breaker_failure_threshold)
    statuses = []
    for _ in range(threshold + 2):
        answer = scene.proxied()
        statuses.append(answer.status)
        if answer.status == 503:
            break
    evidence.record("proxied calls", statuses)
    expect(
        statuses == [*[502] * threshold, 503],
        f"Proxied calls with MLflow cut off were answered {', '.join(map(str, statuses))}, expected"
        f" {threshold} × 502, then 503.",
        evidence,
        FactKind.BREAKER_CONTRACT,
        via=scene.name,
    )
    return len(statuses) - 1


@contextlib.contextmanager
def traffic(pool: ThreadPoolExecutor, scene: Scene) -> Iterator[None]:
    """Calls to MLflow go on in the block."""
    going = [True]

    def call() -> None:
        while going[0]:
            with contextlib.suppress(RequestFailed):
                scene.proxied()
            time.sleep(POLL_S)

    work = pool.submit(call)
    try:
        yield
    finally:
        going[0] = False
        work.result()


def p95_ms(scene: Scene) -> dict[str, float]:
    """Of each endpoint that needs no MLflow."""
    return {path: percentile_ms(_times_ms(scene, path), 0.95) or 0.0 for path in OTHERS}


def slower(before: dict[str, float], during: dict[str, float]) -> list[str]:
    """Endpoints whose p95 (ms) rose to more than twice and by more than `FLOOR_MS`, in words."""
    return [
        f"{path} from {before[path]:.1f} ms to {now:.1f} ms"
        for path, now in during.items()
        if now > max(before[path] * 2, before[path] + FLOOR_MS)
    ]


def live_is_fast(scene: Scene, target: Target, evidence: Evidence, when: str) -> None:
    """p99 of `/live` of the instance is under the target\'s limit.

    Raises ExpectationUnmet."""
    slowest = percentile_ms(_times_ms(scene, "/live"), 0.99) or 0.0
    evidence.metric("live_p99_ms", slowest)
    expect(
        slowest < target.limits.live_p99_ms,
        f"p99 of /live of {scene.name} is {slowest:.0f} ms while {when}, limit"
        f" {target.limits.live_p99_ms:g} ms.",
        evidence,
        FactKind.EVENT_LOOP_BLOCKED,
        via=scene.name,
    )


def resets(scene: Scene, edge: str) -> int:
    """Connections of a link that were reset so far.

    Raises NotJudged where links don\'t count."""
    assert scene.links is not None
    counters = scene.links.state(edge).counters
    if counters is None:
        raise NotJudged("This target's links don't count connections, so nothing can be proven.")
    return counters.reset


def registers(scene: Scene, target: Target, secrets: Secrets, resolver: Resolver, evidence: Evidence) -> None:
    """A model finds its way into the registry through this instance."""
    if target.keys.good is None or not target.permissions.write:
        evidence.record("registration", "not tried: no key, or writing is not permitted")
        return
    url = scene.instance.client.base_url
    there = target.model_copy(update={"endpoints": Endpoints(registry=url)})
    client = HttpClient(target.auth.url, tls=target.tls, resolver=resolver) if target.auth else None
    gateway = Mlflow.through_gateway(target, secrets, base_url=url)
    journey = Journey(there, secrets.value(target.keys.good), resolver, client, gateway)
    try:
        journey.go("model_registered", evidence)
    finally:
        if client is not None:
            client.close()


def _times_ms(scene: Scene, path: str) -> list[float]:
    """Of calls one after the other, fewer where each takes long.

    Raises ExpectationUnmet when one is not answered well."""
    times: list[float] = []
    until = time.monotonic() + CALLS_LIMIT_S
    while len(times) < CALLS and (time.monotonic() < until or not times):
        answer = scene.get(path)
        has_status(answer, 200, scene.evidence, via=scene.name)
        times.append(answer.elapsed_ms)
    return times
