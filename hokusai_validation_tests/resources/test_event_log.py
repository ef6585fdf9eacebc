"""The event log with kept engines writes what Dagster's own class reads, and the other way round."""

from pathlib import Path

import dagster as dg
import pytest

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
