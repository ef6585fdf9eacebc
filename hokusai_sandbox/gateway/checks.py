"""Checks of dependencies: the last known result of each, kept fresh in the background.

Health answers read these results. They wait for a check only while the dependency was well at the
last look, so a cut is noticed at once and a dead dependency slows nothing down.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

FRESH_S = 0.1  # a result this young needs no new check: under load ten checks a second suffice
KNOWN_BAD_S = 2.0  # how long a failure is repeated while the background looks again


@dataclass(frozen=True)
class Check:
    """What one look at a dependency came to. `finished` is of `time.monotonic()`."""

    ok: bool
    error: str | None
    response_time_ms: float
    started: float
    finished: float


class Unwell(Exception):
    """A check's own finding: the message is a sentence already."""


# Of a time-out, for the connection alone: so there is time left to say that it was the connection.
CONNECT_SHARE = 0.7


def timed_out(what: str, limit_s: float) -> str:
    """The sentence for a time-out, the same everywhere."""
    return f"time-out: {what} gave no answer within {limit_s:g} s (timed out)"


def connect_timed_out(what: str, limit_s: float) -> str:
    """The same where not even the connection was accepted: nobody is dead or busy, the way is closed."""
    return f"time-out: {what} did not accept the connection within {limit_s:g} s (connect timed out)"


def explained(error: BaseException) -> str:
    """One line for an error of a client library."""
    if isinstance(error, Unwell):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "connection reset"
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno and "Errno" not in text:
        text = f"[Errno {error.errno}] {text}"  # refused or reset: aiohttp's own words don't tell
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


class Watched:
    """One dependency. `probe` raises when it is not well; `limit_s` bounds it."""

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]], limit_s: float) -> None:
        self.name = name
        self.limit_s = limit_s
        self.last: Check | None = None
        self._probe = probe
        self._flight: asyncio.Task[Check] | None = None

    async def current(self) -> Check:
        """A result that is fresh, or a failure that is being looked at again; takes `limit_s` at
        most."""
        last = self.last
        if last is not None:
            age_s = time.monotonic() - last.finished
            if age_s < FRESH_S or (not last.ok and age_s < KNOWN_BAD_S):
                return last
        return await self.refresh()

    async def refresh(self) -> Check:
        """Look now; callers at the same time share one look."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._look(), name=f"check {self.name}")
        return await asyncio.shield(self._flight)

    async def keep_fresh(self, interval_s: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(interval_s)

    async def _look(self) -> Check:
        started = time.monotonic()
        error: str | None = None
        try:
            async with asyncio.timeout(self.limit_s):
                await self._probe()
        except TimeoutError as failure:
            error = str(failure) or timed_out(self.name, self.limit_s)
        except Exception as failure:  # any error of a client is the dependency's state, not ours
            error = explained(failure)
        finished = time.monotonic()
        self.last = Check(error is None, error, (finished - started) * 1000, started, finished)
        return self.last
