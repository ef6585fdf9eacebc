"""The explanation with witnesses, on stacks whose faults are known: each fault alone, several at once,
and what must hold whatever is seen."""

import random
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hokusai_validation.diagnosis import diagnose
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.observation import Observation, Outcome
from hokusai_validation.report import Cause as C
from hokusai_validation.report import Confidence, Finding, Priority
from hokusai_validation.result import Result, Status
from hokusai_validation_tests.diagnosis.rows import AT, TARGET, fact
from hokusai_validation_tests.diagnosis.rows import row as row_of
from hokusai_validation_tests.diagnosis.world import Fault, World

P = Priority
KIND = {
    E.REFUSED: C.PROCESS_DOWN,
    E.CONNECT_TIMEOUT: C.NETWORK_CLOSED,
    E.READ_TIMEOUT: C.NOT_ANSWERING,
    E.RESET: C.CONNECTION_RESET,
}
HARM = {
    "mlflow": P.P1,
    "postgres": P.P0,
    "redis": P.P2,
    "auth": P.P0,
    "load_balancer": P.P0,
    "artifacts": P.P1,
}

SINGLES: list[tuple[Fault, C, str, Priority]] = [
    *((Fault(error, place), KIND[error], place, harm) for place, harm in HARM.items() for error in KIND),
    (Fault(E.REFUSED, "api"), C.PROCESS_DOWN, "api", P.P0),
    (Fault(E.READ_TIMEOUT, "api"), C.ANSWERS_NOTHING, "api", P.P0),
    *(
        (Fault(error, place, asker="api"), KIND[error], place, HARM[place])
        for place in ("mlflow", "postgres", "redis", "auth")
        for error in KIND
    ),
    (Fault(E.RESET, "mlflow", asker="api", told=False), C.UNREACHABLE, "mlflow", P.P1),
    (Fault(E.REFUSED, "postgres", asker="mlflow"), C.PROCESS_DOWN, "postgres", P.P1),
    (Fault(E.REFUSED, "api", asker="load_balancer"), C.PROCESS_DOWN, "api", P.P0),
    *(
        (Fault(E.REFUSED, place, asker="api", share=0.4), C.INTERMITTENT_ERRORS, place, harm)
        for place, harm in (("mlflow", P.P1), ("postgres", P.P1), ("redis", P.P2), ("auth", P.P1))
    ),
    # What was connected before a network was closed goes on.
    *(
        (Fault(E.CONNECT_TIMEOUT, place, asker="api", share=0.4), C.NETWORK_CLOSED, place, harm)
        for place, harm in (("mlflow", P.P1), ("postgres", P.P0), ("redis", P.P2), ("auth", P.P0))
    ),
    *(
        (Fault(E.REFUSED, place, rounds=(2,)), C.AWAY, place, P.P2)
        for place in ("mlflow", "postgres", "redis", "auth")
    ),
    (Fault(E.READ_ONLY, "postgres", writes=True, code="25006"), C.READ_ONLY, "postgres", P.P0),
    (Fault(E.STATEMENT_TIMEOUT, "postgres", share=0.6), C.STATEMENT_TIMEOUT, "postgres", P.P1),
    (Fault(E.BLOCKED, "postgres", asker="mlflow"), C.BLOCKED, "postgres", P.P1),
    (Fault(E.LOGIN_REFUSED, "postgres", code="28P01"), C.PASSWORD_REFUSED, "postgres", P.P0),
    (Fault(E.LOGIN_REFUSED, "postgres", code="28000"), C.LOGIN_REFUSED, "postgres", P.P0),
    (Fault(E.TLS_REQUIRED, "postgres", code="28000"), C.ENCRYPTION_REQUIRED, "postgres", P.P0),
    (Fault(E.CONNECTIONS_EXHAUSTED, "postgres", code="53300"), C.CONNECTIONS_EXHAUSTED, "postgres", P.P0),
    (Fault(E.NO_SUCH_DATABASE, "postgres", code="3D000"), C.NO_SUCH_DATABASE, "postgres", P.P0),
    (Fault(E.OUT_OF_MEMORY, "redis", writes=True, code="OOM"), C.STORE_FULL, "redis", P.P2),
    (Fault(E.REPLICA, "redis", writes=True, code="READONLY"), C.REPLICA, "redis", P.P2),
    (Fault(E.PERMISSION, "redis", writes=True, code="NOPERM"), C.COMMAND_REFUSED, "redis", P.P2),
    (Fault(E.KEY_SERVICE_DENIED, "artifacts", code="AccessDenied"), C.KEY_SERVICE_DENIED, "artifacts", P.P1),
    (Fault(E.FORBIDDEN, "artifacts", code="AccessDenied"), C.ACCESS_DENIED, "artifacts", P.P1),
    (Fault(E.FORBIDDEN, "artifacts", code="s3:PutObject"), C.ACCESS_DENIED, "artifacts", P.P1),
    (Fault(E.NO_SUCH_BUCKET, "artifacts", code="NoSuchBucket"), C.BUCKET_MISSING, "artifacts", P.P1),
    (Fault(E.CLOCK_SKEW, "artifacts", code="RequestTimeTooSkewed"), C.CLOCK_SKEW, "mlflow", P.P1),
    (Fault(E.TLS_CHAIN_INCOMPLETE, "load_balancer"), C.CHAIN_INCOMPLETE, "load_balancer", P.P0),
    *(
        (Fault(E.REFUSED, place, asker="api", instance="api-2"), C.BAD_INSTANCE, "api", P.P1)
        for place in ("mlflow", "postgres", "redis", "auth")
    ),
]


