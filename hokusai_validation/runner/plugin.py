"""The pytest plugin that makes rows of tests.

Every attempt at a catalogued test becomes one row, on record the moment it ends, by the process that
ran it. A hanging test, a test file that can't be imported, a dying test process: each still gives
rows. Tests that only read run side by side, with `--processes`; those that change the target or measure
(`exclusive`) run alone behind them.
"""

import copy
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from hokusai_validation.catalogue import Entry, needs
from hokusai_validation.errors import EarlierFailed, HokusaiError
from hokusai_validation.redaction import shown
from hokusai_validation.reporting.escape import plain
from hokusai_validation.resources import hanging, shared
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.recording import recording
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Progress, Result, Status
from hokusai_validation.runner import again, outcome, rows, selection, side_by_side, stall
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.reading import Reading
from hokusai_validation.runner.selection import SUITE_DIR
from hokusai_validation.runner.settings import add_options, read_settings
from hokusai_validation.runner.state import STATE, State
from hokusai_validation.runner.timelimit import TEARDOWN_LEAST_S, Allowance, limit_s
from hokusai_validation.runner.warming import preload
from hokusai_validation.runner.watch import Watch

EVIDENCE = pytest.StashKey[Evidence]()
WATCH = pytest.StashKey[Watch]()
RAISED = pytest.StashKey[list[outcome.Raised]]()

ALLOWANCE = pytest.StashKey[Allowance]()

# A report's property that carries progress from the process that ran the test to the controller.
PROGRESS = "hokusai_progress"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's options."""
    add_options(parser)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read what was asked for. No target is needed to list or collect tests."""
    config.option.continue_on_collection_errors = True
    if config.option.collectonly or config.option.help:
        return
    try:
        settings = read_settings(config)
    except HokusaiError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[STATE] = State(settings, Secrets(settings.target), config.rootpath)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over test files in which nothing was asked for: their imports cost time."""
    if collection_path.parent != SUITE_DIR or not collection_path.name.startswith("test_"):
        return None
    state = config.stash.get(STATE, None)
    if collection_path.name == selection.DECLARED and (state is None or not state.settings.target.checks):
        return True
    held = () if state is None else selection.entries_in(collection_path, state.settings.target)
    if state is None or not held:
        return None
    return None if any(state.settings.selection.wants(entry) for entry in held) else True


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember which tests an unusable test file would have held. (The hook has no config.)"""
    if not report.failed or _current is None:
        return
    path = Path(str(report.nodeid).partition("::")[0])
    places = (_current.root / path, SUITE_DIR / path.name)
    file = next((each for each in places if each.is_file()), path)
    text = str(report.longrepr).strip().splitlines()
    last = text[-1].removeprefix("E").strip() if text else "unknown error"
    for entry in selection.entries_in(file, _current.settings.target):
        _current.unimportable[entry.test] = f"{file.name} can't be imported ({shown(last, 300)})"


_current: State | None = None


def pytest_sessionstart(session: pytest.Session) -> None:
    """One state a process, for the hooks that are given no configuration."""
    global _current
    _current = session.config.stash.get(STATE, None)
    if _current is not None:
        _current.stalls.start()
        hanging.begin_with(_current.settings.known.hung)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what was asked for; the ones that run alone come last."""
    state = config.stash.get(STATE, None)
    if state is None:
        return
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        entry = selection.entry_of(item, state.settings.target)
        wanted = entry is None or state.settings.selection.wants(entry)
        (kept if wanted else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=lambda item: selection.order(selection.entry_of(item, state.settings.target)))
    state.collected |= {selection.test_name(item.nodeid) for item in items}


