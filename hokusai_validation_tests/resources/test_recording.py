"""What is recorded of a question, how like ones are folded, and that a row keeps it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation import operations
from hokusai_validation.observation import ErrorClass, Kind, Native, Observation, Outcome
from hokusai_validation.resources import folding, own_faults, recording
from hokusai_validation.resources.classification import Classified
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import ATTEMPT_LIMIT, Recorder
from hokusai_validation.result import Category, Phase, Result, Status, from_frame, to_frame
from hokusai_validation.target import Target

TARGET = Target.model_validate(
    {
        "name": "t",
        "endpoints": {"registry": "https://registry.example.com", "instance_header": "X-Instance"},
        "instances": [{"name": "api-1", "url": "http://10.0.0.1:8001"}],
        "mlflow": {"url": "http://10.0.0.2:5000"},
    }
)
START = datetime(2026, 1, 1, tzinfo=UTC)
SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search"
ERROR = Classified(ErrorClass.REFUSED, Native(system="errno", code="ECONNREFUSED"))


def seen_at(second: float, outcome: Outcome = Outcome.OK, **values: object) -> Observation:
    at = START + timedelta(seconds=second)
    made = {"id": str(second), "operation": "live", "dialled": "api", "started_at": at, "ended_at": at}
    return Observation.model_validate(
        {**made, "outcome": outcome, "numbers": {"elapsed_ms": second}, **values}
    )


def asked(
    url: str, status: int = 200, body: bytes = b"{}", *, with_key: bool = False
) -> tuple[Observation, ...]:
    recorder = Recorder(Places(TARGET))
    with recording.recording(recorder):
        recording.ask_http("GET", url, with_key=with_key).answered(status, {"x-instance": "api-2"}, body)
    return recorder.finished(passed=False)


def test_the_path_is_known_before_asking() -> None:
    (seen,) = asked(f"https://registry.example.com{SEARCH}", with_key=True)
    edges = [(each.source, each.to, each.protocol, each.optional) for each in seen.path]
    assert edges == [
        ("validation", "load_balancer", "https", False),
        ("load_balancer", "api", "http", False),
        ("api", "auth", "http", True),
        ("api", "redis", "redis", True),
        ("api", "mlflow", "http", False),
        ("mlflow", "postgres", "postgresql", False),
    ]
    assert (seen.operation, seen.kind, seen.dialled, seen.instance) == (
        "proxy.experiments.search",
        Kind.READ,
        "load_balancer",
        "api-2",
    )


def test_an_instance_is_known_by_its_address() -> None:
    (seen,) = asked("http://10.0.0.1:8001/live")
    assert (seen.operation, seen.dialled, seen.instance, seen.answered_by) == ("live", "api", "api-1", "api")


def test_an_error_behind_is_repeated() -> None:
    body = b'{"detail": "(psycopg2.errors.ReadOnlySqlTransaction) cannot execute INSERT in a read-only transaction"}'
    answer, behind = asked(f"https://registry.example.com{SEARCH}", 500, body)
    assert (answer.error_class, answer.native) == (
        ErrorClass.READ_ONLY,
        Native(system="postgresql", code="25006"),
    )
    assert (behind.asker, behind.dialled, behind.error_class) == ("mlflow", "postgres", ErrorClass.READ_ONLY)


def test_bytes_that_are_no_protocol_are_of_the_one_that_the_answerer_asks() -> None:
    body = b"""{"error_code": "INTERNAL_ERROR", "message": "'utf-8' codec can't decode byte 0xd8 in position 102"}"""
    answer, behind = asked(f"https://registry.example.com{SEARCH}", 500, body)
    assert answer.error_class is ErrorClass.PROTOCOL
    assert (behind.asker, behind.dialled, behind.error_class) == ("mlflow", "postgres", ErrorClass.PROTOCOL)


def test_what_a_service_says_of_its_parts() -> None:
    body = (
        b'{"services": {"mlflow": "degraded", "redis": "disabled", "postgres": "unhealthy", "message_queue": "healthy"},'
        b' "postgres_error": "connection to server at \\"db\\", port 5432 failed: Connection refused"}'
    )
    said = asked("http://10.0.0.1:8001/health?detailed=true", 200, body)[1:]
    assert {(each.asker, each.dialled, each.instance, each.error_class) for each in said} == {
        ("api", "mlflow", "api-1", ErrorClass.BREAKER_OPEN),
        ("api", "postgres", "api-1", ErrorClass.REFUSED),
        ("api", "message_queue", "api-1", None),
    }


def test_a_refusal_that_was_promised_is_no_error() -> None:
    for passed in (True, False):
        recorder = Recorder(Places(TARGET))
        with recording.recording(recorder):
            question = recording.ask_http("GET", "https://registry.example.com/")
            question.answered(401, {}, b'{"detail": "API key required"}')
            if not passed:
                recording.met(question.id)
        (seen,) = recorder.finished(passed=passed)
        assert (seen.outcome, seen.status) == (Outcome.OK, 401)


def test_a_broken_promise_is_an_observation_of_its_own() -> None:
    recorder = Recorder(Places(TARGET))
    with recording.recording(recorder):
        question = recording.ask_http("GET", "https://registry.example.com/health")
        question.answered(200, {}, b"{}")
        recording.unmet(question.id, "form Health", ErrorClass.WRONG_FORM)
    answer, promise = recorder.finished(passed=False)
    assert answer.ok
    assert (promise.outcome, promise.error_class, promise.expected) == (
        Outcome.UNEXPECTED,
        ErrorClass.WRONG_FORM,
        "form Health",
    )


def test_a_fault_of_ours_is_noted() -> None:
    recorder = Recorder(Places(TARGET))
    with recording.recording(recorder):
        with own_faults.on("refuse:api-1->mlflow"):
            recording.ask_http("GET", "http://10.0.0.2:5000/health").failed(ERROR)
        recording.ask_http("GET", "http://10.0.0.2:5000/health").failed(ERROR)
    assert [each.faults_on for each in recorder.finished(passed=False)] == [("refuse:api-1->mlflow",), ()]


def test_without_a_recorder_nothing_is_kept() -> None:
    question = recording.ask_http("GET", "http://10.0.0.2:5000/health")
    question.answered(200, {}, b"{}")
    assert question.id == ""


def test_a_witness_does_not_span_an_outage() -> None:
    seen = folding.folded(
        [
            seen_at(0),
            seen_at(0.1),
            seen_at(0.2, Outcome.ERROR, error_class="refused"),
            seen_at(0.3),
            seen_at(0.4),
        ]
    )
    assert [each.count for each in seen] == [2, 1, 2]
    assert [each.count for each in folding.folded([seen_at(0), seen_at(60)])] == [1, 1]


def test_an_attempt_stays_small() -> None:
    recorder = Recorder(Places(TARGET))
    for number in range(10 * ATTEMPT_LIMIT):
        outcome = Outcome.ERROR if number % 3 else Outcome.OK
        recorder.add(seen_at(number * 2, outcome, error_class="refused" if number % 3 else None))
    seen = recorder.finished(passed=False)
    assert len(seen) <= ATTEMPT_LIMIT
    assert sum(each.count for each in seen) == 10 * ATTEMPT_LIMIT
    assert sum(each.failures for each in seen) == sum(1 for number in range(10 * ATTEMPT_LIMIT) if number % 3)


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from([Outcome.OK, Outcome.ERROR]), st.sampled_from("ab")),
        max_size=60,
    ),
    st.booleans(),
)
def test_folding_counts_everything(asked: list[tuple[float, Outcome, str]], failed: bool) -> None:
    made = [seen_at(second, outcome, dialled=place) for second, outcome, place in asked]
    folded = folding.folded(made, failed=failed)
    assert sum(each.count for each in folded) == len(made)
    assert sum(each.failures for each in folded) == sum(not each.ok for each in made)
    for each in folded:
        assert each.started_at <= each.ended_at
        within = [one for one in made if one.dialled == each.dialled and not one.ok]
        if each.ok:
            assert not any(each.started_at < one.started_at < each.ended_at for one in within)


def test_a_row_keeps_them(tmp_path: object) -> None:
    row = Result(
        run_id="r", target="t", phase=Phase.HEALTH, category=Category.UNIT, id="U1", test="T::t", component="api",
        critical=True, status=Status.PASSED, started_at=START,
        observations=asked(f"https://registry.example.com{SEARCH}", 502, b'{"detail": "Connection refused"}'),
    )  # fmt: skip
    assert from_frame(to_frame([row])) == (row,)
    assert Result.model_validate_json(row.model_dump_json()) == row


@given(
    st.sampled_from(["api_gateway", "tracking_server", "auth", "", "links"]),
    st.text(),
    st.text(),
    st.booleans(),
)
def test_every_request_has_a_name(role: str, method: str, path: str, with_key: bool) -> None:
    found = operations.of_request(role, method, path, with_key=with_key, proxy="/api/mlflow")
    edges = operations.path_of(found, dialled="x", names=Places().names)
    assert found.name
    assert edges[0].source == "validation"


def test_a_refusal_that_a_test_asks_for_is_no_error() -> None:
    recorder = Recorder(Places(TARGET))
    with recording.recording(recorder):
        with recording.provoked(ErrorClass.REFUSED):
            recording.ask("sql.connect", "database", "db", 5432).failed(ERROR)
        with recording.unrecorded():
            recording.ask("sql.connect", "database", "db", 5432).failed(ERROR)
        recording.ask("sql.connect", "database", "db", 5432).failed(ERROR)
    assert [each.outcome for each in recorder.finished(passed=True)] == [Outcome.OK, Outcome.ERROR]
