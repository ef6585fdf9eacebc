"""What looks alike and is told apart: one of several from a share, an edge from who answers for it, slow from
silent, what every instance says from what one does."""

import random
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

import pytest

from hokusai_validation.diagnosis import diagnose
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import Edge, Native, Observation, Outcome
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.report import Cause as C
from hokusai_validation.report import Priority
from hokusai_validation.result import Result, Status
from hokusai_validation_tests.diagnosis.rows import AT, TARGET, fact
from hokusai_validation_tests.diagnosis.rows import row as row_of
from hokusai_validation_tests.diagnosis.world import Fault, World, questions


def _asked_again_and_again(bad: Iterable[int]) -> Result:
    """One test's 24 questions after the health of redis, through a balancer whose instances nobody tells
    apart; those of `bad` numbers met a reset."""
    wrong = set(bad)
    seen = tuple(
        Observation(
            id=f"o{number}",
            operation="reported.health",
            asker="api",
            dialled="redis",
            path=(Edge(source="api", to="redis"),),
            started_at=AT + timedelta(seconds=number * 0.05),
            ended_at=AT + timedelta(seconds=number * 0.05 + 0.02),
            outcome=Outcome.ERROR if number in wrong else Outcome.OK,
            error_class=E.RESET if number in wrong else None,
            native=Native(system="errno", code="ECONNRESET") if number in wrong else None,
        )
        for number in range(24)
    )
    return row_of("X::again", Status.FAILED, component="redis", observations=seen)


@pytest.mark.parametrize("instances", [2, 3])
def test_what_fails_every_nth_time_is_one_of_several_that_nobody_tells_apart(instances: int) -> None:
    """A target file may name no instance; the turns of the balancer tell one from chance, also in a test
    that passed."""
    turns = _asked_again_and_again(range(1, 24, instances))
    again = row_of("X::once", Status.FAILED, component="redis", observations=turns.observations[:2])
    (finding,) = diagnose([turns.model_copy(update={"status": Status.PASSED}), again], TARGET, at=AT)
    assert (finding.cause, finding.component, finding.instance) == (C.BAD_INSTANCE, "api", None)
    assert "not known which" in finding.title


def _misses(
    number: int, error: E | None, part: str, operation: str = "proxy.experiments.search"
) -> Observation:
    """A question through the balancer that met an error of the API's at a part, or came well through it."""
    return Observation(
        id=f"m{number}",
        operation=operation,
        asker="api",
        dialled=part,
        path=(Edge(source="api", to=part),),
        started_at=AT + timedelta(seconds=10 + number),
        ended_at=AT + timedelta(seconds=10 + number, milliseconds=20),
        outcome=Outcome.OK if error is None else Outcome.ERROR,
        error_class=error,
        native=None if error is None else Native(system="http", code="x"),
    )


def test_what_instances_say_in_turn_makes_an_error_one_of_several() -> None:
    """The errors themselves come as they will, beside other tests' questions; what the instances say of the
    part, asked with nobody beside, alternates. A part that all of them miss for a while stands beside it."""
    said = _asked_again_and_again(range(1, 24, 2)).model_copy(update={"status": Status.PASSED})
    by_chance = (1, 2, 5, 9, 10, 13)
    seen = tuple(
        _misses(number, E.READ_TIMEOUT if number in by_chance else None, "redis") for number in range(16)
    )
    failed = row_of("X::asks", Status.FAILED, component="redis", observations=seen)
    (finding,) = diagnose([said, failed], TARGET, at=AT)
    assert (finding.cause, finding.component) == (C.BAD_INSTANCE, "api")
    away = tuple(
        _misses(number, E.REFUSED if number < 8 else None, "postgres", "reported.health")
        for number in range(20)
    )
    beside = row_of("X::watch", Status.FAILED, component="postgres", observations=away)
    found = diagnose([said, failed, beside], TARGET, at=AT)
    assert {each.cause: each.component for each in found} == {C.BAD_INSTANCE: "api", C.AWAY: "postgres"}


