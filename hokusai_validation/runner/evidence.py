"""What a test saw, gathered while it runs and sent with its row."""

from collections.abc import Mapping
from enum import Enum

from pydantic import JsonValue, TypeAdapter

from hokusai_validation.errors import RequestFailed
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.redaction import shown
from hokusai_validation.report import Performance
from hokusai_validation.resources.http import Answer, fact_of
from hokusai_validation.text import well_formed

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_OBJECT: TypeAdapter[object] = TypeAdapter(object)

# One row must stay small enough for a message and a report, whatever a target answers.
TEXT_LIMIT = 4_000
ITEMS_LIMIT = 200


class Evidence:
    """The fixture `evidence`: one for each attempt at a test."""

    def __init__(self) -> None:
        self._values: dict[str, JsonValue] = {}
        self._facts: list[Fact] = []
        self._metrics: dict[str, float] = {}
        self._performance: list[JsonValue] = []

    def record(self, name: str, value: object) -> None:
        """Something seen, as JSON (models, dates and numbers are turned into it; long texts and
        lists are cut)."""
        self._values[name] = _JSON.validate_python(
            _cut(_OBJECT.dump_python(_well_formed(value), mode="json"))
        )

    def answer(self, name: str, answer: Answer) -> None:
        """An HTTP answer: request, status, body, time."""
        self.record(name, answer.evidence())

    def fact(self, kind: FactKind, component: str, seen: str = "", via: str | None = None) -> None:
        """A fact for the diagnosis; the same one twice counts once."""
        fact = Fact(kind=kind, component=component, via=via, seen=shown(seen, 300))
        if fact not in self._facts:
            self._facts.append(fact)

    def failure(self, error: RequestFailed, component: str, via: str | None = None) -> None:
        """A failed request: its fact, and its message as evidence."""
        fact = fact_of(error, component, via)
        if fact not in self._facts:
            self._facts.append(fact)
        self._values.setdefault(f"failure {len(self._facts)}", shown(error, TEXT_LIMIT))

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


def _well_formed(value: object) -> object:
    """Every text in it; pydantic refuses to turn a lone surrogate into JSON."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_well_formed(item) for item in value]
    return value


def _cut(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        return f"{shown(value, TEXT_LIMIT)}… ({len(value)} characters)"
    if isinstance(value, list):
        kept = [_cut(item) for item in value[:ITEMS_LIMIT]]
        return kept if len(value) <= ITEMS_LIMIT else [*kept, f"… {len(value)} items"]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in list(value.items())[:ITEMS_LIMIT]}
    return value
