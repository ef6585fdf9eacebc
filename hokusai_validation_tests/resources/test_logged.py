"""What a component logged of a failure, and which names and commands are told apart."""

from datetime import UTC, datetime, timedelta

import pytest

from hokusai_validation.observation import Edge, ErrorClass, Native, Observation, Outcome
from hokusai_validation.probes.component_logs import LINES, is_bare, nearest
from hokusai_validation.resources import recording
from hokusai_validation.resources.aws.models import LogEvent
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.redis import operation_of
from hokusai_validation.target import Target

AT = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = Observation(
    id="o1",
    operation="mlflow.artifacts.write",
    dialled="mlflow",
    path=(Edge(source="validation", to="mlflow"), Edge(source="mlflow", to="artifacts")),
    started_at=AT,
    ended_at=AT,
    outcome=Outcome.ERROR,
    error_class=ErrorClass.SERVER_ERROR,
    native=Native(system="http", code="500"),
    status=500,
)
# botocore's sentence, as the last line of a traceback.
SKEWED = (
    "botocore.exceptions.ClientError: An error occurred (RequestTimeTooSkewed) when calling the PutObject"
    " operation: The difference between the request time and the current time is too large."
)


def logged(text: str) -> tuple[Observation, ...]:
    recorder = Recorder(Places(Target(name="t")))
    with recording.recording(recorder):
        recording.logged("mlflow", text, FAILURE)
    return recorder.finished(passed=False)


def test_a_logged_error_is_an_observation_of_the_part_whose_error_it_is() -> None:
    (seen,) = logged(f"INFO: PUT /x\nTraceback (most recent call last):\n{SKEWED}\n")
    assert (seen.operation, seen.asker, seen.dialled) == ("reported.log", "mlflow", "artifacts")
    assert (seen.error_class, seen.native) == (
        ErrorClass.CLOCK_SKEW,
        Native(system="s3", code="RequestTimeTooSkewed"),
    )
    assert seen.started_at == FAILURE.started_at


def test_errors_of_parts_that_the_failure_has_not_met_are_others() -> None:
    database = 'FATAL:  role "mlflow" is not permitted to log in'
    assert logged(database) == ()
    (seen,) = logged(f"{SKEWED}\n{database}\n")
    assert seen.dialled == "artifacts"


def test_what_was_written_at_the_time_of_the_failure_is_read_first() -> None:
    after = [LogEvent(at=AT + timedelta(seconds=2), message=f"INFO: GET /{n} 200") for n in range(LINES)]
    told = [LogEvent(at=AT, message=text) for text in ("Traceback", SKEWED)]
    before = [
        LogEvent(at=AT - timedelta(seconds=3), message=SKEWED.replace("RequestTimeTooSkewed", "NoSuchKey"))
    ]
    text = nearest([*before, *told, *after], AT)
    assert text.splitlines()[-2:] == ["Traceback", SKEWED]
    assert len(text.splitlines()) == LINES
    (seen,) = logged(text)
    assert seen.error_class is ErrorClass.CLOCK_SKEW


@pytest.mark.parametrize(
    "text", ["", "INFO: 127.0.0.1 GET /health 200", "ConnectionResetError: reset by peer"]
)
def test_lines_that_name_no_part_say_nothing(text: str) -> None:
    assert logged(text) == ()


def test_only_an_answer_that_says_nothing_sends_us_to_the_logs() -> None:
    assert is_bare(FAILURE)
    told = Native(system="postgresql", code="25006")
    assert not is_bare(FAILURE.model_copy(update={"error_class": ErrorClass.READ_ONLY, "native": told}))
    assert not is_bare(FAILURE.model_copy(update={"faults_on": ("cut",)}))


@pytest.mark.parametrize(
    ("command", "operation"),
    [("SET", "redis.write"), ("DEL", "redis.delete"), ("GET", "redis.read"), ("INFO", "redis.ping")],
)
def test_what_frees_memory_is_no_witness_of_writes(command: str, operation: str) -> None:
    assert operation_of(command) == operation


def test_a_name_s_ipv6_addresses_say_nothing_of_its_ipv4_ones() -> None:
    recorder = Recorder(Places(Target(name="t")))
    with recording.recording(recorder):
        for record in ("A", "AAAA"):
            recording.ask_name("mlflow.example.internal", record).ok()
    assert [each.operation for each in recorder.finished(passed=True)] == ["dns.resolve", "dns.resolve.ipv6"]


def test_a_repeated_error_that_fits_several_edges_is_said_of_none() -> None:
    """`Authentication service unavailable: connection refused`, answered to a request that goes on to
    MLflow: either may be the one."""
    target = Target.model_validate({"name": "t", "endpoints": {"registry": "https://registry.example.com"}})
    recorder = Recorder(Places(target))
    url = "https://registry.example.com/api/mlflow/api/2.0/mlflow/experiments/search"
    with recording.recording(recorder):
        body = b'{"detail": "Authentication service unavailable: Connection refused"}'
        recording.ask_http("GET", url, with_key=True).answered(503, {"server": "uvicorn"}, body)
    (seen,) = recorder.finished(passed=False)
    assert (seen.error_class, seen.status) == (ErrorClass.REFUSED, 503)
