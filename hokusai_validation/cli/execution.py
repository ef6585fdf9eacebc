"""One Dagster run of a target's phases in this process, recorded in the project's instance."""

import json
import os
import re
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import HokusaiError
from hokusai_validation.redaction import shown
from hokusai_validation.report import Report
from hokusai_validation.result import Phase

if TYPE_CHECKING:
    import dagster as dg
    import psutil
    from dagster import DagsterInstance

OWNER_TAG = "hokusai/owner"
# For a DAGSTER_HOME that has none yet; the project's own is in `.dagster`.
SETTINGS = """telemetry:
  enabled: false
event_log_storage:
  module: hokusai_validation.resources.event_log
  class: KeptSqliteEventLog
  config:
    base_dir:
      env: DAGSTER_HOME
"""
OPEN_TRIES = 6
OPEN_PAUSE_S = 0.3
# PostgreSQL's for what is there already: a table, an object, a row of its own catalogues; and for one that is
# being changed (duplicate_table, duplicate_object, unique_violation, internal_error: "tuple concurrently updated").
MADE_MEANWHILE = frozenset({"42P07", "42710", "23505", "XX000"})
_ERROR_LINE = re.compile(r"^(?:[\w.]*\.)?(\w+): (.+)$")


class RunFailed(HokusaiError):
    """The run ended without a report."""


@dataclass(frozen=True)
class Outcome:
    """The report of a run, and the folder that its documents lie in."""

    report: Report
    folder: str


class RunError(Protocol):
    """What Dagster keeps of an exception, and of those that it came from."""

    @property
    def cls_name(self) -> str | None: ...
    @property
    def message(self) -> str: ...
    @property
    def cause(self) -> "RunError | None": ...


