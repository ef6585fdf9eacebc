"""What a test saw, gathered while it runs; it is redacted and cut when its row is made."""

from collections.abc import Mapping
from enum import Enum

from pydantic import JsonValue, TypeAdapter

from hokusai_validation.errors import RequestFailed
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.report import Performance
from hokusai_validation.resources.http import Answer, fact_of
from hokusai_validation.runner.rows import TEXT_LIMIT, cut
from hokusai_validation.target import Target
from hokusai_validation.text import well_formed

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_OBJECT: TypeAdapter[object] = TypeAdapter(object)

# Far beyond what a row keeps: whatever this cuts through is not in it.
ROUGH_SCALE = 16


class Evidence:
    """The fixture `evidence`: one for each attempt at a test. Parts are given by their role, or by a name
    of the target's own."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._values: dict[str, JsonValue] = {}
        self._facts: list[Fact] = []
        self._metrics: dict[str, float] = {}
        self._performance: list[JsonValue] = []

    def record(self, name: str, value: object) -> None:
        """Something seen, as JSON (models, dates and numbers are turned into it; what is far too
        long is cut)."""
        seen = _JSON.validate_python(_OBJECT.dump_python(_well_formed(value), mode="json"))
        self._values[name] = cut(seen, ROUGH_SCALE)

    def answer(self, name: str, answer: Answer) -> None:
        """An HTTP answer: request, status, body, time."""
        self.record(name, answer.evidence(TEXT_LIMIT * ROUGH_SCALE))

    def fact(self, kind: FactKind, component: str, seen: str = "", via: str | None = None) -> None:
        """A fact for the diagnosis; the same one twice counts once."""
        self._add(Fact(kind=kind, component=self._target.named(component), via=self._via(via), seen=seen))

    def failure(self, error: RequestFailed, component: str, via: str | None = None) -> None:
        """A failed request: its fact, and its message as evidence."""
        self.fact_of(error, component, via)
        self._values.setdefault(f"failure {len(self._facts)}", cut(str(error), ROUGH_SCALE))

    def fact_of(self, error: RequestFailed, component: str, via: str | None = None) -> None:
        """The fact alone that a failed request is."""
        self._add(fact_of(error, self._target.named(component), self._via(via)))

    def metric(self, name: str, number: float) -> None:
        """A plain number, its unit in its name (`health_p99_ms`)."""
        self._metrics[name] = float(number)

    def performance(self, performance: Performance) -> None:
        """One load run's latencies and errors."""
        self._performance.append(_JSON.validate_python(performance.model_dump(mode="json")))

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts so far."""
        return tuple(self._facts)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The numbers so far."""
        return dict(self._metrics)

    @property
    def values(self) -> dict[str, JsonValue]:
        """Everything recorded so far, load runs under `performance`."""
        values = dict(self._values)
        if self._performance:
            values["performance"] = list(self._performance)
        return values

    def _via(self, via: str | None) -> str | None:
        return None if via is None else self._target.named(via)

    def _add(self, fact: Fact) -> None:
        if fact not in self._facts:
            self._facts.append(fact)


def _well_formed(value: object) -> object:
    """Every text in it; pydantic refuses to turn a lone surrogate into JSON."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_well_formed(item) for item in value]
    return value
