"""Health answers over HTTP, their states brought about at the links."""

import time
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hokusai_sandbox_tests.gateway.rig import Rig, Running, until


def services(up: Running) -> dict[str, str]:
    return dict(up.get("/health").json()["services"])


def test_all_well(unhurried: Running) -> None:
    answer = unhurried.get("/health")
    content = answer.json()
    assert (answer.status_code, content["status"]) == (200, "healthy")
    assert content["services"] == dict.fromkeys(("mlflow", "redis", "message_queue", "postgres"), "healthy")
    assert datetime.fromisoformat(content["timestamp"]).tzinfo is not None
    assert answer.headers["x-instance"] == "api-1"
    ready = unhurried.get("/ready").json()
    assert (ready["ready"], ready["can_serve_traffic"], ready["degraded_mode"]) == (True, True, False)
    assert {item["name"]: item["critical"] for item in ready["checks"]} == {
        "mlflow": False,
        "redis": False,
        "message_queue": False,
        "postgres": True,
    }


def test_detailed(unhurried: Running) -> None:
    content = unhurried.get("/health?detailed=true").json()
    assert 0 <= content["system_info"]["cpu_percent"] <= 100
    assert 0 < content["system_info"]["memory_percent"] <= 100
    assert content["mlflow_details"]["tracking_uri"].startswith("http://127.0.0.1:")
    assert content["mlflow_details"]["response_time_ms"] > 0
    assert content["mlflow_details"]["circuit_breaker"]["state"] == "CLOSED"
    assert not [name for name in content if name.endswith("_error")]


def test_open_breaker(up: Running) -> None:
    up.opened()
    content = up.get("/health?detailed=true").json()
    assert (content["status"], content["services"]["mlflow"]) == ("degraded", "degraded")
    assert "OPEN" in content["mlflow_details"]["degradation_reason"]
    assert "refused" in content["mlflow_error"]
    ready = up.get("/ready")
    assert ready.status_code == 200
    assert (ready.json()["ready"], ready.json()["degraded_mode"]) == (False, True)
    asked = up.get("/health/mlflow")
    assert asked.status_code == 503
    assert asked.json()["circuit_breaker_state"] == "OPEN"
    assert 0 < asked.json()["can_retry_in_seconds"] <= 0.3
    assert asked.headers["retry-after"] == "1"


def test_half_open_breaker(up: Running) -> None:
    up.half_opened()
    content = up.get("/health?detailed=true").json()
    assert (content["status"], content["services"]["mlflow"]) == ("degraded", "recovering")
    assert "degradation_reason" in content["mlflow_details"]
    ready = up.get("/ready").json()
    assert ready["ready"] is True
    assert next(item for item in ready["checks"] if item["name"] == "mlflow")["recovering"] is True
    assert up.get("/health/mlflow").json()["circuit_breaker_state"] == "CLOSED"
    assert services(up)["mlflow"] == "healthy"


def test_everything_cut_and_back(up: Running) -> None:
    for name in ("postgres", "redis", "queue"):
        up.links[name].cut()
    up.opened()
    assert until(lambda: up.get("/health").json()["status"] == "unhealthy")
    assert services(up) == {
        "mlflow": "degraded",
        "redis": "unhealthy",
        "message_queue": "unhealthy",
        "postgres": "unhealthy",
    }
    ready = up.get("/ready")
    assert ready.status_code == 503
    assert (ready.json()["can_serve_traffic"], ready.json()["degraded_mode"]) == (False, False)
    assert up.get("/live").status_code == 200
    for link in up.links.values():
        link.restore()
    assert until(lambda: services(up)["postgres"] == "healthy")
    assert until(lambda: up.get("/health/mlflow").json().get("circuit_breaker_state") == "CLOSED")
    assert until(lambda: up.get("/health").json()["status"] == "healthy")


@pytest.mark.parametrize("link", ["postgres", "redis", "queue", "mlflow"])
def test_one_link_cut_is_noticed_by_the_next_answers(up: Running, link: str) -> None:
    up.links[link].cut()
    name = "message_queue" if link == "queue" else link
    assert until(lambda: services(up)[name] == "unhealthy")
    expected = "unhealthy" if link == "postgres" else "degraded"
    assert up.get("/health").json()["status"] == expected
    up.links[link].restore()
    assert until(lambda: services(up)[name] == "healthy")


def test_everything_hangs(up: Running) -> None:
    for name in ("postgres", "redis", "queue", "mlflow"):
        up.links[name].hang()
    started = time.monotonic()
    answer = up.get("/health?detailed=true")
    assert answer.status_code == 200
    assert time.monotonic() - started < 1.0  # its health time-out here
    assert until(lambda: up.get("/health").json()["status"] == "unhealthy")
    content = up.get("/health?detailed=true").json()
    for name in ("postgres", "redis", "message_queue"):
        assert "time-out" in content[f"{name}_error"]
    assert until(lambda: "time-out" in (up.get("/health?detailed=true").json().get("mlflow_error") or ""))
    assert up.gateway.database.in_use <= 1
    for link in up.links.values():
        link.restore()
    assert until(lambda: up.get("/health").json()["status"] == "healthy")
    assert until(lambda: up.gateway.database.in_use == 0)


