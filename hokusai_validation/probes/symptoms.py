"""What an error text that a service gives of itself means, in the vocabulary of facts: the classifier's
reading of it (`resources/classification/`), which alone knows foreign words."""

import re
from collections.abc import Mapping

from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.resources.classification import of_text
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

_USER = re.compile(r"(?:for|role) (?:user )?[\"']?(\w+)[\"']?")
_NO_ROLE = re.compile(r'role "[^"]{0,80}" does not exist')

_KINDS: Mapping[E, FactKind] = {
    E.NAME_NOT_FOUND: FactKind.NAME_NOT_RESOLVED,
    E.NAME_WITHOUT_ADDRESS: FactKind.NAME_NOT_RESOLVED,
    E.NAME_SERVER_FAILED: FactKind.NAME_NOT_RESOLVED,
    E.LOGIN_REFUSED: FactKind.PASSWORD_REFUSED,
    E.PERMISSION: FactKind.PERMISSION_MISSING,
    E.CONNECTIONS_EXHAUSTED: FactKind.POOL_EXHAUSTED,
    E.READ_ONLY: FactKind.READ_ONLY,
    E.REPLICA: FactKind.REPLICA,
    E.OUT_OF_MEMORY: FactKind.STORE_FULL,
    E.STATEMENT_TIMEOUT: FactKind.STATEMENT_TIMEOUT,
    E.REFUSED: FactKind.REFUSED,
    E.CONNECT_TIMEOUT: FactKind.CONNECT_TIMED_OUT,
    E.READ_TIMEOUT: FactKind.READ_TIMED_OUT,
    E.RESET: FactKind.RESET,
    E.CLOSED_EARLY: FactKind.RESET,
    E.TLS_UNTRUSTED: FactKind.TLS_FAILED,
    E.TLS_CHAIN_INCOMPLETE: FactKind.TLS_FAILED,
    E.TLS_EXPIRED: FactKind.TLS_FAILED,
    E.TLS_NAME: FactKind.TLS_FAILED,
    E.TLS_HANDSHAKE: FactKind.TLS_FAILED,
}
TIMED_OUT = (FactKind.CONNECT_TIMED_OUT, FactKind.READ_TIMED_OUT)


def symptom(text: str) -> FactKind | None:
    """The kind of failure that an error text tells of, or None."""
    if _NO_ROLE.search(text):
        return FactKind.WRONG_DATABASE_USER
    read = of_text(text)
    return None if read is None else _KINDS.get(read.error_class)


def note_symptom(
    text: str, component: str, evidence: Evidence, target: Target, *, via: str | None = None
) -> FactKind | None:
    """Add the fact that an error text is; a refused login as another user than the target's is a
    wrong user. Gives the kind."""
    kind = symptom(text)
    if kind is None:
        return None
    if (
        kind is FactKind.PASSWORD_REFUSED
        and target.role(target.named(component)) is Role.DATABASE
        and target.database is not None
    ):
        user = _USER.search(text)
        if user is not None and user.group(1) != target.database.user:
            kind = FactKind.WRONG_DATABASE_USER
    evidence.fact(kind, component, text, via)
    return kind
