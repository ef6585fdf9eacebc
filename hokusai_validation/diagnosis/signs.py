"""What can be seen of a failure, in one vocabulary: error classes of observations, and those kinds of
fact that no error class says. Groups of signs are what the table of kinds is written in."""

from collections.abc import Mapping, Set
from enum import StrEnum
from typing import TypeAlias

from hokusai_validation.facts import FactKind as F
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.observation import Observation


class Refined(StrEnum):
    """Error classes that their native code makes sharper."""

    LOGIN_RULE = "login_rule"  # refused before any password was looked at
    STORE_DENIED = "store_denied"  # the artifact store refuses the role
    COMMAND_DENIED = "command_denied"  # the cache's user may not do it
    HOP_FAILED = "hop_failed"  # whoever stands before it could not reach it, or got nothing of use
    HOP_TIMED_OUT = "hop_timed_out"
    NEXT_FAILED = "next_failed"  # whatever leads on over one edge is answered as a gateway does, nothing else


Sign: TypeAlias = E | F | Refined

_REFINED: Mapping[tuple[E, str, str], Refined] = {
    (E.LOGIN_REFUSED, "postgresql", "28000"): Refined.LOGIN_RULE,
    (E.PERMISSION, "redis", "NOPERM"): Refined.COMMAND_DENIED,
    (E.FORBIDDEN, "aws", "AccessDenied"): Refined.STORE_DENIED,
}
# Whatever the code is: it may be the action that is missing.
_REFINED_OF: Mapping[tuple[E, str], Refined] = {(E.FORBIDDEN, "s3"): Refined.STORE_DENIED}


def of_observation(seen: Observation) -> Sign:
    """The sign of an observation that is not ok."""
    found = seen.error_class or E.UNKNOWN
    if (native := seen.native) is None:
        return found
    by_system = _REFINED_OF.get((found, native.system), found)
    return _REFINED.get((found, native.system, native.code), by_system)


# Kinds of fact that say no more than an error class does.
OF_FACT: Mapping[F, E] = {
    F.REFUSED: E.REFUSED,
    F.CONNECT_TIMED_OUT: E.CONNECT_TIMEOUT,
    F.READ_TIMED_OUT: E.READ_TIMEOUT,
    F.RESET: E.RESET,
    F.TLS_FAILED: E.TLS_HANDSHAKE,
    F.NAME_NOT_RESOLVED: E.NAME_NOT_FOUND,
    F.PASSWORD_REFUSED: E.LOGIN_REFUSED,
    F.SCHEMA_MISMATCH: E.WRONG_FORM,
    F.SLOW: E.SLOW,
    F.PERMISSION_MISSING: E.PERMISSION,
    F.READ_ONLY: E.READ_ONLY,
    F.STATEMENT_TIMEOUT: E.STATEMENT_TIMEOUT,
    F.BLOCKED: E.BLOCKED,
    F.REPLICA: E.REPLICA,
    F.STORE_FULL: E.OUT_OF_MEMORY,
}


def of_fact(kind: F) -> Sign:
    """A fact's kind as a sign."""
    return OF_FACT.get(kind, kind)


HOP: Set[Sign] = frozenset({Refined.HOP_FAILED, Refined.HOP_TIMED_OUT})
# The connection itself failed, or nothing came over it.
REACH: Set[Sign] = HOP | frozenset(
    {
        Refined.NEXT_FAILED,
        E.REFUSED,
        E.CONNECT_TIMEOUT,
        E.UNREACHABLE,
        E.READ_TIMEOUT,
        E.RESET,
        E.CLOSED_EARLY,
        E.NAME_NOT_FOUND,
        E.NAME_SERVER_FAILED,
        E.NAME_WITHOUT_ADDRESS,
        E.PROTOCOL,
    }
)
# It was not there, or says itself that it comes or goes.
OUT: Set[Sign] = REACH | {E.STARTING, E.SHUTTING_DOWN, F.DATABASE_NOT_AVAILABLE}
TLS: Set[Sign] = frozenset(
    {E.TLS_UNTRUSTED, E.TLS_CHAIN_INCOMPLETE, E.TLS_EXPIRED, E.TLS_NAME, E.TLS_HANDSHAKE}
)
# Signs that a busy machine gives, too.
TIMED: Set[Sign] = frozenset(
    {E.READ_TIMEOUT, E.CONNECT_TIMEOUT, E.SLOW, E.GATEWAY_TIMEOUT, Refined.HOP_TIMED_OUT}
)