def test_a_share_of_errors_behind_it_makes_no_target_unhealthy() -> None:
    by_chance = (1, 5, 6, 12, 17)
    seen = tuple(
        _misses(number, E.BAD_GATEWAY if number in by_chance else None, "mlflow") for number in range(24)
    )
    rows = [
        row_of("X::asks", Status.FAILED, component="mlflow", observations=seen),
        row_of("X::group", Status.FAILED, facts=(fact(FactKind.TARGET_UNHEALTHY, "api"),)),
    ]
    found = {(each.cause, each.component) for each in diagnose(rows, TARGET, at=AT)}
    assert found == {(C.INTERMITTENT_ERRORS, "mlflow"), (C.TARGET_UNHEALTHY, "api")}


def test_what_fails_by_chance_is_a_share() -> None:
    (finding,) = diagnose([_asked_again_and_again((1, 4, 6, 11, 15, 17))], TARGET, at=AT)
    assert (finding.cause, finding.component) == (C.INTERMITTENT_ERRORS, "redis")


def test_a_clock_that_is_off_explains_what_the_store_that_refuses_it_did_not_do() -> None:
    """The cause is at whoever asks the store; what fails is seen at the store."""
    rows = [
        *World([Fault(E.CLOCK_SKEW, "artifacts", code="RequestTimeTooSkewed")]).rows(),
        row_of(
            "X::lists",
            Status.FAILED,
            component="artifacts",
            facts=(fact(FactKind.ARTIFACT_STORE_FAILED, "artifacts", via="mlflow"),),
        ),
    ]
    assert [(each.cause, each.component) for each in diagnose(rows, TARGET, at=AT)] == [
        (C.CLOCK_SKEW, "mlflow")
    ]


def test_an_unhealthy_target_that_is_one_instance_is_said_of_it() -> None:
    """All targets of a group are listed; that it accepts no connection for us either is the same thing."""
    rows = [
        row_of("X::group", Status.FAILED, facts=(fact(FactKind.TARGET_UNHEALTHY, "api-2"),)),
        row_of(
            "X::connects",
            Status.FAILED,
            facts=(fact(FactKind.REFUSED, "api-2"),),
            observations=(World([])._asked(next(questions()), 0, 0, random.Random(1)),),
        ),
    ]
    (finding,) = diagnose(rows, TARGET, at=AT)
    assert (finding.cause, finding.component, finding.instance) == (C.TARGET_UNHEALTHY, "api", "api-2")


def test_a_part_that_answers_nothing_is_not_called_slow_for_a_word_of_another() -> None:
    """That the API says it is well, without having asked it, is no slow answer."""
    claim = _claims("mlflow", "api-2", 7, well=True)
    said = row_of("X::said", Status.PASSED, component="mlflow", observations=(claim,))
    rows = [*World([Fault(E.READ_TIMEOUT, "mlflow")]).rows(), said]
    assert diagnose(rows, TARGET, at=AT)[0].cause is C.NOT_ANSWERING


def test_who_waits_for_a_part_that_is_out_is_no_slow_instance() -> None:
    """One instance meets it more often than the other; neither is slow."""
    rows = World([Fault(E.READ_TIMEOUT, "mlflow", asker="api")]).rows()
    slow = [
        Observation(
            id=f"slow{number}",
            operation="health.mlflow",
            dialled="api",
            instance=instance,
            path=(Edge(source="validation", to="api"), Edge(source="api", to="mlflow", optional=True)),
            started_at=AT + timedelta(seconds=number),
            ended_at=AT + timedelta(seconds=number + 1),
            outcome=Outcome.OK,
            status=200,
            numbers={"elapsed_ms": elapsed_ms},
        )
        for number in range(6)
        for instance, elapsed_ms in (("api-1", 10.0), ("api-2", 900.0))
    ]
    rows.append(row_of("X::slow", Status.PASSED, observations=tuple(slow)))
    assert {each.cause for each in diagnose(rows, TARGET, at=AT)} == {C.NOT_ANSWERING}


