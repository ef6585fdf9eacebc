"""A breaker under test, held to what the contract expects; whatever it does otherwise, raising
included, is a failure of the breaker with the fact for the diagnosis."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from hokusai_validation.errors import ExpectationUnmet
from hokusai_validation.facts import FactKind
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.topology import Role

# Far from every limit of a clock, and exact in a float.
EPOCH_S = 1_750_000_000.0
SECONDS_TOLERANCE = 1e-3

COUNTERS = ("failure_count", "consecutive_successes", "recovery_attempts")
TIMES = ("last_failure_time", "last_success_time")
STATUS_FIELDS = (
    "state",
    *COUNTERS,
    *TIMES,
    "time_since_last_failure",
    "time_until_retry",
    "failure_threshold",
    "recovery_timeout",
)


class BreakerFailed(ExpectationUnmet):
    """The breaker does not keep the contract."""


class BreakerProbe:
    """One breaker of the class under test. With `evidence`, a failure adds its fact there."""

    def __init__(self, breaker: Any, evidence: Evidence | None = None) -> None:
        self._breaker = breaker
        self._evidence = evidence

    @classmethod
    def new(
        cls, breaker_class: type[Any], evidence: Evidence | None = None, **parameters: float
    ) -> "BreakerProbe":
        """Of a new breaker with these parameters.

        Raises BreakerFailed."""
        probe = cls(None, evidence)
        given = ", ".join(f"{name}={value}" for name, value in parameters.items())
        probe._breaker = probe._call(f"{breaker_class.__name__}({given})", breaker_class, **parameters)
        return probe

    def admits(self) -> bool:
        """Whether a call may go out now (`is_open()` the other way round)."""
        answer = self._method("is_open")
        self.holds(isinstance(answer, bool), f"is_open() gave {answer!r}, neither True nor False.")
        return not answer

    def success(self, times: int = 1) -> None:
        """Report good calls."""
        for _ in range(times):
            self._method("record_success")

    def failure(self, times: int = 1) -> None:
        """Report failed calls."""
        for _ in range(times):
            self._method("record_failure")

    def reset(self) -> None:
        """Force it back to CLOSED."""
        self._method("force_reset")

    def status(self) -> dict[str, Any]:
        """What `get_status()` says, with every field, its state as text."""
        return self.checked_status(self._method("get_status"))

    def checked_status(self, status: Any) -> dict[str, Any]:
        """A status as `get_status()` must give it: a mapping with every field."""
        self.holds(isinstance(status, dict), f"get_status() gave {type(status).__name__}, not a dict.")
        missing = [name for name in STATUS_FIELDS if name not in status]
        self.holds(not missing, f"get_status() lacks {', '.join(missing)}.")
        return {str(name): plain(value) for name, value in status.items()}

    def attribute(self, name: str) -> Any:
        """An attribute; the state as text."""
        try:
            value = getattr(self._breaker, name)
        except Exception as error:
            raise self.failed(f"The breaker's attribute `{name}` can't be read: {error}.") from None
        return plain(value)

    def shows(self, when: str, **expected: Any) -> None:
        """Its attributes are as expected, all of them."""
        self._same(when, {name: self.attribute(name) for name in expected}, expected)

    def says(self, when: str, **expected: Any) -> None:
        """Its status is as expected, in these fields."""
        self._same(f"{when}, get_status()", self.status(), expected)

    def holds(self, condition: object, message: str) -> None:
        """What no attribute shows."""
        if not condition:
            raise self.failed(message)

    def failed(self, message: str) -> BreakerFailed:
        """The error to raise, its fact noted."""
        if self._evidence is not None:
            self._evidence.fact(FactKind.BREAKER_CONTRACT, Role.API_GATEWAY, message)
        return BreakerFailed(message)

    def _same(self, when: str, seen: dict[str, Any], expected: dict[str, Any]) -> None:
        differs = [
            f"{name} is {seen[name]!r}, expected {value!r}"
            for name, value in expected.items()
            if not same(seen[name], value)
        ]
        self.holds(not differs, f"{when}: {'; '.join(differs)}.")

    def _method(self, name: str) -> Any:
        return self._call(f"{name}()", lambda: getattr(self._breaker, name)())

    def _call(self, name: str, function: Callable[..., Any], **parameters: float) -> Any:
        try:
            return function(**parameters)
        except Exception as error:
            raise self.failed(f"{name} raised {type(error).__name__}: {error}.") from error


def plain(value: Any) -> Any:
    """An enum's value as text; everything else as it is."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    return value


def same(seen: Any, expected: Any) -> bool:
    """Equal; numbers but for rounding, and a bool is no number."""
    if isinstance(seen, bool) or isinstance(expected, bool):
        return seen is expected
    if isinstance(seen, int | float) and isinstance(expected, int | float):
        return abs(seen - expected) <= SECONDS_TOLERANCE
    return bool(seen == expected)
