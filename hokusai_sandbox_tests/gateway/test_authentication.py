"""The authentication cases over HTTP, with a real auth service and real redis."""

import json
import time

import pytest

from hokusai_sandbox_tests.gateway.rig import Rig, Running, until


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Authorization", "Bearer {}"),
        ("authorization", "bearer {}"),
        ("Authorization", "BEARER {}"),
        ("Authorization", "Bearer  {}"),
        ("Authorization", "ApiKey {}"),
        ("Authorization", "apikey {}"),
        ("X-API-Key", "{}"),
        ("x-api-key", "{}"),
        ("X-Api-Key", "{}"),
        ("X-API-KEY", "{}"),
    ],
)
def test_accepted_forms(shared: Running, name: str, form: str) -> None:
    assert shared.get("/", headers={name: form.format(shared.key)}).status_code == 200


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Authorization", "{}"),
        ("Authorization", "Bearer{}"),
        ("Authorization", "Basic {}"),
        ("Authorization", "Bearer"),
        ("X-API-Key", ""),
    ],
)
def test_forms_that_are_none(shared: Running, name: str, form: str) -> None:
    answer = shared.get("/", headers={name: form.format(shared.key)})
    assert (answer.status_code, answer.json()) == (401, {"detail": "API key required"})


@pytest.mark.parametrize(
    "key",
    ["hk", "null", "abcdef0123456789", "sk_live_0123456789abcdef", "hk_good_unknown0123456789", "ü" * 9],
)
def test_bad_keys(shared: Running, key: str) -> None:
    answer = shared.get("/", headers={"X-API-Key": key.encode()})
    assert answer.status_code == 401
    assert key not in answer.text
    assert answer.headers["x-instance"] == "api-1"


@pytest.mark.parametrize("kind", ["expired", "revoked"])
def test_keys_that_are_over(shared: Running, rig: Rig, kind: str) -> None:
    key, _ = rig.make_key(kind)
    assert shared.get("/", key=key).status_code == 401


def test_no_key_in_a_query(shared: Running) -> None:
    for name in ("api_key", "key", "access_token"):
        assert shared.get(f"/?{name}={shared.key}").status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/api/mlflow/version", "/mlflow/version", "/api/health/mlflow", "/none"]
)
def test_a_key_is_needed(shared: Running, path: str) -> None:
    assert shared.get(path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        *("/health", "/ready", "/live", "/version", "/metrics", "/health/mlflow", "/health/status"),
        *("/docs", "/redoc", "/openapi.json"),
    ],
)
def test_no_key_is_needed(shared: Running, path: str) -> None:
    assert shared.get(path).status_code == 200
    assert shared.ask("POST", path, key=False).status_code == 401


def test_the_second_request_does_not_ask(up: Running, rig: Rig) -> None:
    before = rig.validations()
    for _ in range(5):
        assert up.get("/", key=True).status_code == 200
    assert rig.validations() == before + 1
    names = rig.redis.keys("hokusai:api-key:*")
    assert len(names) == 1
    assert 290 < int(rig.redis.ttl(names[0])) <= 300
    assert up.key not in f"{names[0]!r} {rig.redis.get(names[0])!r}"


@pytest.mark.parametrize("how", ["cut", "hang"])
def test_without_redis_every_request_asks(up: Running, rig: Rig, how: str) -> None:
    assert up.get("/", key=True).status_code == 200
    getattr(up.links["redis"], how)()
    assert until(lambda: up.get("/health").json()["services"]["redis"] == "unhealthy")
    before = rig.validations()
    started = time.monotonic()
    for _ in range(5):
        assert up.get("/", key=True).status_code == 200
    assert time.monotonic() - started < 1
    assert rig.validations() == before + 5
    rig.revoke(up.key_id)
    assert up.get("/", key=True).status_code == 401


def test_reset_connections_to_redis_are_not_noticed(up: Running) -> None:
    for _ in range(10):
        assert up.get("/", key=True).status_code == 200
        up.links["redis"].reset()
        assert up.get("/health").status_code == 200


def test_a_revoked_key_lives_no_longer_than_its_cache(up: Running, rig: Rig) -> None:
    assert up.get("/", key=True).status_code == 200
    rig.revoke(up.key_id)
    assert up.get("/", key=True).status_code == 200  # within the 300 s that the contract allows
    rig.redis.flushall()
    assert up.get("/", key=True).status_code == 401


@pytest.mark.parametrize("redis", [True, False])
def test_rate_limit(up: Running, rig: Rig, redis: bool) -> None:
    if not redis:
        up.links["redis"].cut()
        assert until(lambda: up.get("/health").json()["services"]["redis"] == "unhealthy")
    key, _ = rig.make_key("limited", 3)
    answers = [up.get("/", key=key) for _ in range(4)]
    assert [item.status_code for item in answers] == [200, 200, 200, 429]
    assert [item.headers["x-ratelimit-limit"] for item in answers[:3]] == ["3", "3", "3"]
    assert [item.headers["x-ratelimit-remaining"] for item in answers[:3]] == ["2", "1", "0"]
    assert int(answers[0].headers["x-ratelimit-reset"]) > time.time()
    assert 1 <= int(answers[3].headers["retry-after"]) <= 3600
    assert up.get("/", key=True).status_code == 200


@pytest.mark.parametrize("how", ["cut", "hang"])
def test_auth_service_gone(up: Running, rig: Rig, how: str) -> None:
    known, _ = rig.make_key()
    assert up.get("/", key=known).status_code == 200
    getattr(up.links["auth"], how)()
    assert up.get("/", key=known).status_code == 200  # cached
    refused = up.get("/", key=up.key)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert up.get("/live").status_code == 200
    up.links["auth"].restore()
    assert up.get("/", key=True).status_code == 200


def test_usage_is_reported_and_its_failure_is_not_noticed(up: Running, rig: Rig) -> None:
    for _ in range(3):
        up.get("/", key=True)
    assert until(lambda: rig.auth_http.get("/admin/requests").json()["usage_by_key"].get(up.key_id) == 3)
    up.links["auth"].cut()
    assert up.get("/", key=True).status_code == 200
    assert until(lambda: up.gateway.usage.failures == 1)
    assert until(lambda: "usage not reported" in up.log.getvalue())


def test_a_key_stands_nowhere(up: Running, rig: Rig) -> None:
    key, _ = rig.make_key("revoked")
    answers = [
        up.get(f"/api/mlflow/{key}?api_key={key}", key=key),
        up.get(f"/?token={key}", key=key),
        up.get(f"/{up.key}/", key=True),
        up.get(f"/api/mlflow//?api_key={up.key}", key=True),
    ]
    for answer in answers:
        assert not answer.is_redirect
        for secret in (key, up.key):
            assert secret not in answer.text.replace(f"/{up.key}", "")
            assert secret not in str(answer.headers)
    assert until(lambda: up.log.getvalue().count('"request"') >= 4)
    for secret in (key, up.key):
        assert secret not in up.log.getvalue()
    for line in up.log.getvalue().splitlines():
        assert json.loads(line)["instance"] == "api-1"
