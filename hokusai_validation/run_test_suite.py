"""The suite without Dagster: `python -m hokusai_validation.run_test_suite --target sandbox`.

The phases start this very command. pytest runs with the suite's own settings only: what stands in
the current folder's configuration, in PYTEST_ADDOPTS or in foreign plugins does not touch it.
"""

import atexit
import gc
import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence

import click
import pytest

from hokusai_validation.errors import HokusaiError
from hokusai_validation.report import Verdict
from hokusai_validation.result import (
    CATALOGUE_CATEGORIES,
    Category,
    Phase,
    Result,
    SkipReason,
    Status,
    final_attempts,
    now,
)
from hokusai_validation.runner import standby
from hokusai_validation.runner.parentage import end_with_parent
from hokusai_validation.runner.pipes import started_by_dagster
from hokusai_validation.runner.selection import SUITE_DIR, Selection
from hokusai_validation.runner.warming import preload
from hokusai_validation.store import scratch
from hokusai_validation.store.record import read_file
from hokusai_validation.target import Target, read_target

WORKERS_LIMIT = 16
_PLUGINS = ("hokusai_validation.runner.plugin",)
# By every phase. Not the plugin and the tests themselves: pytest rewrites those as it imports them.
_NEEDED = (
    "hokusai_validation.runner.reading",
    "hokusai_validation.probes.baseline",
    "hokusai_validation.probes.clean_up",
    "hokusai_validation.resources.aws.client",
    "hokusai_validation.resources.database",
    "hokusai_validation.resources.http",
)
_STATUS_IN_PHASE: Mapping[int, int] = {pytest.ExitCode.USAGE_ERROR: 2, pytest.ExitCode.INTERNAL_ERROR: 3}
_EXIT_STATUS = {Verdict.UNHEALTHY: 1, Verdict.INCONCLUSIVE: 3}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--target", default="sandbox", show_default=True, metavar="NAME_OR_PATH")
@click.option(
    "--category",
    "categories",
    multiple=True,
    type=click.Choice([each.value for each in Category]),
    help="Only this category; may be given several times.",
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice([each.value for each in Phase]),
    help="Only this phase; may be given several times.",
)
@click.option("--critical-only", is_flag=True, help="Only critical tests.")
@click.option(
    "-n",
    "workers",
    type=click.IntRange(0, WORKERS_LIMIT),
    default=0,
    help="Test processes for the tests that only read; the others run alone.",
)
@click.option(
    "--rows",
    metavar="FILE",
    help="Also append a JSON line a test to this file, or an object a test to s3://BUCKET/FOLDER.",
)
@click.option("--run-id", metavar="ID", help="The run's id; on production, the one that was confirmed.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as one JSON list, and only that.")
def main(
    target: str,
    categories: tuple[str, ...],
    phases: tuple[str, ...],
    critical_only: bool,
    workers: int,
    rows: str | None,
    run_id: str | None,
    as_json: bool,
) -> None:
    """Run the suite's tests against a target; each gives a row.

    Exit status: 0 good, 1 a critical test failed, 2 wrong usage or an unusable target file, 3 a
    critical test could not be judged."""
    selection = Selection(
        tuple(Category(each) for each in categories),
        tuple(Phase(each) for each in phases),
        critical_only,
    )
    try:
        sys.exit(run(target, selection, workers=workers, rows_place=rows, as_json=as_json, run_id=run_id))
    except HokusaiError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
    except OSError as error:  # a full disk, a folder that can't be written: ours, and no verdict
        click.echo(f"error: {error.filename or ''} {error.strerror or error}; nothing was judged.", err=True)
        sys.exit(3)


