"""Where breakers under test are made and brought into states, their time moved by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hokusai_validation.errors import NotJudged
from hokusai_validation.probes.breaker_machine import Counterexample
from hokusai_validation.probes.breaker_probe import COUNTERS, EPOCH_S, BreakerProbe
from hokusai_validation.probes.breaker_source import BreakerSource, imported
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Breaker, Target

if TYPE_CHECKING:
    import time_machine

THRESHOLD, TIMEOUT_S, ATTEMPTS = 3, 30.0, 2
ZERO = dict.fromkeys(COUNTERS, 0)
MARGIN_S = 0.01
VARIABLES = {
    "MLFLOW_CB_FAILURE_THRESHOLD": "failure_threshold",
    "MLFLOW_CB_RECOVERY_TIMEOUT": "recovery_timeout",
    "MLFLOW_CB_MAX_RECOVERY_ATTEMPTS": "max_recovery_attempts",
}
SHORT = {
    "failure_threshold": THRESHOLD,
    "recovery_timeout": TIMEOUT_S,
    "max_recovery_attempts": ATTEMPTS,
}


class Clock:
    """The time that the breaker sees."""

    def __init__(self, traveller: "time_machine.Traveller") -> None:
        self._traveller = traveller
        self.now = EPOCH_S

    def forward(self, seconds: float) -> float:
        """Move it (back, with a negative number), and give the new time."""
        self.now += seconds
        self._traveller.move_to(self.now)
        return self.now


@dataclass(frozen=True)
class Bench:
    """Where breakers are tried."""

    source: BreakerSource
    evidence: Evidence
    found: Callable[[], Counterexample | None]

    def new(self, **parameters: float) -> BreakerProbe:
        """A new breaker: threshold 3, time-out 30 s, 2 recovery attempts, unless given."""
        return BreakerProbe.new(self.source.breaker_class, self.evidence, **{**SHORT, **parameters})

    def opened(self, **parameters: float) -> BreakerProbe:
        """A new breaker that is OPEN by failures."""
        breaker = self.new(**parameters)
        breaker.failure(max(1, int(parameters.get("failure_threshold", THRESHOLD))))
        breaker.shows("after as many failures as the threshold", state="OPEN")
        return breaker

    def half_open(self, clock: Clock, **parameters: float) -> BreakerProbe:
        """A new breaker that is HALF_OPEN after its wait."""
        breaker = self.opened(**parameters)
        clock.forward(float(parameters.get("recovery_timeout", TIMEOUT_S)) + MARGIN_S)
        breaker.holds(breaker.admits(), "The wait is over, and the call is refused.")
        breaker.shows("once the wait is over", state="HALF_OPEN")
        return breaker

    def search(self, test_id: str) -> None:
        """Fail where random sequences found a counterexample that belongs to this test."""
        found = self.found()
        if found is not None and found.belongs_to == test_id:
            self.evidence.record("counterexample", list(found.steps))
            raise BreakerProbe(None, self.evidence).failed(str(found))


class SharedBreaker(BreakerProbe):
    """The shared breaker, through the module's two functions."""

    def __init__(self, source: BreakerSource, evidence: Evidence) -> None:
        super().__init__(None, evidence)
        self._source = source

    def status(self) -> dict[str, Any]:
        return self.checked_status(self._function("get_circuit_breaker_status"))

    def reset(self) -> None:
        self._function("reset_circuit_breaker")

    def fail(self, times: int) -> None:
        """Failures of every living breaker: the shared one is among them, whatever it is called."""
        for breaker in self._source.living():
            BreakerProbe(breaker, self._evidence).failure(times)

    def _function(self, name: str) -> Any:
        function = getattr(self._source.shared, name, None)
        self.holds(callable(function), f"Module {self._source.shared.__name__} has no function {name}().")
        return self._call(f"{name}()", function)  # type: ignore[arg-type]


def breaker_of(target: Target) -> Breaker:
    """The target's `[breaker]`, which its tests need."""
    assert target.breaker is not None
    return target.breaker


def waits(breaker: BreakerProbe, wait_s: float, expected: float) -> None:
    """OPEN, with `expected` seconds left of a wait of `wait_s`."""
    left = breaker.status()["time_until_retry"]
    breaker.holds(
        is_number(left) and 0 < left <= wait_s + MARGIN_S,
        f"OPEN with a wait of {wait_s:g} s, and time_until_retry is {left!r}.",
    )
    breaker.says(f"OPEN with a wait of {wait_s:g} s", state="OPEN", time_until_retry=expected)


def holds_parameters(
    bench: Bench, where: Breaker, clock: Clock, when: str, threshold: int, timeout_s: float, attempts: int
) -> None:
    """A breaker made without parameters behaves by these."""
    with imported(where) as source:
        breaker = BreakerProbe.new(source.breaker_class, bench.evidence)
        breaker.says(when, failure_threshold=threshold, recovery_timeout=timeout_s)
        breaker.failure(threshold - 1)
        breaker.shows(f"{when}, after {threshold - 1} failures", state="CLOSED")
        breaker.failure()
        breaker.shows(f"{when}, after {threshold} failures", state="OPEN")
        for attempt in range(1, attempts + 1):
            clock.forward(timeout_s + MARGIN_S)
            breaker.holds(breaker.admits(), f"{when}: attempt {attempt} is refused after {timeout_s:g} s.")
            breaker.failure()
        clock.forward(timeout_s + MARGIN_S)
        breaker.holds(
            not breaker.admits(), f"{when}: more than {attempts} attempts are made without a longer wait."
        )


def construction_error(where: Breaker) -> str:
    """What is said when a breaker is imported and made in the present environment; empty when
    nothing is."""
    try:
        with imported(where) as source:
            source.breaker_class()
    except NotJudged as error:  # the module reads its environment when it is imported
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def is_number(value: object) -> bool:
    """A number, which a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