def name(fault: Fault) -> str:
    parts = [fault.asker or "", fault.instance or "", fault.place, fault.error.value, fault.code]
    parts.append("" if fault.told else "untold")
    return "-".join(part for part in parts if part) + (f"-{fault.share}" if fault.share < 1 else "")


@pytest.mark.parametrize(
    ("fault", "cause", "place", "harm"), SINGLES, ids=[name(each[0]) for each in SINGLES]
)
def test_a_fault_alone_is_told_with_its_place(fault: Fault, cause: C, place: str, harm: Priority) -> None:
    rows = World([fault]).rows()
    (finding,) = diagnose(rows, TARGET, at=AT)
    assert (finding.cause, finding.component, finding.instance, finding.priority) == (
        cause,
        place,
        fault.instance,
        harm,
    )
    assert sorted(finding.explains) == sorted(row.test for row in rows if row.status is Status.FAILED)
    assert finding.speaks_for
    if fault.asker is not None and cause in {*KIND.values(), C.INTERMITTENT_ERRORS, C.UNREACHABLE}:
        assert finding.edge == f"{fault.asker}->{place}"


def test_a_closed_network_is_one_cause_though_some_connections_were_kept() -> None:
    """One instance can't connect, the other one keeps its connection, and MLflow's are kept for a while."""
    faults = [
        Fault(E.CONNECT_TIMEOUT, "postgres", asker="api", instance="api-1"),
        Fault(E.READ_TIMEOUT, "postgres", asker="mlflow", rounds=(3, 4, 5)),
    ]
    (finding,) = diagnose(World(faults).rows(), TARGET, at=AT)
    assert (finding.cause, finding.component, finding.instance) == (C.NETWORK_CLOSED, "postgres", None)


def test_a_stack_that_is_well_has_no_finding() -> None:
    assert diagnose(World([]).rows(), TARGET, at=AT) == ()


def _apart(one: Fault, other: Fault) -> bool:
    """Whether neither hides the other: not at one place, and not behind it."""
    hides = {"load_balancer", "api"}
    return (
        one.place != other.place
        and not {one.place, other.place} & hides
        and "artifacts" not in (one.place, other.place)
    )


