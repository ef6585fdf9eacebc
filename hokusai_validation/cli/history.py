"""`hokusai-validation history` and `compare`: what past runs say."""

import json
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table

from hokusai_validation.cli.completion import targets
from hokusai_validation.diagnosis.changes import changes
from hokusai_validation.diagnosis.earlier import known_scores
from hokusai_validation.diagnosis.history import History, RunSummary
from hokusai_validation.diagnosis.trend import availability, flaky_rate, last_outcomes
from hokusai_validation.errors import UsageError
from hokusai_validation.report import Change
from hokusai_validation.reporting.escape import terminal
from hokusai_validation.resources.injected import ResultsResource
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import read_target

# Each with a heading that leaves the table within 80 columns.
SCORES = {
    "infrastructure_health": "infra",
    "service_availability": "avail",
    "execution_completion": "run",
    "test_success": "tests",
    "registration_success": "regis",
}
_BARS = "▁▂▃▄▅▆▇█"
_SPARK_RUNS = 40
_LETTERS = {"passed": ".", "failed": "F", "broken": "B", "skipped": "s", "flaky": "f"}
RUN_SHOWN = 8  # characters of a run's id; `compare` takes them
PREFIX = 6  # of a run's id at least


@click.command()
@click.argument("target", default="sandbox", shell_complete=targets)
@click.option("--json", "as_json", is_flag=True, help="Print the runs' summaries as JSON.")
@click.option("--runs", default=20, show_default=True, metavar="N", help="How many of the newest runs.")
@click.option(
    "--import-known",
    is_flag=True,
    help="First add the two scores that are known from before (2025-07-24 and 2025-08-05).",
)
def history(target: str, as_json: bool, runs: int, import_known: bool) -> int:
    """The newest runs of TARGET: verdicts, scores, availability, and the tests that fail or flap."""
    name = read_target(target, follow_include=False).name
    store = ResultsResource().store()
    if import_known:
        _import(store, name)
    found = History.from_json(store.summaries(name, max(1, runs))).runs
    if not found:
        raise UsageError(f"There are no runs of target '{name}' on record: run it first.")
    if as_json:
        click.echo(json.dumps([run.model_dump(mode="json", exclude={"histograms"}) for run in found]))
        return 0
    console = Console()
    console.print(_runs_table(name, found))
    console.print(_scores_table(found))
    console.print(_summary(found))
    console.print(_tests_table(found))
    return 0


@click.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@click.option(
    "--target", shell_complete=targets, default="sandbox", show_default=True, help="Whose runs they are."
)
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def compare(before: str, after: str, target: str, as_json: bool) -> int:
    """What differs between two runs: verdict, tests, services, scores, latencies. RUN is a run's id
    or its beginning; `last` is the newest run and `last-1` the one before it."""
    name = read_target(target, follow_include=False).name
    store = ResultsResource().store()
    one, other = _find(before, store, name), _find(after, store, name)
    found = changes(one, other)
    if as_json:
        document = {
            "before": one.run_id,
            "after": other.run_id,
            "changes": [change.model_dump(mode="json") for change in found],
        }
        click.echo(json.dumps(document))
        return 0
    console = Console()
    console.print(_changes_table(one, other, found))
    return 0


def _find(text: str, store: ResultStore, target: str) -> RunSummary:
    """The run that is meant.

    Raises UsageError."""
    word, _, back = text.partition("-")
    if word == "last" and (not back or back.isdigit()):
        index = int(back or 0)
        newest = [
            run for run in History.from_json(store.summaries(target, index + 1)).runs if not run.imported
        ]
        if index < len(newest):
            return newest[-1 - index]
        raise UsageError(f"There are only {len(newest)} runs of target '{target}' on record.")
    found = History.from_json(store.summaries_of(target, text)).runs if len(text) >= PREFIX else ()
    exact = [run for run in found if run.run_id == text]
    if len(exact or found) == 1:
        return (exact or list(found))[0]
    what = "no run" if not found else f"{len(found)} runs"
    raise UsageError(f"There is {what} '{text}' of target '{target}'; `history {target}` lists them.")


