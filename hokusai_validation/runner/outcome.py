"""What the end of a test means: whose fault it is, and in which words."""

import pytest

from hokusai_validation.errors import (
    AwsNotFound,
    AwsPermissionMissing,
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


def status_of(error: BaseException) -> Status:
    """`failed` where the target is at fault, `skipped` for pytest.skip and for
    what the target file does not permit, else `broken`: we could not
    judge. A group is `failed` when all in it are."""
    if isinstance(error, BaseExceptionGroup):
        inner = {status_of(each) for each in error.exceptions}
        return Status.FAILED if inner == {Status.FAILED} else Status.BROKEN
    if isinstance(error, pytest.skip.Exception | NotExecuted | AwsPermissionMissing | NotPermitted):
        return Status.SKIPPED
    if isinstance(error, AssertionError | pytest.fail.Exception | RequestFailed | AwsNotFound):
        return Status.FAILED
    return Status.BROKEN


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
    text = str(getattr(error, "msg", "") or error).strip()
    ours = isinstance(
        error,
        HokusaiError | TimeLimit | AssertionError | pytest.skip.Exception | pytest.fail.Exception,
    )
    if not ours or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text


def worst(statuses: list[Status]) -> Status:
    """Of an attempt's parts; `passed` when nothing was raised."""
    return min(statuses, key=_ORDER.index, default=Status.PASSED)
