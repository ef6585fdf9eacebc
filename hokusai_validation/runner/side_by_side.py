"""Tests that only read, several at a time: forked test processes, each given the next group of tests that
belong together. Most of such a test is waiting for the target, above all for one that is broken: beside
processes that wait, more are started.

Each process keeps its own tests' rows and tells of them; one that dies takes only the test that it ran
along."""

import contextlib
import json
import os
import selectors
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn, Protocol

import psutil
import pytest
from _pytest.nodes import Node
from pydantic import BaseModel, ConfigDict

from hokusai_validation.result import Progress, Status
from hokusai_validation.runner.parentage import CLEAN_UP_S, end_with

LINE_LIMIT_BYTES = 16 * 1024 * 1024
_READ_BYTES = 65_536
_POLL_S = 0.2
# A process waits that used less than this share of so much time; as many times over there may be processes.
WAITING_SHARE, WAITING_S = 0.1, 0.5
MOST_TIMES = 3

Group = tuple[pytest.Item, ...]


class Message(BaseModel):
    """What a test process tells, one of these at a time: that it has begun or ended a test (by its node id),
    tears down the last one of its group, or wants the next group; pytest's report as
    JSON; the progress of a row that no report will carry; a test that
    is to be tried again, with the kind of its failure; how a second attempt at a test ended, and its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begun: str | None = None
    ended: str | None = None
    last: bool = False
    next: bool = False
    report: str | None = None
    progress: Progress | None = None
    deferred: str | None = None
    again: str | None = None
    status: Status | None = None
    kind: tuple[tuple[str, str], ...] | None = None


Send = Callable[[Message], None]


class Work(Protocol):
    """What the processes do, and what is heard of them."""

    def begin(self, send: Send) -> None:
        """In a new process, before its first test: from here on what is told of goes to `send`."""

    def run(self, item: pytest.Item, after: pytest.Item | None) -> None:
        """In a test process: one test; what `after` doesn't need any more is torn down."""

    def end(self) -> None:
        """In a test process, behind its last test."""

    def hear(self, message: Message) -> None:
        """In the first process: what `send` was given."""

    def died(self, item: pytest.Item) -> None:
        """In the first process: a test's process ended while it ran."""


def groups(items: Sequence[pytest.Item]) -> list[Group]:
    """What must run in one process, in its order: tests that share a fixture which is older than they are
    (one of a class, a module). Every other test is a group of its own."""
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        found.setdefault(_shared(item) or item.nodeid, []).append(item)
    return [tuple(group) for group in found.values()]


def _shared(item: pytest.Item) -> str:
    if not isinstance(item, pytest.Function):
        return ""
    path, *_ = item.nodeid.split("::")
    scopes = {each.scope for defined in item._fixtureinfo.name2fixturedefs.values() for each in defined}
    if scopes & {"module", "package"}:
        return path
    return item.nodeid.rpartition("::")[0] if "class" in scopes else ""


def run(items: Sequence[pytest.Item], processes: int, work: Work) -> None:
    """Run tests in up to `processes` processes at once, those that wait not counted. It returns when all of
    them have ended."""
    crew = _Crew(work, {item.nodeid: item for item in items}, deque(groups(items)))
    try:
        for _ in range(min(processes, len(crew.left))):
            crew.add()
        while crew.members:
            crew.listen()
            if len(crew.members) < processes * MOST_TIMES and crew.spare and crew.at_work < processes:
                crew.add()
    finally:
        crew.dismiss()


@dataclass(eq=False)
class _Member:
    """A test process: the group that it was given last, the tests that it has begun and ended."""

    pid: int
    channel: socket.socket
    group: Group = ()
    promised: bool = False  # another group
    begun: str | None = None
    ended: set[str] = field(default_factory=set)
    heard: bytes = b""
    looked: tuple[float, float] | None = None  # when, and the processor's seconds until then
    waits: bool = False

    def look(self) -> None:
        """Whether it waits, as far as its last `WAITING_S` seconds say."""
        now = time.monotonic()
        if self.looked is not None and now - self.looked[0] < WAITING_S:
            return
        try:
            process = psutil.Process(self.pid)
            used, runs = sum(process.cpu_times()[:2]), process.status() == psutil.STATUS_RUNNING
        except psutil.Error:
            return
        if self.looked is not None:
            # One that the machine lets wait for a processor would run.
            self.waits = not runs and used - self.looked[1] < WAITING_SHARE * (now - self.looked[0])
        self.looked = (now, used)