def _import(store: ResultStore, target: str) -> None:
    for run in known_scores():
        if not store.summaries_of(target, run.run_id):
            store.add_summary(target, run.run_id, run.at, run.model_dump(mode="json"))


def _table(title: str) -> Table:
    """One without a frame: 80 columns are few."""
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)


def _runs_table(target: str, runs: Sequence[RunSummary]) -> Table:
    table = _table(f"Runs of {target}, newest last")
    table.add_column("run", no_wrap=True)
    table.add_column("finished", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for heading in SCORES.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("causes", justify="right", no_wrap=True)
    for run in runs:
        shares = (run.scores.get(score) for score in SCORES)
        table.add_row(
            terminal(run.run_id[:RUN_SHOWN]),
            f"{run.at:%y-%m-%d %H:%M}",
            terminal(run.verdict) if not run.imported else "(known)",
            *(f"{share:.0%}" if share is not None else "–" for share in shares),
            str(len(run.findings)) if not run.imported else "–",
        )
    return table


def _scores_table(runs: Sequence[RunSummary]) -> Table:
    """Each score over the runs as a line of bars from 0 to 100 %."""
    table = _table("Scores, newest last")
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for score in SCORES:
        shares = [run.scores.get(score) for run in runs][-_SPARK_RUNS:]
        known = [share for share in shares if share is not None]
        if known:
            table.add_row(score.replace("_", " "), sparkline(shares), f"{known[-1]:.1%}")
    return table


def sparkline(shares: Iterable[float | None]) -> str:
    """A bar for each share of 1, a blank where there is none."""
    top = len(_BARS) - 1
    return "".join(
        " " if share is None else _BARS[round(min(max(share, 0.0), 1.0) * top)] for share in shares
    )


def _summary(runs: Sequence[RunSummary]) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in availability(runs).items())
    rate = flaky_rate(runs)
    flaky = f"{rate:.2%} of executed tests passed at their second attempt only" if rate is not None else ""
    return "\n".join(
        line for line in (f"Healthy in runs: {terminal(shares)}" if shares else "", flaky) if line
    )


def _tests_table(runs: Sequence[RunSummary]) -> Table:
    """Only the tests that were not always good; a skipped one is no news."""
    table = _table("Tests that were not always good (. passed, F failed, B broken, f flaky, s skipped)")
    table.add_column("test", overflow="fold")
    table.add_column("newest last", no_wrap=True)
    for test, outcomes in last_outcomes(runs).items():
        if set(outcomes) & {"failed", "broken", "flaky"}:
            table.add_row(terminal(test), "".join(_LETTERS.get(each, "?") for each in outcomes))
    return table


def _changes_table(one: RunSummary, other: RunSummary, found: Iterable[Change]) -> Table:
    table = _table(f"{terminal(one.run_id[:12])} ({one.at:%Y-%m-%d %H:%M}) against"
                  f" {terminal(other.run_id[:12])} ({other.at:%Y-%m-%d %H:%M})")  # fmt: skip
    table.add_column("what", overflow="fold", min_width=32)
    table.add_column("before", overflow="fold", max_width=12)
    table.add_column("after", overflow="fold", max_width=12)
    table.add_column("")
    for change in found:
        judgement = "worse" if change.worse else "better"
        chance = "" if change.significant else " (may be chance)"
        effect = f", effect {change.effect:.2f}" if change.effect is not None and change.test else ""
        why = f": {terminal(change.test)}{effect}" if change.test else ""
        table.add_row(
            terminal(change.what), _value(change.before), _value(change.after), f"{judgement}{chance}{why}"
        )
    if not table.row_count:
        table.add_row("nothing differs", "", "", "")
    return table


def _value(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return terminal(str(value)) if value is not None else "–"
