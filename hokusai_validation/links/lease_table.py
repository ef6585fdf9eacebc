"""Leases by id, each with a timer that ends it: what is put on under one comes off with it. In one event loop."""

import asyncio
from collections.abc import Callable, Iterator


class LeaseTable:
    """`expired` is called with the id of a lease that nobody renewed in time; it is held no more by then."""

    def __init__(self, expired: Callable[[str], None]) -> None:
        self._expired = expired
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, lease: str) -> bool:
        return lease in self._timers

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._timers))

    def __len__(self) -> int:
        return len(self._timers)

    def renew(self, lease: str, seconds: float) -> None:
        """Hold it for so long from now, whether it was held before or not."""
        self.drop(lease)
        self._timers[lease] = asyncio.get_running_loop().call_later(seconds, self._expire, lease)

    def drop(self, lease: str) -> bool:
        """Hold it no more, without a word. False when it was not held."""
        timer = self._timers.pop(lease, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def left_s(self, lease: str) -> float:
        """How long it still lasts.

        Raises KeyError."""
        return round(max(0.0, self._timers[lease].when() - asyncio.get_running_loop().time()), 3)

    def _expire(self, lease: str) -> None:
        if self.drop(lease):
            self._expired(lease)
