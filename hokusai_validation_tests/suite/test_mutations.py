"""Every test of the catalogue can fail: each wrong variant turns its tests red. A few variants run
each time, all of them in `make soak`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from hokusai_sandbox.gateway.breaker_mutants import MUTANTS
from hokusai_sandbox.gateway.defects import DEFECTS
from hokusai_sandbox.stack import Stack
from hokusai_validation.catalogue import entries
from hokusai_validation.facts import FactKind
from hokusai_validation.result import Result, Status
from hokusai_validation_tests.suite import mutations
from hokusai_validation_tests.suite.mutated_gateway import Gateways
from hokusai_validation_tests.suite.mutations import DOCUMENT, RECORD, VARIANTS, Variant, declared, document
from hokusai_validation_tests.suite.suite_runs import SuiteRuns, not_judged, red
from hokusai_validation_tests.suite.wrong_services import SERVICES

_BREAKER = "hokusai_sandbox.breaker"
_GATEWAY = "hokusai_sandbox.gateway"
HTTP_FILES = ("test_circuit_breaker.py", "test_health_endpoints.py", "test_authentication.py")
FILES_OF_SERVICE = {
    "auth": ("test_authentication.py", "test_registration.py"),
    "mlflow": ("test_registration.py",),
}
# What needs no API instance, and what takes long and is shown by its own variants.
NOT_OVER_HTTP = "not TestMLflowCircuitBreaker and not TestGlobalCircuitBreaker"
# Parts of a gateway that a registration passes through.
ON_THE_WAY_TO_MLFLOW = {"proxy", "mlflow", "queue", "auth"}
# Together these turn nearly every test over HTTP red; none of them hides what another one does.
QUICK: Mapping[str, tuple[str, ...]] = {
    "forms": (
        "naive_timestamps",
        "metrics_fallback_incomplete",
        "uptime_stands_still",
        "commit_unknown",
        "reset_error_hidden",
        "mlflow_check_error_hidden",
        "status_disagrees",
        "two_spaces_refused",
        "bad_key_403",
        "no_limit_headers",
    ),
    "states": (
        "open_breaker_hidden",
        "half_open_not_ready",
        "ready_ignores_postgres",
        "metrics_disagree",
        "open_lets_calls_through",
        "cache_not_used",
    ),
}

# Together these turn every unit test red.
WRONG_BREAKERS = {
    *("NeverOpens", "StartsOpen", "status_of_new"),
    *("OpensOneLate", "LinearBackoff", "CountsKeptOnReset", "NegativeTimes", "OneSuccessCloses"),
}

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteRuns]:
    """One process that runs the suite."""
    with SuiteRuns(tmp_path_factory.mktemp("runs")) as made:
        yield made


@pytest.fixture(scope="module")
def gateways(sandbox: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    """Gateways with defects, beside the sandbox's."""
    made = Gateways(sandbox, tmp_path_factory.mktemp("gateways"))
    yield made
    made.close()


def breaker_target(variant: Variant, folder: Path) -> Path:
    """A target file that names a wrong breaker."""
    module = "shared_mutants." if variant.kind == "shared" else "breaker_mutants:"
    path = f"{_GATEWAY}.{module}{variant.name}"
    if variant.kind == "shared":
        path += ":MLflowCircuitBreaker"
    file = folder / "target.toml"
    file.write_text(f'name = "mutant"\n[breaker]\npath = "{path}"\n')
    return file


def selection(ids: Sequence[str]) -> str:
    """pytest's -k for these tests of the catalogue."""
    names = {each.id: each.test.partition("::")[2].partition("[")[0] for each in entries()}
    return " or ".join(sorted({names[each] for each in ids}))


def only_ours(rows: Mapping[str, Result]) -> list[Result]:
    ours = {entry.id for entry in mutations.ours()}
    return [row for row in rows.values() if row.id in ours]


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(each, marks=() if each.name in WRONG_BREAKERS else pytest.mark.soak)
        for each in VARIANTS
        if each.kind in ("breaker", "shared")
    ],
    ids=lambda each: each.name,
)
def test_wrong_breaker_turns_its_tests_red(variant: Variant, runs: SuiteRuns, tmp_path: Path) -> None:
    expected = declared()[variant]
    assert expected
    rows = runs.run(breaker_target(variant, tmp_path), "-k", selection(sorted(expected)))
    assert expected <= red(rows.values())
    failed = [row for row in rows.values() if row.id in expected]
    assert all({fact.kind for fact in row.facts} == {FactKind.BREAKER_CONTRACT} for row in failed)
    assert all(row.message for row in failed)


