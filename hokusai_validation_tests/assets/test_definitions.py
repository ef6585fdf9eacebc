"""What Dagster loads: eight assets in their order, a check a catalogued test, three jobs, any target."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from hokusai_validation import definitions
from hokusai_validation.assets.aggregate import CONTRACT
from hokusai_validation.assets.checks import check_name
from hokusai_validation.automation.jobs import Job
from hokusai_validation.catalogue import entries
from hokusai_validation.definitions import build
from hokusai_validation.errors import TargetInvalid, TargetNotFound

ROOT = Path(__file__).parents[2]
STEPS = ("environment", "discovery", "health", "functional", "load", "chaos", "aggregate", "report")
HEAVY = (
    *("mlflow", "great_expectations", "moto", "boto3", "botocore", "pandas", "pyarrow", "scipy"),
    *("hokusai_sandbox", "psycopg2", "redis", "pytest", "hypothesis"),
)


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    path = tmp_path_factory.mktemp("targets") / "stub.toml"
    path.write_text('name = "stub"\n')
    return build(str(path))


def test_they_load(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_phases_are_a_chain_and_aggregate_reads_all_of_them(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    parents = {
        key.path[-1]: {parent.path[-1] for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert set(parents) == set(STEPS)
    assert {key.path[0] for key in graph.get_all_asset_keys()} == {"stub"}
    for before, phase in itertools.pairwise(STEPS[:6]):
        assert parents[phase] == {before}
    assert parents["aggregate"] == set(STEPS[:6])
    assert parents["report"] == {"aggregate"}


def test_there_is_one_check_for_each_catalogued_test_and_the_verdict_blocks(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    names = {(key.asset_key.path[-1], key.name) for key in graph.asset_check_keys}
    expected = {(entry.phase.value, check_name(entry)) for entry in entries()}
    assert names == expected | {("aggregate", CONTRACT), ("report", "verdict")}
    verdict = next(key for key in graph.asset_check_keys if key.name == "verdict")
    assert graph.get_check_spec(verdict).blocking


def test_every_asset_says_what_it_is_and_whose(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description
        assert node.owners
        assert node.kinds
        assert node.group_name == "stub"
        assert node.pools == {"stub"}
        assert node.tags["target"] == "stub"


def test_jobs_always_end_in_a_verdict(defs: dg.Definitions) -> None:
    chosen = {
        name: {key.path[-1] for key in defs.resolve_job_def(name).asset_layer.selected_asset_keys}
        for name in ("stub_validate", "stub_failed_phases", "stub_light")
    }
    assert chosen["stub_validate"] == chosen["stub_failed_phases"] == set(STEPS)
    assert chosen["stub_light"] == {"environment", "discovery", "health", "aggregate", "report"}


def test_one_location_holds_every_target_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOKUSAI_TARGETS_DIR", str(tmp_path))
    (tmp_path / "one.toml").write_text('name = "one"\n')
    assert targets_of(definitions.defs()) == {"one"}
    (tmp_path / "two-b.toml").write_text('name = "two-b"\n')
    found = definitions.defs()
    dg.Definitions.validate_loadable(found)
    assert targets_of(found) == {"one", "two-b"}
    jobs = {job.name for job in found.get_repository_def().get_all_jobs()}
    assert jobs >= {f"{of}_{job}" for of in ("one", "two_b") for job in Job}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "bad"\nnonsense = 1\n', "unknown key `nonsense`"),
        ("name = ", "not valid TOML"),
        ('name = "a_b"\n', "of one name to Dagster"),
    ],
)
def test_a_file_that_cannot_be_used_costs_its_own_target_alone(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "good.toml").write_text('name = "a-b"\n')
    (tmp_path / "not good.toml").write_text(text)
    found = definitions.build_all(tmp_path)
    dg.Definitions.validate_loadable(found)
    assert targets_of(found) == {"a-b"}
    failing = found.get_repository_def().get_sensor_def("unusable_target_not_good")
    assert failing.default_status is dg.DefaultSensorStatus.RUNNING
    with pytest.raises(TargetInvalid, match=says) as error:
        failing(dg.build_sensor_context())
    assert "not good.toml" in str(error.value)


def test_the_projects_own_targets_load_without_any_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOKUSAI_TARGETS_DIR", str(ROOT / "targets"))
    names = {path.stem for path in (ROOT / "targets").glob("*.toml")}
    assert targets_of(definitions.defs()) == names


def test_the_workspace_has_one_location() -> None:
    text = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    listed = [line.split()[-1] for line in text.splitlines() if "location_name:" in line]
    assert listed == ["targets"]


@pytest.mark.parametrize("words", [("check", "defs"), ("list", "defs", "--json")], ids=" ".join)
def test_dagsters_command_line_finds_the_definitions(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), *words],
        cwd=ROOT,
        env={**os.environ, "HOKUSAI_TARGETS_DIR": str(ROOT / "targets"), "VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "loaded successfully" in done.stdout or "sandbox/report" in done.stdout


def targets_of(found: dg.Definitions) -> set[str]:
    return {key.path[0] for key in found.resolve_asset_graph().get_all_asset_keys()}


def test_an_unusable_target_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "bad"\nnonsense = 1\n')
    with pytest.raises(TargetInvalid, match="unknown key `nonsense`"):
        build(str(bad))
    with pytest.raises(TargetNotFound):
        build("nowhere")


def test_nothing_heavy_is_imported_by_loading(tmp_path: Path) -> None:
    path = tmp_path / "stub.toml"
    path.write_text('name = "stub"\n')
    code = (
        "import sys; from hokusai_validation.definitions import build; import dagster as dg;"
        f"dg.Definitions.validate_loadable(build({str(path)!r}));"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