def _catalogued(item: pytest.Item) -> tuple[State | None, Entry | None]:
    """The state that a test's row belongs to, and the test's entry; None where it gives no row."""
    state = item.config.stash.get(STATE, None)
    return state, None if state is None else selection.entry_of(item, state.settings.target)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test. Tests without an entry in the catalogue run as pytest would run them and give no row."""
    state, entry = _catalogued(item)
    if state is None or entry is None:
        return None
    _run(state, item, nextitem, entry, 1)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """First the tests that only read, side by side; after all tests, once more those whose failure can
    have been of the moment; last what reads what was seen meanwhile."""
    state = session.config.stash.get(STATE, None)
    if state is None:
        return (yield)
    readers = [item for item in session.items if _looked_on(item)]
    with _watched(session, state):
        session.items[:] = [item for item in session.items if item not in readers]
        if state.settings.processes > 1:
            _side_by_side(session, state)
        done = yield
        again.run(session, state, _run)
        for item in readers if not session.shouldstop else ():
            if entry := selection.entry_of(item, state.settings.target):
                _run(state, item, None, entry, 1)
        again.leave(state)  # it would read the same
    return done


@contextmanager
def _watched(session: pytest.Session, state: State) -> Iterator[None]:
    """From the first test on, for the test that tells of it."""
    if not any(map(_looked_on, session.items)):
        yield
        return
    watch = Watch.begin(state.settings.target, state.secrets, state.places)
    session.config.stash[WATCH] = watch
    try:
        yield
    finally:
        watch.end()


def _side_by_side(session: pytest.Session, state: State) -> None:
    """Run what may run beside others, and leave the rest to the session."""
    reading = {
        item: entry.phase
        for item in session.items
        if (entry := selection.entry_of(item, state.settings.target)) is not None and not entry.exclusive
    }
    if len(reading) > 1:
        preload()
        shared.begin()
        with state.budget.together(reading.values()):
            side_by_side.run(tuple(reading), state.settings.processes, Reading(session, state, _run))
        session.items[:] = [item for item in session.items if item not in reading]


def _run(state: State, item: pytest.Item, nextitem: pytest.Item | None, entry: Entry, attempt: int) -> Result:
    """One attempt, reported to pytest and sent as a row, unless it is a second one that was not made."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    under_way = state.book.under_way(entry.test) if entry.exclusive else nullcontext()
    with state.budget.spending(entry), under_way:
        reports, row, for_earlier = _attempt(state, item, nextitem, entry, attempt)
    if attempt > 1 and row.status is Status.SKIPPED:  # no time, nobody to ask: it says nothing new
        return row
    state.record(row)
    if row.executed:
        state.budget.tried(entry)
    stalled = entry.test in state.stalled
    again = state.second.defer(item, entry, reports, row, for_earlier=for_earlier, stalled=stalled)
    progress = (PROGRESS, Progress.of(row).model_dump_json())
    reports[-1].user_properties.append(progress)
    for report in reports:
        if again and report.failed:
            report.outcome = "rerun"  # type: ignore[assignment]
        item.ihook.pytest_runtest_logreport(report=report)
    reports[-1].user_properties.remove(progress)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return row


def _attempt(
    state: State, item: pytest.Item, nextitem: pytest.Item | None, entry: Entry, attempt: int
) -> tuple[list[pytest.TestReport], Result, bool]:
    evidence = state.evidence = Evidence(state.settings.target)
    item.stash[EVIDENCE] = evidence
    began_s = time.monotonic()
    raised: list[outcome.Raised] = []
    item.stash[RAISED] = raised
    item.stash[ALLOWANCE] = Allowance(limit_s(entry, state.settings.target))
    started_at = datetime.now(UTC)
    state.running = (entry, attempt, started_at)
    recorder = Recorder(state.places, f"{entry.id}.{attempt}.")
    with recording(recorder):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    state.running = None
    status = outcome.worst([each.status for each in raised])
    telling = [each.error for each in raised if each.status is status]
    for error in telling if status is Status.FAILED else ():
        for failed in outcome.requests_failed(error):
            evidence.fact_of(failed, entry.component)
    if status in (Status.FAILED, Status.BROKEN):
        evidence.record("trace_id", recorder.trace_id)
    details = [str(report.longrepr) for report in reports if report.failed and report.longrepr]
    message = "; ".join(outcome.message_of(error) for error in telling)
    facts, observations = evidence.facts, recorder.finished(passed=status is Status.PASSED)
    stalls = state.stalls.since(began_s)
    if stalls:
        observations = stall.untouched(observations, stalls)
        evidence.record("stood_still_s", [round(each.lasted_s, 1) for each in stalls])
        if status is Status.FAILED:
            status, facts, message = Status.BROKEN, (), f"{stall.told(stalls)}: {message}"
            if attempt == 1:
                state.stalled.add(entry.test)
    row = Result(
        run_id=state.settings.run_id,
        target=state.settings.target.name,
        phase=entry.phase,
        category=entry.category,
        id=entry.id,
        test=entry.test,
        component=state.settings.target.named(entry.component),
        critical=entry.critical,
        status=status,
        started_at=started_at,
        duration_s=sum(report.duration for report in reports),
        message=message,
        detail="\n".join(details),
        evidence=evidence.values,
        facts=facts,
        observations=observations,
        metrics=evidence.metrics,
        attempt=attempt,
        flaky=attempt > 1 and status is Status.PASSED and entry.test not in state.stalled,
        skip_reason=next(filter(None, map(outcome.skip_reason_of, telling)), None)
        if status is Status.SKIPPED
        else None,
        blocked_by=next(filter(None, map(outcome.blocked_by, telling)), None)
        if status is Status.SKIPPED
        else None,
    )
    for_earlier = status is Status.SKIPPED and any(isinstance(each, EarlierFailed) for each in telling)
    finished = rows.finished(row, state.secrets.redactor)
    if state.tracing is not None:
        state.tracing.add(finished, recorder.trace_id, recorder.span_id)
    raised.clear()  # their tracebacks hold what a target answered, up to 16 MiB each
    return reports, finished, for_earlier


