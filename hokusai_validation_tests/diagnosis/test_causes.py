"""Each kind of cause, told from hand-made rows; several at once; and what is not to be guessed."""

import pytest

from hokusai_validation.diagnosis import diagnose
from hokusai_validation.diagnosis.advice import advice
from hokusai_validation.facts import FactKind as F
from hokusai_validation.report import Cause as C
from hokusai_validation.report import Priority
from hokusai_validation.result import Status
from hokusai_validation_tests.diagnosis.rows import (
    AT,
    causes,
    fact,
    failed,
    findings,
    row,
    target,
)

ONE_FACT = [
    (F.REFUSED, "mlflow", C.PROCESS_DOWN),
    (F.CONNECT_TIMED_OUT, "postgres", C.NETWORK_CLOSED),
    (F.RESET, "redis", C.CONNECTION_RESET),
    (F.NAME_NOT_RESOLVED, "mlflow", C.NAME_NOT_RESOLVED),
    (F.NAME_STALE, "mlflow", C.NAME_STALE),
    (F.TLS_FAILED, "load_balancer", C.TLS_FAILED),
    (F.REDIRECT_DROPS_AUTH, "load_balancer", C.REDIRECT_DROPS_AUTH),
    (F.SERVICE_BELOW_DESIRED, "api", C.SERVICE_BELOW_DESIRED),
    (F.ROLLOUT_FAILED, "api", C.ROLLOUT_FAILED),
    (F.TASK_RESTARTED, "api", C.TASK_RESTARTED),
    (F.TARGET_UNHEALTHY, "api", C.TARGET_UNHEALTHY),
    (F.WRONG_TARGET_GROUP, "load_balancer", C.WRONG_TARGET_GROUP),
    (F.TASK_DEFINITION_OLD, "api", C.TASK_DEFINITION_OLD),
    (F.CONFIGURATION_DIFFERS, "api", C.CONFIGURATION_DIFFERS),
    (F.COMMIT_UNEXPECTED, "api", C.COMMIT_UNEXPECTED),
    (F.DATABASE_NOT_AVAILABLE, "postgres", C.DATABASE_NOT_AVAILABLE),
    (F.CERTIFICATE_EXPIRING, "load_balancer", C.CERTIFICATE_EXPIRING),
    (F.WRONG_DATABASE_USER, "postgres", C.WRONG_DATABASE_USER),
    (F.PASSWORD_REFUSED, "postgres", C.PASSWORD_REFUSED),
    (F.SECRET_NEWER_THAN_TASKS, "secrets", C.SECRET_NEWER_THAN_TASKS),
    (F.KEY_REFUSED, "auth", C.KEY_REFUSED),
    (F.KEY_FORM_REFUSED, "api", C.KEY_FORM_REFUSED),
    (F.BAD_KEY_ACCEPTED, "api", C.BAD_KEY_ACCEPTED),
    (F.STALE_KEY_ACCEPTED, "api", C.STALE_KEY_ACCEPTED),
    (F.PROBE_NEEDS_KEY, "api", C.PROBE_NEEDS_KEY),
    (F.RESET_WITHOUT_KEY, "api", C.RESET_WITHOUT_KEY),
    (F.SECRET_LEAKED, "api", C.SECRET_LEAKED),
    (F.CALLER_KEY_FORWARDED, "api", C.SECRET_LEAKED),
    (F.AWS_CREDENTIALS_REFUSED, "secrets", C.AWS_CREDENTIALS_REFUSED),
    (F.BREAKER_STUCK_OPEN, "api", C.BREAKER_STUCK_OPEN),
    (F.BREAKER_CONTRACT, "api", C.BREAKER_CONTRACT),
    (F.BREAKER_LETS_CALLS_THROUGH, "api", C.BREAKER_CONTRACT),
    (F.EVENT_LOOP_BLOCKED, "api", C.EVENT_LOOP_BLOCKED),
    (F.HEALTH_ANSWER_WRONG, "mlflow", C.HEALTH_ANSWER_WRONG),
    (F.INSTANCE_DIFFERS, "api-2", C.BAD_INSTANCE),
    (F.UNEXPECTED_STATUS, "api", C.WRONG_STATUS),
    (F.PROXY_ERROR, "api", C.PROXY_ERROR),
    (F.POOL_EXHAUSTED, "postgres", C.POOL_EXHAUSTED),
    (F.CONNECTION_LEAK, "api", C.CONNECTION_LEAK),
    (F.CONNECTIONS_NEAR_LIMIT, "postgres", C.CONNECTIONS_NEAR_LIMIT),
    (F.PERMISSION_MISSING, "postgres", C.DATABASE_PERMISSIONS),
    (F.SUPERUSER, "postgres", C.DATABASE_PERMISSIONS),
    (F.SCHEMA_DIFFERS, "postgres", C.DATABASE_SCHEMA),
    (F.ARTIFACT_DAMAGED, "artifacts", C.ARTIFACT_DAMAGED),
    (F.ARTIFACT_STORE_FAILED, "artifacts", C.ARTIFACT_STORE_FAILED),
    (F.SLOW, "mlflow", C.SLOW_DEPENDENCY),
    (F.MEMORY_GROWTH, "api", C.MEMORY_GROWTH),
    (F.NOT_RECOVERED, "api", C.NOT_RECOVERED),
    (F.OPTIONAL_REQUIRED, "redis", C.OPTIONAL_REQUIRED),
]