def _claims(part: str, instance: str, at_s: float, *, well: bool) -> Observation:
    return Observation(
        id=f"{instance}-{at_s}",
        operation="reported.health",
        asker="api",
        dialled=part,
        instance=instance,
        path=(Edge(source="api", to=part),),
        started_at=AT + timedelta(seconds=at_s),
        ended_at=AT + timedelta(seconds=at_s),
        outcome=Outcome.OK if well else Outcome.ERROR,
        error_class=None if well else E.STATE,
        native=None if well else Native(system="health", code="unhealthy"),
    )


def test_what_every_instance_says_is_not_said_of_the_one_whose_test_failed() -> None:
    """A queue is called unwell by both, and what it lies in answers: one row failed, others did not mind."""
    rows = [
        *World([]).rows(),
        row_of(
            "X::minds",
            Status.FAILED,
            component="message_queue",
            observations=(_claims("message_queue", "api-2", 1, well=False),),
        ),
        row_of(
            "X::does_not",
            Status.PASSED,
            component="message_queue",
            observations=tuple(
                _claims("message_queue", instance, 2 + number, well=number % 2 == 1)
                for number in range(4)
                for instance in ("api-1", "api-2")
            ),
        ),
    ]
    (finding,) = diagnose(rows, TARGET, at=AT)
    assert (finding.cause, finding.component, finding.instance) == (
        C.HEALTH_ANSWER_WRONG,
        "message_queue",
        None,
    )


def test_who_keeps_its_connection_tells_no_untruth() -> None:
    """With no connection left, one that has its own says that the database is well; a pool runs out."""
    rows = [
        *World([Fault(E.CONNECTIONS_EXHAUSTED, "postgres", code="53300")]).rows(),
        row_of("X::views", Status.FAILED, facts=(fact(FactKind.HEALTH_CLAIMS_WELL, "postgres"),)),
        row_of("X::pool", Status.FAILED, facts=(fact(FactKind.POOL_EXHAUSTED, "mlflow", via="api"),)),
    ]
    (finding,) = diagnose(rows, TARGET, at=AT)
    assert finding.cause is C.CONNECTIONS_EXHAUSTED


def test_an_answer_that_breaks_its_promise_while_a_fault_of_ours_is_on_is_said_with_its_request() -> None:
    """`/health/mlflow` that fails as soon as the breaker is open says nothing of the breaker."""
    broken = Observation(
        id="o",
        operation="health.mlflow",
        dialled="api",
        instance="api-1",
        path=(Edge(source="validation", to="api"), Edge(source="api", to="mlflow", optional=True)),
        started_at=AT,
        ended_at=AT,
        outcome=Outcome.UNEXPECTED,
        error_class=E.SERVER_ERROR,
        status=500,
        expected="status 503",
        faults_on=("refuse:api-1->mlflow",),
    )
    row = row_of(
        "X::opens", Status.FAILED, facts=(fact(FactKind.UNEXPECTED_STATUS, "api"),), observations=(broken,)
    )
    (finding,) = diagnose([row], TARGET, at=AT)
    assert (finding.cause, finding.component) == (C.WRONG_STATUS, "api")
    assert "GET /health/mlflow" in finding.title


def _answers(operation: str, elapsed_ms: float, *behind: str) -> Result:
    """Eight good answers of MLflow, asked by its own address."""
    way = ("validation", "mlflow", *behind)
    path = tuple(Edge(source=source, to=to) for source, to in pairwise(way))
    seen = tuple(
        Observation(
            id=f"{operation}{number}",
            operation=operation,
            dialled="mlflow",
            path=path,
            started_at=AT + timedelta(seconds=2 * number),
            ended_at=AT + timedelta(seconds=2 * number, milliseconds=elapsed_ms),
            outcome=Outcome.OK,
            numbers={"elapsed_ms": elapsed_ms},
        )
        for number in range(8)
    )
    return row_of(f"X::{operation}", Status.PASSED, component="mlflow", observations=seen)


def test_a_part_that_all_who_need_it_wait_for_is_slow_though_every_test_passed() -> None:
    rows = [
        _answers("mlflow.health", 20),
        _answers("mlflow.experiments.search", 40, "postgres"),
        _answers("mlflow.artifacts.write", 1300, "artifacts"),
    ]
    (finding,) = diagnose(rows, TARGET, at=AT)
    assert (finding.cause, finding.component) == (C.SLOW_DEPENDENCY, "artifacts")