def test_nothing_deployed_is_no_failure(rig: Rig) -> None:
    with rig.start(redis_url="", queue_redis_url="") as up:
        content = up.get("/health").json()
        assert content["status"] == "healthy"
        assert (content["services"]["redis"], content["services"]["message_queue"]) == ("disabled",) * 2
        assert up.get("/ready").json()["ready"] is True
        assert up.get("/", key=True).status_code == 200


def test_wrong_database_user_is_named(rig: Rig) -> None:
    with rig.start(database_user="mlflow") as up:
        content = up.get("/health?detailed=true").json()
        assert content["services"]["postgres"] == "unhealthy"
        assert 'user "mlflow"' in content["postgres_error"]


def test_live_and_version(up: Running) -> None:
    first, second = up.get("/live").json(), up.get("/live").json()
    assert first["alive"] is True
    assert second["uptime"] > first["uptime"] > 0
    assert first["memory_usage_mb"] > 1
    assert up.get("/version").json() == {
        "version": "1.0.0",
        "build_date": "2026-01-01T00:00:00+00:00",
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "api_version": "v1",
    }


def test_mlflow_health(up: Running) -> None:
    content = up.get("/health/mlflow").json()
    assert (content["connected"], content["circuit_breaker_state"]) == (True, "CLOSED")
    assert content["response_time_ms"] > 0
    assert "error" not in content
    up.links["mlflow"].cut()
    failed = up.get("/health/mlflow")
    assert (failed.status_code, failed.json()["connected"]) == (200, False)
    assert "refused" in failed.json()["error"]
    up.get("/health/mlflow")
    assert up.get("/health/mlflow").status_code == 503  # the third failure opens


def test_status_agrees(up: Running) -> None:
    for prepare in (lambda: None, up.opened):
        prepare()
        status, health = up.get("/health/status").json(), up.get("/health").json()
        assert status["service_name"] == "hokusai-registry"
        assert status["overall_health"] == health["status"]
        assert status["services"] == health["services"]
        assert status["mlflow"]["status"] == health["services"]["mlflow"]
        assert status["environment"] == "development"


def test_reset(up: Running) -> None:
    up.opened()
    refused = up.ask("POST", "/health/mlflow/reset", key=False)
    assert (refused.status_code, refused.json()) == (401, {"detail": "API key required"})
    assert up.gateway.breaker.state == "OPEN"
    answer = up.ask("POST", "/health/mlflow/reset")
    assert (answer.status_code, answer.json()["reset_by"]) == (200, "sandbox")
    assert up.gateway.breaker.state == "CLOSED"


def test_fail_points(up: Running) -> None:
    points = up.gateway.failpoints
    points.set("reset_fails", True)
    assert up.ask("POST", "/health/mlflow/reset").status_code == 500
    points.set("mlflow_check_breaks", True)
    broken = up.get("/health/mlflow")
    assert (broken.status_code, broken.json()["connected"]) == (500, False)
    assert broken.json()["circuit_breaker_state"] == "UNKNOWN"
    assert "mlflow_check_breaks" in broken.json()["error"]
    points.set("psutil_missing", True)
    assert up.get("/live").json()["memory_usage_mb"] == 0
    points.set("prometheus_missing", True)
    fallback = up.get("/metrics").json()
    assert set(fallback) == {
        "requests_total",
        "requests_per_second",
        "average_response_time_ms",
        "active_connections",
    }


def gauges(up: Running) -> dict[str, float]:
    families = text_string_to_metric_families(up.get("/metrics").text)
    return {item.name: item.value for family in families for item in family.samples if not item.labels}


def test_metrics(up: Running) -> None:
    found = gauges(up)
    assert (found["mlflow_connection_status"], found["mlflow_circuit_breaker_state"]) == (1, 0)
    assert found["hokusai_db_pool_max"] == 5
    assert found["hokusai_db_pool_size"] >= 1
    up.half_opened()
    assert gauges(up)["mlflow_circuit_breaker_state"] == 1
    up.opened()
    found = gauges(up)
    assert (found["mlflow_connection_status"], found["mlflow_circuit_breaker_state"]) == (0, 2)


def test_no_connection_to_mlflow_while_open(rig: Rig) -> None:
    with rig.start(mlflow_cb_recovery_timeout=5) as up:
        up.opened()
        up.links["mlflow"].restore()
        before = up.links["mlflow"].accepted
        for path in ("/health/mlflow", "/api/mlflow/version", "/api/health/mlflow", "/health?detailed=true"):
            for _ in range(3):
                up.get(path, key=True)
        time.sleep(0.2)  # several rounds of the background
        assert up.links["mlflow"].accepted == before
