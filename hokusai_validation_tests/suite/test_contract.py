"""The typed models of the contract: what is right passes, and each wrong field is named."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract import answers
from hokusai_validation.probes.contract.check import conforms, has_status
from hokusai_validation.probes.contract.metrics import gauge
from hokusai_validation.probes.contract.overall import overall
from hokusai_validation.resources.http import Answer
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import role_of_word

AT = "2026-01-02T03:04:05.678+00:00"
SERVICES = dict.fromkeys(("mlflow", "redis", "message_queue", "postgres"), "healthy")
HEALTH: dict[str, Any] = {"status": "healthy", "version": "1.0.0", "services": SERVICES, "timestamp": AT}
CHECK = {"name": "postgres", "passed": True, "critical": True}
RIGHT: dict[type[BaseModel], dict[str, Any]] = {
    answers.Health: HEALTH,
    answers.DetailedHealth: {
        **HEALTH,
        "system_info": {"cpu_percent": 12.5, "memory_percent": 40},
        "mlflow_details": {
            "tracking_uri": "http://mlflow:5000",
            "response_time_ms": 3.2,
            "circuit_breaker": {"state": "CLOSED"},
        },
    },
    answers.Ready: {"ready": True, "can_serve_traffic": True, "degraded_mode": False, "checks": [CHECK]},
    answers.Live: {"alive": True, "uptime": 3.5, "memory_usage_mb": 80.1},
    answers.Version: {"version": "1", "build_date": AT, "git_commit": "abcdef1", "api_version": "v1"},
    answers.MlflowHealth: {
        "connected": True,
        "circuit_breaker_state": "CLOSED",
        "tracking_uri": "http://mlflow:5000",
        "response_time_ms": 2.5,
        "timestamp": AT,
    },
    answers.MlflowHealthOpen: {
        "connected": False,
        "circuit_breaker_state": "OPEN",
        "error": "open",
        "can_retry_in_seconds": 0.5,
    },
    answers.MlflowHealthBroken: {"connected": False, "circuit_breaker_state": "UNKNOWN", "error": "why"},
    answers.Reset: {"message": "reset", "reset_by": "user", "timestamp": AT},
    answers.Refusal: {"detail": "API key required"},
    answers.ServiceStatus: {
        "service_name": "hokusai-registry",
        "api_version": "v1",
        "overall_health": "healthy",
        "services": SERVICES,
        "mlflow": {"status": "healthy", "circuit_breaker": "CLOSED"},
        "environment": "development",
        "timestamp": AT,
    },
    answers.PlainMetrics: {
        "requests_total": 3,
        "requests_per_second": 0.5,
        "average_response_time_ms": 1.5,
        "active_connections": 1,
    },
    answers.ValidKey: {
        "user_id": "u",
        "key_id": "k",
        "service_id": "platform",
        "scopes": ["read"],
        "rate_limit_per_hour": 100,
    },
}


def answer_of(body: object, status: int = 200, path: str = "/health", method: str = "GET") -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(method, f"http://127.0.0.1:1{path}", status, {}, text.encode(), 1.0)


@pytest.mark.parametrize("model", RIGHT, ids=lambda model: model.__name__)
def test_right_answer_passes_with_further_fields(model: type[BaseModel]) -> None:
    evidence = Evidence(Target(name="stub"))
    seen = conforms(answer_of({**RIGHT[model], "further": 1}), model, evidence)
    assert isinstance(seen, model)
    assert evidence.facts == ()


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (model, name)
        for model, right in RIGHT.items()
        for name, field in model.model_fields.items()
        if name in right and field.is_required()
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_every_field_is_needed_and_has_its_type(model: type[BaseModel], field: str) -> None:
    without = {name: value for name, value in RIGHT[model].items() if name != field}
    for body, expected in ((without, "is missing"), ({**RIGHT[model], field: {"a": []}}, f"`{field}")):
        evidence = Evidence(Target(name="stub"))
        with pytest.raises(AssertionError, match="`") as caught:
            conforms(answer_of(body), model, evidence)
        assert f"`{field}" in str(caught.value)
        assert expected in str(caught.value)
        assert [fact.kind for fact in evidence.facts] == [FactKind.SCHEMA_MISMATCH]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timestamp": "2026-01-02T03:04:05"}, "`timestamp`: input should have timezone info"),
        ({"timestamp": 1767322800}, "`timestamp`"),
        ({"status": "fine"}, "`status`: input should be 'healthy', 'degraded' or 'unhealthy', seen 'fine'"),
        ({"version": ""}, "`version`"),
        ({"services": {**SERVICES, "mlflow": "ok"}}, "`services.mlflow`"),
        ({"services": {**SERVICES, "vault": "ok"}}, "`services.vault`"),
        ({"status": "degraded"}, "`status` must be 'healthy' with these services, seen 'degraded'"),
        ({"services": {**SERVICES, "postgres": "unhealthy"}}, "must be 'unhealthy'"),
    ],
)
def test_message_says_field_expected_and_seen(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(AssertionError) as caught:
        conforms(answer_of({**HEALTH, **change}), answers.Health, Evidence(Target(name="stub")))
    assert str(caught.value).startswith("GET /health: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"ready": False},
        {"degraded_mode": True},
        {"can_serve_traffic": False},
        {"checks": []},
        {"checks": [{**CHECK, "passed": False}]},
        {"checks": [{**CHECK, "passed": "yes"}]},
    ],
)
def test_readiness_must_agree_with_itself(change: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="GET /ready"):
        conforms(
            answer_of({**RIGHT[answers.Ready], **change}, path="/ready"),
            answers.Ready,
            Evidence(Target(name="stub")),
        )


@pytest.mark.parametrize("change", [{"cpu_percent": 101}, {"memory_percent": -1}, {"cpu_percent": "12"}])
def test_ranges_of_system_info(change: dict[str, Any]) -> None:
    right = RIGHT[answers.DetailedHealth]
    with pytest.raises(AssertionError, match="system_info"):
        conforms(
            answer_of({**right, "system_info": {**right["system_info"], **change}}),
            answers.DetailedHealth,
            Evidence(Target(name="stub")),
        )


@pytest.mark.parametrize(
    "body", ["", "null", "[]", "<html>", '"text"', "{", "[" * 5000, '{"status": "\\ud800"}', "\x00\xff"]
)
def test_hostile_bodies_are_one_sentence(body: str) -> None:
    with pytest.raises(AssertionError, match="GET /health"):
        conforms(answer_of(body), answers.Health, Evidence(Target(name="stub")))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda t: st.lists(t) | st.dictionaries(st.text(), t),
    )
)
@settings(max_examples=40, deadline=None)
def test_any_json_is_judged_and_never_breaks(body: object) -> None:
    for model in RIGHT:
        try:
            conforms(answer_of(body), model, Evidence(Target(name="stub")))
        except AssertionError:
            continue


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/live", 401, FactKind.PROBE_NEEDS_KEY),
        ("/health?detailed=true", 403, FactKind.PROBE_NEEDS_KEY),
        ("/api/mlflow/x", 401, FactKind.UNEXPECTED_STATUS),
        ("/health", 503, FactKind.UNEXPECTED_STATUS),
    ],
)
def test_wrong_status_has_its_fact(path: str, status: int, kind: FactKind) -> None:
    evidence = Evidence(Target(name="stub"))
    with pytest.raises(AssertionError, match=f"answered {status}, expected 200"):
        has_status(answer_of("{}", status, path), 200, evidence, via="api-1")
    assert [(fact.kind, fact.via) for fact in evidence.facts] == [(kind, "api-1")]


def test_evidence_holds_the_answer() -> None:
    evidence = Evidence(Target(name="stub"))
    conforms(answer_of(HEALTH), answers.Health, evidence)
    assert evidence.values["GET /health"]["status"] == 200  # type: ignore[index,call-overload]


METRICS = """# TYPE mlflow_connection_status gauge
mlflow_connection_status 1
# TYPE other counter
other_total{a="b"} 3
"""


def test_gauge_of_prometheus_text() -> None:
    assert gauge(answer_of(METRICS), "mlflow_connection_status", Evidence(Target(name="stub"))) == 1.0


@pytest.mark.parametrize(
    "text", ["", "not prometheus {", '{"requests_total": 1}', METRICS.replace("mlflow", "x")]
)
def test_missing_gauge_fails(text: str) -> None:
    with pytest.raises(AssertionError, match="GET /metrics"):
        gauge(answer_of(text), "mlflow_connection_status", Evidence(Target(name="stub")))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({}, "healthy"),
        ({"redis": "disabled"}, "healthy"),
        ({"mlflow": "degraded"}, "degraded"),
        ({"mlflow": "recovering"}, "degraded"),
        ({"redis": "unhealthy"}, "degraded"),
        ({"postgres": "unhealthy"}, "unhealthy"),
        (dict.fromkeys(SERVICES, "unhealthy"), "unhealthy"),
        ({"redis": "unhealthy", "message_queue": "unhealthy", "mlflow": "degraded"}, "degraded"),
    ],
)
def test_overall_rule(states: dict[str, str], expected: str) -> None:
    assert overall(by_role({**SERVICES, **states})) == expected


def test_overall_without_any_healthy_one() -> None:
    seen = {"mlflow": "degraded", "redis": "unhealthy", "message_queue": "disabled"}
    assert overall(by_role(seen)) == "unhealthy"
    assert overall(by_role(dict.fromkeys(SERVICES, "disabled"))) == "healthy"


def by_role(states: dict[str, str]) -> dict[str, str]:
    return {role_of_word(name) or name: state for name, state in states.items()}