@pytest.mark.parametrize(("kind", "component", "cause"), ONE_FACT, ids=[kind.value for kind, *_ in ONE_FACT])
def test_a_fact_alone_names_its_cause(kind: F, component: str, cause: C) -> None:
    (finding,) = findings(
        failed("TestInfrastructure::test_registry_health", fact(kind, component, "as seen"))
    )
    assert (finding.cause, finding.component) == (cause, component.removesuffix("-2"))
    assert finding.explains == ("TestInfrastructure::test_registry_health",)
    assert finding.title
    assert finding.impact
    assert finding.remedy
    assert finding.reproduction
    assert finding.team
    assert "{" not in "".join((finding.title, finding.impact, *finding.remedy))


def test_every_cause_has_its_texts() -> None:
    for cause in C:
        assert advice(cause).remedy


def test_what_follows_is_listed_under_its_cause_not_beside_it() -> None:
    (finding,) = findings(
        failed(
            "TestInfrastructure::test_mlflow_health", fact(F.PROXY_ERROR, "mlflow", "answered 502", "api")
        ),
        failed("test_mlflow_health_check_healthy", fact(F.REFUSED, "mlflow", "connection refused", "api")),
        failed("test_readiness_check_all_ready", fact(F.UNEXPECTED_STATUS, "api", "not ready")),
        failed("TestBalancing::test_target_health", fact(F.TARGET_UNHEALTHY, "mlflow")),
        failed("test_health_check_with_detailed_info"),
    )
    assert (finding.cause, finding.component, finding.priority) == (C.PROCESS_DOWN, "mlflow", Priority.P1)
    assert len(finding.explains) == 5
    assert len(finding.follows) == 3


def test_a_store_that_fails_is_one_cause_however_it_answers() -> None:
    failing = failed(
        "TestModelRegistration::test_stage[artifact_round_trip]", fact(F.ARTIFACT_STORE_FAILED, "artifacts")
    )
    odd = failed(
        "TestArtifactStore::test_written_and_read_back", fact(F.PROTOCOL_VIOLATED, "artifacts", "500")
    )
    assert causes(failing, odd) == [(C.ARTIFACT_STORE_FAILED, "artifacts")]


def test_the_deepest_component_that_explains_is_the_cause() -> None:
    assert causes(
        failed("TestInfrastructure::test_registry_health", fact(F.READ_TIMED_OUT, "api")),
        failed("test_mlflow_health_check_healthy", fact(F.SERVICE_UNHEALTHY, "mlflow")),
        failed("TestCredentials::test_database_login", fact(F.REFUSED, "postgres")),
    ) == [(C.PROCESS_DOWN, "postgres")]


def test_a_component_that_refuses_itself_is_no_consequence() -> None:
    """A tracking server without its database still listens."""
    assert causes(
        failed("test_mlflow_health_check_healthy", fact(F.REFUSED, "mlflow")),
        failed("TestCredentials::test_database_login", fact(F.REFUSED, "postgres")),
    ) == [(C.PROCESS_DOWN, "postgres"), (C.PROCESS_DOWN, "mlflow")]


def test_the_api_survives_without_mlflow_so_its_own_outage_is_another_cause() -> None:
    assert set(
        causes(
            failed("TestInfrastructure::test_registry_health", fact(F.REFUSED, "api")),
            failed("test_mlflow_health_check_healthy", fact(F.CONNECT_TIMED_OUT, "mlflow")),
        )
    ) == {(C.PROCESS_DOWN, "api"), (C.NETWORK_CLOSED, "mlflow")}


