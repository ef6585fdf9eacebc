"""What speaks for and against causes: a run's rows as pieces of evidence.

Every observation and every fact becomes one piece: what was seen (`sign`, None for a good answer), at
which component, asked by whom, over which way, of which instance, when, and whether a fault of ours
was on. Enums, names of the topology, times and numbers only: no text of a row is read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hokusai_validation.diagnosis.alerts import measured
from hokusai_validation.diagnosis.rows import injects
from hokusai_validation.diagnosis.signs import (
    ANSWERS,
    ASKED_FOR,
    GATEWAY,
    HOP,
    ODD_ALWAYS,
    REACH,
    TIMED,
    TLS,
    Refined,
    Sign,
    of_fact,
    of_observation,
)
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.observation import Edge, ErrorClass, Observation, Outcome
from hokusai_validation.result import Category, Result, Status, final_attempts
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

VALIDATION = "validation"

# Whose error it is, by the system that names it.
HOME: Mapping[str, Role] = {
    "postgresql": Role.DATABASE,
    "redis": Role.CACHE,
    "s3": Role.ARTIFACT_STORE,
    "kms": Role.ARTIFACT_STORE,
    "mlflow": Role.TRACKING_SERVER,
}
# What only a store says: of another component it was repeated.
_OF_STORES: frozenset[Sign] = frozenset(
    {ErrorClass.LOGIN_REFUSED, ErrorClass.PERMISSION, ErrorClass.CONNECTIONS_EXHAUSTED}
)
_KEYS: frozenset[Sign] = frozenset({FactKind.KEY_REFUSED, FactKind.KEY_FORM_REFUSED})
_REFUSALS = frozenset({401, 403})
_REFUSED: frozenset[Sign | None] = frozenset({None, ErrorClass.UNAUTHORIZED, ErrorClass.FORBIDDEN})
# What an answer through a dependency's words says in general: it is not well.
_VAGUE = frozenset({ErrorClass.UNKNOWN, ErrorClass.STATE, ErrorClass.WRONG_VALUE})


@dataclass(frozen=True, eq=False)
class Evidence:
    """One thing seen. `place` is the component that the sign is about; `asker` who met it there;
    `path` the edges of the question; `instance` the one instance that was asked, or that asked;
    `item`: it needs an explanation; `steady`: no fault of ours was on; `last_hop`: the place itself
    was asked, and not something beyond it; `foreign`: a program that is no part of the topology
    answered."""

    key: str
    row: Result
    sign: Sign | None
    place: str
    asker: str
    path: tuple[Edge, ...]
    instance: str | None
    operation: str
    first: datetime
    last: datetime
    count: int = 1
    item: bool = False
    steady: bool = True
    last_hop: bool = True
    foreign: bool = False
    reported: bool = False  # by the component's own words
    repeated: bool = False  # an error that the place met at somebody behind it, and passed on
    vague: bool = False  # a fact that does not say for sure who was asked: it proposes nothing
    origin: "Evidence | None" = None  # the piece that this one is another reading of
    status: int | None = None
    code: str | None = None
    elapsed_ms: float | None = None
    fact: Fact | None = None
    observation: Observation | None = None

    @property
    def ok(self) -> bool:
        """Whether it speaks for all being well."""
        return self.sign is None


def gather(rows: Sequence[Result], target: Target, graph: Graph) -> tuple[Evidence, ...]:
    """All evidence of these rows (all attempts), in an order that does not depend on theirs."""
    final = {id(row) for row in final_attempts(rows)}
    recorded = any(row.observations for row in rows)
    failed = {(row.phase, row.test) for row in final_attempts(rows) if row.status is Status.FAILED}
    found: list[Evidence] = []
    for row in rows:
        if row.status in (Status.SKIPPED, Status.BROKEN) and not row.observations:
            continue
        stands = (row.phase, row.test) in failed
        observed = [_of_observation(each, row, graph, stands=stands) for each in row.observations]
        kept = [each for each in observed if each is not None]
        found += kept
        found += _of_facts(
            row, target, graph, kept, stands=stands, is_final=id(row) in final, recorded=recorded
        )
    return tuple(sorted(found, key=lambda each: (each.first, each.row.test, each.row.attempt, each.key)))


def _of_observation(seen: Observation, row: Result, graph: Graph, *, stands: bool) -> Evidence | None:
    if graph.component_of(seen.dialled) not in graph and graph.component_of(seen.subject or "") not in graph:
        return None
    sign = None if seen.ok else of_observation(seen)
    place, asker, last_hop, foreign = _placed(seen, sign, graph)
    if sign in GATEWAY and (
        foreign or (asker == graph.part(Role.LOAD_BALANCER) and seen.answered_by == asker)
    ):
        timed_out = sign is ErrorClass.GATEWAY_TIMEOUT
        sign = Refined.HOP_TIMED_OUT if timed_out else Refined.HOP_FAILED
    steady = not seen.faults_on and not (sign is not None and injects(row))
    reported = seen.asker != VALIDATION
    if sign in _VAGUE and reported:
        sign = FactKind.SERVICE_UNHEALTHY
    return Evidence(
        key=seen.id,
        row=row,
        sign=sign,
        place=place,
        asker=asker,
        path=seen.path,
        instance=seen.instance,
        operation=seen.operation,
        first=seen.samples.first if seen.samples else seen.started_at,
        last=max(seen.ended_at, seen.samples.last) if seen.samples else seen.ended_at,
        count=seen.count if sign is None else max(1, seen.failures),
        item=sign is not None and steady and _needs_a_cause(sign, seen, row, stands=stands),
        steady=steady,
        last_hop=last_hop,
        foreign=foreign,
        reported=reported,
        repeated=seen.status is not None and sign in REACH - HOP | TLS and place != _home(seen, graph),
        status=seen.status,
        code=seen.native.code if seen.native else None,
        elapsed_ms=seen.numbers.get("elapsed_ms"),
        observation=seen,
    )


def _needs_a_cause(sign: Sign, seen: Observation, row: Result, *, stands: bool) -> bool:
    """A failure in a test that failed; in one that passed later, only what no test asks for."""
    if sign in ASKED_FOR and seen.expected is None and seen.asker == VALIDATION:
        return False
    if sign in HOP:
        return True  # no test asks for it: a client that asked again hides it
    if stands:
        return row.status is Status.FAILED
    return row.status is Status.FAILED and seen.expected is None and sign not in TIMED


def _placed(seen: Observation, sign: Sign | None, graph: Graph) -> tuple[str, str, bool, bool]:
    """Component, asker, whether it was itself asked, whether a foreign program answered."""
    dialled = graph.component_of(seen.dialled)
    if seen.subject and graph.component_of(seen.subject) in graph:
        return graph.component_of(seen.subject), seen.asker, True, False
    if sign is None:
        return dialled, seen.asker, True, False
    answering = seen.path[1].to if len(seen.path) > 1 and seen.path[1].source == dialled else dialled
    owner = _home(seen, graph)
    if owner is not None and owner != dialled:
        asker = next((edge.source for edge in seen.path if edge.to == owner), None)
        if asker is not None:
            return owner, asker, False, False
        if owner in graph.below(dialled) or owner in graph.below(answering):
            return (
                owner,
                next(iter(sorted(graph.users(owner) & {dialled, answering})), answering),
                False,
                False,
            )
    if sign is ErrorClass.HOST_REFUSED:
        server = graph.part(Role.TRACKING_SERVER)
        asker = next((edge.source for edge in seen.path if edge.to == server), None)
        if server is not None and asker is not None:
            return server, asker, False, False
    if seen.status is not None:
        return _answered(seen, sign, dialled, answering, graph)
    return dialled, seen.asker, True, False


def told_by(via: str | None, component: str) -> bool:
    """Whether a fact repeats what another component says."""
    return via is not None and via != component


def _home(seen: Observation, graph: Graph) -> str | None:
    """The component whose error it is, by the system that names it."""
    role = HOME.get(seen.native.system) if seen.native else None
    return graph.part(role) if role else None


def _answered(
    seen: Observation, sign: Sign, dialled: str, answering: str, graph: Graph
) -> tuple[str, str, bool, bool]:
    """Of an error that came as an answer: whoever wrote it, but of a balancer's page for somebody
    behind it that somebody."""
    if seen.answered_by in graph:
        by = graph.component_of(seen.answered_by or "")
        if by == graph.part(Role.LOAD_BALANCER) and sign in GATEWAY and answering != by:
            return answering, by, False, False
        return by, next((edge.source for edge in seen.path if edge.to == by), seen.asker), False, False
    asker = dialled if answering != dialled else seen.asker
    return answering, asker, False, seen.answered_by is not None


def _read_otherwise(sign: Sign, observed: Sequence[Evidence], *, told: bool) -> bool:
    """Whether a fact is a test's reading of answers that, read where they came in, say something else:
    a key is refused by a 401 or 403 alone; who is unwell, an answer's own report says."""
    if not any(not each.ok for each in observed):
        return False
    if sign in _KEYS:
        return not any(each.status in _REFUSALS and each.sign in _REFUSED for each in observed)
    return (
        sign is FactKind.SERVICE_UNHEALTHY and told and any(each.reported and each.item for each in observed)
    )