def test_a_component_that_is_slow_in_all_is_not_slow_for_a_part() -> None:
    rows = [_answers("mlflow.health", 900), _answers("mlflow.artifacts.write", 1300, "artifacts")]
    assert diagnose(rows, TARGET, at=AT) == ()


def test_what_a_component_repeats_is_of_the_part_whose_word_it_is() -> None:
    """The test's own reading of it stands at the component that repeats it."""
    seen = next(
        each
        for row in World([Fault(E.READ_ONLY, "postgres", writes=True, code="25006")]).rows()
        for each in row.observations
        if each.operation == "mlflow.runs.create"
    )
    read = fact(FactKind.READ_ONLY, "mlflow", via="api")
    rows = [row_of("X::client", Status.FAILED, component="mlflow", observations=(seen,), facts=(read,))]
    assert {(each.cause, each.component) for each in diagnose(rows, TARGET, at=AT)} == {
        (C.READ_ONLY, "postgres")
    }


def test_an_error_of_its_own_under_a_fault_of_ours_is_not_swallowed_by_a_probe_that_wants_a_key() -> None:
    """It is said with its request, and of no instance: the experiment asks one alone."""
    at = {"started_at": AT, "ended_at": AT, "dialled": "api", "instance": "api-1"}
    way = (Edge(source="validation", to="api"), Edge(source="api", to="mlflow", optional=True))
    broken = Observation(
        id="o1",
        operation="health.mlflow",
        path=way,
        outcome=Outcome.UNEXPECTED,
        status=500,
        error_class=E.BREAKER_OPEN,
        expected="status 503",
        faults_on=("refuse:api-1->mlflow",),
        **at,
    )
    wants = Observation(
        id="o2",
        operation="live",
        path=way[:1],
        outcome=Outcome.ERROR,
        status=401,
        error_class=E.UNAUTHORIZED,
        **at,
    )
    rows = [
        row_of(
            "X::open",
            Status.FAILED,
            facts=(fact(FactKind.UNEXPECTED_STATUS, "api", via="api-1"),),
            observations=(broken,),
        ),
        row_of(
            "X::probe", Status.FAILED, facts=(fact(FactKind.PROBE_NEEDS_KEY, "api"),), observations=(wants,)
        ),
    ]
    found = {(each.cause, each.component, each.instance) for each in diagnose(rows, TARGET, at=AT)}
    assert found == {(C.WRONG_STATUS, "api", None), (C.PROBE_NEEDS_KEY, "api", None)}


@pytest.mark.parametrize(("again", "expected"), [(Status.PASSED, Priority.P2), (Status.FAILED, Priority.P1)])
def test_a_critical_test_that_a_share_of_errors_met_by_chance_makes_it_no_more_urgent(
    again: Status, expected: Priority
) -> None:
    def asked(number: int, *, bad: bool) -> Observation:
        return Observation(
            id=f"s{number}",
            operation="health",
            dialled="load_balancer",
            path=(Edge(source="validation", to="load_balancer"), Edge(source="load_balancer", to="api")),
            started_at=AT + timedelta(seconds=number * 0.05),
            ended_at=AT + timedelta(seconds=number * 0.05 + 0.02),
            outcome=Outcome.ERROR if bad else Outcome.OK,
            error_class=E.UNAVAILABLE if bad else None,
            status=503 if bad else 200,
            answered_by="load_balancer" if bad else None,
        )

    seen = tuple(asked(number, bad=number in (5, 22)) for number in range(40))
    rows = [
        row_of("test_registry_health", Status.FAILED, observations=seen[:20]),
        row_of("test_registry_health", again, attempt=2, observations=seen[20:]),
    ]
    assert rows[0].critical
    (finding,) = diagnose(rows, TARGET, at=AT)
    assert (finding.cause, finding.component, finding.priority) == (C.INTERMITTENT_ERRORS, "api", expected)
