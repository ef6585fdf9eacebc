"""`hokusai-validation run`: the eight phases as one Dagster run, its progress, its verdict."""

import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from hokusai_validation.automation.jobs import Job
from hokusai_validation.cli import confirming, execution, sandbox_use, verdict_view
from hokusai_validation.cli.completion import targets
from hokusai_validation.cli.execution import Outcome
from hokusai_validation.cli.progress_view import ProgressView, Shown
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import NotPermitted, ReportNotWritten, UsageError
from hokusai_validation.permission import Gate, narrowed
from hokusai_validation.result import Phase, Result, Status, final_attempts
from hokusai_validation.runner import standby
from hokusai_validation.runner.parentage import end_with_parent
from hokusai_validation.sections import secret_refs
from hokusai_validation.target import Target, read_target

REPEAT_LIMIT = 100


@dataclass(frozen=True)
class Request:
    """What was typed."""

    target: str
    phases: tuple[Phase, ...]
    failed: bool
    as_json: bool
    no_chaos: bool
    no_load: bool
    repeat: int
    fail_on_degraded: bool
    expect_commit: str | None
    confirm: str | None
    until: str | None
    summary: Path | None
    shown: Shown


@click.command()
@click.argument("target", default="sandbox", shell_complete=targets)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice([phase.value for phase in Phase]),
    help="Only this phase (several times for several); the others' newest rows are read back.",
)
@click.option(
    "--failed", is_flag=True, help="Only the phases whose newest rows are failed, broken or missing."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON on standard output, nothing else."
)
@click.option("--no-chaos", is_flag=True, help="Leave out the phase with faults.")
@click.option("--no-load", is_flag=True, help="Leave out the load phase.")
@click.option(
    "--repeat",
    type=click.IntRange(1, REPEAT_LIMIT),
    default=1,
    metavar="N",
    help="Run N times and compare; --json then prints one report a line.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["unhealthy", "degraded"]),
    default="unhealthy",
    help="From which verdict on the exit status is 1.",
)
@click.option(
    "--until",
    type=click.Choice(["first-p0"]),
    help="End with 1 as soon as a P0 is certain; there is no report then.",
)
@click.option("--expect-commit", metavar="SHA", help="Fail at once when another commit runs.")
@click.option("--confirm", metavar="NAME", help="Production with load or faults: name the target once more.")
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the report's summary in Markdown, for a pull request or a job's page, to this file.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print the verdict and where the report lies; no progress.")
@click.option("--verbose", "-v", is_flag=True, help="Show every test, not only those that are not good.")
def run(
    target: str,
    phases: tuple[str, ...],
    failed: bool,
    as_json: bool,
    no_chaos: bool,
    no_load: bool,
    repeat: int,
    fail_on: str,
    expect_commit: str | None,
    confirm: str | None,
    until: str | None,
    summary: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Validate TARGET: a name under targets/ or the path of a target file. By default the sandbox,
    which is started for the run unless it is up.

    Exit status: 0 healthy or degraded, 1 unhealthy, 2 wrong usage or an unusable target file, 3 the
    target could not be judged."""
    chosen = tuple(Phase(each) for each in dict.fromkeys(phases))
    request = Request(
        target,
        chosen,
        failed,
        as_json,
        no_chaos,
        no_load,
        repeat,
        fail_on == "degraded",
        expect_commit,
        confirm,
        until,
        summary,
        Shown.NOTHING if quiet else Shown.ALL if verbose else Shown.NOT_GOOD,
    )
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other.")
    if summary is not None and not summary.parent.is_dir():
        raise UsageError(f"--summary {summary} can't be written: there is no folder {summary.parent}.")
    if failed and chosen:
        raise UsageError("--failed chooses the phases itself; leave out --phase.")
    _check_before(request)
    end_with_parent()
    with standby.keeping():
        return _run(request)


def _run(request: Request) -> int:
    started = time.monotonic()
    console = Console(stderr=request.as_json, soft_wrap=not sys.stdout.isatty())
    view = ProgressView(console, until_p0=request.until is not None, shown=request.shown)
    with sandbox_use.source(request.target, view.say) as source:
        stack_s = time.monotonic() - started
        held = _resolved(source, request.expect_commit)
        target = held.target
        _check_secrets(target)
        _announce(target)
        if request.expect_commit is not None:
            from hokusai_validation.cli import deployed_commit

            deployed_commit.expect(target, request.expect_commit)
        try:
            outcomes, asked = _outcomes(request, source, held, view)
        except KeyboardInterrupt:
            if view.ended_by is None:
                raise
            view.say(f"Ended at the first P0: {view.ended_by.title} There is no report of this run.")
            return 1
    if not outcomes:
        view.say(f"No phase of '{target.name}' has failed or broken tests; nothing to run.")
        return 0
    total_s = time.monotonic() - started
    if request.as_json:
        from hokusai_validation.reporting import json_report

        for outcome in outcomes:
            document = json_report.render(outcome.report).decode()
            click.echo(" ".join(document.splitlines()) if request.repeat > 1 else document)
    last = outcomes[-1]
    if request.summary is not None:
        _write_summary(request.summary, last)
    if request.shown is Shown.NOTHING:
        verdict_view.show_briefly(console, last.report, last.folder)
        return max(_status(request, target, outcome, asked) for outcome in outcomes)
    verdict_view.show(console, last.report, last.folder)
    if len(outcomes) > 1:
        verdict_view.compare(console, [outcome.report for outcome in outcomes])
    verdict_view.show_times(console, total_s, {"stack": stack_s, **view.seconds}, view.in_tests)
    return max(_status(request, target, outcome, asked) for outcome in outcomes)


def _write_summary(path: Path, outcome: Outcome) -> None:
    """Raises ReportNotWritten."""
    from hokusai_validation.reporting import markdown_pages

    try:
        path.write_bytes(markdown_pages.summary(outcome.report))
    except OSError as error:
        raise ReportNotWritten(
            f"The summary could not be written to {path}: {error.strerror}; it lies in {outcome.folder} as well."
        ) from None


def _outcomes(
    request: Request, source: str, held: EffectiveTarget, view: ProgressView
) -> tuple[list[Outcome], tuple[Phase, ...]]:
    from hokusai_validation.store.lock import target_lock

    with target_lock(held.target), execution.instance() as instance:
        asked = _asked(request, held.name)
        outcomes = []
        for number in range(request.repeat if asked else 0):
            if request.repeat > 1:
                view.say(f"run {number + 1} of {request.repeat}")
            run_id = str(uuid.uuid4())
            if held.target.production and request.confirm == held.name:
                confirming.confirm(held.name, run_id)
            with view:
                outcomes.append(execution.execute(source, held, asked, instance, run_id=run_id))
    return outcomes, asked


def _resolved(source: str, expected_commit: str | None) -> EffectiveTarget:
    """The target that every phase of this command gets.

    Raises TargetNotFound, TargetInvalid."""
    from hokusai_validation.resources.injected import TargetResource

    return TargetResource(source, expected_commit=expected_commit).resolve()


def _asked(request: Request, name: str) -> tuple[Phase, ...]:
    """The phases to run, in their order."""
    phases = request.phases or tuple(Phase)
    if request.failed:
        from hokusai_validation.resources.injected import ResultsResource

        store = ResultsResource().store()
        phases = tuple(phase for phase in Phase if _not_good(store.newest(name, phase).results))
    left_out = {Phase.CHAOS: request.no_chaos, Phase.LOAD: request.no_load}
    return tuple(phase for phase in Phase if phase in phases and not left_out.get(phase, False))


def _not_good(rows: tuple[Result, ...]) -> bool:
    """Whether a phase is to be run again: something failed, broke, or never came."""
    return not rows or any(row.status in (Status.FAILED, Status.BROKEN) for row in final_attempts(rows))


def _check_before(request: Request) -> None:
    """What can be known before anything is started.

    Raises TargetNotFound, TargetInvalid, NotPermitted."""
    if sandbox_use.is_sandbox(request.target):
        return
    target = read_target(request.target)
    wanted = set(request.phases or Phase)
    gate = Gate.of(target, "", job=Job.VALIDATE.value)
    harmful = []
    if Phase.LOAD in wanted and not request.no_load and target.permissions.load is not None:
        harmful.append("load")
    if Phase.CHAOS in wanted and not request.no_chaos and target.permissions.faults:
        harmful.append("faults")
    unconfirmed = gate.unmet(harmful) is not None
    if target.production and unconfirmed and request.confirm != target.name:
        raise NotPermitted(
            f"Target '{target.name}' is production, and its file permits {' and '.join(harmful)}:"
            f" add --confirm {target.name}, or leave it out with --no-load --no-chaos."
        )


def _check_secrets(target: Target) -> None:
    """Every secret that is to come from the environment is there.

    Raises SecretMissing, SecretUnusable."""
    from hokusai_validation.resources.secrets import open_to_others, secret

    for ref in secret_refs(target):
        if ref.env is not None:
            secret(ref, target)
    if (note := open_to_others(target)) is not None:
        click.echo(f"note: {note}", err=True)


def _announce(target: Target) -> None:
    """What is said of a target once.

    Raises ReportNotWritten."""
    from hokusai_validation.resources.injected import ResultsResource

    note = narrowed(target)
    if note is not None and ResultsResource().store().first_time(target.name, "narrowed"):
        click.echo(f"note: {note}", err=True)


def _status(request: Request, target: Target, outcome: Outcome, asked: Sequence[Phase]) -> int:
    from hokusai_validation.diagnosis import exit_status

    return exit_status(outcome.report, target, set(asked), fail_on_degraded=request.fail_on_degraded)