def _looked_on(item: pytest.Item) -> bool:
    """Whether a test only reads what was seen while the others ran: it takes no time of its own."""
    return "watch" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """A test whose target lacks what it needs is skipped before any fixture is built."""
    state, entry = _catalogued(item)
    if state is None or entry is None:
        return (yield)
    settings = state.settings
    unmet = needs.first_unmet(entry, settings.target) or settings.gate.unmet(entry.needs)
    if unmet is not None:
        raise unmet
    if not _looked_on(item):
        state.budget.check(entry)
    with item.stash[ALLOWANCE].limited(entry.test, state.give_up):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """The test itself, within what its set-up left of the limit."""
    state, entry = _catalogued(item)
    if state is None or entry is None:
        return (yield)
    with item.stash[ALLOWANCE].limited(entry.test, state.give_up):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Tearing down always has some time: it is what puts the target right again."""
    state, entry = _catalogued(item)
    if state is None or entry is None:
        return (yield)
    with item.stash[ALLOWANCE].limited(entry.test, state.give_up, least_s=TEARDOWN_LEAST_S):
        return (yield)


@pytest.hookimpl(tryfirst=True, specname="pytest_runtest_makereport")
def pytest_report_of_skipped(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    """A reason of ours to leave a test out is told to pytest as one: what it takes for a failure it shows
    with the source of every frame, which it parses each time anew, for 20 ms a test."""
    if call.excinfo is None or RAISED not in item.stash:
        return None
    reason = call.excinfo.value
    if outcome.Raised(reason, call.when, item.path).status is not Status.SKIPPED:
        return None
    left_out = pytest.skip.Exception(outcome.message_of(reason))
    told = copy.copy(call)
    told.excinfo = pytest.ExceptionInfo.from_exc_info((type(left_out), left_out, call.excinfo.tb))
    return pytest.TestReport.from_item_and_call(item, told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what was raised, and mask secrets in what pytest itself prints."""
    try:
        report = yield
    except Exception as trouble:
        report = _unshown(item, call, trouble)
    if call.excinfo is not None and RAISED in item.stash:
        raised = outcome.Raised(call.excinfo.value, call.when, item.path)
        item.stash[RAISED].append(raised)
        if report.failed and raised.status is Status.SKIPPED:
            report.outcome = "skipped"
            file, line, _ = report.location
            report.longrepr = (file, line or 0, f"Skipped: {outcome.message_of(call.excinfo.value)}")
    state = item.config.stash.get(STATE, None)
    if state is not None:
        redactor = state.secrets.redactor

        def printable(text: str) -> str:
            return plain(redactor.text(text))

        if isinstance(report.longrepr, tuple):
            path, line, reason = report.longrepr
            report.longrepr = (path, line, printable(reason))
        elif report.longrepr is not None:
            text = str(report.longrepr)
            if (harmless := printable(text)) != text:
                report.longrepr = harmless
        report.sections = [(name, printable(text)) for name, text in report.sections]
    return report


def _unshown(item: pytest.Item, call: pytest.CallInfo[None], trouble: Exception) -> pytest.TestReport:
    """A report for an error that pytest can't show: it would end the process for one whose line is not known."""
    raised = "nothing" if call.excinfo is None else outcome.message_of(call.excinfo.value)
    return pytest.TestReport(
        item.nodeid,
        item.location,
        dict.fromkeys(item.keywords, 1),
        "passed" if call.excinfo is None else "failed",
        f"{raised}\n(pytest could not show where it was raised: {outcome.message_of(trouble)})",
        "call" if call.when == "collect" else call.when,
        duration=call.duration,
        start=call.start,
        stop=call.stop,
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell of the row that a report's test has."""
    state = _current
    if state is None or state.told is not None:
        return
    text = dict(report.user_properties).get(PROGRESS)
    if text is not None:
        state.note(Progress.model_validate_json(str(text)))


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """How a first attempt that will be followed by a second one shows on the terminal."""
    if str(report.outcome) == "rerun":
        return "again", "R", ("FAILED, AGAIN", {"yellow": True})
    return None


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Say in the rows why the rest is missing."""
    if _current is not None:
        _current.interrupted = "the suite was interrupted"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Rows for everything in scope that has none yet, then close what carries them."""
    global _current
    state = session.config.stash.get(STATE, None)
    if state is None:
        return
    if state.told is None:
        state.send_missing(narrowed=selection.is_narrowed(session.config))
        if state.settings.pipes is not None:
            state.settings.pipes.close()
        _current = None
    state.stalls.stop()
    if not state.close():
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
