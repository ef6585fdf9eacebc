"""The 11 infrastructure checks, the three views compared, Redis itself, and the alert thresholds."""

import json
import math
import secrets as tokens
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue

from hokusai_validation.errors import NotPermitted, ProtocolViolated, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import three_views
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.probes.store_states import cache_state, database_state
from hokusai_validation.probes.views import take
from hokusai_validation.redaction import shown
from hokusai_validation.resources import unknown_key
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import SERVER_ERROR_FROM, Answer, HttpClient
from hokusai_validation.resources.mlflow import API
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

PROBES = 100
PROBES_WITHIN_S = 20.0
KEYS_AT_LEAST, KEYS_AT_MOST = 3, 14
RECOVERY_AT_MOST_S = 5.0
HEALTH, COUNTED = "/health", "/health/mlflow"  # the second is a call that the breaker counts
PROBE_PATHS = ("/health", "/ready", "/live", "/version")
RESTART_WINDOW = timedelta(hours=1)
REDIS_SAMPLES = 20
REDIS_P95_MS = 100.0
PREFIX = "hokusai-validation:"


class TestInfrastructure:
    """Five public endpoints, three ECS services, three MLflow paths: the infrastructure score."""

    def test_auth_root(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """The auth service answers at `/`."""
        _answers(target.endpoints.auth, "/", Role.AUTH, target, resolver, evidence)

    def test_auth_health(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """The auth service is healthy."""
        _healthy(target.endpoints.auth, Role.AUTH, target, resolver, evidence)

    def test_registry_root(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """The registry answers at `/`."""
        _answers(target.endpoints.registry, "/", Role.API_GATEWAY, target, resolver, evidence)

    def test_registry_health(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """The registry answers `/health` with 200."""
        _healthy(target.endpoints.registry, Role.API_GATEWAY, target, resolver, evidence)

    def test_api_health(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """The API's second name answers `/health` with 200."""
        _healthy(target.endpoints.api, Role.API_GATEWAY, target, resolver, evidence)

    def test_ecs_auth(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """The auth service runs at its desired count."""
        _at_desired_count(Role.AUTH, target, aws, evidence)

    def test_ecs_api(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """The API runs at its desired count."""
        _at_desired_count(Role.API_GATEWAY, target, aws, evidence)

    def test_ecs_mlflow(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """MLflow runs at its desired count."""
        _at_desired_count(Role.TRACKING_SERVER, target, aws, evidence)

    def test_mlflow_health(self, target: Target, registry: HttpClient, evidence: Evidence) -> None:
        """MLflow's `/health` through the gateway."""
        _through_gateway("/health", target, registry, evidence)

    def test_mlflow_version(self, target: Target, registry: HttpClient, evidence: Evidence) -> None:
        """MLflow's `/version` through the gateway."""
        answer = _through_gateway("/version", target, registry, evidence)
        expect(
            answer.text.strip()[:1].isdigit(),
            f"GET {answer.url} answered no version: {shown(answer.text, 80)!r}.",
            evidence,
            FactKind.PROXY_ERROR,
            Role.TRACKING_SERVER,
        )
        wanted = None if target.mlflow is None else target.mlflow.version
        expect(
            wanted is None or answer.text.strip() == wanted,
            f"MLflow {shown(answer.text.strip(), 40)!r} is deployed, not {wanted} (`mlflow.version`).",
            evidence,
            FactKind.CONFIGURATION_DIFFERS,
            Role.TRACKING_SERVER,
        )

    def test_mlflow_experiments(self, target: Target, registry: HttpClient, evidence: Evidence) -> None:
        """A search of experiments through the gateway, with a key."""
        answer = _through_gateway(f"{API}/experiments/search?max_results=1", target, registry, evidence)
        body = answer.json()
        expect(
            isinstance(body, dict) and isinstance(body.get("experiments", []), list),
            f"GET {answer.url} answered no list of experiments: {shown(answer.text, 80)!r}.",
            evidence,
            FactKind.PROXY_ERROR,
            Role.TRACKING_SERVER,
        )


def _ask(url: str | None, path: str, target: Target, resolver: Resolver) -> Answer:
    assert url is not None, "the catalogue's `needs` lets this run with an endpoint only"
    with HttpClient(
        url, tls=target.tls, resolver=resolver, timeout_s=target.gateway.health_timeout_s
    ) as client:
        return client.get(path)


def _answers(
    url: str | None, path: str, component: str, target: Target, resolver: Resolver, evidence: Evidence
) -> None:
    answer = _ask(url, path, target, resolver)
    evidence.answer(f"GET {path}", answer)
    expect(
        # What `/` says is the service's own affair; that the service says it is what counts.
        answer.status < 500 and not 300 <= answer.status < 400,
        f"GET {answer.url} answered {answer.status}: {shown(answer.text, 80)!r}.",
        evidence,
        FactKind.UNEXPECTED_STATUS,
        component,
        via=Role.LOAD_BALANCER,
    )


def _healthy(url: str | None, component: str, target: Target, resolver: Resolver, evidence: Evidence) -> None:
    answer = _ask(url, "/health", target, resolver)
    evidence.answer("GET /health", answer)
    evidence.metric("elapsed_ms", answer.elapsed_ms)
    expect(
        answer.status == 200,
        f"GET {answer.url} answered {answer.status}, expected 200: {shown(answer.text, 80)!r}.",
        evidence,
        FactKind.PROBE_NEEDS_KEY if answer.status in (401, 403) else FactKind.UNEXPECTED_STATUS,
        component,
        via=Role.LOAD_BALANCER,
    )


def _at_desired_count(component: str, target: Target, aws: Aws, evidence: Evidence) -> None:
    assert target.aws is not None
    declared = target.aws.services[target.named(component)]
    state = aws.ecs.service(declared.service)
    desired = declared.desired if declared.desired is not None else state.desired
    evidence.record("service", state.model_copy(update={"events": state.events[:5]}))
    evidence.metric("running_tasks", state.running)
    evidence.metric("desired_tasks", desired)
    failed = state.primary is not None and state.primary.rollout_state == "FAILED"
    if failed and state.primary is not None:
        evidence.fact(FactKind.ROLLOUT_FAILED, component, state.primary.rollout_reason)
    expect(
        # None at all is right only where the target file says so.
        state.status == "ACTIVE" and state.running >= desired and (desired > 0 or declared.desired == 0),
        f"ECS service {state.name} runs {state.running} of {desired} tasks"
        f"{', and its rollout failed' if failed else ''}.",
        evidence,
        FactKind.SERVICE_BELOW_DESIRED,
        component,
    )


def _through_gateway(path: str, target: Target, registry: HttpClient, evidence: Evidence) -> Answer:
    prefix = target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"
    answer = registry.get(f"{prefix}{path}", key=True)
    evidence.answer(f"GET {path.partition('?')[0]}", answer)
    if answer.status in (401, 403):
        kind, component = FactKind.KEY_REFUSED, Role.AUTH
    elif answer.status == 404 and "json" not in answer.headers.get("content-type", ""):
        kind, component = FactKind.WRONG_TARGET_GROUP, Role.LOAD_BALANCER
    else:
        kind, component = FactKind.PROXY_ERROR, Role.TRACKING_SERVER
    expect(
        answer.status == 200,
        f"GET {answer.url} answered {answer.status}, expected 200: {shown(answer.text, 120)!r}.",
        evidence,
        kind,
        component,
        via=Role.API_GATEWAY,
    )
    return answer


class TestThreeViews:
    """What the service says, what we see, what AWS says."""

    def test_views_agree(
        self,
        target: Target,
        secrets: Secrets,
        registry: HttpClient,
        evidence: Evidence,
        request: pytest.FixtureRequest,
    ) -> None:
        """No component is up in one view and down in another."""
        aws: Aws | None = request.getfixturevalue("aws") if target.aws is not None else None
        for attempt in (1, 2):  # something may have changed between two looks
            answer = registry.get("/health?detailed=true")
            body = answer.json()
            views = take(target, secrets, body if isinstance(body, dict) else {}, aws)
            wrong = [text for each in views if (text := three_views.disagreement(each)) is not None]
            if not wrong or attempt == 2:
                break
        evidence.answer("health", answer)
        evidence.record("views", views)
        for each in views:
            text = three_views.disagreement(each)
            if text is not None:
                evidence.fact(three_views.kind_of(each), each.component, text)
        if wrong:
            pytest.fail("The views disagree. " + "; ".join(wrong) + ".")

    def test_optional_redis_is_no_failure(
        self, target: Target, registry: HttpClient, evidence: Evidence
    ) -> None:
        """Where Redis is not deployed, the service says `disabled`; where it is, it doesn't."""
        answer = registry.get("/health")
        evidence.answer("health", answer)
        body = answer.json()
        told = body.get("services") if isinstance(body, dict) else None
        services: Mapping[str, JsonValue] = told if isinstance(told, dict) else {}
        deployed = target.redis is not None and target.topology[target.named(Role.CACHE)].deployed
        for role in (Role.CACHE, Role.QUEUE):
            name = word_for(role)
            status = str(services.get(name, "disabled"))
            if deployed:
                expect(
                    status != "disabled",
                    f"{name} is deployed, but GET /health calls it disabled.",
                    evidence,
                    FactKind.HEALTH_ANSWER_WRONG,
                    role,
                )
            else:
                expect(
                    status in ("disabled", "healthy"),
                    f"{name} is not deployed and optional, but GET /health calls it {status}.",
                    evidence,
                    FactKind.OPTIONAL_REQUIRED,
                    role,
                )


class TestRedis:
    """Redis by its own address."""

    def test_ping(self, redis: Redis, evidence: Evidence) -> None:
        """It answers."""
        assert redis.ping(), f"Redis at {redis.address} did not answer PING with PONG."
        info = redis.info()
        cache_state(info, evidence, Role.CACHE)
        evidence.record(
            "info",
            {
                name: info[name]
                for name in (
                    "redis_version",
                    "uptime_in_seconds",
                    "connected_clients",
                    "used_memory",
                    "maxclients",
                )
                if name in info
            },
        )

    def test_write_and_read_back(self, target: Target, redis: Redis, evidence: Evidence) -> None:
        """A value comes back as written, and goes away by itself."""
        if not target.permissions.write:
            raise NotPermitted("writing not permitted on this target")
        key, value = f"{PREFIX}{tokens.token_hex(8)}", tokens.token_hex(32)
        try:
            redis.set(key, value, ttl_s=30)
            seen, ttl_s = redis.get(key), redis.ttl_s(key)
            evidence.record("seen", {"matches": seen == value, "ttl_s": ttl_s})
            assert seen == value, f"Redis gave {seen!r} for a value that was written a moment ago."
            assert 0 < ttl_s <= 30, f"The time-to-live of a value written for 30 s is {ttl_s} s."
        finally:
            redis.delete(key)

    def test_latency(self, redis: Redis, evidence: Evidence) -> None:
        """95 of 100 pings are answered within 100 ms."""
        redis.ping()  # connects
        times = []
        for _ in range(REDIS_SAMPLES):
            started = time.perf_counter()
            redis.ping()
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        p95 = times[math.ceil(0.95 * len(times)) - 1]
        evidence.metric("redis_ping_p50_ms", times[len(times) // 2])
        evidence.metric("redis_ping_p95_ms", p95)
        expect(
            p95 <= REDIS_P95_MS,
            f"A ping of Redis takes {p95:.1f} ms (p95 of {len(times)}), more than {REDIS_P95_MS:g} ms.",
            evidence,
            FactKind.SLOW,
            Role.CACHE,
        )


def _states(answer: Answer) -> str:
    """What a health answer says of the parts."""
    try:
        return json.dumps(answer.object().get("services"), sort_keys=True)
    except ProtocolViolated:
        return ""


def _ask_again(registry: HttpClient, recovery_s: float) -> None:
    """What the instances say, once more when a breaker had time to close: one that was open by chance does,
    and one whose instance can't reach its part opens again. Not where that takes long."""
    if recovery_s > RECOVERY_AT_MOST_S:
        return
    time.sleep(recovery_s)
    for path in (COUNTED,) * 4 + (HEALTH,) * 16:
        with suppress(RequestFailed):
            registry.get(path)


def _ask_in_turn(registry: HttpClient) -> None:
    """A key that nobody knows, again and again while some are judged and some are not, with nobody beside:
    a balancer puts them to its instances in turn."""
    failed: list[bool] = []
    while len(failed) < KEYS_AT_MOST:
        try:
            failed.append(unknown_key.ask(registry).status >= SERVER_ERROR_FROM)
        except RequestFailed:
            failed.append(True)
        if failed[-2:] == [True, True] or failed == [False] * KEYS_AT_LEAST:
            return


class TestAlerts:
    """The contract's alert thresholds: one passed makes the verdict at best `degraded`."""

    def test_availability_and_errors(self, target: Target, registry: HttpClient, evidence: Evidence) -> None:
        """Of 100 probes of the health endpoints nearly all are good, and nearly none slow. (What no
        probe shows, and what instances say differently, is asked behind them, and not judged here.)"""
        times: list[float] = []
        errors: dict[str, int] = {}
        said: set[str] = set()
        sent, deadline = 0, time.monotonic() + PROBES_WITHIN_S
        for number in range(PROBES):
            # One path after the other: in turns, a balancer of two would give a path to one instance alone.
            path = PROBE_PATHS[number * len(PROBE_PATHS) // PROBES]
            if time.monotonic() > deadline:
                break  # a service that is slow is told by its times
            sent += 1
            try:
                answer = registry.get(path, timeout_s=target.gateway.health_timeout_s)
            except RequestFailed as error:
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
                evidence.failure(error, Role.API_GATEWAY, via=Role.LOAD_BALANCER)
                continue
            times.append(answer.elapsed_ms)
            if path == HEALTH:
                said.add(_states(answer))
            if answer.status != 200:
                errors[f"{path} {answer.status}"] = errors.get(f"{path} {answer.status}", 0) + 1
        if len(said) > 1:
            _ask_again(registry, target.gateway.breaker_recovery_timeout_s)
        if target.keys.good is not None:
            _ask_in_turn(registry)
        bad = sum(errors.values())
        times.sort()
        p99_ms = times[math.ceil(0.99 * len(times)) - 1] if times else math.inf
        evidence.record("errors", errors)
        evidence.record("sent", sent)
        evidence.metric("availability", 1 - bad / sent)
        evidence.metric("error_rate", bad / sent)
        if times:
            evidence.metric("health_p99_ms", p99_ms)
        alerts = target.alerts
        passed: list[str] = []
        if 1 - bad / sent < alerts.min_availability:
            text = f"availability {1 - bad / sent:.1%}, threshold {alerts.min_availability:.1%}"
            evidence.fact(FactKind.AVAILABILITY, Role.API_GATEWAY, text)
            passed.append(text)
        if bad / sent > alerts.max_error_rate:
            text = f"error rate {bad / sent:.1%}, threshold {alerts.max_error_rate:.1%}"
            evidence.fact(FactKind.ERROR_RATE, Role.API_GATEWAY, text)
            passed.append(text)
        if times and p99_ms > alerts.health_p99_ms:
            text = f"p99 {p99_ms:.0f} ms on health endpoints, threshold {alerts.health_p99_ms:.0f} ms"
            evidence.fact(FactKind.SLOW, Role.API_GATEWAY, text)
            passed.append(text)
        assert not passed, f"Alert thresholds passed: {'; '.join(passed)}."

    def test_database_connections(self, target: Target, database: Database, evidence: Evidence) -> None:
        """Connections in use are below the threshold of what the server allows."""
        used, allowed = database.query(
            # The sum that every user may see: sessions of others are hidden in pg_stat_activity.
            "select (select sum(numbackends)::int from pg_stat_database),"
            " current_setting('max_connections')::int"
        )[0]
        database_state(database, evidence, Role.DATABASE)
        share = used / allowed
        evidence.metric("database_connections", used)
        evidence.metric("database_connections_allowed", allowed)
        expect(
            share <= target.alerts.max_connection_share,
            f"{used} of {allowed} database connections are in use ({share:.0%}),"
            f" threshold {target.alerts.max_connection_share:.0%}.",
            evidence,
            FactKind.CONNECTIONS_NEAR_LIMIT,
            Role.DATABASE,
        )

    def test_no_task_restarted(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """No task of a declared service ended by itself within the last hour."""
        assert target.aws is not None
        since = datetime.now(UTC) - RESTART_WINDOW
        restarted: list[str] = []
        for component, declared in target.aws.services.items():
            stopped = aws.ecs.tasks(declared.service, stopped=True)
            ended = [task for task in stopped if task.stopped_at is not None and task.stopped_at >= since]
            evidence.record(component, ended)
            for task in ended:
                # A deployment or a scaling replaces tasks on purpose.
                if "Scaling activity" in task.stopped_reason or "deployment" in task.stopped_reason.lower():
                    continue
                seen = f"{component}: task {task.arn.rpartition('/')[2]} ended: {task.stopped_reason}"
                evidence.fact(FactKind.TASK_RESTARTED, component, seen)
                restarted.append(seen)
        assert not restarted, f"Tasks were restarted within the last hour: {'; '.join(restarted)}."
