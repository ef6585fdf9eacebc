"""What the tests of the health endpoints have in common: an answer held to a state that was brought
about, and the facts of what it shows instead."""

import time

from hokusai_validation.errors import RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.answers import Health, Ready, ReadyCheck
from hokusai_validation.probes.contract.check import expect, failure, has_status
from hokusai_validation.probes.contract.metrics import gauge
from hokusai_validation.probes.states import SLACK_S, Scene
from hokusai_validation.probes.symptoms import note_symptom
from hokusai_validation.resources.http import Answer
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, role_of_word, word_for

DATABASE_CHECK = (word_for(Role.DATABASE), "database", "postgresql")
MLFLOW_CHECK = (word_for(Role.TRACKING_SERVER),)


def says(health: Health, service: str, states: tuple[str, ...], status: str, scene: Scene, when: str) -> None:
    """A service's state and the overall one, in a state brought about."""
    seen = health.services.states()[service]
    expect(
        seen in states and health.status == status,
        f"{when}, and /health of {scene.name} says {word_for(service)} {seen} and {health.status}, expected"
        f" {' or '.join(states)} and {status}.",
        scene.evidence,
        FactKind.HEALTH_ANSWER_WRONG,
        via=scene.name,
    )


def says_overall(health: Health, status: str, scene: Scene) -> None:
    """The overall status, in a state brought about."""
    expect(
        health.status == status,
        f"/health of {scene.name} says {health.status}, expected {status} ({health.services}).",
        scene.evidence,
        FactKind.HEALTH_ANSWER_WRONG,
        via=scene.name,
    )


def not_passed(ready: Ready) -> list[str]:
    """Checks of `/ready` that did not pass, with their errors."""
    return [f"{each.name} ({each.error})" for each in ready.checks if not each.passed]


def note_checks(answer: Answer, target: Target, evidence: Evidence) -> None:
    """Facts of the checks that did not pass."""
    try:
        checks = answer.json().get("checks", [])
    except (RequestFailed, AttributeError):
        return
    for each in checks if isinstance(checks, list) else []:
        if isinstance(each, dict) and each.get("passed") is False:
            said = str(each.get("name"))
            name = Role.DATABASE if said in DATABASE_CHECK else role_of_word(said) or said
            evidence.fact(FactKind.SERVICE_UNHEALTHY, name, f"/ready: {each.get('error')}", Role.API_GATEWAY)
            note_symptom(str(each.get("error")), name, evidence, target, via=Role.API_GATEWAY)


def note_mlflow_error(answer: Answer, evidence: Evidence, target: Target) -> None:
    """The fact of what `/health/mlflow` says is wrong with MLflow."""
    try:
        note_symptom(
            str(answer.json().get("error")), Role.TRACKING_SERVER, evidence, target, via=Role.API_GATEWAY
        )
    except (RequestFailed, AttributeError):
        return


def ready_check(
    ready: Ready, names: tuple[str, ...], evidence: Evidence, *, passed: bool, critical: bool
) -> ReadyCheck:
    """The check of a dependency, as it must be."""
    check = ready.check(*names)
    if check is None:
        raise failure(f"/ready has no check named {names[0]}.", evidence, FactKind.SCHEMA_MISMATCH)
    expect(
        check.passed is passed and check.critical is critical,
        f"/ready's check {check.name} is passed {check.passed}, critical {check.critical}; expected"
        f" {passed}, {critical}.",
        evidence,
        FactKind.HEALTH_ANSWER_WRONG,
    )
    return check


def await_ready(scene: Scene, status: int) -> Answer:
    """`/ready`, asked until it has a status or the time for noticing is over; the last answer."""
    deadline = time.monotonic() + scene.target.gateway.health_timeout_s + SLACK_S
    answer = scene.get("/ready")
    while answer.status != status and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = scene.get("/ready")
    return answer


def gauges_show(scene: Scene, evidence: Evidence, *, connected: int, state: int, when: str) -> None:
    """`/metrics` says what `/health/mlflow` says."""
    answer = scene.get("/metrics")
    has_status(answer, 200, evidence, via=scene.name)
    for name, expected in (("mlflow_connection_status", connected), ("mlflow_circuit_breaker_state", state)):
        seen = gauge(answer, name, evidence, via=scene.name)
        expect(
            seen == expected,
            f"{when}, and the gauge {name} of {scene.name} is {seen:g}, expected {expected}.",
            evidence,
            FactKind.HEALTH_ANSWER_WRONG,
            via=scene.name,
        )
