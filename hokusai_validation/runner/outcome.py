"""What the end of a test means: whose fault it is, and in which words."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from hokusai_validation.errors import (
    AwsNotFound,
    AwsPermissionMissing,
    ExpectationUnmet,
    HokusaiError,
    NotConfigured,
    NotExecuted,
    NotPermitted,
    RequestFailed,
    TimeBudgetSpent,
    UnhealthyBefore,
)
from hokusai_validation.result import SkipReason, Status
from hokusai_validation.runner.timelimit import TimeLimit

# Worst first: an attempt is as bad as its worst part (set-up, call, tear-down).
_ORDER = (Status.FAILED, Status.BROKEN, Status.SKIPPED, Status.PASSED)


@dataclass(frozen=True)
class Raised:
    """What ended a part of a test: `when` is pytest's word for the part (`setup`, `call`, `teardown`),
    `file` the test's own."""

    error: BaseException
    when: str
    file: Path

    @property
    def status(self) -> Status:
        """What that means for the test."""
        return status_of(self.error, self.when, self.file)


def status_of(error: BaseException, when: str = "call", file: Path | None = None) -> Status:
    """`failed` where something expected of the target does not hold, `skipped` for pytest.skip and for
    what the target file does not permit, else `broken`: we could not judge. A group is `failed` when
    all in it are. `when` and `file` are those of `Raised`; without a file, every one is a test's."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:  # one that was never raised by itself is told by the group
            if each.__traceback__ is None:
                each.__traceback__ = error.__traceback__
        inner = {status_of(each, when, file) for each in error.exceptions}
        return Status.FAILED if inner == {Status.FAILED} else Status.BROKEN
    if isinstance(error, pytest.skip.Exception | NotExecuted | AwsPermissionMissing | NotPermitted):
        return Status.SKIPPED
    return Status.FAILED if _of_the_target(error, when, file) else Status.BROKEN


def _of_the_target(error: BaseException, when: str, file: Path | None) -> bool:
    """Whether it tells of the target. An expectation does wherever it is held, a request that failed
    until we clean up, and what pytest knows (`assert`, `fail`) where the test itself says it: raised
    elsewhere it is a fixture's, a library's or a cut-off import's."""
    if isinstance(error, ExpectationUnmet):
        return True
    if isinstance(error, RequestFailed | AwsNotFound):
        return when != "teardown"
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return when == "call" and file in (None, _raised_in(error))
    return False


def _raised_in(error: BaseException) -> Path | None:
    """The file of the statement that raised it; pytest's own frames count as their caller."""
    files = []
    trace = error.__traceback__
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    own = [each for each in files if "_pytest" not in Path(each).parts]
    return Path(own[-1]) if own else None


# Most specific first.
_SKIP_REASONS: tuple[tuple[type[HokusaiError], SkipReason], ...] = (
    (UnhealthyBefore, SkipReason.UNHEALTHY_BEFORE),
    (TimeBudgetSpent, SkipReason.TIME_BUDGET),
    (NotConfigured, SkipReason.NOT_CONFIGURED),
    (NotPermitted, SkipReason.NOT_PERMITTED),
    (AwsPermissionMissing, SkipReason.NOT_PERMITTED),
)


def skip_reason_of(error: BaseException) -> SkipReason | None:
    """Why the test that this ended was not executed; None where it only saw that nothing is there to
    be judged."""
    return next((reason for kind, reason in _SKIP_REASONS if isinstance(error, kind)), None)


def blocked_by(error: BaseException) -> str | None:
    """The component that was not well before the test that this ended."""
    return error.component if isinstance(error, UnhealthyBefore) else None


def requests_failed(error: BaseException) -> tuple[RequestFailed, ...]:
    """The failed requests in an exception, itself or those of its group."""
    if isinstance(error, BaseExceptionGroup):
        return tuple(found for each in error.exceptions for found in requests_failed(each))
    return (error,) if isinstance(error, RequestFailed) else ()


def message_of(error: BaseException) -> str:
    """One short text for a reader: what was raised says, with its type where that helps."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(message_of(each) for each in error.exceptions)
    if isinstance(error, AwsPermissionMissing):
        return f"missing permission {error.action}"
    try:
        text = str(getattr(error, "msg", "") or error).strip()
    except Exception as why:  # a text is made by whoever made the error
        return f"{type(error).__name__}, whose text can't be made ({type(why).__name__})"
    worded = isinstance(
        error,
        HokusaiError | TimeLimit | AssertionError | pytest.skip.Exception | pytest.fail.Exception,
    )
    if not worded or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text


def worst(statuses: list[Status]) -> Status:
    """Of an attempt's parts; `passed` when nothing was raised."""
    return min(statuses, key=_ORDER.index, default=Status.PASSED)
