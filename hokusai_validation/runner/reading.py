"""The tests that only read, in processes beside the session's own: what each does, and what is heard of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from hokusai_validation.catalogue import Entry
from hokusai_validation.result import Result
from hokusai_validation.runner import selection
from hokusai_validation.runner.attempts import Deferred
from hokusai_validation.runner.settings import open_records
from hokusai_validation.runner.side_by_side import Message, Send
from hokusai_validation.runner.stall import StallWatch
from hokusai_validation.runner.state import State

Attempt = Callable[[State, pytest.Item, pytest.Item | None, Entry, int], Result]


@dataclass
class Reading:
    """A session's tests that only read, in processes beside it."""

    session: pytest.Session
    state: State
    attempt: Attempt
    reports: dict[str, list[pytest.TestReport]] = field(default_factory=dict)

    def begin(self, send: Send) -> None:
        """Connections and files of its own; what pytest would show goes to the session."""
        config, state = self.session.config, self.state
        capture = config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.stop_global_capturing()
            capture.start_global_capturing()
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(Forwarded(config, send))
        state.settings = replace(state.settings, records=open_records(config), pipes=None)
        state.told = send
        state.stalls = StallWatch()
        state.stalls.start()

    def run(self, item: pytest.Item, after: pytest.Item | None) -> None:
        """One attempt; whether another one is to follow is told behind its reports."""
        entry, waiting = selection.entry_of(item, self.state.settings.target), len(self.state.second.waiting)
        if entry is None or self.state.told is None:
            return
        self.attempt(self.state, item, after, entry, 1)
        for deferred in self.state.second.waiting[waiting:]:
            kind = None if deferred.kind is None else tuple(sorted(deferred.kind))
            self.state.told(Message(deferred=item.nodeid, kind=kind))

    def end(self) -> None:
        """Tear down what a test that was interrupted left, and write what still waits."""
        self.session._setupstate.teardown_exact(None)
        self.state.close()

    def hear(self, message: Message) -> None:
        """Of a test: as if it had run here."""
        if message.progress is not None:
            self.state.note(message.progress)
        elif message.report is not None:
            config = self.session.config
            report = config.hook.pytest_report_from_serializable(
                config=config, data=json.loads(message.report)
            )
            self.reports.setdefault(report.nodeid, []).append(report)
            config.hook.pytest_runtest_logreport(report=report)
        elif message.deferred is not None:
            item = next(each for each in self.session.items if each.nodeid == message.deferred)
            if entry := selection.entry_of(item, self.state.settings.target):
                reports = tuple(self.reports[item.nodeid])
                kind = None if message.kind is None else frozenset(message.kind)
                self.state.second.waiting.append(Deferred(item, entry, reports, kind))
                if kind is not None and ("stalled", entry.test) in kind:
                    self.state.stalled.add(entry.test)

    def died(self, item: pytest.Item) -> None:
        """A test took its process along; where that came of its limit, it has its row."""
        entry = selection.entry_of(item, self.state.settings.target)
        if entry is None or any(each.test == entry.test for each in self.state.reported):
            return
        self.state.send(self.state.broken(entry, "the test process died while it ran"))


@dataclass(frozen=True)
class Forwarded:
    """pytest's reports in a test process, on their way to the session."""

    config: pytest.Config
    send: Send

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send it."""
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.send(Message(report=json.dumps(data, default=str)))
