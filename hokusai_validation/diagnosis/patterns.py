"""Error messages that are the same but for addresses, ids and times, counted over runs."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from hokusai_validation.diagnosis.history import History, Known
from hokusai_validation.report import ErrorPattern
from hokusai_validation.result import Result, Status

LENGTH = 200

# In this order: a time stamp holds numbers, a URL holds a host, a UUID holds hex.
_PLACES = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"(?i)\barn:aws[a-z-]*:[^\s'\",)]+"), "<arn>"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*)://[^\s/'\",)]+"), r"\1://<host>"),
    (re.compile(r"\[?\b(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}\]?"), "<address>"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b"), "<address>"),
    (re.compile(r"\b((?:[a-zA-Z][\w-]*\.)+[a-zA-Z]{2,}|localhost):\d{2,5}\b"), r"\1:<port>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{7,}\b"), "<id>"),
    (re.compile(r"\b[a-z]+-\d{8,}[\w-]*\b"), "<id>"),
    (re.compile(r"(?<![\w<])[-+]?\d+(\.\d+)?(e[-+]?\d+)?(?=\s?(ms|s|m|h|%|MB|KB|bytes|B|µs)\b)"), "<n>"),
    (re.compile(r"(?<![\w<.])\d+\.\d+(?![\w>])"), "<n>"),
    (re.compile(r"(?<![\w<])\d{4,}(?![\w>])"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def normalise(message: str) -> str:
    """The message with what varies taken out; status codes and small numbers stay, for they tell
    messages apart. Normalising twice changes nothing."""
    text = message[:2000]
    for pattern, replacement in _PLACES:
        text = pattern.sub(replacement, text)
    return text.strip()[:LENGTH].rstrip()


def count_patterns(rows: Iterable[Result]) -> dict[str, int]:
    """Pattern → how many failed or broken attempts carry it, the most frequent first."""
    counter = Counter(
        normalise(row.message)
        for row in rows
        if row.status in (Status.FAILED, Status.BROKEN) and row.message.strip()
    )
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def known_patterns(present: Iterable[str], history: History, at: datetime) -> dict[str, Known]:
    """Since when each present pattern has been there without a break, and in how many runs."""
    before = history.previous.known_patterns if history.previous else {}
    return {
        pattern: Known(since=before[pattern].since, runs=before[pattern].runs + 1)
        if pattern in before
        else Known(since=at)
        for pattern in present
    }


def patterns(rows: Iterable[Result], history: History, at: datetime) -> tuple[ErrorPattern, ...]:
    """New ones first, then those known since earlier, then those that the previous run had and this
    one has not (`gone`, with the count it had there)."""
    present = count_patterns(rows)
    known = known_patterns(present, history, at)
    ever = {pattern for run in history.runs for pattern in run.patterns}
    found = [
        ErrorPattern(
            pattern=pattern,
            count=count,
            state="known" if pattern in ever else "new",
            since=known[pattern].since,
        )
        for pattern, count in present.items()
    ]
    previous = history.previous
    gone = []
    if previous is not None:
        since = {pattern: known.since for pattern, known in previous.known_patterns.items()}
        gone = [
            ErrorPattern(pattern=pattern, count=count, state="gone", since=since.get(pattern))
            for pattern, count in previous.patterns.items()
            if pattern not in present
        ]
    found.sort(key=lambda item: (item.state == "known", -item.count, item.pattern))
    return (*found, *gone)