def _of_facts(
    row: Result,
    target: Target,
    graph: Graph,
    observed: Sequence[Evidence],
    *,
    stands: bool,
    is_final: bool,
    recorded: bool,
) -> Iterator[Evidence]:
    if not row.executed:
        return
    failed = row.status is Status.FAILED
    made: Iterable[Fact] = () if row.category is Category.CHAOS or not is_final else measured(row, target)
    explained_better = {each.sign for each in observed if each.item}
    reported = any(each.reported for each in observed)
    for number, fact in enumerate(dict.fromkeys((*row.facts, *made))):
        sign = of_fact(fact.kind)
        own = fact in row.facts
        odd = (sign in ODD_ALWAYS and is_final) or not own
        if not odd and not (failed and stands):
            continue
        component = graph.component_of(fact.component)
        via = graph.component_of(fact.via) if fact.via else None
        if (
            sign in _OF_STORES
            and graph.part(Role.DATABASE) in graph.below(component)
            and told_by(via, component)
        ):
            component = graph.part(Role.DATABASE) or component
        # What the connection did, its observation says better.
        told = told_by(via, component)
        operation, status = _broken_promise(row, component, graph) if sign in ANSWERS else ("", None)
        signs = {each.sign for each in observed if each.item}
        same_word = sign in signs or (sign in TLS and bool(signs & TLS))
        connection = recorded and sign in REACH | TLS
        otherwise = recorded and _read_otherwise(sign, observed, told=told)
        if (otherwise and signs) or (recorded and told and isinstance(sign, ErrorClass) and sign in signs):
            continue
        if explained_better and (sign in ANSWERS or (connection and (not told or reported or same_word))):
            continue
        yield Evidence(
            key=f"fact:{number}:{fact.kind.value}",
            row=row,
            sign=sign if own or fact.kind is not FactKind.SLOW else FactKind.ERROR_RATE,
            place=component,
            asker=via if via and via != component else VALIDATION,
            path=(),
            instance=graph.instance_of(fact.component) or graph.instance_of(fact.via),
            operation=operation,
            status=status,
            first=row.started_at,
            last=row.started_at + timedelta(seconds=row.duration_s),
            item=True,
            steady=not injects(row),
            reported=told,
            vague=otherwise or (connection and not told) or (recorded and sign is FactKind.PROTOCOL_VIOLATED),
            fact=fact,
        )


def _broken_promise(row: Result, component: str, graph: Graph) -> tuple[str, int | None]:
    """The operation whose answer was not the promised one, where that is one of a component, and its status."""
    found = {
        each.operation: each.status
        for each in row.observations
        if each.outcome is Outcome.UNEXPECTED and graph.component_of(each.dialled) == component
    }
    return next(iter(found.items())) if len(found) == 1 else ("", None)
