"""What Dagster loads: eight assets in their order, a check a catalogued test, three jobs, any target."""

import itertools
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from hokusai_validation import definitions
from hokusai_validation.assets.aggregate import CONTRACT
from hokusai_validation.assets.checks import check_name
from hokusai_validation.catalogue import entries
from hokusai_validation.definitions import build
from hokusai_validation.errors import TargetInvalid, TargetNotFound

ROOT = Path(__file__).parents[2]
STEPS = ("environment", "discovery", "health", "functional", "load", "chaos", "aggregate", "report")
HEAVY = (
    *("mlflow", "great_expectations", "moto", "boto3", "botocore", "pandas", "pyarrow", "scipy"),
    *("hokusai_sandbox", "psycopg2", "redis"),
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
        assert node.group_name == "validation"
        assert node.tags["target"] == "stub"


def test_jobs_always_end_in_a_verdict(defs: dg.Definitions) -> None:
    chosen = {
        name: {key.path[-1] for key in defs.resolve_job_def(name).asset_layer.selected_asset_keys}
        for name in ("validate", "failed_phases", "light")
    }
    assert chosen["validate"] == chosen["failed_phases"] == set(STEPS)
    assert chosen["light"] == {"environment", "discovery", "health", "aggregate", "report"}


def test_any_target_file_is_a_code_location_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere.toml").write_text('name = "elsewhere"\n')
    monkeypatch.setenv("HOKUSAI_TARGETS_DIR", str(tmp_path))
    keys = definitions.elsewhere.resolve_asset_graph().get_all_asset_keys()
    assert {key.path[0] for key in keys} == {"elsewhere"}
    with pytest.raises(AttributeError, match="'nowhere' is not known"):
        _ = definitions.nowhere
    with pytest.raises(AttributeError):
        _ = definitions.__wrapped__


@pytest.mark.parametrize("name", ["defs", "sandbox", "development", "production"])
def test_the_projects_own_locations_load_without_any_stack(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOKUSAI_TARGETS_DIR", str(ROOT / "targets"))
    assert isinstance(getattr(definitions, name), dg.Definitions)


def test_the_workspace_lists_them() -> None:
    text = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    listed = [line.split()[-1] for line in text.splitlines() if "location_name:" in line]
    assert listed == ["sandbox", "development", "production"]


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