ALONE = [
    each
    for each in SINGLES
    if each[1] not in (C.BAD_INSTANCE, C.INTERMITTENT_ERRORS, C.CLOCK_SKEW)
    and (each[0].error is not E.CONNECT_TIMEOUT or each[0].share == 1)
]
PAIRS = [
    (one, other)
    for number, one in enumerate(ALONE)
    for other in ALONE[number + 1 :]
    if _apart(one[0], other[0])
]


@pytest.mark.parametrize("seed", range(20))
def test_two_faults_at_once_are_told_and_nothing_else(seed: int) -> None:
    pair = random.Random(seed).choice(PAIRS)
    found = diagnose(World([each[0] for each in pair], seed).rows(), TARGET, at=AT)
    said = {(each.cause, each.component) for each in found}
    # What is behind a part that nobody reaches can't be told from outside.
    assert said <= {(each[1], each[2]) for each in pair}
    assert (found[0].cause, found[0].component) in {(each[1], each[2]) for each in pair}
    assert said


faults = st.lists(st.sampled_from([each[0] for each in SINGLES]), min_size=1, max_size=3)
quick = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


def essence(findings: tuple[Finding, ...]) -> list[tuple[object, ...]]:
    """All but words."""
    return [
        (
            each.key,
            each.priority,
            sorted(each.explains),
            each.instance,
            each.edge,
            each.confidence,
            each.duty,
            each.rate,
            each.began_at,
            each.ended_at,
        )
        for each in findings
    ]


