"""The event log with kept engines writes what Dagster's own class reads, and the other way round."""

import hashlib
import inspect
import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from hokusai_validation.cli.execution import SETTINGS
from hokusai_validation.resources import event_log
from hokusai_validation.resources.event_log import KeptSqliteEventLog

KEY = dg.AssetKey("thing")


@dg.asset(check_specs=[dg.AssetCheckSpec("good", asset="thing")])
def thing() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster takes no other here
    """Something with a check."""
    return dg.MaterializeResult(
        metadata={"n": 1}, check_results=[dg.AssetCheckResult(check_name="good", passed=True)]
    )


def seen(instance: dg.DagsterInstance) -> tuple[int, int]:
    """Materializations of the asset, and events of the newest run."""
    (run,) = instance.get_runs(limit=1)
    return len(instance.fetch_materializations(KEY, limit=10).records), len(instance.all_logs(run.run_id))


def test_both_classes_share_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    settings = tmp_path / "dagster.yaml"
    settings.write_text(SETTINGS)
    with dg.DagsterInstance.get() as kept:
        assert isinstance(kept.event_log_storage, KeptSqliteEventLog)
        assert dg.materialize([thing], instance=kept).success
        assert dg.materialize([thing], instance=kept).success
        written = seen(kept)
        assert written[0] == 2
        assert written[1] > 5
    settings.write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.get() as plain:
        assert not isinstance(plain.event_log_storage, KeptSqliteEventLog)
        assert seen(plain) == written
        assert dg.materialize([thing], instance=plain).success
    settings.write_text(SETTINGS)
    with dg.DagsterInstance.get() as kept:
        assert seen(kept)[0] == 3


def test_engines_of_old_runs_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "ENGINES", 2)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    with dg.DagsterInstance.get() as kept:
        for _ in range(3):
            assert dg.materialize([thing], instance=kept).success
        assert seen(kept)[0] == 3


def test_who_follows_a_run_in_another_process_hears_of_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    heard: list[str] = []
    more = threading.Event()

    def hear(entry: dg.EventLogEntry, _: str) -> None:
        heard.append(entry.run_id)
        more.set()

    with dg.DagsterInstance.get() as kept, dg.DagsterInstance.get() as other:
        first = dg.materialize([thing], instance=kept)
        other.watch_event_logs(first.run_id, None, hear)
        kept.report_engine_event("one more", first.dagster_run)
        assert more.wait(30)
    assert set(heard) == {first.run_id}


def test_a_file_that_was_removed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    with dg.DagsterInstance.get() as kept:
        first = dg.materialize([thing], instance=kept)
        storage = kept.event_log_storage
        assert isinstance(storage, KeptSqliteEventLog)
        for path in Path(storage.path_for_shard(first.run_id)).parent.glob(f"{first.run_id}*"):
            path.unlink()
        assert not kept.all_logs(first.run_id)
        kept.report_engine_event("one more", first.dagster_run)
        assert len(kept.all_logs(first.run_id)) == 1
        storage.wipe()
        assert not kept.all_logs(first.run_id)
        assert dg.materialize([thing], instance=kept).success


# What `KeptSqliteEventLog` overrides or calls is not Dagster's public interface; the pinned version has it so.
RELIED_ON = {
    "_connect": "b8435f2665689760",
    "supports_asset_checks": "23fa3ef88c625437",
    "_initdb": "7a302d98eb61a34d",
    "from_config_value": "28e08f095dc13fb2",
    "conn_string_for_shard": "896bc510d776042e",
    "path_for_shard": "0eaeb69bc81ba0a7",
    "store_event": "f89aed40602438b9",
    "wipe": "de02c63676e7d477",
    "dispose": "df16dafbfa8427c1",
}


@pytest.mark.parametrize("name", RELIED_ON)
def test_dagsters_own_class_is_what_it_was_when_this_one_was_made(name: str) -> None:
    member = inspect.getattr_static(SqliteEventLogStorage, name)
    own = getattr(member, "fget", None) or getattr(member, "__func__", member)
    seen = hashlib.sha256(inspect.getsource(own).encode()).hexdigest()[:16]
    assert seen == RELIED_ON[name], (
        f"Dagster's `SqliteEventLogStorage.{name}` has changed: read it, measure whether the subclass still"
        " pays, and put the new digest here."
    )
