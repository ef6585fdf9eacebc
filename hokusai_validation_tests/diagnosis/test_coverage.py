"""What the tests covered, told from rows alone."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.catalogue import REQUIREMENTS, entries
from hokusai_validation.diagnosis.coverage import CONTRACT, NO_ROW, answers, coverage, endpoint_of
from hokusai_validation.result import Result, Status

AT = datetime(2026, 1, 1, tzinfo=UTC)


def row(test_number: int = 0, status: Status = Status.PASSED, attempt: int = 1, **evidence: object) -> Result:
    entry = entries()[test_number]
    return Result.model_validate(
        {
            "run_id": "r",
            "target": "t",
            "phase": entry.phase,
            "category": entry.category,
            "id": entry.id,
            "test": entry.test,
            "component": entry.component,
            "critical": entry.critical,
            "status": status,
            "started_at": AT,
            "attempt": attempt,
            "evidence": evidence,
        }
    )


def answer(request: str, status: int) -> dict[str, object]:
    return {"request": request, "status": status, "body": "", "elapsed_ms": 1.0}


def test_every_test_stands_under_one_requirement() -> None:
    covered = coverage([])
    tests = [test.test for each in covered.requirements for test in each.tests]
    assert sorted(tests) == sorted(entry.test for entry in entries())
    assert [each.requirement for each in covered.requirements] == list(REQUIREMENTS)
    assert {test.status for each in covered.requirements for test in each.tests} == {NO_ROW}


def test_the_last_attempt_counts() -> None:
    covered = coverage([row(0, Status.FAILED, 1), row(0, Status.PASSED, 2), row(1, Status.SKIPPED)])
    statuses = {test.test: test.status for each in covered.requirements for test in each.tests}
    assert statuses[entries()[0].test] == "passed"
    assert statuses[entries()[1].test] == "skipped"
    for each in covered.requirements:
        assert sum(each.counts.values()) == len(each.tests)


def test_statuses_are_counted_by_endpoint() -> None:
    covered = coverage(
        [
            row(0, a=answer("GET https://api.test:1/health", 200), b=answer("GET https://api.test/health?detailed=true", 200)),
            row(1, deep={"list": [answer("POST http://i:1/health/mlflow/reset", 401)]}),
            row(2, a=answer("PUT http://i/api/mlflow/api/2.0/mlflow-artifacts/x", 502)),
            row(3, a=answer("GET http://i/ready", 418), b={"status": 200}, c={"request": "nothing", "status": 200}),
        ]
    )  # fmt: skip
    found = {(each.method, each.path): each for each in covered.endpoints}
    assert found["GET", "/health"].seen == {"200": 1}
    assert found["GET", "/health?detailed=true"].seen == {"200": 1}
    assert found["POST", "/health/mlflow/reset"].seen == {"200": 0, "401": 1, "500": 0}
    assert found["ANY", "/api/mlflow/{path}"].seen["502"] == 1
    assert found["GET", "/ready"].others == {"418": 1}
    assert found["GET", "/ready"].exercised
    assert not found["GET", "/live"].exercised
    assert covered.seen_statuses == 4
    assert covered.promised_statuses == sum(len(statuses) for _, _, statuses in CONTRACT)


def test_paths_find_their_endpoint() -> None:
    assert endpoint_of("GET", "/health/") == ("GET", "/health")
    assert endpoint_of("GET", "/health/mlflow") == ("GET", "/health/mlflow")
    assert endpoint_of("POST", "/health/mlflow") is None
    assert endpoint_of("DELETE", "/mlflow/api/2.0/x") == ("ANY", "/mlflow/{path}")
    assert endpoint_of("GET", "/api/health/mlflow/detailed") == ("GET", "/api/health/mlflow/detailed")
    assert endpoint_of("POST", "/api/v1/usage/abc") == ("POST", "/api/v1/usage/{key_id}")
    assert endpoint_of("GET", "/elsewhere") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["request", "status", "x"]), json_values, max_size=3))
def test_any_evidence_can_be_read(evidence: dict[str, object]) -> None:
    for method, path, status in answers(evidence):  # type: ignore[arg-type]
        assert method
        assert path.startswith("/") or path
        assert isinstance(status, int)
