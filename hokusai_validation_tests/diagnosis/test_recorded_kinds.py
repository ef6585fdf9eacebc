"""Kinds of mistake that whole runs on faults from public reports have shown, each on observations as
they were recorded there, made small."""

from datetime import timedelta

from hokusai_validation.diagnosis import diagnose
from hokusai_validation.facts import FactKind as F
from hokusai_validation.observation import Edge, Kind, Native, Observation, Outcome
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.report import Cause as C
from hokusai_validation.report import Priority
from hokusai_validation.result import Result, Status
from hokusai_validation_tests.diagnosis.rows import AT, TARGET, fact, row

FRONT = Edge(source="validation", to="load_balancer", protocol="https")
PLAIN = Edge(source="validation", to="load_balancer", protocol="http")
TO_API = Edge(source="load_balancer", to="api", protocol="http")
TO_MLFLOW = Edge(source="api", to="mlflow", protocol="http")
TO_REDIS = Edge(source="api", to="redis", protocol="redis", optional=True)
AT_API = Edge(source="validation", to="api", protocol="http")


def seen(
    second: float,
    operation: str,
    *path: Edge,
    error: E | None = None,
    status: int | None = 200,
    by: str | None = None,
    instance: str | None = None,
    elapsed_ms: float = 5.0,
    kind: Kind = Kind.READ,
    native: Native | None = None,
) -> Observation:
    """One question, `second` seconds into the run."""
    at = AT + timedelta(seconds=second)
    return Observation(
        id=f"{operation}.{second}",
        operation=operation,
        kind=kind,
        dialled=path[0].to,
        instance=instance,
        path=path,
        answered_by=by,
        started_at=at,
        ended_at=at + timedelta(milliseconds=elapsed_ms),
        outcome=Outcome.OK if error is None else Outcome.ERROR,
        error_class=error,
        native=native,
        status=status,
        numbers={"elapsed_ms": elapsed_ms},
    )


def told(*rows: Result) -> list[tuple[C, str, str | None, Priority]]:
    return [
        (each.cause, each.component, each.instance, each.priority) for each in diagnose(rows, TARGET, at=AT)
    ]


def test_what_answers_unencrypted_is_no_witness_of_tls() -> None:
    failed = row(
        "X::encrypted",
        Status.FAILED,
        critical=True,
        observations=[
            seen(n, "health", FRONT, TO_API, error=E.TLS_CHAIN_INCOMPLETE, status=None) for n in (0, 2)
        ],
        facts=[fact(F.TLS_FAILED, "api", via="load_balancer")],
    )
    plain = row("X::plain", observations=[seen(1, "health", PLAIN, TO_API, status=301)])
    assert told(failed, plain) == [(C.CHAIN_INCOMPLETE, "load_balancer", None, Priority.P0)]


def test_a_redirect_is_no_witness_of_who_stands_behind() -> None:
    bad = [
        seen(n, "live", FRONT, TO_API, error=E.BAD_GATEWAY, status=502, by="load_balancer") for n in (0, 2, 4)
    ]
    rows = (
        row("X::through", Status.FAILED, critical=True, observations=bad),
        row("X::redirect", observations=[seen(1, "live", PLAIN, TO_API, status=301, by="load_balancer")]),
        row("X::itself", observations=[seen(3, "live", AT_API, instance="api-1")]),
    )
    assert told(*rows) == [(C.PROCESS_DOWN, "api", None, Priority.P0)]


def test_a_key_is_refused_by_a_refusal_alone() -> None:
    """The answer was MLflow's check of the host; that the key's form is at fault is the test's reading."""
    refused = seen(
        0,
        "proxy.experiments.search",
        FRONT,
        TO_API,
        TO_MLFLOW,
        error=E.HOST_REFUSED,
        status=403,
        by="mlflow",
        native=Native(system="mlflow", code="Host"),
    )
    failed = row(
        "X::key",
        Status.FAILED,
        critical=True,
        observations=[refused],
        facts=[fact(F.KEY_FORM_REFUSED), fact(F.KEY_REFUSED, "auth", via="api")],
    )
    assert told(failed) == [(C.HOST_REFUSED, "mlflow", None, Priority.P1)]