@contextmanager
def instance() -> "Iterator[DagsterInstance]":
    """The project's Dagster instance: `DAGSTER_HOME`, by default `.dagster` here.

    Raises RunFailed when it can't be opened."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(Path(".dagster").resolve())))
    try:
        home.mkdir(parents=True, exist_ok=True)
        settings = home / "dagster.yaml"
        if not settings.exists():
            settings.write_text(SETTINGS, encoding="utf-8")
        opened = _opened()
    except OSError as error:
        raise RunFailed(
            f"Dagster's folder {home} can't be used: {error.strerror}; set DAGSTER_HOME to another one."
        ) from None
    except Exception as error:  # of SQLite, SQLAlchemy, YAML, or Dagster's own
        raise _unusable(home, error) from None
    with opened:
        try:
            _end_orphans(opened)
            _end_tails(home)
        except Exception as error:
            raise _unusable(home, error) from None
        yield opened


def _opened() -> "DagsterInstance":
    """Dagster's, whose storage makes its tables when it is new. Of two that open it at once, one finds what
    the other has just made; of the codes for that Dagster itself knows one only."""
    import dagster as dg
    from sqlalchemy.exc import DBAPIError

    for _ in range(OPEN_TRIES - 1):
        try:
            return dg.DagsterInstance.get()
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) not in MADE_MEANWHILE:
                raise
        time.sleep(OPEN_PAUSE_S)
    return dg.DagsterInstance.get()


def _unusable(home: Path, error: Exception) -> RunFailed:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return RunFailed(
        f"Dagster's folder {home} can't be used: {shown(said, 200)}. Move it away, or set DAGSTER_HOME to another one."
    )


def execute(
    source: str,
    held: EffectiveTarget,
    phases: Sequence[Phase],
    dagster_instance: "DagsterInstance",
    *,
    run_id: str | None = None,
    tags: dict[str, str] | None = None,
) -> Outcome:
    """As run `run_id` (or one of Dagster's choice), materialize phases of a target, resolved already,
    with `aggregate` and `report`, and read the report.

    Raises HokusaiError with a step's own message when no report came."""
    import dagster as dg

    from hokusai_validation.assets.phase import key
    from hokusai_validation.assets.progress import STEPS
    from hokusai_validation.automation.jobs import Job
    from hokusai_validation.definitions import build
    from hokusai_validation.resources.injected import ResultsResource, TargetResource

    name = held.name
    definitions = build(source, target=TargetResource(source, resolved=held))
    steps = (*(phase.value for phase in phases), *STEPS[len(Phase) :])
    with warnings.catch_warnings():
        # Dagster's own, about what it calls itself when a suite's process is followed over its pipes.
        warnings.filterwarnings("ignore", category=dg.PreviewWarning, module=r"dagster\.")
        result = definitions.resolve_job_def(Job.VALIDATE.of(name)).execute_in_process(
            instance=dagster_instance,
            run_id=run_id,
            asset_selection=[key(name, step) for step in steps],
            raise_on_error=False,
            tags={"target": name, OWNER_TAG: _owner(), **(tags or {})},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    materialized = {
        event.asset_key.path[-1]
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    if _interrupted(result):
        raise KeyboardInterrupt
    if "report" not in materialized:
        raise RunFailed(_why(result))
    report: Report = result.asset_value(key(name, "aggregate"))
    return Outcome(report, str(ResultsResource().store().reports / name / result.run_id))


def _interrupted(result: "dg.ExecuteInProcessResult") -> bool:
    """Whether Dagster took a Ctrl-C or SIGTERM for a failure of a step."""
    names = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
    errors = [_error(event) for event in result.all_events if event.is_step_failure]
    causes = [error.cause for error in errors if error is not None]
    return any(error is not None and error.cls_name in names for error in (*errors, *causes))


def _why(result: "dg.ExecuteInProcessResult") -> str:
    """The own sentence of the first step that failed, or of what kept the run from its first step."""
    for event in result.all_events:
        error = _error(event)
        if error is None:
            continue
        if event.is_step_failure:
            phase = str(event.step_key).rpartition("__")[2]
            return f"Phase {phase} could not do its work: {_own_words(error)}"
        if event.is_failure:
            return f"The run could not start: {_own_words(error)}"
    return "The run ended without a report; its log is in the Dagster UI (`make ui`)."


def _error(event: "dg.DagsterEvent") -> RunError | None:
    found: RunError | None = getattr(event.event_specific_data, "error", None)
    return found


def _own_words(error: RunError) -> str:
    """What the innermost error says, without its class."""
    while error.cause is not None:
        error = error.cause
    line = str(error.message).strip().splitlines()[0]
    match = _ERROR_LINE.match(line)
    return match.group(2) if match else line


def _owner() -> str:
    """Who runs it: machine, process, and when that began (a process id is used again)."""
    return json.dumps([socket.gethostname(), os.getpid(), _began(os.getpid())])


def _began(pid: int) -> float | None:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _end_orphans(dagster_instance: "DagsterInstance") -> None:
    """Runs whose command was killed would stay `STARTED` for ever: say in the history that they ended."""
    import dagster as dg

    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in dagster_instance.get_runs(filters=unfinished, limit=50):
        try:
            host, pid, began = json.loads(run.tags[OWNER_TAG])
        except (KeyError, ValueError, TypeError):
            continue
        if host == socket.gethostname() and _began(int(pid)) != began:
            dagster_instance.report_run_failed(run, message="The command that ran it was killed.")


def _end_tails(home: Path) -> None:
    """Dagster copies each step's output with a `tail`, and has a process that ends it when the run dies. Where
    both were killed it would stay for ever."""
    import psutil

    kept = str(home.resolve())
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            mine = words[:2] == ["tail", "-F"] and words[-1].startswith(kept) and "compute_logs" in words[-1]
            if mine and not _runs_python(process.parent()):
                process.kill()
        except (psutil.Error, IndexError):
            continue


def _runs_python(process: "psutil.Process | None") -> bool:
    """Whether it may be the one that a step runs in, and not who adopts orphans."""
    return process is not None and process.pid != 1 and "python" in " ".join(process.cmdline()[:1])
