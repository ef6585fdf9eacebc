"""`hokusai-validation explain`: what a test asks, why, what it needs, how it ended of late; without a test, what
tests may need of a target, and the edges of its stack.
"""

import re
import textwrap
from collections.abc import Iterator

import click

from hokusai_validation import catalogue
from hokusai_validation.catalogue import needs
from hokusai_validation.cli.completion import targets
from hokusai_validation.diagnosis.history import History
from hokusai_validation.diagnosis.trend import last_outcomes
from hokusai_validation.errors import UsageError
from hokusai_validation.reporting.escape import one_line
from hokusai_validation.resources.injected import ResultsResource
from hokusai_validation.target import Target, read_target
from hokusai_validation.topology import DEFAULT_TOPOLOGY

RUNS = 20
SUGGESTIONS = 5


@click.command()
@click.argument("test", required=False)
@click.option(
    "--target",
    shell_complete=targets,
    help="Whose past outcomes are shown; none: only what the catalogue says.",
)
def explain(test: str | None, target: str | None) -> int:
    """What TEST asks, why, what it needs of a target, and its last outcomes. TEST is an id (`H1`, or `H01` as Dagster has it), a
    whole name (`Class::function`), or a part of a name that only one test has. Without one: all that
    tests need of a target, and the edges of its stack."""
    of = None if target is None else read_target(target, follow_include=False)
    if test is None:
        for line in (*_needs(of), "", *_edges(of)):
            click.echo(line)
        return 0
    entry = _find(test, of)
    click.echo(f"{entry.id}  {entry.test}")
    click.echo(f"  must hold   {entry.says}")
    click.echo(f"  why         {entry.requirement}: {catalogue.REQUIREMENTS.get(entry.requirement, '')}")
    click.echo(
        f"  phase       {entry.phase.value}, category {entry.category.value}, component {entry.component}"
    )
    click.echo(
        f"  weight      {'critical: its failure makes a target unhealthy' if entry.critical else 'warns'}"
    )
    click.echo(f"  needs       {', '.join(entry.needs) or 'nothing but the endpoint'}")
    runs = "alone: it puts a fault on, or measures" if entry.exclusive else "beside others"
    click.echo(f"  runs        {runs}, {entry.limit_s:g} s at most")
    if of is not None:
        name = of.name
        past = History.from_json(ResultsResource().store().summaries(name, RUNS)).runs
        outcomes = last_outcomes(past).get(entry.test, ())
        click.echo(f"  on {one_line(name, 40)}  {' '.join(outcomes) if outcomes else 'never run'}")
    return 0


def _needs(target: Target | None) -> Iterator[str]:
    """Every need, with the tests that have it; of a target also whether it is met."""
    every = catalogue.entries() if target is None else catalogue.of_target(target)
    held: dict[str, list[catalogue.Entry]] = {}
    for entry in every:
        for need in entry.needs:
            held.setdefault(need, []).append(entry)
    yield "What tests need of a target" + (":" if target is None else f", and what {target.name} has:")
    for need, entries in sorted(held.items()):
        mark = "" if target is None else "has  " if needs.unmet(need, target) is None else "lacks"
        ids = " ".join(entry.id for entry in entries)
        yield f"  {mark:<5} {need:<26} {_wrapped(ids, indent=35)}".rstrip()


def _edges(target: Target | None) -> Iterator[str]:
    """Who depends on whom, and which link stands there."""
    topology = DEFAULT_TOPOLOGY if target is None else target.topology
    links = {} if target is None or target.links is None else target.links.edges
    yield "Edges of the stack:"
    for name, part in topology.items():
        if part.depends_on:
            yield f"  {name} -> {', '.join(part.depends_on)}"
    for edge, link in links.items():
        yield f"  {edge}  over link {link}"


def _wrapped(text: str, *, indent: int) -> str:
    """Lines of 80 columns, all but the first set in."""
    lines = textwrap.wrap(text, 80 - indent) or [""]
    return f"\n{' ' * indent}".join(lines)


def _find(text: str, target: Target | None) -> catalogue.Entry:
    """The test that is meant.

    Raises UsageError, with the nearest names."""
    every = catalogue.entries() if target is None else catalogue.of_target(target)
    as_listed = re.sub(r"(?<=^[A-Z])0+(?=\d)", "", text)  # Dagster's checks are called `H01`, the row `H1`
    exact = [entry for entry in every if text == entry.test or as_listed == entry.id]
    found = exact or [entry for entry in every if text.lower() in entry.test.lower()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"No test is called '{one_line(text, 80)}'; the ids stand in every report.")
    names = ", ".join(f"{entry.id} {entry.test}" for entry in found[:SUGGESTIONS])
    more = f" and {len(found) - SUGGESTIONS} more" if len(found) > SUGGESTIONS else ""
    raise UsageError(f"'{one_line(text, 80)}' names {len(found)} tests: {names}{more}. Give an id.")
