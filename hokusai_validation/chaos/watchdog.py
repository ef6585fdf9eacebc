"""Somebody who stays when we are killed: a process of its own that waits for the injecting one to
end, and puts right what that left behind.

Faults end with their leases; what has none (a real Toxiproxy, AWS FIS) it takes off, as
`chaos stop` does. Then it sees to it that every instance's breaker closes again: one that an
experiment opened is a leftover of it too, and without traffic it would stay open.

    python -m hokusai_validation.chaos.watchdog    # target as JSON on the first line of its input
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import ClassVar, Self

from hokusai_validation.errors import AgentFailed, FaultNotApplied, HokusaiError, RequestFailed
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.store.locks import target_key
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

STARTS = "watching"
HEALED_WITHIN_S = 30.0
POLL_S = 0.2
NOT_CLOSED = ("degraded", "recovering", "unhealthy")  # what /health says of MLflow meanwhile


class Watchdog:
    """One process for each target that this one puts faults on, until this one ends."""

    _started: ClassVar[dict[str, Self]] = {}
    _guard: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, target: Target) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hokusai_validation.chaos.watchdog"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # what ends our group must not end it
            )
        except OSError as error:
            raise FaultNotApplied(f"The watchdog of faults could not be started: {error.strerror}.") from None
        self._on = 0
        self._unleased = 0
        self._watching = False
        self._say(target.model_dump_json())
        atexit.register(self._end)

    @classmethod
    def of(cls, target: Target) -> Self:
        """The target's.

        Raises FaultNotApplied when it can't be started."""
        with cls._guard:
            key = target_key(target)
            known = cls._started.get(key)
            if known is None or known._process.poll() is not None:
                known = cls._started[key] = cls(target)
            return known

    @contextlib.contextmanager
    def watching(self, *, unleased: bool = False) -> Iterator[None]:
        """It acts when this process is killed in the block. `unleased`: faults without a lease are
        on, so it must be ready before.

        Raises FaultNotApplied."""
        if unleased:
            self._await_ready()
        self._count(1, unleased)
        try:
            yield
        finally:
            self._count(-1, unleased)

    def _count(self, step: int, unleased: bool) -> None:
        with self._guard:
            self._on += step
            self._unleased += step if unleased else 0
            self._say(json.dumps({"on": self._on > 0, "unleased": self._unleased > 0}))

    def _await_ready(self) -> None:
        with self._guard:
            if self._watching:
                return
            assert self._process.stdout is not None
            if self._process.stdout.readline().strip() != STARTS:
                raise FaultNotApplied("The watchdog of faults ended before anything was put on.")
            self._watching = True

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)


def heal(target: Target, secrets: Secrets) -> None:
    """Breakers reset, or, where that is refused, ordinary calls to MLflow, until every instance says
    that MLflow is well; ended after a while, and at once where nothing answers any more."""
    deadline = time.monotonic() + HEALED_WITHIN_S
    _await_clean(target, deadline)
    resolver = Resolver(target.dns.resolver)
    timeout_s = target.gateway.proxy_timeout_s + 1
    key = None
    if target.keys.good is not None:
        with contextlib.suppress(HokusaiError):
            key = secrets.value(target.keys.good)
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                HttpClient(each.url, tls=target.tls, resolver=resolver, timeout_s=timeout_s, key=key)
            )
            for each in target.instances
        ]
        _await_mlflow(target, resolver, deadline)
        while clients and time.monotonic() < deadline:
            answered = well = 0
            for client in clients:
                with contextlib.suppress(RequestFailed, KeyError, TypeError):
                    state = client.get("/health").json()["services"][word_for(Role.TRACKING_SERVER)]
                    answered += 1
                    if state in NOT_CLOSED:
                        if state == "degraded" and key is not None:
                            # Its wait may have grown long meanwhile.
                            client.post("/health/mlflow/reset", key=True)
                        client.get("/health/mlflow")
                    else:
                        well += 1
            if answered == 0 or well == len(clients):
                return
            time.sleep(POLL_S)


def _await_mlflow(target: Target, resolver: Resolver, deadline: float) -> None:
    """Where MLflow can be asked directly, wait for it first: each call that an instance makes too
    early is a failed recovery attempt, after which its breaker waits longer."""
    if target.mlflow is None or target.mlflow.url is None:
        return
    with HttpClient(target.mlflow.url, tls=target.tls, resolver=resolver, timeout_s=1.0) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(RequestFailed):
                if client.get("/health").status == 200:
                    return
            time.sleep(POLL_S)


def _await_clean(target: Target, deadline: float) -> None:
    if target.links is None:
        return
    links = LinkClient.from_target(target)
    with contextlib.closing(links), contextlib.suppress(AgentFailed):
        while time.monotonic() < deadline and not all(each.clean for each in links.states().values()):
            time.sleep(POLL_S)


def main() -> int:
    """Wait; the exit status is 0, or 3 when something could not be taken off."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it outlives what ends its parent
    target = Target.model_validate(json.loads(sys.stdin.readline()))
    with contextlib.suppress(OSError):
        print(STARTS, flush=True)
    told = {"on": False, "unleased": False}
    for line in sys.stdin:
        told = json.loads(line)
    if not told["on"]:
        return 0
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - our parent's is gone
    try:
        if told["unleased"]:
            from hokusai_validation.chaos.stop import clean

            clean(target, Secrets(target))
        heal(target, Secrets(target))
    except HokusaiError:
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