def run(
    target_name: str,
    selection: Selection,
    *,
    workers: int = 0,
    rows_place: str | None = None,
    as_json: bool = False,
    run_id: str | None = None,
) -> int:
    """Run the suite in this process, as run `run_id`, and return its exit status.

    Raises TargetNotFound, TargetInvalid, UsageError."""
    in_phase = started_by_dagster()
    target = None if in_phase else read_target(target_name)
    with scratch.folder("hokusai-suite-") as folder:
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(folder))
        # A phase reads what it named itself, after our end.
        own_rows = folder / "rows.jsonl"
        places = ([] if in_phase else [str(own_rows)]) + ([] if rows_place is None else [rows_place])
        arguments = _arguments(target_name, selection, workers, places, run_id)
        if as_json:
            with _stdout_to_stderr():
                status = _pytest(arguments)
        else:
            status = _pytest(arguments)
        recorded = read_file(own_rows)
    if target is None:  # the phase judges its rows itself
        return _STATUS_IN_PHASE.get(status, 0)
    results = recorded.rows
    for trouble in recorded.troubles:
        click.echo(f"error: {trouble.text}", err=True)
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in results], ensure_ascii=False))
    if not results and status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return 2 if status == pytest.ExitCode.USAGE_ERROR else 3
    if not as_json:
        click.echo(summary(results))
    if status == pytest.ExitCode.INTERNAL_ERROR or recorded.troubles:
        return 3
    return exit_status(results, target)


def exit_status(results: Sequence[Result], target: Target) -> int:
    """By the verdict that the rows carry, those of tests that were not asked for left out."""
    # Imported here, because a phase judges its rows itself.
    from hokusai_validation.diagnosis.diagnose import diagnose
    from hokusai_validation.diagnosis.orphaned import orphaned_faults
    from hokusai_validation.diagnosis.rows import was_selected
    from hokusai_validation.diagnosis.verdict import judge
    from hokusai_validation.diagnosis.waivers import waivers

    asked = [row for row in results if was_selected(row)]
    if orphaned_faults(asked):
        return 3
    followed = any(row.skip_reason is SkipReason.UNHEALTHY_BEFORE for row in asked)
    findings = diagnose(asked, target, at=now()) if followed or target.waivers else ()
    accepted = waivers(asked, findings, target, now().date())
    return _EXIT_STATUS.get(judge(asked, target, findings, accepted).verdict, 0)


def summary(results: Sequence[Result]) -> str:
    """One line: how many of which status, and how many of the catalogue's 67 were executed."""
    final = final_attempts(results)
    parts = [f"{sum(row.status is status for row in final)} {status.value}" for status in Status]
    of_catalogue = [row for row in final if row.category in CATALOGUE_CATEGORIES]
    executed = sum(row.executed for row in of_catalogue)
    return f"{', '.join(parts)}; {executed} of {len(of_catalogue)} catalogued tests executed"


def _arguments(
    target: str, selection: Selection, workers: int, rows_places: list[str], run_id: str | None
) -> list[str]:
    arguments = [str(SUITE_DIR), f"--target={target}", "--rootdir", str(SUITE_DIR)]
    arguments += [f"--rows={each}" for each in rows_places]
    arguments += ["-c", str(SUITE_DIR / "pytest.ini"), "-p", "no:cacheprovider", "-q"]
    for plugin in _PLUGINS:
        arguments += ["-p", plugin]
    arguments += [f"--category={each.value}" for each in selection.categories]
    arguments += [f"--phase={each.value}" for each in selection.phases]
    if run_id is not None:
        arguments.append(f"--run-id={run_id}")
    if selection.critical_only:
        arguments.append("--critical-only")
    if workers:
        arguments += [f"--processes={workers}"]
    return arguments


def _pytest(arguments: list[str]) -> int:
    """pytest in this process, without what the environment would add to it."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return int(pytest.main(arguments))


class _stdout_to_stderr:
    """Everything printed goes to standard error, C and child processes included."""

    def __enter__(self) -> None:
        sys.stdout.flush()
        self._kept = os.dup(1)
        os.dup2(2, 1)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        os.dup2(self._kept, 1)
        os.close(self._kept)


def _on_standby() -> list[str] | None:
    """Import what every phase needs, then part for each; in the new process, its arguments."""
    try:
        preload()
        for name in _NEEDED:
            importlib.import_module(name)
        gc.freeze()
        return standby.wait()
    except KeyboardInterrupt:
        return None


if __name__ == "__main__":
    end_with_parent()
    # Else the interpreter's last collection walks all that the tests imported, for 1.6 s.
    atexit.register(gc.freeze)
    if sys.argv[1:] == [standby.OPTION]:
        given = _on_standby()
        if given is None:
            os._exit(0)  # at once: what parted from it ends with it
        sys.argv[1:] = given
    main()
