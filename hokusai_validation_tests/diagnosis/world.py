"""A stack that answers by the rules of the topology, so that the explanation can be tried on any
faults: every question walks its path, meets the first fault on it, and comes back as the hops before
it would put it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from hokusai_validation.observation import Edge, ErrorClass, Native, Observation, Outcome
from hokusai_validation.result import Result, Status
from hokusai_validation_tests.diagnosis.rows import AT, row

E = ErrorClass
ROUNDS = 6
PAUSE_S = 10.0
_TIMEOUTS = (E.READ_TIMEOUT, E.CONNECT_TIMEOUT, E.STATEMENT_TIMEOUT, E.LOCK_TIMEOUT)
_SYSTEM = {"postgres": "postgresql", "redis": "redis", "artifacts": "s3"}
_INSTANCES = ("api-1", "api-2")


@dataclass(frozen=True)
class Fault:
    """`error` at `place`, from `asker` alone or from everybody, of one asking `instance`, for a share,
    in some rounds, for writes only. `told`: whoever met it says which error it was."""

    error: ErrorClass
    place: str
    asker: str | None = None
    instance: str | None = None
    share: float = 1.0
    rounds: tuple[int, ...] = tuple(range(ROUNDS))
    writes: bool = False
    code: str = ""
    told: bool = True


@dataclass(frozen=True)
class Question:
    """One operation: who is dialled, on whose behalf, and the edges."""

    operation: str
    dialled: str
    edges: tuple[Edge, ...]
    component: str
    instance: str | None = None
    asker: str = "validation"
    write: bool = False
    subject: str | None = None


def _edges(*pairs: str) -> tuple[Edge, ...]:
    found = []
    for pair in pairs:
        source, _, to = pair.rstrip("?").partition("->")
        found.append(Edge(source=source, to=to, optional=pair.endswith("?")))
    return tuple(found)


_KEY = ("api->auth?", "api->redis?")
_IN = ("validation->load_balancer", "load_balancer->api")


def questions() -> Iterator[Question]:
    """What a run asks, once a round."""
    for instance in _INSTANCES:
        for operation in ("live", "health", "version"):
            yield Question(operation, "api", _edges("validation->api"), "api", instance)
        yield Question("ready", "api", _edges("validation->api", "api->postgres?"), "api", instance)
        yield Question("health.mlflow", "api", _edges("validation->api", "api->mlflow?"), "mlflow", instance)
        for part in ("mlflow", "postgres", "redis", "auth"):
            yield Question("reported.health", part, _edges(f"api->{part}"), part, instance, asker="api")
    yield Question("health", "load_balancer", _edges(*_IN), "load_balancer")
    proxy = (*_IN, *_KEY, "api->mlflow", "mlflow->postgres")
    yield Question("proxy.experiments.search", "load_balancer", _edges(*proxy), "mlflow")
    yield Question("proxy.runs.create", "load_balancer", _edges(*proxy), "mlflow", write=True)
    store = (*_IN, *_KEY, "api->mlflow", "mlflow->artifacts")
    yield Question("proxy.artifacts.write", "load_balancer", _edges(*store), "artifacts", write=True)
    yield Question("mlflow.health", "mlflow", _edges("validation->mlflow"), "mlflow")
    direct = ("validation->mlflow", "mlflow->postgres")
    yield Question("mlflow.experiments.search", "mlflow", _edges(*direct), "mlflow")
    yield Question("mlflow.runs.create", "mlflow", _edges(*direct), "mlflow", write=True)
    to_store = ("validation->mlflow", "mlflow->artifacts")
    yield Question("mlflow.artifacts.write", "mlflow", _edges(*to_store), "artifacts", write=True)
    yield Question("auth.health", "auth", _edges("validation->auth"), "auth")
    yield Question("auth.validate", "auth", _edges("validation->auth"), "auth")
    # The control plane answers whatever state the part is in.
    for action in (
        "ecs.DescribeServices",
        "elasticloadbalancing.DescribeTargetHealth",
        "logs.DescribeLogGroups",
    ):
        for part in ("mlflow", "api", "auth", "redis"):
            way = _edges("validation->aws-api")
            yield Question(f"aws.{action}", "aws-api", way, part, subject=part)
    for part, operations in (
        ("postgres", ("sql.connect", "sql.read", "sql.write")),
        ("redis", ("redis.ping", "redis.read", "redis.write")),
    ):
        for operation in operations:
            write = operation.endswith("write")
            yield Question(operation, part, _edges(f"validation->{part}"), part, write=write)


@dataclass
class World:
    """Its answers, given faults and a seed."""

    faults: Sequence[Fault]
    seed: int = 1
    made: int = field(default=0, init=False)

    def rows(self) -> list[Result]:
        """One row a question and round; one that met an error has failed."""
        chance = random.Random(self.seed)
        found = []
        for turn in range(ROUNDS):
            for number, question in enumerate(questions()):
                seen = self._asked(question, turn, number, chance)
                found.append(
                    row(
                        f"World::{question.operation}[{question.instance}-{question.dialled}-{turn}]",
                        Status.PASSED if seen.ok else Status.FAILED,
                        component=question.component,
                        critical=question.component != "redis",
                        started_at=seen.started_at,
                        duration_s=0.1,
                        observations=(seen,),
                    )
                )
        return found

    def _asked(self, question: Question, turn: int, number: int, chance: random.Random) -> Observation:
        start = AT + timedelta(seconds=turn * PAUSE_S + number * 0.1)
        met = self._met(question, turn, chance)
        self.made += 1
        error, native, by, status = (None, None, None, None) if met is None else _put(question, *met)
        outcome = Outcome.OK if error is None else Outcome.TIMEOUT if error in _TIMEOUTS else Outcome.ERROR
        return Observation(
            id=f"o{self.made}",
            operation=question.operation,
            asker=question.asker,
            dialled=question.dialled,
            subject=question.subject,
            instance=question.instance,
            path=question.edges,
            answered_by=by,
            started_at=start,
            ended_at=start + timedelta(seconds=0.05),
            outcome=outcome,
            error_class=error,
            native=native,
            status=status,
            numbers={"elapsed_ms": 10.0},
        )

    def _met(self, question: Question, turn: int, chance: random.Random) -> tuple[Edge, Fault] | None:
        instance = question.instance or chance.choice(_INSTANCES)
        for edge in question.edges:
            for fault in self.faults:
                if edge.to != fault.place or fault.asker not in (None, edge.source):
                    continue
                if fault.instance not in (None, instance) or turn not in fault.rounds:
                    continue
                if (not fault.writes or question.write) and chance.random() < fault.share:
                    return edge, fault
        return None


def _put(
    question: Question, edge: Edge, fault: Fault
) -> tuple[ErrorClass, Native | None, str | None, int | None]:
    """The error as the validation sees it: its own, or what the hops before it make of it."""
    system = _SYSTEM.get(fault.place)
    native = Native(system=system, code=fault.code) if system else None
    if not fault.told and question.asker != "validation":
        return E.STATE, Native(system="health", code="unhealthy"), None, None
    if edge == question.edges[0]:
        return fault.error, native, None, None
    if edge.source == "load_balancer":
        slow = fault.error in _TIMEOUTS
        return (
            (E.GATEWAY_TIMEOUT, None, "load_balancer", 504)
            if slow
            else (E.BAD_GATEWAY, None, "load_balancer", 502)
        )
    if edge.source == "mlflow":
        return fault.error, native, "mlflow", 500
    if edge.to == "auth":
        return E.UNAVAILABLE, None, "api", 503
    if fault.error in _TIMEOUTS:
        return E.GATEWAY_TIMEOUT, None, "api", 504
    return E.BAD_GATEWAY, None, "api", 502
