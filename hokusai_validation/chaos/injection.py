"""Putting faults on and taking them off again, whatever happens in between.

    with injector.fault(Refuse("api-1->mlflow"), Refuse("api-1->redis")) as injection:
        …                       # on, and proven
        injection.undo()        # earlier than the end, if wanted

Undone in `finally`, on Ctrl-C and on SIGTERM (which is taken as Ctrl-C while a fault is on); and,
when this process is killed, by whoever holds the fault, as its lease (3 s) is no longer renewed.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from hokusai_validation.chaos.faults.base import Fault, Reach
from hokusai_validation.chaos.interruption import sigterm_is_ctrl_c, uninterrupted
from hokusai_validation.chaos.lease import LEASE_S, Renewer
from hokusai_validation.chaos.permission import check_permitted
from hokusai_validation.errors import AgentFailed, AwsError, FaultError, FaultNotApplied, FaultOrphaned
from hokusai_validation.permission import Gate
from hokusai_validation.resources import own_faults
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.store.locks import ExperimentLock, TargetLock
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.control import ControlClient
    from hokusai_validation.resources.links import LinkClient

UNDO_LIMIT_S = 5.0
UNDO_PAUSE_S = 0.2
LOCK_WAIT_S = 5.0
ORPHANED = "orphaned_faults"  # the key of a row's evidence, which the verdict leads with


class Recorder(Protocol):
    """Where a test's evidence goes (the suite's `Evidence` is one)."""

    def record(self, name: str, value: object) -> None:
        """Something seen, as JSON."""


@dataclass(frozen=True)
class Event:
    """One thing that happened to a fault. `at` is `time.monotonic()`; `what` is `applied`, `proven`,
    `rolled back`, `orphaned` or `lease lost`."""

    at: float
    what: str
    fault: str
    seen: str = ""


@dataclass
class Injection:
    """Faults that are on. `proofs` has what was seen of each; `rolled_back_at` (`time.monotonic()`) when
    the last one was taken off."""

    faults: tuple[Fault, ...]
    reach: Reach
    _injector: "Injector"
    proofs: dict[Fault, str] = field(default_factory=dict)
    rolled_back_at: float | None = None
    _on: list[Fault] = field(default_factory=list)
    _guard: threading.RLock = field(default_factory=threading.RLock)

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that are still on."""
        return tuple(self._on)

    def undo(self, *faults: Fault) -> None:
        """Take these off, or all. From any thread; may be repeated.

        Raises FaultOrphaned, after everything was tried."""
        with self._guard, uninterrupted():
            problems = [
                problem
                for fault in [each for each in reversed(self._on) if not faults or each in faults]
                if (problem := self._undo(fault)) is not None
            ]
            if not self._on:
                self.rolled_back_at = time.monotonic()
        if problems:
            raise _all_of(problems)

    def _undo(self, fault: Fault) -> FaultOrphaned | None:
        deadline = time.monotonic() + UNDO_LIMIT_S
        while True:
            try:
                fault.undo(self.reach)
            except (FaultError, AwsError, OSError) as error:
                if time.monotonic() < deadline:
                    time.sleep(UNDO_PAUSE_S)
                    continue
                self._on.remove(fault)
                self._injector.notify("orphaned", fault, str(error))
                return FaultOrphaned(f"{fault} could not be undone: {error}", self._by_hand(fault))
            self._on.remove(fault)
            own_faults.taken_off(fault.label)
            self._injector.notify("rolled back", fault)
            return None

    def _by_hand(self, fault: Fault) -> str:
        try:
            return fault.by_hand(self.reach)
        except (FaultError, AwsError):
            return f"hokusai-validation chaos stop {self.reach.target.name}"


