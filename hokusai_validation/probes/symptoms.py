"""What an error text that a service gives of itself means, in the diagnosis's vocabulary.

The text is known to be of an error, so single words say enough; the diagnosis, which reads any
message, looks for a driver's whole phrases (`diagnosis/error_text.py`)."""

import re

from hokusai_validation.facts import FactKind
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target

_USER = re.compile(r"(?:for|role) (?:user )?[\"']?(\w+)[\"']?")

# In this order: a text may hold several ("connection to … failed: timed out").
_SYMPTOMS: tuple[tuple[str, FactKind], ...] = (
    (
        r"name or service not known|name resolution|getaddrinfo|nodename nor|does not exist \(asked",
        FactKind.NAME_NOT_RESOLVED,
    ),
    (
        r"password authentication failed|wrongpass|noauth|invalid password|authentication failed",
        FactKind.PASSWORD_REFUSED,
    ),
    (r"no pg_hba|role .* does not exist", FactKind.WRONG_DATABASE_USER),
    (r"permission denied|insufficient.?privilege", FactKind.PERMISSION_MISSING),
    (r"too many (?:connections|clients)|remaining connection slots|pool .*exhaust", FactKind.POOL_EXHAUSTED),
    (r"errno 104\b", FactKind.RESET),  # asyncio says "connect call failed" of each errno
    (r"refused|connect call failed", FactKind.REFUSED),
    (r"certificate|\bssl\b|\btls\b", FactKind.TLS_FAILED),
    (r"connect\w* tim(?:ed|e)[ -]?out|connecttimeout", FactKind.CONNECT_TIMED_OUT),
    (r"tim(?:ed|e)[ -]?out|timeout|deadline", FactKind.READ_TIMED_OUT),
    (
        r"reset|broken pipe|disconnected|can ?not write request|closed (?:the )?connection|connection .*closed|\beof\b",
        FactKind.RESET,
    ),
)
TIMED_OUT = (FactKind.CONNECT_TIMED_OUT, FactKind.READ_TIMED_OUT)


def symptom(text: str) -> FactKind | None:
    """The kind of failure that an error text tells of, or None."""
    lowered = text.lower()
    return next((kind for pattern, kind in _SYMPTOMS if re.search(pattern, lowered)), None)


def note_symptom(
    text: str, component: str, evidence: Evidence, target: Target, *, via: str | None = None
) -> FactKind | None:
    """Add the fact that an error text is; a refused login as another user than the target's is a
    wrong user. Gives the kind."""
    kind = symptom(text)
    if kind is None:
        return None
    if kind is FactKind.PASSWORD_REFUSED and component == "postgres" and target.database is not None:
        user = _USER.search(text)
        if user is not None and user.group(1) != target.database.user:
            kind = FactKind.WRONG_DATABASE_USER
    evidence.fact(kind, component, text, via)
    return kind
