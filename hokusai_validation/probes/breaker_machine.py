"""Random sequences of calls and waits against the contract's model: what no list of cases finds.

Hypothesis looks for a sequence after which the breaker and the model differ and shrinks it; that
counterexample is the failure message of the catalogued test that it belongs to.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

import time_machine
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from hokusai_validation.errors import ExpectationUnmet
from hokusai_validation.probes.breaker_model import CLOSED, HALF_OPEN, OPEN, BreakerModel
from hokusai_validation.probes.breaker_probe import (
    COUNTERS,
    EPOCH_S,
    TIMES,
    BreakerFailed,
    BreakerProbe,
    same,
)

# The same sequences every time: a run must be repeatable, and a failure must come again.
SETTINGS = settings(
    max_examples=70,
    stateful_step_count=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
MARGIN_S = 0.01
ACTS = (
    "failure",
    "success",
    "ask",
    "wait_to_the_end",
    "fail_until_open",
    "fail_recovery",
    "recover",
    "ask_too_early",
    "wait_in_part",
    "reset",
)


@dataclass(frozen=True)
class Counterexample:
    """The shortest sequence found, and the catalogued test whose promise it breaks."""

    belongs_to: str
    steps: tuple[str, ...]
    difference: str

    def __str__(self) -> str:
        return f"After {' → '.join(self.steps)}: {self.difference}"


class _Differs(ExpectationUnmet):
    def __init__(self, counterexample: Counterexample) -> None:
        super().__init__(str(counterexample))
        self.counterexample = counterexample


def get_ready() -> None:
    """Let Hypothesis read what modules there are, which it does once and again whenever one was added: its
    sequences are made of them, too."""
    find(st.none(), lambda _: True, settings=settings(SETTINGS, max_examples=1))


def counterexample(breaker_class: type[Any]) -> Counterexample | None:
    """The shortest sequence after which a breaker of the class is not as the contract says, or
    None when none was found."""
    try:
        run_state_machine_as_test(_machine_of(breaker_class), settings=SETTINGS)
    except _Differs as error:
        return error.counterexample
    except BaseExceptionGroup as group:
        found = [error for error in group.exceptions if isinstance(error, _Differs)]
        if not found:
            raise
        return min((each.counterexample for each in found), key=lambda each: len(each.steps))
    return None


def _machine_of(breaker_class: type[Any]) -> type[RuleBasedStateMachine]:
    return type("Breaker", (_Machine,), {"breaker_class": breaker_class})


class _Machine(RuleBasedStateMachine):
    """Breaker and model, told the same."""

    breaker_class: type[Any]

    def __init__(self) -> None:
        super().__init__()
        self._travel = time_machine.travel(EPOCH_S, tick=False)
        self._clock = self._travel.start()
        self._now = EPOCH_S
        self._steps: list[str] = []

    def teardown(self) -> None:
        self._travel.stop()

    @initialize(
        threshold=st.sampled_from([2, 3, 1, 0]),
        timeout=st.sampled_from([8.0, 1.5, 0.0]),
        attempts=st.integers(0, 3),
    )
    def construct(self, threshold: int, timeout: float, attempts: int) -> None:
        self._steps.append(f"threshold {threshold}, time-out {timeout:g} s, {attempts} attempts")
        self.model = BreakerModel(threshold, timeout, attempts)
        self.probe = self._guard(
            "construct",
            lambda: BreakerProbe.new(
                self.breaker_class,
                failure_threshold=threshold,
                recovery_timeout=timeout,
                max_recovery_attempts=attempts,
            ),
        )
        self._compare(CLOSED, "construct")

    # One rule with several acts at once: hypothesis switches whole rules off for whole examples, and
    # every step of its own costs more than what is tried in it.
    @rule(acts=st.lists(st.sampled_from(ACTS), min_size=1, max_size=12))
    def go_on(self, acts: list[str]) -> None:
        for act in acts:
            getattr(self, f"_{act}")()

    def _failure(self) -> None:
        self._do("failure")

    def _success(self) -> None:
        self._do("success")

    def _ask(self) -> None:
        self._do("ask")

    def _reset(self) -> None:
        self._do("reset")

    def _wait_in_part(self) -> None:
        self._wait(0.4 * self.model.wait_s()[0])

    def _ask_too_early(self) -> None:
        if self.model.state == OPEN:
            self._wait(self._remaining(0) - MARGIN_S)
            self._do("ask")

    def _wait_to_the_end(self) -> None:
        if self.model.state == OPEN:
            self._wait(self._remaining(1) + MARGIN_S)

    def _fail_until_open(self) -> None:
        while self.model.state == CLOSED:
            self._do("failure")

    def _fail_recovery(self) -> None:
        if self.model.state == OPEN:
            self._ask_too_early()
            self._wait_to_the_end()
            self._do("ask")
            self._do("failure")

    def _recover(self) -> None:
        if self.model.state == OPEN:
            self._wait_to_the_end()
            self._do("ask")
        while self.model.state == HALF_OPEN:
            self._do("success")

    def _remaining(self, which: int) -> float:
        elapsed = self._now - (self.model.last_failure_time or self._now)
        return self.model.wait_s()[which] - elapsed

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._now += seconds
            self._clock.move_to(self._now)
            self._steps.append(f"wait {seconds:g} s")

    def _do(self, action: str) -> None:
        before = self.model.state
        self._steps.append({"ask": "is_open()", "reset": "force_reset()"}.get(action, action))
        if action == "ask":
            self._question()
        else:
            self._guard(action, getattr(self.probe, action))
            if action == "reset":
                self.model.reset()
            else:
                getattr(self.model, action)(self._now)
        self._compare(before, action)

    def _question(self) -> None:
        right = self.model.may_admit(self._now)
        seen = self._guard("ask", self.probe.admits)
        if seen not in right:
            self._fail(
                self.model.state,
                "ask",
                "state",
                f"the call is {'admitted' if seen else 'refused'}, and must be"
                f" {'admitted' if right[0] else 'refused'} (model: {self.model.state}, wait"
                f" {self.model.wait_s()[0]:g} s)",
            )
        if seen:
            self.model.admitted()

    def _compare(self, before: str, action: str) -> None:
        for name in ("state", *COUNTERS, *TIMES):
            seen = self._guard(action, lambda name=name: self.probe.attribute(name))
            expected = getattr(self.model, name)
            if not same(seen, expected):
                shown = [
                    f"{value - EPOCH_S:g} s after the start"
                    if name in TIMES and _number(value)
                    else repr(value)
                    for value in (seen, expected)
                ]
                self._fail(before, action, name, f"{name} is {shown[0]}, expected {shown[1]}")

    def _guard(self, action: str, call: Any) -> Any:
        try:
            return call()
        except BreakerFailed as error:
            self._fail(getattr(self, "model", BreakerModel(0, 0, 0)).state, action, "", str(error))

    def _fail(self, before: str, action: str, name: str, difference: str) -> NoReturn:
        late = 0
        if hasattr(self, "model"):
            late = self.model.recovery_attempts - self.model.max_recovery_attempts
        raise _Differs(Counterexample(belongs_to(before, action, name, late), tuple(self._steps), difference))


def belongs_to(before: str, action: str, name: str, late: int) -> str:
    """The catalogued test whose promise is broken when, after `action` in state `before`,
    attribute `name` differs; `late` is how many attempts past the allowed ones were made."""
    if action == "construct":
        return "U1"
    if action == "reset":
        return "U10"
    if action == "ask":
        return ("U5" if late < 0 else "U8" if late == 0 else "U9") if before == OPEN else "U1"
    if action == "failure":
        if name == "consecutive_successes":
            return "U14"
        if name == "state":
            return {CLOSED: "U4", HALF_OPEN: "U7", OPEN: "U5"}[before]
        return "U7" if before == HALF_OPEN else "U2"
    if before == CLOSED:
        return "U15" if name == "failure_count" else "U3"
    return "U6"


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