@dataclass
class _Crew:
    work: Work
    items: dict[str, pytest.Item]
    left: deque[Group]
    members: list[_Member] = field(default_factory=list)

    @property
    def spare(self) -> bool:
        """Whether there is a group that no process is promised."""
        return len(self.left) > sum(each.promised for each in self.members)

    @property
    def at_work(self) -> int:
        """How many processes do not wait."""
        for member in self.members:
            member.look()
        return sum(not member.waits for member in self.members)

    def add(self) -> None:
        """One more process, with a group to run."""
        ours, its = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            for each in (ours, *(member.channel for member in self.members)):
                each.close()
            _serve(its, parent, self.items, self.work)
        its.close()
        member = _Member(pid, ours)
        self.members.append(member)
        self._give(member)

    def _give(self, member: _Member) -> None:
        """The next group."""
        member.group, member.promised = self.left.popleft() if self.left else (), False
        self._say(member, [item.nodeid for item in member.group])

    def _promise(self, member: _Member) -> None:
        """Say whether there will be another group: what is the whole session's must go with its last test."""
        member.promised = self.spare
        self._say(member, member.promised)

    @staticmethod
    def _say(member: _Member, what: bool | list[str]) -> None:
        with contextlib.suppress(OSError):  # it has died: its end is read next
            member.channel.sendall(json.dumps(what).encode() + b"\n")

    def listen(self) -> None:
        """Hear what is told within a moment."""
        with selectors.DefaultSelector() as selector:
            for member in self.members:
                selector.register(member.channel, selectors.EVENT_READ, member)
            for key, _ in selector.select(_POLL_S):
                self._read(key.data)

    def _read(self, member: _Member) -> None:
        try:
            fresh = member.channel.recv(_READ_BYTES)
        except OSError:
            fresh = b""
        if not fresh:
            self._bury(member)
            return
        *lines, member.heard = (member.heard + fresh).split(b"\n")
        for line in lines:
            self._take(member, Message.model_validate_json(line))

    def _take(self, member: _Member, message: Message) -> None:
        if message.begun is not None:
            member.begun = message.begun
        elif message.ended is not None:
            member.ended.add(message.ended)
        elif message.last:
            self._promise(member)
        elif message.next:
            self._give(member)
        else:
            self.work.hear(message)

    def _bury(self, member: _Member) -> None:
        """A process has ended. What it was given and did not begin, another one does."""
        self.members.remove(member)
        member.channel.close()
        _wait(member.pid)
        rest = tuple(item for item in member.group if item.nodeid not in member.ended)
        cut_short = bool(rest)
        if rest and (member.begun is None or rest[0].nodeid == member.begun):
            self.work.died(rest[0])
            rest = rest[1:]
        if rest:
            self.left.appendleft(rest)
        if self.left and (cut_short or member.promised):
            self.add()

    def dismiss(self) -> None:
        """End what still runs: asked, so that it can put the target right, then killed."""
        for member in self.members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGTERM)
        deadline = time.monotonic() + CLEAN_UP_S + 1
        while self.members and time.monotonic() < deadline:
            for member in list(self.members):
                if os.waitpid(member.pid, os.WNOHANG)[0]:
                    self.members.remove(member)
                    member.channel.close()
            time.sleep(0.02)
        for member in self.members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
            _wait(member.pid)
            member.channel.close()
        self.members.clear()


def _wait(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


class _Between(pytest.Item):
    """What comes behind a group: it needs nothing but what is the whole session's, and not that either where
    no group will follow. That is asked when the last test is torn down: until then another process, that
    has nothing to wait for, may take the next one."""

    ask: Callable[[], bool]

    @cached_property
    def follows(self) -> bool:
        """Whether there is another group."""
        return self.ask()

    def listchain(self) -> list[Node]:
        """What pytest keeps for it."""
        return super().listchain() if self.follows else []

    def runtest(self) -> None:
        """Nothing."""


def _serve(channel: socket.socket, parent: int, items: dict[str, pytest.Item], work: Work) -> NoReturn:
    """The life of a test process."""
    status = 3
    try:
        end_with(parent)

        def send(message: Message) -> None:
            channel.sendall(message.model_dump_json(exclude_defaults=True).encode() + b"\n")

        work.begin(send)
        with channel.makefile("rb") as given:

            def promised() -> bool:
                send(Message(last=True))
                return bool(json.loads(given.readline(LINE_LIMIT_BYTES)))

            more = True
            while more:
                group = [items[name] for name in json.loads(given.readline(LINE_LIMIT_BYTES))]
                if not group:  # it went to a process in the place of one that died
                    break
                between = _Between.from_parent(group[0].session, name="between")
                between.ask = promised
                for item, after in zip(group, (*group[1:], between), strict=True):
                    send(Message(begun=item.nodeid))
                    work.run(item, after)
                    send(Message(ended=item.nodeid))
                if more := between.follows:
                    send(Message(next=True))
        work.end()
        status = 0
    except KeyboardInterrupt:
        with contextlib.suppress(Exception):
            work.end()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