class Injector:
    """Puts faults on one target. Used from one thread; `undo` of what it gives is safe from others."""

    def __init__(
        self,
        target: Target,
        secrets: Secrets,
        *,
        recorder: Recorder | None = None,
        lease_s: float = LEASE_S,
        gate: Gate | None = None,
    ) -> None:
        self.target = target
        self.recorder = recorder
        self.events: list[Event] = []
        self.observers: list[Callable[[Event], None]] = []
        self._secrets = secrets
        self._gate = gate or Gate(target)
        self._renewer = Renewer(lease_s, lost=self._lease_lost)
        self._injections: list[Injection] = []
        self._orphaned: list[dict[str, str]] = []

    @classmethod
    def from_target(
        cls,
        target: Target,
        secrets: Secrets,
        *,
        recorder: Recorder | None = None,
        gate: Gate | None = None,
    ) -> Self:
        """Clients are made when a fault needs them. Without a `gate` nobody confirmed anything."""
        return cls(target, secrets, recorder=recorder, gate=gate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take off whatever is still on, and close connections.

        Raises FaultOrphaned."""
        try:
            problems = []
            for injection in reversed(self._injections):
                try:
                    injection.undo()
                except FaultOrphaned as error:
                    problems.append(error)
            if problems:
                raise _all_of(problems)
        finally:
            self._renewer.close()
            for name in ("links", "control", "aws"):
                if name in self.__dict__:
                    self.__dict__.pop(name).close()

    @cached_property
    def links(self) -> "LinkClient":
        """The target's links. Raises TargetInvalid where it has none."""
        from hokusai_validation.resources.links import LinkClient

        return LinkClient.from_target(self.target)

    @cached_property
    def control(self) -> "ControlClient":
        """The target's control agent. Raises TargetInvalid where it has none."""
        from hokusai_validation.resources.control import ControlClient

        return ControlClient.from_target(self.target, self._secrets)

    @cached_property
    def aws(self) -> "Aws":
        """The target's AWS account. Raises TargetInvalid where it has none."""
        from hokusai_validation.resources.aws.client import Aws

        return Aws.from_target(self.target, self._secrets)

    @contextlib.contextmanager
    def fault(self, *faults: Fault, prove: bool = True) -> Iterator[Injection]:
        """These faults are on in the block, and proven before it begins.

        Raises NotPermitted, TargetBusy (nothing was done), FaultNotApplied, FaultNotProven (it was
        undone), and FaultOrphaned behind the block."""
        check_permitted(faults, self._gate)
        reach = Reach(
            self.target,
            lease=f"hokusai-{uuid.uuid4().hex[:12]}",
            make_links=lambda: self.links,
            make_control=lambda: self.control,
            make_aws=lambda: self.aws,
        )
        injection = Injection(faults, reach, self)
        what = f"faults: {', '.join(sorted({fault.kind.value for fault in faults}))}"
        with (
            TargetLock(self.target, what, wait_s=LOCK_WAIT_S),
            ExperimentLock(self.target, what, wait_s=LOCK_WAIT_S),
            sigterm_is_ctrl_c(),
            self._watchdog(injection),
            own_faults.on(),
        ):
            self._injections.append(injection)
            try:
                self._put_on(injection)
                if prove:
                    self._prove(injection)
                yield injection
            finally:
                self._take_off(injection)

    def notify(self, what: str, fault: Fault | str, seen: str = "") -> None:
        """Note an event, and tell whoever listens."""
        event = Event(time.monotonic(), what, str(fault), seen)
        self.events.append(event)
        for observer in self.observers:
            observer(event)

    def _watchdog(self, injection: Injection) -> contextlib.AbstractContextManager[None]:
        """Somebody who puts right what leases don't, should we be killed."""
        from hokusai_validation.chaos.watchdog import Watchdog

        unleased = any(fault.needs_watchdog for fault in injection.faults)
        if not unleased and any(fault.leased_by == "links" for fault in injection.faults):
            with contextlib.suppress(AgentFailed):  # told when the fault is put on
                unleased = not injection.reach.links.has_leases
        return Watchdog.of(self.target).watching(unleased=unleased)

    def _put_on(self, injection: Injection) -> None:
        holders = {fault.leased_by for fault in injection.faults}
        try:
            for fault in injection.faults:
                fault.check(injection.reach)
            if "links" in holders and injection.reach.links.has_leases:
                self._renewer.hold(injection.reach.lease, injection.reach.links)
            if "control" in holders:
                self._renewer.hold(injection.reach.lease, injection.reach.control)
            for fault in injection.faults:
                # Listed before it is put on: an interruption in between must take it off too.
                injection._on.append(fault)
                own_faults.put_on(fault.label)
                fault.apply(injection.reach)
                self.notify("applied", fault)
        except AgentFailed as error:
            raise FaultNotApplied(str(error)) from None

    def _prove(self, injection: Injection) -> None:
        def proof(fault: Fault) -> str:
            return fault.prove(injection.reach)

        try:
            with ThreadPoolExecutor(max_workers=max(1, len(injection.faults))) as pool:
                for fault, seen in zip(injection.faults, pool.map(proof, injection.faults), strict=True):
                    injection.proofs[fault] = seen
                    self.notify("proven", fault, seen)
        except AgentFailed as error:
            raise FaultNotApplied(str(error)) from None

    def _take_off(self, injection: Injection) -> None:
        try:
            injection.undo()
        except FaultOrphaned as error:
            self._note_orphaned(error)
            raise
        finally:
            with uninterrupted():
                self._renewer.release(injection.reach.lease)
                self._injections.remove(injection)

    def _note_orphaned(self, error: FaultOrphaned) -> None:
        self._orphaned.append({"fault": str(error), "command": error.command})
        if self.recorder is not None:
            self.recorder.record(ORPHANED, self._orphaned)

    def _lease_lost(self, lease: str, problem: str) -> None:
        self.notify("lease lost", lease, problem)


def _all_of(problems: Sequence[FaultOrphaned]) -> FaultOrphaned:
    if len(problems) == 1:
        return problems[0]
    return FaultOrphaned(
        "; ".join(str(problem) for problem in problems), " && ".join(problem.command for problem in problems)
    )