@quick
@given(faults, st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(given_: list[Fault], seed: int, chance: random.Random) -> None:
    rows = World(given_, seed).rows()
    found = diagnose(rows, TARGET, at=AT)
    chance.shuffle(rows)
    assert essence(diagnose(rows, TARGET, at=AT)) == essence(found)


def noisy(row: Result, chance: random.Random) -> Result:
    """The same row with every text of ours and of others replaced."""

    def noise(text: str) -> str:
        return "".join(chance.choice("qxzäß{}%\n'\"<0") for _ in range(max(3, len(text))))

    return row.model_copy(
        update={
            "message": noise(row.message),
            "detail": noise(row.detail),
            "evidence": {noise(key): noise(str(value)) for key, value in row.evidence.items()},
            "facts": tuple(each.model_copy(update={"seen": noise(each.seen)}) for each in row.facts),
            "observations": tuple(each.model_copy(update={"host": "noise"}) for each in row.observations),
        }
    )


@quick
@given(faults, st.integers(0, 99), st.integers(0, 99))
def test_no_text_decides(given_: list[Fault], seed: int, noise: int) -> None:
    chance = random.Random(noise)
    rows = World(given_, seed).rows()
    rows = [
        each.model_copy(update={"message": "GET /health answered 500", "facts": (_fact(each),)})
        if each.status is Status.FAILED
        else each
        for each in rows
    ]
    found = diagnose(rows, TARGET, at=AT)
    assert essence(diagnose([noisy(each, chance) for each in rows], TARGET, at=AT)) == essence(found)


def _fact(row: Result) -> Fact:
    return fact(FactKind.UNEXPECTED_STATUS, row.component, "password authentication failed; refused", "api")


_SURE = (Confidence.POSSIBLE, Confidence.LIKELY, Confidence.CERTAIN)


@quick
@given(
    st.sampled_from([each for each in SINGLES if each[0].share == 1 and not each[0].writes]),
    st.integers(0, 5),
)
def test_a_good_answer_never_makes_a_contradicted_cause_surer(
    single: tuple[Fault, C, str, P], turn: int
) -> None:
    rows = World([single[0]]).rows()
    (before,) = diagnose(rows, TARGET, at=AT)
    bad = [each for each in rows if each.status is Status.FAILED]
    chosen = bad[len(bad) * turn // 6]
    witness = chosen.observations[0].model_copy(
        update={"outcome": Outcome.OK, "error_class": None, "native": None, "status": None, "id": "witness"}
    )
    added = row_of("World::witness", observations=(witness,), started_at=witness.started_at)
    after = [each for each in diagnose([*rows, added], TARGET, at=AT) if each.key == before.key]
    assert all(_SURE.index(each.confidence) <= _SURE.index(before.confidence) for each in after)


@quick
@given(faults, st.integers(0, 99))
def test_what_a_finding_explains_lies_on_its_path(given_: list[Fault], seed: int) -> None:
    rows = {each.test: each for each in World(given_, seed).rows()}
    for finding in diagnose(list(rows.values()), TARGET, at=AT):
        for test in finding.explains:
            assert any(_touches(seen, finding) for seen in rows[test].observations), (finding.key, test)


def _touches(seen: Observation, finding: Finding) -> bool:
    nodes = {seen.dialled, seen.asker, *(edge.source for edge in seen.path), *(edge.to for edge in seen.path)}
    if seen.asker != "validation":  # what a component repeats of one hop may come of what lies behind that
        nodes |= Graph(TARGET).below(seen.dialled)
    return finding.component in nodes


def test_faults_of_ours_explain_nothing_and_are_no_witnesses() -> None:
    rows = World([Fault(E.REFUSED, "redis")]).rows()
    ours = [
        each.model_copy(
            update={
                "observations": tuple(
                    seen.model_copy(update={"faults_on": ("redis cut",)}) for seen in each.observations
                )
            }
        )
        for each in rows
    ]
    assert not [each for each in diagnose(ours, TARGET, at=AT) if each.cause is C.PROCESS_DOWN]
    well = [
        replace_row(each, seen.model_copy(update={"faults_on": ("mlflow cut",), "id": f"{seen.id}x"}))
        for each in World([]).rows()
        for seen in each.observations
    ]
    assert [each.cause for each in diagnose([*rows, *well], TARGET, at=AT)] == [C.PROCESS_DOWN]


def replace_row(row: Result, seen: Observation) -> Result:
    return row.model_copy(update={"observations": (seen,), "test": f"{row.test}-ours"})


def test_an_unexpected_500_is_never_swallowed() -> None:
    rows = World([Fault(E.REFUSED, "mlflow")]).rows()
    seen = rows[1].observations[0]
    broken = seen.model_copy(
        update={
            "id": "broken",
            "operation": "health.detailed",
            "outcome": Outcome.ERROR,
            "error_class": E.SERVER_ERROR,
            "status": 500,
            "answered_by": "api",
        }
    )
    rows.append(row_of("World::detailed", Status.FAILED, critical=True, observations=(broken,)))
    found = diagnose(rows, TARGET, at=AT)
    assert {(each.cause, each.component, each.operation) for each in found} == {
        (C.PROCESS_DOWN, "mlflow", None),
        (C.WRONG_STATUS, "api", "health.detailed"),
    }


def test_a_service_that_answers_nothing_is_a_finding_beside_what_put_it_out() -> None:
    """The tracking server hangs, and the API with it: /live does not depend on it."""
    found = diagnose(
        World([Fault(E.READ_TIMEOUT, "mlflow"), Fault(E.READ_TIMEOUT, "api")]).rows(), TARGET, at=AT
    )
    assert [(each.cause, each.component, each.priority) for each in found] == [
        (C.ANSWERS_NOTHING, "api", P.P0),
        (C.NOT_ANSWERING, "mlflow", P.P1),
    ]


def test_connections_closed_while_idle_are_told_from_errors_at_random() -> None:
    fault = Fault(E.RESET, "api", asker="load_balancer", share=0.12)
    (random_ones,) = diagnose(World([fault], seed=3).rows(), TARGET, at=AT)
    assert (random_ones.cause, random_ones.component) == (C.INTERMITTENT_ERRORS, "api")


def test_the_search_for_the_smallest_set_ends_soon() -> None:
    """The most that has been seen to go wrong at once; printed, for no time is a limit of a test."""
    faults = [replace(each[0], share=1.0) for each in SINGLES[::5]]
    rows = World(faults).rows()
    started = time.perf_counter()
    found = diagnose(rows, TARGET, at=AT)
    print(f"{len(faults)} faults, {len(found)} findings: {time.perf_counter() - started:.3f} s")
    assert found