def test_a_connection_closed_while_idle_is_told_though_a_client_asked_again() -> None:
    """Each first request after a pause met a closed connection; the test that saw it passed."""
    observations = []
    for pause in range(4):
        for number in range(6):
            bad = number < 2
            observations.append(
                seen(
                    pause * 3 + number * 0.05,
                    "proxy.experiments.search",
                    FRONT,
                    TO_API,
                    TO_MLFLOW,
                    error=E.BAD_GATEWAY if bad else None,
                    status=502 if bad else 200,
                    by="load_balancer" if bad else None,
                )
            )
    ((cause, place, _, _),) = told(row("X::pauses", Status.FAILED, critical=True, observations=observations))
    assert (cause, place) == (C.KEEP_ALIVE, "api")


def test_a_limit_is_no_share_of_anything() -> None:
    """Small bodies pass; the limit holds all the same, and users can't upload."""
    way = (FRONT, TO_API, TO_MLFLOW)
    rows = (
        row(
            "X::big",
            Status.FAILED,
            observations=[
                seen(
                    n,
                    "proxy.artifacts.write",
                    *way,
                    error=E.BODY_LIMIT,
                    status=413,
                    by="nginx",
                    kind=Kind.WRITE,
                )
                for n in (0, 2)
            ],
        ),
        row("X::small", observations=[seen(1, "proxy.artifacts.write", *way, kind=Kind.WRITE)]),
    )
    assert told(*rows) == [(C.BODY_LIMIT, "api", None, Priority.P1)]


def test_one_slow_instance_of_several_is_told_where_every_test_passed() -> None:
    rows = [
        row(
            f"X::{n}",
            observations=[
                seen(2 * n, "health", FRONT, TO_API, instance="api-1", elapsed_ms=12.0),
                seen(2 * n + 1, "health", FRONT, TO_API, instance="api-2", elapsed_ms=310.0),
            ],
        )
        for n in range(5)
    ]
    assert [(cause, place, which) for cause, place, which, _ in told(*rows)] == [
        (C.SLOW_INSTANCE, "api", "api-2")
    ]


def test_a_full_store_explains_what_those_who_stand_on_it_do_without() -> None:
    """What is counted in it is missing from answers, and a cached key is not there when needed."""
    rows = (
        row("X::full", facts=[fact(F.STORE_FULL, "redis", "105 of 100 bytes")]),
        row(
            "X::limits",
            Status.FAILED,
            facts=[fact(F.SCHEMA_MISMATCH, "api")],
            observations=[seen(0, "api_gateway.other", FRONT, TO_API, TO_REDIS)],
        ),
        row(
            "TestKeyCache::test_cached_key_survives_auth_service",
            Status.FAILED,
            facts=[fact(F.SERVICE_UNHEALTHY, "auth", via="api")],
        ),
    )
    assert [each[:2] for each in told(*rows)] == [(C.STORE_FULL, "redis")]


def test_what_is_out_all_along_is_no_finding_of_a_test_with_another_fault_on() -> None:
    """With the auth service out, a request is refused whether or not redis is there."""
    to_auth = Edge(source="api", to="auth", protocol="http", optional=True)
    reset = seen(0, "root", AT_API, to_auth, error=E.RESET, status=503, by="api", instance="api-1")
    rows = (
        row("X::key", Status.FAILED, critical=True, observations=[reset]),
        row(
            "TestKeyCache::test_right_without_redis",
            Status.FAILED,
            observations=[reset.model_copy(update={"id": "later", "faults_on": ("redis cut",)})],
            facts=[fact(F.OPTIONAL_REQUIRED, "redis", "a request was answered 503", via="api-1")],
        ),
    )
    assert [each[:2] for each in told(*rows)] == [(C.CONNECTION_RESET, "auth")]
