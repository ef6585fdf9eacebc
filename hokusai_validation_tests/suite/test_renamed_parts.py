"""A target may call its parts what it likes: rows, facts and faults use its names."""

import pytest

from hokusai_validation.catalogue import entries
from hokusai_validation.chaos.faults.base import Fault
from hokusai_validation.chaos.plans import faults_of
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.answers import Services
from hokusai_validation.probes.routes import wanted_routes
from hokusai_validation.probes.symptoms import note_symptom
from hokusai_validation.result import Phase, Status
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.rows import unrun
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

NAMES = {role: f"our-{role.value.replace('_', '-')}" for role in Role}
EXPERIMENTS = sorted(entry.id for entry in entries() if entry.phase is Phase.CHAOS)


@pytest.fixture
def target() -> Target:
    return Target.model_validate(
        {
            "name": "renamed",
            "topology": {name: {"role": role.value} for role, name in NAMES.items()},
            "instances": [{"name": "one", "url": "http://127.0.0.1:1"}],
            "endpoints": {"registry": "https://registry.example.com", "auth": "https://auth.example.com"},
            "database": {"host": "127.0.0.1", "user": "ours", "password": {"env": "NOT_USED"}},
            "links": {
                "url": "http://127.0.0.1:2",
                "edges": {f"one->{name}": name for name in NAMES.values()},
            },
            "aws": {
                "region": "us-east-1",
                "cluster": "c",
                "services": {
                    NAMES[role]: {"service": role.value, "target_group": role.value}
                    for role in (Role.API_GATEWAY, Role.AUTH)
                },
            },
        }
    )


def test_every_row_is_about_a_part_of_the_target(target: Target) -> None:
    for entry in entries():
        row = unrun(entry, run_id="r", target=target, status=Status.BROKEN, message="")
        assert row.component == NAMES[Role(entry.component)]


def test_a_fact_names_the_targets_part(target: Target) -> None:
    evidence = Evidence(target)
    evidence.fact(FactKind.SLOW, Role.CACHE, via=Role.API_GATEWAY)
    evidence.fact(FactKind.SLOW, "one", via="aws")
    assert [(each.component, each.via) for each in evidence.facts] == [
        ("our-cache", "our-api-gateway"),
        ("one", "aws"),
    ]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_faults_are_put_on_the_targets_links(experiment: str, target: Target) -> None:
    faults = faults_of(experiment, target)
    assert {fault.component for fault in faults if isinstance(fault, Fault)} <= {"one", *NAMES.values()}
    left = faults_of(experiment, target, without={Role.CACHE})
    assert not any("our-cache" in str(fault.touches) for fault in left)


def test_routes_lead_to_the_targets_parts(target: Target) -> None:
    assert {route.component for route in wanted_routes(target)} == {"our-api-gateway", "our-auth"}


def test_the_contracts_words_are_understood_whatever_the_parts_are_called() -> None:
    services = Services.model_validate(
        {"mlflow": "healthy", "redis": "disabled", "message_queue": "healthy", "postgres": "unhealthy", "search": "healthy"}
    )  # fmt: skip
    assert services.states() == {
        Role.TRACKING_SERVER: "healthy",
        Role.CACHE: "disabled",
        Role.QUEUE: "healthy",
        Role.DATABASE: "unhealthy",
        "search": "healthy",
    }
    assert "postgres unhealthy" in str(services)


def test_a_refused_login_as_somebody_else_is_a_wrong_user(target: Target) -> None:
    for part in (Role.DATABASE, NAMES[Role.DATABASE]):
        evidence = Evidence(target)
        text = 'password authentication failed for user "mlflow"'
        assert note_symptom(text, part, evidence, target) is FactKind.WRONG_DATABASE_USER
        assert evidence.facts[0].component == "our-database"
