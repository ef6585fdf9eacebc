"""L1–L9 themselves, against a sandbox: right on a right stack, red on wrong ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.facts import FactKind
from hokusai_validation.load.histogram import Histogram
from hokusai_validation.result import Result, Status
from hokusai_validation_tests.suite.mutated_gateway import Gateways
from hokusai_validation_tests.suite.suite_runs import SuiteRuns

pytestmark = pytest.mark.sandbox

FILES = ("test_service_load.py",)
SATURATED = "generator saturated"
RUNS = 3
# What the wrong variants are too slow for, so that a test of a test need not take minutes.
TIGHT = "\n".join(f"[limits.tests.{test}]\nmean_ms = 20" for test in ("L1", "L3", "L4", "L5"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteRuns]:
    with SuiteRuns(tmp_path_factory.mktemp("load-suite")) as made:
        yield made


@pytest.fixture(scope="module")
def gateways(sandbox: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    made = Gateways(sandbox, tmp_path_factory.mktemp("load-gateways"))
    yield made
    made.close()


def _executed(runs: SuiteRuns, target: Path, only: str) -> dict[str, Result]:
    """Rows of the chosen tests, by id; all others are there too, as not selected. A run in which the
    machine kept the generator from sending in time judged nothing, and is made again."""
    for _ in range(RUNS):
        rows = runs.run(target, "-k", only, files=FILES).values()
        found = {row.id: row for row in rows if row.message != "not selected"}
        if not any(row.status is Status.BROKEN and SATURATED in row.message for row in found.values()):
            break
    return found


@pytest.mark.parametrize(
    ("defect", "only", "ids", "fact"),
    [
        (
            "slow=0.03",
            "sequential or detailed or readiness or mixed",
            {"L1", "L3", "L4", "L5"},
            FactKind.SLOW,
        ),
        ("refuses_many", "concurrent or spike", {"L2", "L7"}, FactKind.ERROR_RATE),
        pytest.param(
            "blocks_on_health", "degraded", {"L6"}, FactKind.EVENT_LOOP_BLOCKED, marks=pytest.mark.soak
        ),
        pytest.param("slows_down", "sustained", {"L8"}, FactKind.SLOW, marks=pytest.mark.soak),
    ],
)
def test_a_wrong_service_turns_them_red(
    gateways: Gateways, runs: SuiteRuns, defect: str, only: str, ids: set[str], fact: FactKind
) -> None:
    with gateways.with_defects(defect) as gateway:
        with gateway.target_file.open("a") as file:
            file.write(f"\n{TIGHT}\n")
        rows = _executed(runs, gateway.target_file, only)
    assert {row.id: row.status for row in rows.values()} == dict.fromkeys(ids, Status.FAILED), [
        row.message for row in rows.values()
    ]
    for row in rows.values():
        assert fact in {each.kind for each in row.facts}
        assert "promised" in row.message or "allowed" in row.message or "stopped" in row.message


@pytest.mark.soak
def test_a_leak_turns_the_memory_test_red(runs: SuiteRuns, tmp_path: Path) -> None:
    with Stack.start(tmp_path / "leaking", scenario="leaks_memory") as stack:
        row = _executed(runs, stack.target_file, "memory")["L9"]
    assert row.status is Status.FAILED
    assert FactKind.MEMORY_GROWTH in {each.kind for each in row.facts}


def test_a_right_service_passes_and_its_row_carries_everything(sandbox: Stack, runs: SuiteRuns) -> None:
    row = _executed(runs, sandbox.target_file, "concurrent")["L2"]
    assert row.status is Status.PASSED, row.message
    assert row.metrics["open_p99_ms"] > 0
    assert {"closed_rate_per_s", "closed_mean_ms", "open_p95_ms", "open_max_ms"} <= set(row.metrics)
    runs_seen = row.evidence["performance"]
    assert isinstance(runs_seen, list)
    closed, constant = (dict(each) for each in runs_seen if isinstance(each, dict))
    assert (closed["model"], constant["model"]) == ("closed", "open")
    assert (closed["requests"], constant["endpoint"]) == (200, "/health")
    assert Histogram.decode(str(constant["histogram"])).count == constant["requests"]
    second = constant["series"][1]  # type: ignore[index]
    assert {"t_s", "rate_per_s", "p99_ms", "api-1_rss_mb", "api-1_cpu_percent", "postgres_server_connections",
            "api-1_breaker_triggers", "api-1_pool_connections"} <= set(second)  # type: ignore[arg-type]  # fmt: skip
