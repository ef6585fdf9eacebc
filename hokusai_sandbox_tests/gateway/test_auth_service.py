"""The auth service by its own address."""

import httpx
import pytest

from hokusai_sandbox_tests.gateway.rig import Rig


def validate(rig: Rig, key: str, service: str = "platform") -> httpx.Response:
    return rig.auth_http.post(
        "/api/v1/keys/validate", json={"service_id": service}, headers={"Authorization": f"Bearer {key}"}
    )


def test_it_says_that_it_is_well(rig: Rig) -> None:
    assert rig.auth_http.get("/").json()["service"] == "hokusai-auth"
    assert rig.auth_http.get("/health").json()["status"] == "healthy"


def test_a_good_key(rig: Rig) -> None:
    key, key_id = rig.make_key("good", 100)
    assert key.startswith("hk_good_")
    answer = validate(rig, key)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "user_id": "sandbox",
            "key_id": key_id,
            "service_id": "platform",
            "scopes": ["mlflow:read", "mlflow:write"],
            "rate_limit_per_hour": 100,
        },
    )


@pytest.mark.parametrize("kind", ["expired", "revoked"])
def test_keys_that_are_over(rig: Rig, kind: str) -> None:
    key, _ = rig.make_key(kind)
    answer = validate(rig, key)
    assert (answer.status_code, answer.json()) == (401, {"detail": f"API key is {kind}"})


def test_other_forms_are_refused(rig: Rig) -> None:
    key, _ = rig.make_key()
    path, body = "/api/v1/keys/validate", {"service_id": "platform"}
    assert rig.auth_http.post(path, json=body).status_code == 401
    assert rig.auth_http.post(path, json=body | {"api_key": key}).status_code == 401
    assert rig.auth_http.post(path, json=body, headers={"X-API-Key": key}).status_code == 401
    assert rig.auth_http.post(path, headers={"Authorization": f"Bearer {key}"}).status_code == 422
    assert validate(rig, key, "other").status_code == 401


def test_revoking(rig: Rig) -> None:
    key, key_id = rig.make_key("revocable")
    assert validate(rig, key).status_code == 200
    rig.revoke(key_id)
    assert validate(rig, key).status_code == 401
    assert rig.auth_http.post("/admin/keys/nobody/revoke").status_code == 404


def test_limited(rig: Rig) -> None:
    key, _ = rig.make_key("limited", 2)
    # the hour may turn in between, once
    answers = [validate(rig, key) for _ in range(5)]
    limited = [item for item in answers if item.status_code == 429]
    assert limited
    assert all(1 <= int(item.headers["retry-after"]) <= 3600 for item in limited)


def test_usage_and_counters(rig: Rig) -> None:
    key, key_id = rig.make_key()
    before = rig.validations()
    validate(rig, key)
    assert rig.validations() == before + 1
    assert rig.auth_http.post(f"/api/v1/usage/{key_id}", json={"count": 3}).status_code == 200
    assert rig.auth_http.post(f"/api/v1/usage/{key_id}").status_code == 200
    assert rig.auth_http.get("/admin/requests").json()["usage_by_key"][key_id] == 4
    assert rig.auth_http.post("/api/v1/usage/nobody").status_code == 404
    assert rig.auth_http.post("/admin/keys", json={"kind": "nonsense"}).status_code == 422
