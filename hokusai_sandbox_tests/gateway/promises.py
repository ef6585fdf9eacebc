"""One small check for each defect: does a gateway keep the promise that the defect breaks?"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from hokusai_sandbox_tests.gateway.rig import Running, until
from hokusai_sandbox_tests.gateway.stub_mlflow import body

Promise = Callable[[Running], bool]
QUICK_S = 0.5
PROXIED = "/api/mlflow/api/2.0/mlflow/runs/get"


def answers(up: Running, path: str, limit_s: float) -> bool:
    """Whether a path answers within a time."""
    try:
        up.get(path, timeout=limit_s)
    except httpx.TimeoutException:
        return False
    return True


def loop_stays_free(up: Running) -> bool:
    up.links["mlflow"].hang()
    served = up.gateway.traffic.requests
    asking = threading.Thread(target=lambda: httpx.get(f"{up.http.base_url}/health", timeout=9, verify=False))
    asking.start()
    until(lambda: up.gateway.traffic.active or up.gateway.traffic.requests > served)
    free = answers(up, "/live", 0.8)
    up.links["mlflow"].restore()
    asking.join()
    return free


def health_does_not_wait(link: str) -> Promise:
    def promise(up: Running) -> bool:
        up.links[link].hang()
        found = True
        for _ in range(4):
            time.sleep(0.1)  # longer than a result counts as fresh
            found = found and answers(up, "/health", 1.5)
        up.links[link].restore()
        return found

    return promise


def slow_is_not_dead(up: Running) -> bool:
    up.links["redis"].delay_s = 0.05
    time.sleep(0.3)
    return bool(up.get("/health").json()["services"]["redis"] == "healthy")


def cut(link: str, service: str) -> Promise:
    """Whether /health says so when a link is cut."""

    def promise(up: Running) -> bool:
        up.links[link].cut()
        return until(lambda: up.get("/health").json()["services"][service] != "healthy", 2.0)

    return promise


def postgres_cut(up: Running) -> Running:
    up.links["postgres"].cut()
    until(lambda: up.get("/health").json()["services"]["postgres"] == "unhealthy")
    return up


def redis_cut(up: Running) -> Running:
    up.links["redis"].cut()
    until(lambda: up.get("/health").json()["services"]["redis"] != "healthy")
    return up


def reconnects(up: Running) -> bool:
    postgres_cut(up).links["postgres"].restore()
    return until(lambda: up.get("/health").json()["services"]["postgres"] == "healthy", 2.0)


def mlflow_check(up: Running) -> Mapping[str, Any]:
    checks = up.get("/ready").json()["checks"]
    return next(item for item in checks if item["name"] == "mlflow")


def ready_without_mlflow(up: Running) -> bool:
    ready = up.opened().get("/ready")
    return (ready.status_code, ready.json()["degraded_mode"]) == (200, True)


def tripped(point: str, path: str, method: str = "GET") -> Callable[[Running], httpx.Response]:
    def ask(up: Running) -> httpx.Response:
        up.gateway.failpoints.set(point, True)
        return up.ask(method, path)

    return ask


def uptime_grows(up: Running) -> bool:
    first, second = up.get("/live").json(), up.get("/live").json()
    return bool(second["uptime"] > first["uptime"] and first["memory_usage_mb"] > 0)


def gauges_agree(up: Running) -> bool:
    families = text_string_to_metric_families(up.get("/metrics").text)
    found = {item.name: item.value for family in families for item in family.samples}
    return (found.get("mlflow_connection_status"), found.get("mlflow_circuit_breaker_state")) == (1, 0)


def status_agrees(up: Running) -> bool:
    status, health = up.opened().get("/health/status"), up.get("/health")
    return status.status_code == 200 and status.json()["services"] == health.json()["services"]


def open_health(up: Running) -> bool:
    answer = up.opened().get("/health/mlflow")
    return answer.status_code == 503 and answer.json()["can_retry_in_seconds"] >= 0


def resets(up: Running) -> bool:
    up.opened().ask("POST", "/health/mlflow/reset")
    return up.gateway.breaker.state == "CLOSED"


def gives_connections_back(up: Running) -> bool:
    for _ in range(8):
        up.get("/health?detailed=true")
    return until(lambda: up.gateway.database.in_use == 0, 0.5)


def leaves_nothing_behind(up: Running) -> bool:
    def size() -> float:
        return float(up.get("/live").json()["memory_usage_mb"])

    for _ in range(50):
        up.get("/version")
    time.sleep(0.25)  # how long a measurement is kept
    before = size()
    for _ in range(300):
        up.get("/version")
    time.sleep(0.25)
    return size() - before < 1.2  # the defect leaves 8 KiB each time


def is_quick(path: str, requests: int = 1) -> Promise:
    def promise(up: Running) -> bool:
        times = [up.get(path, key=True).elapsed.total_seconds() for _ in range(requests)]
        return min(times[-3:]) < QUICK_S

    return promise


def quick_while_open(up: Running) -> bool:
    up.opened()
    return is_quick("/health", 3)(up)


def serves_many(up: Running) -> bool:
    up.mlflow.slow_s = 0.2
    found: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(
                httpx.get(
                    f"{up.http.base_url}/api/mlflow/api/2.0/slow", headers={"X-API-Key": up.key}
                ).status_code
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    up.mlflow.slow_s = 1.0
    return found == [200] * 8


def with_header(name: str, form: str, status: int = 200) -> Promise:
    return lambda up: up.get("/", headers={name: form.format(up.key)}).status_code == status


def asks_once(up: Running) -> bool:
    before = up.rig.validations()
    for _ in range(3):
        up.get("/", key=True)
    return up.rig.validations() == before + 1


def cache_expires(up: Running) -> bool:
    up.get("/", key=True)
    return all(0 < int(up.rig.redis.ttl(name)) <= 300 for name in up.rig.redis.keys("hokusai:api-key:*"))


def revoked_is_refused(up: Running) -> bool:
    up.get("/", key=True)
    up.rig.revoke(up.key_id)
    up.rig.redis.flushall()
    return up.get("/", key=True).status_code == 401


def bad_key(up: Running) -> httpx.Response:
    return up.get("/", key="hk_good_unknown0123456789")


def past_limit(up: Running) -> httpx.Response:
    key, _ = up.rig.make_key("limited", 2)
    return [up.get("/", key=key) for _ in range(3)][-1]


def usage_failure_is_not_noticed(up: Running) -> bool:
    up.get("/", key=True)
    up.links["auth"].cut()
    return up.get("/", key=True).status_code == 200


def no_key_in(text: Callable[[Running], str]) -> Promise:
    return lambda up: up.key not in text(up)


def logged(up: Running) -> str:
    up.get(f"/nowhere?api_key={up.key}", key=True)
    until(lambda: "/nowhere" in up.log.getvalue())
    return up.log.getvalue()


def redirected(up: Running) -> str:
    return str(up.get("/health/", key=True).headers) + str(up.get("/none/", key=True).headers)


def refused(up: Running) -> str:
    up.rig.revoke(up.key_id)
    return up.get("/", key=True).text


def sent(up: Running) -> Mapping[str, list[str]]:
    up.get(PROXIED, key=True, headers={"X-Hokusai-User-Id": "root"})
    return up.mlflow.seen[-1].headers


def query_stops(up: Running) -> bool:
    up.get(f"{PROXIED}?api_key={up.key}", key=True)
    return up.key not in up.mlflow.seen[-1].path


def path_at_mlflow(up: Running) -> bool:
    up.get(PROXIED, key=True)
    return not up.mlflow.seen[-1].path.startswith("/api/mlflow")


def artifact_is_whole(up: Running) -> bool:
    path = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/bytes/100000"
    return up.get(path, key=True).content == body(100_000)


def hanging(up: Running) -> int:
    up.links["mlflow"].hang()
    try:
        return up.get(PROXIED, key=True, timeout=1.5).status_code
    except httpx.TimeoutException:
        return 0


def unreachable(up: Running) -> int:
    up.links["mlflow"].cut()
    return up.get(PROXIED, key=True).status_code


def silent_while_open(up: Running) -> bool:
    up.opened().links["mlflow"].restore()
    before = up.links["mlflow"].accepted
    up.get(PROXIED, key=True)
    return up.links["mlflow"].accepted == before


def opens(up: Running) -> bool:
    return bool(up.opened().gateway.breaker.state == "OPEN")


def callers_mistakes_do_not_count(up: Running) -> bool:
    for _ in range(5):
        up.get("/api/mlflow/api/2.0/status/404", key=True)
    return up.gateway.breaker.state == "CLOSED"


def registers_without_queue(up: Running) -> bool:
    up.links["queue"].cut()
    until(lambda: up.get("/health").json()["services"]["message_queue"] != "healthy", 1.0)
    return up.ask("POST", "/api/mlflow/registered-models/create", json={}).status_code == 200


# Promises that are only asked about: one good gateway serves them all.
ONLY_ASKED = frozenset(
    {
        *("detailed_health_500", "no_system_info", "health_says_unhealthy", "health_flaps"),
        *("status_500", "queue_never_loads"),
        *("naive_timestamps", "uptime_stands_still", "version_incomplete", "commit_unknown"),
        *("metrics_disagree", "metrics_missing", "mlflow_health_incomplete", "redis_absence_is_failure"),
        *("leaks_connections", "leaks_memory", "no_instance_name", "slow", "slows_down", "refuses_many"),
        *("fails_sometimes", "probes_need_key", "reset_without_key", "nothing_needs_key"),
        *("bearer_case_sensitive", "two_spaces_refused", "scheme_not_needed", "x_api_key_ignored"),
        *("apikey_scheme_ignored", "key_in_query_accepted", "key_in_query_forwarded", "key_in_logs"),
        *("key_in_redirect", "key_form_wrong", "service_id_wrong", "cache_never_expires", "bad_key_500"),
        *("bad_key_403", "limit_ignored", "limit_without_retry_after", "no_limit_headers"),
        *("forwards_key", "no_user_headers", "trusts_callers_headers", "html_404_passed_on"),
        *("prefix_kept", "damages_artifacts", "slow_proxy", "counts_4xx"),
    }
)

# The settings that a promise needs beside the usual ones.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "redis_required": {"redis_url": "", "queue_redis_url": ""},
    "no_proxy_timeout": {"proxy_timeout_s": 0.4},
    # It must still be OPEN when it is asked, however long that takes.
    "open_500": {"mlflow_cb_recovery_timeout": 30},
    "open_without_retry_after": {"mlflow_cb_recovery_timeout": 30},
    "open_lets_calls_through": {"mlflow_cb_recovery_timeout": 30},
    "slow_while_mlflow_down": {"mlflow_cb_recovery_timeout": 30},
    "reset_does_nothing": {"mlflow_cb_recovery_timeout": 30},
}

# How wrong it has to be to show at once.
VALUES: Mapping[str, str] = {
    "slow": "slow=0.6",
    "slow_proxy": "slow_proxy=0.6",
    "slow_while_mlflow_down": "slow_while_mlflow_down=0.6",
    "slows_down": "slows_down=0.15",
}

PROMISES: Mapping[str, Promise] = {
    "blocks_on_health": loop_stays_free,
    "waits_for_mlflow": health_does_not_wait("mlflow"),
    "checks_without_timeout": health_does_not_wait("redis"),
    "impatient_checks": slow_is_not_dead,
    "detailed_health_500": lambda up: up.get("/health?detailed=true").status_code == 200,
    "no_system_info": lambda up: "system_info" in up.get("/health?detailed=true").json(),
    "no_degradation_reason": lambda up: (
        "degradation_reason" in up.opened().get("/health?detailed=true").json()["mlflow_details"]
    ),
    "health_500_when_open": lambda up: up.opened().get("/health").status_code == 200,
    "health_always_healthy": cut("redis", "redis"),
    "health_says_unhealthy": lambda up: up.get("/health").json()["services"]["redis"] == "healthy",
    "health_flaps": lambda up: {up.get("/health").json()["status"] for _ in range(8)} == {"healthy"},
    "open_breaker_hidden": lambda up: up.opened().get("/health").json()["services"]["mlflow"] == "degraded",
    "slow_while_mlflow_down": quick_while_open,
    "naive_timestamps": lambda up: (
        datetime.fromisoformat(up.get("/health").json()["timestamp"]).tzinfo is not None
    ),
    "ready_needs_mlflow": ready_without_mlflow,
    "ready_ignores_postgres": lambda up: postgres_cut(up).get("/ready").status_code == 503,
    "never_degraded_mode": ready_without_mlflow,
    "half_open_not_ready": lambda up: bool(mlflow_check(up.half_opened()).get("recovering")),
    "live_needs_postgres": lambda up: postgres_cut(up).get("/live").status_code == 200,
    "live_needs_psutil": lambda up: tripped("psutil_missing", "/live")(up).status_code == 200,
    "uptime_stands_still": uptime_grows,
    "version_incomplete": lambda up: {"git_commit", "build_date"} <= set(up.get("/version").json()),
    "commit_unknown": lambda up: len(up.get("/version").json()["git_commit"]) == 40,
    "metrics_disagree": gauges_agree,
    "metrics_missing": gauges_agree,
    "metrics_fallback_incomplete": lambda up: len(tripped("prometheus_missing", "/metrics")(up).json()) == 4,
    "mlflow_health_incomplete": lambda up: up.get("/health/mlflow").json().get("response_time_ms", 0) > 0,
    "mlflow_health_500_when_open": open_health,
    "mlflow_health_no_retry_time": lambda up: (
        "can_retry_in_seconds" in up.opened().get("/health/mlflow").json()
    ),
    "mlflow_check_error_hidden": lambda up: (
        tripped("mlflow_check_breaks", "/health/mlflow")(up).status_code == 500
    ),
    "reset_does_nothing": resets,
    "reset_error_hidden": lambda up: (
        tripped("reset_fails", "/health/mlflow/reset", "POST")(up).status_code == 500
    ),
    "status_disagrees": status_agrees,
    "status_not_found": status_agrees,
    "status_500": lambda up: up.get("/health/status").status_code == 200,
    "queue_never_loads": lambda up: up.get("/health").json()["services"]["message_queue"] == "healthy",
    "leaks_connections": gives_connections_back,
    "leaks_memory": leaves_nothing_behind,
    "never_reconnects": reconnects,
    "redis_required": lambda up: up.get("/health").json()["status"] == "healthy",
    "redis_absence_is_failure": lambda up: up.get("/health").json()["status"] == "healthy",
    "no_instance_name": lambda up: up.get("/live").headers.get("x-instance") == "api-1",
    "slow": is_quick("/live", 3),
    "slows_down": is_quick("/version", 6),
    "refuses_many": serves_many,
    "fails_sometimes": lambda up: {up.get("/", key=True).status_code for _ in range(6)} == {200},
    "probes_need_key": lambda up: up.get("/health").status_code == 200,
    "reset_without_key": lambda up: up.ask("POST", "/health/mlflow/reset", key=False).status_code == 401,
    "nothing_needs_key": lambda up: up.get("/").status_code == 401,
    "bearer_case_sensitive": with_header("Authorization", "bearer {}"),
    "two_spaces_refused": with_header("Authorization", "Bearer  {}"),
    "scheme_not_needed": with_header("Authorization", "{}", 401),
    "x_api_key_ignored": with_header("X-API-Key", "{}"),
    "apikey_scheme_ignored": with_header("Authorization", "ApiKey {}"),
    "key_in_query_accepted": lambda up: up.get(f"/?api_key={up.key}").status_code == 401,
    "key_in_query_forwarded": query_stops,
    "key_in_logs": no_key_in(logged),
    "key_in_answer": no_key_in(refused),
    "key_in_redirect": no_key_in(redirected),
    "key_form_wrong": lambda up: up.get("/", key=True).status_code == 200,
    "service_id_wrong": lambda up: up.get("/", key=True).status_code == 200,
    "cache_not_used": asks_once,
    "cache_never_expires": cache_expires,
    "stale_keys": revoked_is_refused,
    "keys_need_redis": lambda up: redis_cut(up).get("/", key=True).status_code == 200,
    "bad_key_500": lambda up: bad_key(up).status_code == 401,
    "bad_key_403": lambda up: bad_key(up).status_code == 401,
    "usage_failure_fails": usage_failure_is_not_noticed,
    "limit_ignored": lambda up: past_limit(up).status_code == 429,
    "limit_without_retry_after": lambda up: "retry-after" in past_limit(up).headers,
    "no_limit_headers": lambda up: "x-ratelimit-remaining" in up.get("/", key=True).headers,
    "forwards_key": lambda up: up.key not in str(sent(up)),
    "no_user_headers": lambda up: "sandbox" in sent(up).get("x-hokusai-user-id", []),
    "trusts_callers_headers": lambda up: sent(up)["x-hokusai-user-id"] == ["sandbox"],
    "html_404_passed_on": lambda up: up.get("/api/mlflow/html404", key=True).text.startswith("{"),
    "prefix_kept": path_at_mlflow,
    "damages_artifacts": artifact_is_whole,
    "slow_proxy": is_quick(PROXIED, 3),
    "unreachable_500": lambda up: unreachable(up) == 502,
    "timeout_500": lambda up: hanging(up) == 504,
    "no_proxy_timeout": lambda up: hanging(up) == 504,
    "open_500": lambda up: up.opened().get(PROXIED, key=True).status_code == 503,
    "open_without_retry_after": lambda up: "retry-after" in up.opened().get(PROXIED, key=True).headers,
    "open_lets_calls_through": silent_while_open,
    "calls_not_counted": opens,
    "counts_4xx": callers_mistakes_do_not_count,
    "queue_failure_fails": registers_without_queue,
}

# Their gateways must be silent or slow for seconds until it shows: these run in `make soak`.
TAKES_LONG = {
    "checks_without_timeout",
    "health_always_healthy",
    "leaks_memory",
    "never_reconnects",
    "no_proxy_timeout",
    "slow",
    "slow_proxy",
    "slow_while_mlflow_down",
    "slows_down",
    "timeout_500",
    "waits_for_mlflow",
}
