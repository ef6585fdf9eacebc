"""The proxy, against a stub that keeps what it was sent."""

import hashlib
import socket
import tracemalloc
from collections.abc import Iterator

import httpx
import pytest

from hokusai_sandbox_tests.gateway.rig import Rig, Running, until
from hokusai_sandbox_tests.gateway.stub_mlflow import body


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/mlflow/api/2.0/mlflow/runs/get?run_id=1", "/api/2.0/mlflow/runs/get?run_id=1"),
        ("/mlflow/api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/api/mlflow/experiments/search", "/api/2.0/mlflow/experiments/search"),
        ("/mlflow/experiments/search", "/api/2.0/mlflow/experiments/search"),
        ("/api/mlflow/mlflow-artifacts/artifacts/a", "/api/2.0/mlflow-artifacts/artifacts/a"),
        (
            "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/a%20b/%C3%BC%2Fc",
            "/api/2.0/mlflow-artifacts/artifacts/a%20b/%C3%BC%2Fc",
        ),
        ("/api/mlflow/health/x", "/health/x"),
        ("/api/mlflow/version", "/version"),
        ("/api/mlflow/api/3.0/mlflow/traces", "/api/3.0/mlflow/traces"),
        ("/api/mlflow/api/2.0/x?a=%20b&c=d%26e", "/api/2.0/x?a=%20b&c=d%26e"),
    ],
)
def test_paths(shared: Running, path: str, expected: str) -> None:
    assert shared.get(path, key=True).status_code == 200
    assert shared.mlflow.seen[-1].path == expected


def test_headers(shared: Running) -> None:
    answer = shared.ask(
        "POST",
        "/api/mlflow/api/2.0/mlflow/runs/create",
        json={"a": 1},
        headers={"X-API-Key": shared.key, "X-Hokusai-User-Id": "root", "X-Other": "kept", "Cookie": "c=1"},
    )
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-ratelimit-limit"] == "1000000"
    headers = shared.mlflow.seen[-1].headers
    assert shared.key not in str(headers)
    assert headers["x-hokusai-user-id"] == ["sandbox"]
    assert headers["x-hokusai-api-key-id"] == [shared.key_id]
    assert headers["x-other"] == ["kept"]
    assert headers["host"] == [f"127.0.0.1:{shared.links['mlflow'].port}"]
    assert headers["content-type"] == ["application/json"]


def test_nothing_is_added(shared: Running) -> None:
    shared.http.request(
        "PUT",
        "/api/mlflow/api/2.0/x",
        content=b"abc",
        headers={"X-API-Key": shared.key, "Accept": "a/b", "User-Agent": "u", "Accept-Encoding": "identity"},
    )
    sent = shared.mlflow.seen[-1].headers
    assert set(sent) - {"cookie"} == {
        *("host", "accept", "user-agent", "accept-encoding", "content-length"),
        *("x-hokusai-user-id", "x-hokusai-api-key-id"),
    }


def test_keys_in_a_query_stop_here(shared: Running) -> None:
    shared.get(f"/api/mlflow/api/2.0/x?api_key={shared.key}&a=1&b={shared.key}&c=2", key=True)
    assert shared.mlflow.seen[-1].path == "/api/2.0/x?a=1&c=2"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_methods(shared: Running, method: str) -> None:
    assert shared.ask(method, "/api/mlflow/api/2.0/x").status_code == 200
    assert shared.mlflow.seen[-1].method == method


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 429])
def test_statuses_that_are_no_failures(up: Running, status: int) -> None:
    for _ in range(4):
        assert up.get(f"/api/mlflow/api/2.0/status/{status}", key=True).status_code == status
    assert up.gateway.breaker.failure_count == 0
    assert up.gateway.breaker.consecutive_successes == 4


def test_5xx_is_passed_on_and_counted(up: Running) -> None:
    assert [up.get("/api/mlflow/api/2.0/status/500", key=True).status_code for _ in range(4)] == [500] * 3 + [
        503
    ]


def test_html_404(shared: Running) -> None:
    answer = shared.get("/api/mlflow/html404", key=True)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error_code"] == "RESOURCE_NOT_FOUND"


def test_unreachable_then_open(up: Running) -> None:
    up.links["mlflow"].cut()
    answers = [up.get("/api/mlflow/version", key=True) for _ in range(5)]
    assert [item.status_code for item in answers] == [502, 502, 502, 503, 503]
    assert "refused" in answers[0].json()["message"]
    assert answers[3].headers["retry-after"] == "1"
    assert answers[3].json()["error_code"] == "TEMPORARILY_UNAVAILABLE"