# What a gateway answers for somebody behind it.
GATEWAY: Set[Sign] = frozenset({E.BAD_GATEWAY, E.UNAVAILABLE, E.GATEWAY_TIMEOUT})

# An answer came, and was not the promised one: by itself it names no cause.
ANSWERS: Set[Sign] = GATEWAY | {
    E.SERVER_ERROR,
    E.NOT_FOUND,
    E.METHOD,
    E.CONFLICT,
    E.BAD_REQUEST,
    E.REDIRECTED,
    E.FORBIDDEN,
    E.UNAUTHORIZED,
    E.WRONG_FORM,
    E.WRONG_VALUE,
    E.STATE,
    E.UNKNOWN,
    F.UNEXPECTED_STATUS,
    F.PROTOCOL_VIOLATED,
    F.PROXY_ERROR,
}
# Only an expectation makes a failure of these: a refused bad key is as promised.
ASKED_FOR: Set[Sign] = frozenset(
    {
        E.NOT_FOUND,
        E.METHOD,
        E.CONFLICT,
        E.BAD_REQUEST,
        E.REDIRECTED,
        E.FORBIDDEN,
        E.UNAUTHORIZED,
        E.CONSTRAINT,
        E.RATE_LIMITED,
        E.UNKNOWN,
    }
)

# What a component shows when something that it stands on is out, whether or not it could do without.
SOFT: Set[Sign] = (
    GATEWAY
    | HOP
    | {
        E.BREAKER_OPEN,
        E.READ_TIMEOUT,
        E.SLOW,
        E.STATE,
        E.UNKNOWN,
        E.WRONG_VALUE,
        F.UNEXPECTED_STATUS,
        F.PROTOCOL_VIOLATED,
        F.PROXY_ERROR,
        F.SERVICE_UNHEALTHY,
        F.NOT_RECOVERED,
        F.AVAILABILITY,
        F.ERROR_RATE,
        F.TARGET_UNHEALTHY,
        F.BREAKER_STUCK_OPEN,
        F.HEALTH_ANSWER_WRONG,
        F.LEFTOVERS,
    }
)
# What it shows when it can't do its work without it.
HARD: Set[Sign] = SOFT | {
    F.POOL_EXHAUSTED,
    E.SERVER_ERROR,
    E.UNAUTHORIZED,
    E.FORBIDDEN,
    E.CLOSED_EARLY,
    F.KEY_REFUSED,
    F.ARTIFACT_STORE_FAILED,
    F.SERVICE_BELOW_DESIRED,
    F.ROLLOUT_FAILED,
    F.TASK_RESTARTED,
}
# What slowness further in makes.
SLOWER: Set[Sign] = frozenset(
    {E.SLOW, E.READ_TIMEOUT, E.GATEWAY_TIMEOUT, F.ERROR_RATE, F.NOT_RECOVERED, F.AVAILABILITY}
)
# A promise of its own that nothing else can break: never a consequence of an outage.
NEVER_MISJUDGED: Set[Sign] = frozenset(
    {
        F.BAD_KEY_ACCEPTED,
        F.SECRET_LEAKED,
        F.CALLER_KEY_FORWARDED,
        F.RESET_WITHOUT_KEY,
        F.EVENT_LOOP_BLOCKED,
        F.SUPERUSER,
        F.HEALTH_CLAIMS_WELL,
    }
)
# Worth a finding even where the test that saw it passed.
ODD_ALWAYS: Set[Sign] = frozenset(
    {
        F.CERTIFICATE_EXPIRING,
        F.CONNECTIONS_NEAR_LIMIT,
        F.TASK_RESTARTED,
        F.HEALTH_ANSWER_WRONG,
        F.HEALTH_CLAIMS_WELL,
        F.SECRET_NEWER_THAN_TASKS,
        F.STORE_NEARLY_FULL,
        E.READ_ONLY,
        E.STATEMENT_TIMEOUT,
        E.BLOCKED,
        E.REPLICA,
        E.OUT_OF_MEMORY,
    }
)
