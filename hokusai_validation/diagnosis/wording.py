"""The sentences of a finding, filled in with what was seen: places, times, codes, shares."""

from hokusai_validation import operations
from hokusai_validation.diagnosis.advice import advice, fill
from hokusai_validation.diagnosis.candidates import Candidate
from hokusai_validation.diagnosis.evidence import VALIDATION, Evidence
from hokusai_validation.diagnosis.signs import ANSWERS
from hokusai_validation.report import Cause, Duty
from hokusai_validation.target import Target
from hokusai_validation.topology import Role


class Wording:
    """The texts of `advice.toml` for one cause."""

    def __init__(self, cause: Candidate, target: Target) -> None:
        self._cause = cause
        aws = target.aws
        in_aws = aws is not None and cause.place in aws.services
        self._service = aws.services[cause.place].service if aws and in_aws else cause.place
        self._subject = _subject(cause)

    def filled(self, text: str) -> str:
        """A sentence with its places filled in."""
        return fill(text, component=self._cause.place, subject=self._subject, service=self._service)

    def title(self) -> str:
        """What is wrong, where, and when if not always."""
        cause = self._cause
        place = f"{cause.place} ({cause.instance})" if cause.instance else cause.place
        title = fill(advice(cause.cause).title, component=place, subject=self._subject, service=self._service)
        if cause.cause is Cause.BAD_INSTANCE and cause.instance is None:
            title += " (it is not known which: the target file tells none apart)"
        if cause.asker is not None and cause.kind.every:
            who = "the validation" if cause.asker == VALIDATION else cause.asker
            title = f"{title.rstrip('.')} (for {who} alone; others reach it)"
        return title + _when(cause)


def consequence(effect: Candidate, target: Target) -> str:
    """One line for what follows from a cause."""
    tests = len({each.row.test for each in effect.signs})
    return f"{Wording(effect, target).title()} (seen by {tests} test{'' if tests == 1 else 's'})"


def _when(cause: Candidate) -> str:
    found = cause.timing
    if cause.cause is Cause.WRONG_STATUS and cause.operation:
        statuses = sorted({each.status for each in cause.signs if each.status is not None})
        said = f" is answered {' or '.join(str(each) for each in statuses)}" if statuses else ""
        return f": {_spelled(cause.operation)}{said}"
    if found.duty is Duty.ONCE and found.began and found.ended:
        length = (found.ended - found.began).total_seconds()
        return f": for at most {length:.0f} s from {found.began:%H:%M:%S} UTC"
    if found.duty is Duty.SHARE:
        return f": {found.rate:.1%} of what was asked"
    return ""


def _subject(cause: Candidate) -> str:
    """What was seen, in a few words; never what a target wrote in an answer's body."""
    for each in cause.signs:
        if each.fact is not None and each.fact.seen and each.sign not in ANSWERS:
            return each.fact.seen
    first = next(iter(cause.signs), None)
    return _said(first) if first is not None else ""


def _said(one: Evidence) -> str:
    """`GET /health?detailed=true at api-2 was answered 500`."""
    what = _spelled(one.operation) or one.place
    where = f" at {one.instance}" if one.instance else ""
    if one.status is not None:
        return f"{what}{where} was answered {one.status}"
    code = f" ({one.code})" if one.code else ""
    return f"{what}{where}: {str(one.sign).replace('_', ' ')}{code}"


def _spelled(operation: str) -> str:
    """An operation of the API's as a person would type it, where it is one request; else its name."""
    found = operations.find(operation)
    return found.example if found.example and found.role == Role.API_GATEWAY else operation