@pytest.mark.parametrize("how", ["hang", "slow"])
def test_too_slow(up: Running, how: str) -> None:
    if how == "hang":
        up.links["mlflow"].hang()
    answer = up.get("/api/mlflow/api/2.0/slow", key=True)
    assert answer.status_code == 504
    assert "time-out" in answer.json()["message"]
    assert up.gateway.breaker.failure_count == 1


def test_ordinary_traffic_recovers(up: Running) -> None:
    up.opened()
    up.links["mlflow"].restore()
    assert until(lambda: up.get("/api/mlflow/version", key=True).status_code == 200)
    assert up.gateway.breaker.state == "HALF_OPEN"
    assert up.get("/api/mlflow/version", key=True).status_code == 200
    assert up.gateway.breaker.state == "CLOSED"
    assert up.get("/health").json()["services"]["mlflow"] == "healthy"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_bodies_are_whole(shared: Running, size: int) -> None:
    content = body(size)
    path = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/x"
    assert shared.ask("PUT", path, content=content).status_code == 200

    def pieces() -> Iterator[bytes]:
        yield content[: size // 2]
        yield content[size // 2 :]

    assert shared.ask("PUT", path, content=pieces()).status_code == 200
    for seen in shared.mlflow.seen[-2:]:
        assert (seen.size, seen.sha256) == (size, hashlib.sha256(content).hexdigest())
    answer = shared.get(f"/api/mlflow/api/2.0/mlflow-artifacts/artifacts/bytes/{size}", key=True)
    assert answer.content == content


def test_64_mib_pass_in_bounded_memory(shared: Running) -> None:
    size = 64 * 1024 * 1024
    piece = body(1024 * 1024)
    digest = hashlib.sha256()
    for _ in range(64):
        digest.update(piece)
    tracemalloc.start()
    try:
        sent = shared.ask(
            "PUT",
            "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/x",
            content=(piece for _ in range(64)),
            headers={"content-length": str(size)},
            timeout=60,
        )
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent.status_code == 200
    assert (shared.mlflow.seen[-1].size, shared.mlflow.seen[-1].sha256) == (size, digest.hexdigest())
    assert most < 16 * 1024 * 1024


def test_an_answer_that_breaks_off_is_no_whole_answer(up: Running) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        up.get("/api/mlflow/api/2.0/broken", key=True)
    assert until(lambda: up.gateway.breaker.failure_count == 1)
    assert up.get("/live").status_code == 200


def test_a_caller_that_leaves_is_not_mlflows_failure(up: Running) -> None:
    port = int(str(up.http.base_url.port))
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(
            b"PUT /api/mlflow/api/2.0/mlflow-artifacts/artifacts/x HTTP/1.1\r\nhost: x\r\n"
            b"content-length: 1000000\r\nx-api-key: " + up.key.encode() + b"\r\n\r\n" + b"x" * 100_000
        )
    assert until(lambda: "/mlflow-artifacts/artifacts/x" in up.log.getvalue())
    assert up.gateway.breaker.failure_count == 0
    assert up.get("/api/mlflow/version", key=True).status_code == 200


def test_new_models_are_published(up: Running, rig: Rig) -> None:
    up.ask("POST", "/api/mlflow/api/2.0/mlflow/registered-models/create", json={"name": "m"})
    assert until(lambda: up.gateway.queue.published == 1)
    up.links["queue"].cut()
    answer = up.ask("POST", "/api/mlflow/api/2.0/mlflow/registered-models/create", json={"name": "m"})
    assert answer.status_code == 200
    assert until(lambda: up.gateway.queue.failures == 1)
    assert until(lambda: "event not published" in up.log.getvalue())  # written after it is counted
    assert until(lambda: up.get("/health").json()["services"]["message_queue"] == "unhealthy")


def test_diagnosis(up: Running) -> None:
    for path in ("/api/health/mlflow", "/api/health/mlflow/detailed", "/api/health/mlflow/connectivity"):
        checks = up.get(path, key=True).json()["checks"]
        assert {name: item["status"] for name, item in checks.items()} == dict.fromkeys(
            ("connectivity", "experiments_api", "artifacts_api"), "healthy"
        )
    up.links["mlflow"].cut()
    answer = up.get("/api/health/mlflow", key=True)
    assert answer.status_code == 503
    assert "refused" in answer.json()["checks"]["connectivity"]["message"]
    assert up.gateway.breaker.failure_count == 0
