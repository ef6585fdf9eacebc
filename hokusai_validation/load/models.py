"""When a request becomes due: by a schedule, or after the answer to the one before."""

import time
from collections.abc import Callable

import numpy as np

from hokusai_validation.load.outcome import Second
from hokusai_validation.load.pacer import Pacer
from hokusai_validation.load.plan import Closed, Open, Plan
from hokusai_validation.load.run import Run

LATE_S = 0.001
RECONNECT_S = 0.01

_clock = time.perf_counter


class Throttle:
    """Keeps a rate in any second, evenly: a bucket of at most half of what a second may have, and
    the rest of it flowing in. `burst` is how many may go at once at most."""

    def __init__(self, rate: float, burst: int) -> None:
        self._capacity = max(1.0, min(float(burst), rate / 2))
        # A rate under 2/s has no half; there one goes at a time, at its distance.
        self._flow = max(rate - self._capacity, rate / 2)
        self._tokens = self._capacity
        self._at = 0.0

    def take(self, now: float) -> float:
        """Take one; for how many seconds to wait before using it."""
        self._tokens = min(self._capacity, self._tokens + max(0.0, now - self._at) * self._flow)
        self._at = max(self._at, now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._flow)


class OpenRun(Run):
    """Arrival i of the whole run is process i mod n's."""

    def __init__(self, plan: Plan, index: int, processes: int, on_second: Callable[[Second], None]) -> None:
        super().__init__(plan, index, processes, on_second)
        if not isinstance(plan.model, Open):
            raise TypeError("OpenRun needs an open model.")
        self._schedule = plan.model.schedule
        self._total = self._schedule.total
        self._next = index
        self._lags: list[float] = []
        self._pacer = Pacer(self._loop, self._wake)

    def begin(self) -> None:
        if self._next >= self._total:
            self.end_sending()
        else:
            self._pacer.arm(self.start + self._schedule.when(self._next))

    def _wake(self) -> None:
        """Everything that is due by now, then sleep until the next."""
        when, order, start = self._schedule.when, self.order, self.start
        limit = start + self.plan.limit_s
        while self.sending:
            due = start + when(self._next)
            now = _clock()
            if due > now:
                self._pacer.arm(due)
                return
            self._lags.append(now - due)
            self.submit(due, order[self._next % len(order)])
            self._next += self.processes
            if self._next >= self._total or now > limit:
                self.end_sending()

    def finished(self, now: float, *, failed: bool) -> None:
        """Nothing: arrivals don't wait for answers."""

    def end_sending(self) -> None:
        super().end_sending()
        self._pacer.close()

    def flush_lags(self) -> None:
        if self._lags:
            lags = np.array(self._lags)
            self._lags.clear()
            check = self.outcome.check
            check.due += len(lags)
            check.late += int((lags > LATE_S).sum())
            check.lag.record_all(lags)


class ClosedRun(Run):
    """`connections` users, each with at most one request in flight."""

    def __init__(self, plan: Plan, index: int, processes: int, on_second: Callable[[Second], None]) -> None:
        super().__init__(plan, index, processes, on_second)
        if not isinstance(plan.model, Closed):
            raise TypeError("ClosedRun needs a closed model.")
        self._model = plan.model
        requests = plan.model.requests
        self._left = float("inf")
        if requests is not None:
            self._left = requests // processes + (index < requests % processes)
        self._asked = 0
        self._users = 0
        self._plain = (
            requests is None
            and plan.model.think_s == 0
            and len(plan.endpoints) == 1
            and plan.max_rate is None
        )
        self._throttle = None
        if plan.max_rate is not None:
            self._throttle = Throttle(plan.max_rate / processes, self.limit)

    def begin(self) -> None:
        step = self._model.join_s / self.limit
        for user in range(self.limit):
            at = self.start + user * step
            self._loop.call_later(max(0.0, at - _clock()), self._ask, at)
        self._loop.call_later(max(0.0, self.start + self.plan.duration_s - _clock()), self.end_sending)

    def _ask(self, intended: float) -> None:
        if not self.sending:
            return
        if self._throttle is not None and (wait_s := self._throttle.take(_clock())) > 0:
            self.outcome.check.throttled += 1
            intended = max(intended, _clock() + wait_s)
        self._ask_at(intended)

    def _ask_at(self, intended: float) -> None:
        if not self.sending:
            return
        # The loop's timers ring up to a millisecond early, and an answer would take that much less.
        if (early_s := intended - _clock()) > 0:
            self._loop.call_later(early_s, self._ask_at, intended)
            return
        self._left -= 1
        which = self.order[self._asked % len(self.order)]
        self._asked += 1
        self.submit(intended, which)
        if self._left <= 0:
            self.end_sending()

    def finished(self, now: float, *, failed: bool) -> None:
        if not self.sending:
            return
        # After a failure at least a pause, or a dead target would be asked as fast as we can.
        think_s = max(self._model.think_s, RECONNECT_S) if failed else self._model.think_s
        if think_s:
            self._loop.call_later(think_s, self._ask, now + think_s)
        else:
            self._ask(now)
            self.inline = self._plain

    def end_sending(self) -> None:
        super().end_sending()
        self.inline = False

    def flush_lags(self) -> None:
        """Nothing: users have no times to keep."""
