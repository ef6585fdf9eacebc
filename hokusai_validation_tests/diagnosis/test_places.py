"""Whose fault it is: by address, by name, by instance, by way, and how urgent that makes it."""

from hokusai_validation.diagnosis import diagnose
from hokusai_validation.facts import FactKind as F
from hokusai_validation.report import Cause as C
from hokusai_validation.report import Priority
from hokusai_validation.result import Result
from hokusai_validation_tests.diagnosis.rows import AT, TARGET, causes, fact, failed, findings


def test_an_address_says_who_was_not_reached() -> None:
    seen = "POST http://10.0.0.5:5000/api/2.0/mlflow/experiments/create: connection refused"
    assert causes(
        failed("TestCommunication::test_edge[mlflow->artifacts]", fact(F.REFUSED, "artifacts", seen))
    ) == [(C.PROCESS_DOWN, "mlflow")]


def test_a_private_name_is_of_the_service_it_stands_for() -> None:
    def missing(*names: str) -> Result:
        seen = [f"Name {name}.stack.local does not exist (asked 10.0.0.2:53)." for name in names]
        facts = [fact(F.NAME_NOT_RESOLVED, "service_discovery", text) for text in seen]
        return failed("TestNames::test_private_names_resolve", *facts)

    unregistered = fact(F.NAME_NOT_RESOLVED, "mlflow", "mlflow is not registered", "service_discovery")
    assert causes(missing("mlflow"), failed("TestCloudMap::test_names_registered", unregistered)) == [
        (C.NAME_NOT_RESOLVED, "mlflow")
    ]
    assert causes(missing("elsewhere")) == [(C.NAME_NOT_RESOLVED, "service_discovery")]
    # Where none of several resolves it is the zone, not each service.
    aws = TARGET.model_dump()["aws"] | {"discovery_names": {"api": "api", "mlflow": "mlflow"}}
    (finding,) = findings(missing("mlflow", "api"), aws=aws)
    assert (finding.cause, finding.component) == (C.NAME_NOT_RESOLVED, "service_discovery")


def test_one_instance_that_alone_has_trouble_is_the_cause() -> None:
    asked_both = {"health at api-1": {"status": 200}, "health at api-2": {"status": 200}}
    lone = failed(
        "TestCommunication::test_edge[api->postgres]",
        fact(F.REFUSED, "postgres", "connection refused", "api-2"),
        evidence=asked_both,
    )
    (finding,) = findings(lone)
    assert (finding.cause, finding.component) == (C.BAD_INSTANCE, "api")
    assert "api-2" in finding.title
    # Whichever instance the balancer chose: it decides nothing.
    through_balancer = failed(
        "TestHealthEndpointIntegration::test_health_check_all_services_healthy",
        fact(F.SERVICE_UNHEALTHY, "postgres", "postgres: unhealthy", "api"),
    )
    assert causes(lone, through_balancer) == [(C.BAD_INSTANCE, "api")]
    otherwise = fact(F.UNEXPECTED_STATUS, "postgres", "503", "api-1")
    other_trouble = lone.model_copy(update={"facts": (*lone.facts, otherwise)})
    assert causes(other_trouble)[0] == (C.PROCESS_DOWN, "postgres")
    both = lone.model_copy(update={"facts": (*lone.facts, fact(F.REFUSED, "postgres", "", "api-1"))})
    assert causes(both) == [(C.PROCESS_DOWN, "postgres")]


def test_a_balancer_that_lets_others_through_is_not_what_did_not_answer() -> None:
    late = failed(
        "TestModelRegistration::test_stage[artifact_round_trip]", fact(F.READ_TIMED_OUT, "load_balancer")
    )
    assert (C.NOT_ANSWERING, "load_balancer") not in causes(late)
    alone = [(each.cause, each.component) for each in diagnose([late], TARGET, at=AT)]
    assert alone == [(C.NOT_ANSWERING, "load_balancer")]


def test_what_never_answers_hangs_and_what_answers_others_is_slow() -> None:
    late = failed("TestCommunication::test_edge[api->mlflow]", fact(F.READ_TIMED_OUT, "mlflow", "", "api-1"))
    assert causes(late) == [(C.SLOW_DEPENDENCY, "mlflow")]
    assert [each.cause for each in diagnose([late], TARGET, at=AT)] == [C.NOT_ANSWERING]


def test_priorities_follow_criticality_and_time() -> None:
    def priority(test: str, kind: F, component: str) -> Priority:
        return findings(failed(test, fact(kind, component)))[0].priority

    assert priority("TestCredentials::test_database_login", F.REFUSED, "postgres") is Priority.P0
    assert priority("test_mlflow_health_check_healthy", F.REFUSED, "mlflow") is Priority.P1
    assert priority("TestRedis::test_ping", F.REFUSED, "redis") is Priority.P2
    assert priority("test_version_info", F.UNEXPECTED_STATUS, "api") is Priority.P2


def test_a_way_that_is_cut_for_one_is_as_urgent_as_that_one() -> None:
    def cut(caller: str) -> Priority:
        facts = (fact(F.REFUSED, "postgres", "connection refused", caller),)
        return findings(failed("TestInfrastructure::test_mlflow_experiments", *facts))[0].priority

    assert cut("mlflow") is Priority.P1  # as MLflow's own outage: the API survives it
    assert cut("api") is Priority.P0