def test_independent_causes_stay_several() -> None:
    found = causes(
        failed("TestInfrastructure::test_ecs_api", fact(F.ROLLOUT_FAILED, "api")),
        failed("TestRedis::test_ping", fact(F.REFUSED, "redis")),
        failed("TestKeySafety::test_reset_needs_key", fact(F.RESET_WITHOUT_KEY, "api")),
        failed("TestTls::test_certificates_not_expiring", fact(F.CERTIFICATE_EXPIRING, "load_balancer")),
    )
    assert set(found) == {
        (C.ROLLOUT_FAILED, "api"),
        (C.PROCESS_DOWN, "redis"),
        (C.RESET_WITHOUT_KEY, "api"),
        (C.CERTIFICATE_EXPIRING, "load_balancer"),
    }
    assert found[0] == (C.ROLLOUT_FAILED, "api")


def test_a_refused_password_is_explained_by_a_newer_secret_or_another_user() -> None:
    refused = failed("TestCredentials::test_database_login", fact(F.PASSWORD_REFUSED, "postgres"))
    newer = failed(
        "TestProvenance::test_secrets_older_than_tasks", fact(F.SECRET_NEWER_THAN_TASKS, "secrets")
    )
    user = failed("TestParity::test_database_user_configured", fact(F.WRONG_DATABASE_USER, "postgres"))
    assert causes(refused) == [(C.PASSWORD_REFUSED, "postgres")]
    assert causes(refused, newer) == [(C.SECRET_NEWER_THAN_TASKS, "postgres")]
    assert causes(refused, user) == [(C.WRONG_DATABASE_USER, "postgres")]


def test_a_component_behind_one_that_is_out_is_not_blamed() -> None:
    assert causes(
        failed(
            "TestMlflow::test_health", fact(F.REFUSED, "mlflow", "connection refused"), component="mlflow"
        ),
        failed("TestCommunication::test_edge[mlflow->postgres]", fact(F.REFUSED, "postgres", "", "mlflow")),
        failed("TestCommunication::test_edge[mlflow->artifacts]", fact(F.REFUSED, "artifacts", "", "mlflow")),
    ) == [(C.PROCESS_DOWN, "mlflow")]


def test_what_a_test_saw_while_its_own_fault_was_on_is_no_outage() -> None:
    (finding,) = findings(failed("test_timeout_handling", fact(F.REFUSED, "mlflow")))
    assert finding.cause is C.UNKNOWN
    assert finding.facts[0].kind is F.REFUSED


def test_what_no_rule_fits_is_unknown_with_its_facts() -> None:
    (finding,) = findings(failed("test_version_info", fact(F.LEFTOVERS, "mlflow", "three runs")))
    assert (finding.cause, finding.component) == (C.UNKNOWN, "mlflow")
    assert [each.seen for each in finding.facts] == ["three runs"]


def test_alerts_in_passed_rows_are_findings_too() -> None:
    warned = row(
        "TestTls::test_certificates_valid", facts=(fact(F.CERTIFICATE_EXPIRING, "load_balancer", "9 days"),)
    )
    (finding,) = findings(warned)
    assert (finding.cause, finding.explains) == (C.CERTIFICATE_EXPIRING, ())


def test_reproductions_can_be_pasted() -> None:
    (finding,) = findings(
        failed(
            "TestCredentials::test_database_login", fact(F.PASSWORD_REFUSED, "postgres", "$(rm -rf ~); `id`")
        )
    )
    psql = next(each for each in finding.reproduction if "psql" in each)
    assert psql.startswith('PGPASSWORD="$DATABASE_PASSWORD" psql ')
    assert finding.reproduction[-1].startswith(
        "pytest --pyargs hokusai_validation.suite --target=somewhere -k "
    )
    assert not any("rm -rf" in each for each in finding.reproduction)


def test_broken_and_skipped_rows_have_no_findings() -> None:
    assert findings(row("test_version_info", Status.BROKEN), row("test_liveness_check", Status.SKIPPED)) == ()


def test_a_tie_does_not_depend_on_the_target_having_anything() -> None:
    bare = target(aws=None, database=None, instances=(), links=None, control=None, redis=None, auth=None)
    assert diagnose([failed("test_version_info", fact(F.REFUSED, "api"))], bare, at=AT)
