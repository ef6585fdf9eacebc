"""A run has one target from its first phase to its report: what the file says in the middle of it, and
what a run's configuration would like it to be, changes nothing."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from hokusai_validation.effective import EffectiveTarget, Snapshot
from hokusai_validation.errors import TargetChanged
from hokusai_validation.resources.injected import AwsResource, GatewayResource, KeyResource, TargetResource
from hokusai_validation.result import Phase
from hokusai_validation.sections import Database, SecretRef
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.assets.materializing import materialize as materialize_of
from hokusai_validation_tests.assets.stub import Stub, serving, target_file
from hokusai_validation_tests.diagnosis.rows import TARGET as FULL

KEY = "not-of-any-known-form-4711"
materialize = partial(materialize_of, target="stub")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return ResultStore(tmp_path / "results")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as server:
        yield server


def test_a_file_edited_in_the_middle_does_not_split_a_run(
    tmp_path: Path, store: ResultStore, stub: Stub
) -> None:
    source = target_file(tmp_path, stub.url)
    with serving() as other, dg.DagsterInstance.ephemeral() as instance:

        def edit(path: str) -> None:
            target_file(tmp_path, other.url, 'expected_commit = "1234567"\n')

        stub.on_request = edit
        result = materialize(source, Phase.HEALTH, Phase.FUNCTIONAL, instance=instance)
        assert stub.paths
        assert other.paths == []
    report = json.loads((store.reports / "stub" / result.run_id / "report.json").read_text())
    assert report["provenance"]["expected_commit"] is None
    kept = store.target("stub", result.run_id)
    assert kept is not None
    assert kept.identity.registry == stub.url


def test_verdict_and_redactor_know_what_was_given_in_code(
    tmp_path: Path, store: ResultStore, stub: Stub
) -> None:
    source = target_file(tmp_path, "http://127.0.0.1:9")
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(
            source,
            Phase.ENVIRONMENT,
            instance=instance,
            gateway=GatewayResource(registry=stub.url),
            key=KeyResource(good=KEY),
            aws=AwsResource(cluster="c", endpoint_url=f"http://127.0.0.1:9/{KEY}"),
        )
    kept = store.target("stub", result.run_id)
    assert kept is not None
    assert json.loads(kept.text)["endpoints"]["registry"] == stub.url
    report = json.loads((store.reports / "stub" / result.run_id / "report.json").read_text())
    reasons = {row["message"] for row in report["results"] if row["status"] == "skipped"}
    assert "no AWS configured" not in reasons
    for path in (tmp_path / "results").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_rows_of_another_stack_under_the_same_name_are_not_read_back(
    tmp_path: Path, store: ResultStore, stub: Stub
) -> None:
    with serving() as before, dg.DagsterInstance.ephemeral() as instance:
        materialize(target_file(tmp_path, before.url), Phase.DISCOVERY, instance=instance)
        result = materialize(target_file(tmp_path, stub.url), Phase.ENVIRONMENT, instance=instance)
    report = json.loads((store.reports / "stub" / result.run_id / "report.json").read_text())
    assert {row["run_id"] for row in report["results"]} == {result.run_id}
    assert "discovery" in report["evidence"]["rows_left_out"]


@pytest.mark.parametrize(
    "config",
    [
        {"stub_target": {"config": {"source": "other.toml"}}},
        {"stub_target": {"config": {"overrides": [{"registry": "http://elsewhere.test"}]}}},
        {"target": {"config": {"source": "other.toml"}}},
        {"results": {"config": {"base": "/elsewhere"}}},
        {"process": {"config": {"cluster": "another"}}},
        {"frames": {"config": {"base": "/elsewhere"}}},
        {"gateway": {"config": {"registry": "http://elsewhere.test"}}},
    ],
)
def test_run_configuration_names_no_other_target(
    tmp_path: Path, store: ResultStore, stub: Stub, config: dict[str, object]
) -> None:
    source = target_file(tmp_path, stub.url)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(dg.DagsterInvalidConfigError, match="Received unexpected config entr"),
    ):
        materialize(source, Phase.HEALTH, instance=instance, run_config={"resources": config})
    assert stub.paths == []


def test_a_later_process_of_the_run_gets_what_the_first_resolved(tmp_path: Path, store: ResultStore) -> None:
    source = target_file(tmp_path, "http://one.test")
    first = TargetResource(str(source)).of_run("stub", "run", store)
    target_file(tmp_path, "http://two.test")
    again = TargetResource(str(source)).of_run("stub", "run", store)
    assert again == first
    assert TargetResource(str(source)).of_run("stub", "next", store).hash != first.hash
    source.unlink()
    assert TargetResource(str(source)).of_run("stub", "run", store) == first


def test_what_could_not_be_kept_is_not_guessed(
    tmp_path: Path, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in an address is masked in what is kept, so that can't be what a later process uses."""
    monkeypatch.setenv("STUB_KEY", "swordfish")
    source = target_file(tmp_path, "http://one.test/swordfish", '[keys.good]\nenv = "STUB_KEY"\n')
    first = TargetResource(str(source)).of_run("stub", "run", store)
    kept = store.target("stub", "run")
    assert isinstance(kept, Snapshot)
    assert "swordfish" not in kept.model_dump_json()
    assert TargetResource(str(source)).of_run("stub", "run", store) == first
    target_file(tmp_path, "http://two.test")
    with pytest.raises(TargetChanged, match="was changed while run run was under way"):
        TargetResource(str(source)).of_run("stub", "run", store)


def test_another_name_in_the_file_is_not_run_under_the_old_one(tmp_path: Path, store: ResultStore) -> None:
    source = target_file(tmp_path, "http://one.test")
    with pytest.raises(TargetChanged, match="reload the definitions"):
        TargetResource(str(source)).of_run("before", "run", store)


def test_the_kept_text_of_a_target_with_named_secrets_is_the_target_again() -> None:
    target = FULL.model_copy(
        update={"database": Database(host="db.test", password=SecretRef(secret_id="x/y", key="password"))}
    )
    assert Snapshot.of(EffectiveTarget(target=target), "run").target == target
