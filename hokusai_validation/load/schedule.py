"""When to send: pure schedules of the open model. `when(i)` is the time of arrival i, in seconds
from the start of the run, whatever has happened to the arrivals before it.

A schedule is a profile of stages in which the rate moves in a straight line; constant, ramp and
spike are profiles with names.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from hokusai_validation.errors import UsageError


@dataclass(frozen=True)
class Stage:
    """`duration_s` in which the rate goes from `first` to `last` requests a second."""

    duration_s: float
    first: float
    last: float

    @property
    def arrivals(self) -> float:
        """How many arrivals are due in it (a whole number only by luck)."""
        return self.duration_s * (self.first + self.last) / 2

    def offset(self, arrivals: float) -> float:
        """After how many seconds of the stage so many arrivals are due: the inverse of
        `first·t + (last - first)/(2·duration)·t²`."""
        slope = (self.last - self.first) / self.duration_s
        if slope == 0:
            return arrivals / self.first if self.first else 0.0
        # In the form that does not subtract nearly equal numbers when the slope is small.
        root = math.sqrt(max(0.0, self.first * self.first + 2 * slope * arrivals))
        return min(self.duration_s, 2 * arrivals / (self.first + root)) if arrivals else 0.0


@dataclass(frozen=True)
class Schedule:
    """Stages, one after the other. `ramp_up_s` at the front is the part that is not judged.

    Raises UsageError for no stages, a rate or a length that is not a positive finite number (a
    stage may start or end at rate 0, but not stay there through the whole schedule)."""

    stages: tuple[Stage, ...]
    ramp_up_s: float = 0.0
    _arrivals: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _starts: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("A schedule needs at least one stage.")
        for stage in self.stages:
            numbers = (stage.duration_s, stage.first, stage.last)
            if not all(math.isfinite(number) for number in numbers):
                raise UsageError("A schedule's rates and lengths must be finite numbers.")
            if stage.duration_s <= 0:
                raise UsageError(f"A duration of {stage.duration_s:g} s is not possible: it must be above 0.")
            if stage.first < 0 or stage.last < 0:
                raise UsageError(
                    f"A rate of {min(stage.first, stage.last):g}/s is not possible: it must be above 0."
                )
        ends = tuple(accumulate(stage.arrivals for stage in self.stages))
        if ends[-1] <= 0:
            raise UsageError("A rate of 0/s sends nothing: it must be above 0.")
        object.__setattr__(self, "_arrivals", (0.0, *ends))
        times = tuple(accumulate(stage.duration_s for stage in self.stages))
        object.__setattr__(self, "_starts", (0.0, *times))

    @property
    def duration_s(self) -> float:
        """From the start to the end of the last stage."""
        return self._starts[-1]

    @property
    def total(self) -> int:
        """How many arrivals there are: those with `when(i) < duration_s`."""
        # The allowance keeps 0.1 s × 30/s from counting a fourth arrival at the very end.
        return max(1, math.ceil(self._arrivals[-1] - 1e-6))

    @property
    def peak(self) -> float:
        """The highest rate, requests a second."""
        return max(max(stage.first, stage.last) for stage in self.stages)

    def when(self, index: int) -> float:
        """Seconds from the start at which arrival `index` (from 0) is due.

        Raises IndexError beyond `total`."""
        if not 0 <= index < self.total:
            raise IndexError(index)
        # An arrival that falls on the border belongs to the stage that begins there, so that a
        # stage at rate 0 is waited through and not sent into.
        place = min(bisect_right(self._arrivals, index), len(self.stages)) - 1
        return self._starts[place] + self.stages[place].offset(index - self._arrivals[place])

    def rate_at(self, time_s: float) -> float:
        """The rate that is meant at a time, requests a second; 0 outside the schedule."""
        if not 0 <= time_s < self.duration_s:
            return 0.0
        place = bisect_right(self._starts, time_s) - 1
        stage = self.stages[place]
        return stage.first + (stage.last - stage.first) * (time_s - self._starts[place]) / stage.duration_s

    def with_ramp_up(self, ramp_up_s: float) -> "Schedule":
        """The same, entered over a ramp from rate 0 that is not judged."""
        if ramp_up_s <= 0:
            return self
        ramp = Stage(ramp_up_s, 0.0, self.stages[0].first)
        return Schedule((ramp, *self.stages), self.ramp_up_s + ramp_up_s)


def constant(rate: float, duration_s: float) -> Schedule:
    """Arrivals at even distances."""
    _positive(rate)
    return Schedule((Stage(duration_s, rate, rate),))


def ramp(first: float, last: float, duration_s: float) -> Schedule:
    """A rate that moves in a straight line."""
    return Schedule((Stage(duration_s, first, last),))


def spike(base: float, peak: float, before_s: float, spike_s: float, after_s: float) -> Schedule:
    """A base rate with a higher one in the middle, from one moment to the next."""
    _positive(base)
    _positive(peak)
    return Schedule((Stage(before_s, base, base), Stage(spike_s, peak, peak), Stage(after_s, base, base)))


def cycle(weights: tuple[int, ...]) -> tuple[int, ...]:
    """A mix as a sequence that repeats: index of the endpoint to ask, each `weight` times a round
    and spread evenly over it (smooth weighted round robin).

    Raises UsageError for no weights, or one that is not a whole number from 1 to 1,000."""
    if not weights:
        raise UsageError("There is no endpoint to ask: name at least one path.")
    if any(not isinstance(weight, int) or not 1 <= weight <= 1000 for weight in weights):
        raise UsageError(f"Weights are whole numbers from 1 to 1000, not {weights}.")
    total = sum(weights)
    credit = [0] * len(weights)
    order = []
    for _ in range(total):
        for index, weight in enumerate(weights):
            credit[index] += weight
        best = max(range(len(weights)), key=credit.__getitem__)
        credit[best] -= total
        order.append(best)
    return tuple(order)


def _positive(rate: float) -> None:
    if not rate > 0:
        raise UsageError(f"A rate of {rate:g}/s is not possible: it must be above 0.")