def test_right_breaker_turns_none_red(runs: SuiteRuns, tmp_path: Path) -> None:
    target = tmp_path / "target.toml"
    target.write_text(f'name = "right"\n[breaker]\npath = "{_BREAKER}:MLflowCircuitBreaker"\n')
    rows = runs.run(target)
    assert not red(rows.values())
    assert not not_judged(rows.values())


@pytest.mark.parametrize("bundle", ["forms", pytest.param("states", marks=pytest.mark.soak)])
def test_wrong_gateway_turns_tests_red(bundle: str, gateways: Gateways, runs: SuiteRuns) -> None:
    table = declared()
    expected = frozenset().union(*(table[Variant("gateway", name)] for name in QUICK[bundle]))
    with gateways.with_defects(*QUICK[bundle]) as gateway:
        rows = runs.run(gateway.target_file, "-k", selection(sorted(expected)), files=HTTP_FILES)
    # One defect may hide another's effect in a test that both turn red, never the test's being red.
    assert expected - red(rows.values()) == set()
    assert all(row.facts for row in rows.values() if row.status is Status.FAILED)


@pytest.mark.soak
def test_right_gateway_turns_none_red(gateways: Gateways, runs: SuiteRuns) -> None:
    with gateways.with_defects() as gateway:
        rows = runs.run(gateway.target_file, "-k", NOT_OVER_HTTP, files=HTTP_FILES)
    assert {row.id: row.message for row in rows.values() if row.status is Status.FAILED} == {}
    assert not_judged(rows.values()) == {}


@pytest.mark.parametrize("name", ["mlflow_loses_metrics", "mlflow_keeps_models"])
def test_wrong_service_turns_registration_red(name: str, gateways: Gateways, runs: SuiteRuns) -> None:
    expected = declared()[Variant("service", name)]
    with gateways.with_wrong(SERVICES[name]) as gateway:
        rows = runs.run(gateway.target_file, "-k", "not big_artifact", files=("test_registration.py",))
    seen = red(rows.values())
    assert seen == expected, [(row.id, row.message) for row in rows.values() if row.id in seen - expected]
    if name == "mlflow_loses_metrics":
        later = [row for row in rows.values() if row.id in ("F207", "F208", "F209")]
        assert {(row.status, row.message) for row in later} == {(Status.SKIPPED, "needs metrics_logged")}


def test_every_test_can_fail() -> None:
    seen = frozenset().union(*declared().values())
    assert {entry.id for entry in mutations.ours()} - seen == set()
    assert set(declared()) == set(VARIANTS)


def test_document_is_what_the_table_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(declared())


def everything_red(variant: Variant, gateways: Gateways, runs: SuiteRuns, folder: Path) -> set[str]:
    """The ids of all our tests that a variant turns red."""
    if variant.kind in ("breaker", "shared"):
        rows = runs.run(breaker_target(variant, folder))
    elif variant.kind == "service":
        wrong = SERVICES[variant.name]
        with gateways.with_wrong(wrong) as gateway:
            # The wrong service stands where the link would be.
            rows = runs.run(
                gateway.target_file,
                "-k",
                f"not TestKeyCache{big(variant)}",
                files=FILES_OF_SERVICE[wrong.service],
            )
    else:
        registers = {part for part, _ in DEFECTS[variant.name].parts} & ON_THE_WAY_TO_MLFLOW
        files = (*HTTP_FILES, "test_registration.py") if registers else HTTP_FILES
        with gateways.with_defects(variant.name) as gateway:
            rows = runs.run(gateway.target_file, "-k", f"{NOT_OVER_HTTP}{big(variant)}", files=files)
    ours = only_ours(rows)
    assert not not_judged(ours)
    return red(ours)


def big(variant: Variant) -> str:
    """The artifact of 64 MiB takes seconds: only where it is about artifacts."""
    return "" if "artifacts" in variant.name else " and not big_artifact"


@pytest.mark.soak
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: f"{each.kind}-{each.name}")
def test_every_variant_turns_just_its_tests_red(
    variant: Variant, gateways: Gateways, runs: SuiteRuns, tmp_path: Path
) -> None:
    seen = everything_red(variant, gateways, runs, tmp_path)
    if RECORD:
        mutations.record({variant: seen})
    assert seen == declared()[variant]


def test_the_wrong_breakers_turn_every_unit_test_red() -> None:
    seen = frozenset().union(*(red for each, red in declared().items() if each.name in WRONG_BREAKERS))
    assert {entry.id for entry in mutations.ours() if entry.id[0] == "U"} - seen <= {"U22", "U23"}


def test_mutants_are_importable_by_the_names_in_the_table() -> None:
    assert {each.name for each in VARIANTS if each.kind == "breaker"} == set(MUTANTS)
