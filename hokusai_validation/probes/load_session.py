"""What the load tests share: a run with its samplers, put into the row, then judged.

The generator comes first: a run in which it fell behind raises NotJudged before any limit is looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from hokusai_validation import catalogue
from hokusai_validation.errors import ExpectationUnmet, HokusaiError, NotJudged, NotPermitted
from hokusai_validation.facts import FactKind
from hokusai_validation.load import cloudwatch
from hokusai_validation.load.engine import Engine, Running
from hokusai_validation.load.limits import Limits, limits_of
from hokusai_validation.load.outcome import Outcome
from hokusai_validation.load.performance import numbers, performances
from hokusai_validation.load.plan import Closed, Endpoint, Open, Plan
from hokusai_validation.load.samplers import (
    DatabaseSampler,
    MetricsSampler,
    ProcessSampler,
    Sampler,
    Watch,
)
from hokusai_validation.load.schedule import constant
from hokusai_validation.load.site import Site
from hokusai_validation.load.verdict import Breach, breaches, carried, closed_limit, saturation
from hokusai_validation.permission import Gate
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Category
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

SAMPLES = 150
SAMPLES_P95 = 200  # p95 is given from 100 on
SAMPLES_P99 = 2_100  # p99 is given from 2,000 on; a few may fail
OK = (200, 200)
RAMP_UP_S = 0.15
CONNECTIONS = 24  # of a constant-rate run
PIECE = 3_000  # characters of a text in a row's evidence

FACT_OF_KIND: Mapping[str, FactKind] = {
    "refused": FactKind.REFUSED,
    "reset": FactKind.RESET,
    "timeout_connect": FactKind.CONNECT_TIMED_OUT,
    "timeout_first_byte": FactKind.READ_TIMED_OUT,
    "timeout_whole": FactKind.READ_TIMED_OUT,
    "tls": FactKind.TLS_FAILED,
    "protocol": FactKind.PROTOCOL_VIOLATED,
    "too_large": FactKind.PROTOCOL_VIOLATED,
}


class _Run(NamedTuple):
    outcome: Outcome
    seconds: Sequence[Mapping[str, float]]
    notes: Sequence[str]


def endpoint(path: str, *, weight: int = 1, deadline_s: float = 10.0) -> Endpoint:
    """An endpoint of the contract: only 200 is good."""
    return Endpoint(path, path, weight=weight, deadline_s=deadline_s, good=OK)


@dataclass
class LoadSession:
    """One load test's runs on one target."""

    id: str
    target: Target
    secrets: Secrets
    resolver: Resolver
    evidence: Evidence
    engine: Engine
    gate: Gate
    samplers: tuple[Sampler, ...] = ()
    component: str = Role.API_GATEWAY

    @property
    def site(self) -> Site:
        """The target with its ceilings."""
        return Site(self.gate, self.resolver)

    @property
    def limits(self) -> Limits:
        """What this test promises here."""
        return limits_of(self.id, self.target)

    @property
    def test(self) -> str:
        """The test's name in the catalogue."""
        return next(entry.test for entry in catalogue.entries(Category.LOAD) if entry.id == self.id)

    # running

    def open_run(
        self,
        *endpoints: Endpoint,
        name: str = "open",
        samples: int = SAMPLES,
        url: str | None = None,
        segments: int = 1,
        connections: int | None = None,
        judged: bool = True,
        rate: float | None = None,
    ) -> Outcome:
        """A constant-rate run at the target's rate (or a lower one), long enough for so many samples, or as long as
        the target says. Where the generator fell behind, the run says nothing of the target: it is
        made once more, and then not judged.

        Raises NotJudged."""
        permission = self.site.permission
        rate = min(rate or permission.rate, permission.rate, permission.max_rate)
        duration_s = min(permission.duration_s or samples / rate, permission.max_duration_s)
        model = Open(constant(rate, duration_s).with_ramp_up(RAMP_UP_S))
        most = min(connections or CONNECTIONS, permission.max_connections)
        plan = self.site.plan(endpoints, model, url=url, segments=segments, connections=most)
        outcome = self._run(plan)
        problem = saturation(outcome.outcome)
        if problem and judged:
            self.evidence.record(f"{name} run, first try", problem)
            outcome = self._run(plan)
            problem = saturation(outcome.outcome)
        self.note(name, *outcome)
        if problem and judged:
            raise NotJudged(f"{self.id}, {name} run: {problem}.")
        return outcome.outcome

    def closed_run(
        self,
        *endpoints: Endpoint,
        connections: int,
        requests: int,
        name: str = "closed",
        think_s: float = 0.0,
        url: str | None = None,
    ) -> Outcome:
        """So many requests over so many connections; skips the test where those are not permitted.

        Raises NotJudged."""
        self._needs_connections(connections)
        plan = self.site.plan(
            endpoints, Closed(requests=requests, think_s=think_s), url=url, connections=connections
        )
        run = self._run(plan)
        self.note(name, *run)
        return run.outcome

    def start_closed(
        self, engine: Engine, *endpoints: Endpoint, connections: int, requests: int, url: str | None = None
    ) -> Running:
        """The same, not waited for."""
        self._needs_connections(connections)
        plan = self.site.plan(endpoints, Closed(requests=requests), url=url, connections=connections)
        return engine.start(plan)

    def _needs_connections(self, connections: int) -> None:
        permitted = self.site.permission.max_connections
        if connections > permitted:
            raise NotPermitted(
                f"{connections} connections not permitted on this target (it permits {permitted})"
            )

    def _run(self, plan: Plan) -> _Run:
        began = datetime.now(UTC)
        with Watch(self.samplers) as looking:
            running = self.engine.start(plan)
            try:
                outcome = running.result()
            except BaseException:
                self.engine.close()
                raise
        measured = cloudwatch.of_run(self.target, self.secrets, began, datetime.now(UTC))
        seconds = (*looking.seconds(running.started), *measured.seconds)
        return _Run(outcome, seconds, (*looking.notes, *measured.notes))

    def note(
        self,
        name: str,
        outcome: Outcome,
        seconds: Sequence[Mapping[str, float]] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """Put a run into the row, whatever is said of it later."""
        for entry in performances(self.test, outcome, seconds):
            self.evidence.performance(entry)
        for metric, value in numbers(outcome).items():
            self.evidence.metric(f"{name}_{metric}", value)
        since_sent = outcome.sent.encode()
        record: dict[str, object] = {
            "model": outcome.model,
            "generator": outcome.check.numbers(),
            "errors_by_endpoint": {key: dict(part.errors) for key, part in outcome.endpoints.items()},
            "statuses": {str(status): count for status, count in outcome.statuses.items()},
            "since_sent": {
                "mean_ms": outcome.sent.mean_ms,
                **{f"p{p:g}_ms": carried(outcome.sent, p) for p in (50.0, 95.0, 99.0)},
                "max_ms": outcome.sent.max_ms,
                "histogram": [since_sent[at : at + PIECE] for at in range(0, len(since_sent), PIECE)],
            },
            "connections_replaced": outcome.replaced,
            "requests_sent_again": outcome.retried,
        }
        limit = closed_limit(outcome)
        if limit:
            record["limit"] = limit
        if outcome.stopped:
            record["stopped"] = outcome.stopped
        if notes:
            record["not_sampled"] = list(notes)
        self.evidence.record(f"{name} run", record)

    # judging

    def judge(
        self, *outcomes: Outcome, limits: Limits | None = None, each: bool = False, via: str | None = None
    ) -> None:
        """Hold runs to the limits, as a whole or `each` endpoint; everything that was passed stands
        in the message, a fact for each.

        Raises ExpectationUnmet."""
        kept = self.limits if limits is None else limits
        found: list[str] = []
        for outcome in outcomes:
            if outcome.stopped:
                self.evidence.fact(self._fact_of_stop(outcome), self.component, outcome.stopped, via)
                self._note_errors(outcome, via)
                found.append(f"{outcome.model} run was stopped: {outcome.stopped.rstrip('.')}")
            names: Iterable[str | None] = list(outcome.endpoints) if each else [None]
            for name in names:
                for breach in breaches(outcome, kept, name):
                    found.append(breach.says)
                    self.evidence.fact(_fact_of(breach), self.component, breach.says, via)
                    if breach.limit == "good_share":
                        self._note_errors(outcome, via)
        if found:
            raise ExpectationUnmet(f"{'; '.join(found)}.")

    def _fact_of_stop(self, outcome: Outcome) -> FactKind:
        return FactKind.ERROR_RATE if "error rate" in outcome.stopped else FactKind.SLOW

    def _note_errors(self, outcome: Outcome, via: str | None) -> None:
        for kind, count in outcome.errors.items():
            if kind in FACT_OF_KIND:
                seen = f"{count} of {outcome.requests} requests under load"
                self.evidence.fact(FACT_OF_KIND[kind], self.component, seen, via)


@contextmanager
def samplers(target: Target, secrets: Secrets, resolver: Resolver) -> Iterator[tuple[Sampler, ...]]:
    """What a target lets us look at each second while load runs."""
    found: list[Sampler] = []
    with ExitStack() as kept:
        for instance in target.instances:
            client = HttpClient(instance.url, tls=target.tls, resolver=resolver)
            kept.callback(client.close)
            found.append(MetricsSampler(instance.name, client))
        if target.database is not None:
            from hokusai_validation.resources.database import Database

            # Without its password there is one curve less; that is no reason not to measure.
            with suppress(HokusaiError):
                found.append(DatabaseSampler(Database.from_target(target, secrets)))
        if target.control is not None:
            from hokusai_validation.resources.control import ControlClient

            control = ControlClient.from_target(target, secrets)
            kept.callback(control.close)
            found.append(ProcessSampler(control))
        yield tuple(found)


def _fact_of(breach: Breach) -> FactKind:
    return FactKind.ERROR_RATE if breach.limit == "good_share" else FactKind.SLOW
