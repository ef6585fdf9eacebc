"""The table of causes: what each kind can be seen by, and where.

A line says, of a cause at a place (a component, or the edge from one asker to it):

- `own`: the signs, seen at that place, that propose it;
- `near`: further signs at the same place that it makes;
- `soft`, `hard`: signs that those show whose work leads on to the place, over edges that they can do
  without, and over edges that they can't;
- `behind`: whether what lies behind the place can't be seen while it holds;
- `instead`: signs of whoever should have been asked by way of the place, and was not;
- `every`: whether it hits whatever is asked there, so that any good answer speaks against it;
- `source`: where the rule comes from.

What stands in no set is not explained: a 500 by a component that can do without what is out, a wrong
form, a body that was lost. Kinds are in order: of two that are proposed at one place by signs that each
other's line holds, the first is taken."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from hokusai_validation.diagnosis.signs import (
    ANSWERS,
    HARD,
    HOP,
    REACH,
    SLOWER,
    SOFT,
    TLS,
    Sign,
)
from hokusai_validation.diagnosis.signs import Refined as R
from hokusai_validation.facts import FactKind as F
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.report import Cause as C

NOTHING: Set[Sign] = frozenset()


@dataclass(frozen=True)
class Kind:
    """One line of the table. `at_asker`: it is at whoever met the sign, not at who gave it."""

    cause: C
    own: Set[Sign]
    near: Set[Sign] = NOTHING
    soft: Set[Sign] = NOTHING
    hard: Set[Sign] = NOTHING
    behind: bool = False
    instead: Set[Sign] = NOTHING
    every: bool = False
    at_asker: bool = False
    source: str = ""


def _outage(cause: C, *own: Sign, near: Iterable[Sign] = (), every: bool = True, source: str) -> Kind:
    """Without it, those who need it can't work."""
    return Kind(
        cause,
        frozenset(own),
        near=frozenset(near) | REACH | (SOFT - {F.NOT_RECOVERED}) | {F.ARTIFACT_STORE_FAILED, F.KEY_REFUSED},
        soft=SOFT,
        hard=HARD,
        behind=True,
        every=every,
        source=source,
    )


def _store(cause: C, *own: Sign, near: Iterable[Sign] = (), at_asker: bool = False, source: str) -> Kind:
    """A store that answers, and not as it should: some of what is asked there fails."""
    return Kind(
        cause,
        frozenset(own),
        near=frozenset(near) | (SOFT - {F.NOT_RECOVERED}),
        soft=SOFT | {F.ARTIFACT_STORE_FAILED},
        hard=HARD,
        at_asker=at_asker,
        source=source,
    )


def _plain(cause: C, *own: Sign, near: Iterable[Sign] = (), soft: Iterable[Sign] = (), source: str) -> Kind:
    """A promise of its own that does not hold."""
    return Kind(cause, frozenset(own), near=frozenset(near), soft=frozenset(soft), source=source)


_SQL = "PostgreSQL, appendix A (SQLSTATE)"
_REDIS = "Redis, error prefixes"
_S3 = "Amazon S3, error responses"
_ERRNO = "POSIX, errno of connect(2) and recv(2)"
_CONTRACT = "the service contract"
_AWS = "AWS, what describe calls answer"

KINDS: tuple[Kind, ...] = (
    # who can't be reached; the surer sign first
    _outage(C.NAME_WITHOUT_ADDRESS, E.NAME_WITHOUT_ADDRESS, near={F.NAME_STALE}, source="RFC 2308, NODATA"),
    _outage(C.NAME_NOT_RESOLVED, E.NAME_NOT_FOUND, E.NAME_SERVER_FAILED, source="RFC 2308, NXDOMAIN"),
    _outage(C.NAME_STALE, F.NAME_STALE, source="Cloud Map against ECS"),
    _outage(
        C.DATABASE_NOT_AVAILABLE, F.DATABASE_NOT_AVAILABLE, E.STARTING, E.SHUTTING_DOWN, source=_SQL + "; RDS"
    ),
    _outage(
        C.ROLLOUT_FAILED,
        F.ROLLOUT_FAILED,
        near={F.SERVICE_BELOW_DESIRED, F.TASK_RESTARTED, F.COMMIT_UNEXPECTED},
        source=_AWS,
    ),
    _outage(
        C.SERVICE_BELOW_DESIRED,
        F.SERVICE_BELOW_DESIRED,
        near={F.NAME_STALE, F.TASK_RESTARTED},
        source=_AWS,
    ),
    _outage(
        C.PROCESS_DOWN,
        E.REFUSED,
        R.HOP_FAILED,
        near={F.TASK_RESTARTED, F.SERVICE_BELOW_DESIRED},
        source=_ERRNO,
    ),
    _outage(C.NETWORK_CLOSED, E.CONNECT_TIMEOUT, E.UNREACHABLE, source=_ERRNO),
    _outage(C.PROTOCOL_BROKEN, E.PROTOCOL, source="the protocols' own grammars"),
    _outage(C.CONNECTION_RESET, E.RESET, E.CLOSED_EARLY, source=_ERRNO),
    _outage(C.NOT_ANSWERING, E.READ_TIMEOUT, R.HOP_TIMED_OUT, source=_ERRNO),
    # Named last: whoever says how it failed is surer.
    Kind(
        C.UNREACHABLE,
        frozenset({R.NEXT_FAILED}),
        near=SOFT - REACH - {F.NOT_RECOVERED},
        soft=SOFT,
        hard=HARD,
        behind=True,
        every=True,
        source="RFC 9110, 502 to 504: what a gateway answers for somebody behind it",
    ),
    # TLS
    _outage(C.CHAIN_INCOMPLETE, E.TLS_CHAIN_INCOMPLETE, near=TLS, source="OpenSSL, verify errors 20 and 21"),
    _outage(
        C.TLS_FAILED,
        E.TLS_EXPIRED,
        E.TLS_UNTRUSTED,
        E.TLS_NAME,
        E.TLS_HANDSHAKE,
        near={F.CERTIFICATE_EXPIRING},
        source="OpenSSL, verify errors",
    ),
    _outage(
        C.ENCRYPTION_REQUIRED,
        E.TLS_REQUIRED,
        near={F.WRONG_DATABASE_USER, E.LOGIN_REFUSED},
        source=_SQL + " 28000",
    ),
    # logins
    _outage(
        C.SECRET_NEWER_THAN_TASKS,
        F.SECRET_NEWER_THAN_TASKS,
        near={E.LOGIN_REFUSED},
        source="Secrets Manager against ECS",
    ),
    _outage(
        C.WRONG_DATABASE_USER,
        F.WRONG_DATABASE_USER,
        near={E.LOGIN_REFUSED, E.PERMISSION, F.CONFIGURATION_DIFFERS},
        source=_CONTRACT,
    ),
    _outage(
        C.LOGIN_REFUSED, R.LOGIN_RULE, near={E.LOGIN_REFUSED, F.WRONG_DATABASE_USER}, source=_SQL + " 28000"
    ),
    _outage(C.PASSWORD_REFUSED, E.LOGIN_REFUSED, source=_SQL + " 28P01; redis WRONGPASS, NOAUTH"),
    _outage(C.NO_SUCH_DATABASE, E.NO_SUCH_DATABASE, source=_SQL + " 3D000"),
    _outage(
        C.CONNECTIONS_EXHAUSTED,
        E.CONNECTIONS_EXHAUSTED,
        near={F.CONNECTIONS_NEAR_LIMIT, F.POOL_EXHAUSTED},
        every=False,  # who has a connection keeps it
        source=_SQL + " 53300; redis, max number of clients",
    ),
    # the state of a store
    _store(C.READ_ONLY, E.READ_ONLY, near={E.PERMISSION}, source=_SQL + " 25006"),
    _store(C.REPLICA, E.REPLICA, source=_REDIS + ": READONLY"),
    _store(C.BLOCKED, E.BLOCKED, E.LOCK_TIMEOUT, E.DEADLOCK, source=_SQL + " 55P03, 40P01"),
    _store(C.STATEMENT_TIMEOUT, E.STATEMENT_TIMEOUT, source=_SQL + " 57014"),
    _store(
        C.STORE_FULL, E.OUT_OF_MEMORY, E.DISK_FULL, near={F.STORE_NEARLY_FULL}, source=_REDIS + ": OOM; 53100"
    ),
    _store(C.STORE_NEARLY_FULL, F.STORE_NEARLY_FULL, source=_REDIS + ": INFO memory; evicts nothing"),
    _store(C.DATABASE_PERMISSIONS, E.PERMISSION, F.SUPERUSER, source=_SQL + " 42501"),
    _store(
        C.DATABASE_SCHEMA,
        E.NO_SUCH_TABLE,
        near={F.SCHEMA_DIFFERS},
        source=_SQL + " 42P01, 42703",
    ),
    _store(C.COMMAND_REFUSED, R.COMMAND_DENIED, source=_REDIS + ": NOPERM"),
    _store(C.ACCESS_DENIED, R.STORE_DENIED, near={F.ARTIFACT_STORE_FAILED}, source=_S3 + ": AccessDenied"),
    _store(
        C.KEY_SERVICE_DENIED,
        E.KEY_SERVICE_DENIED,
        near={F.ARTIFACT_STORE_FAILED},
        source=_S3 + "; KMS",
    ),
    _store(C.CLOCK_SKEW, E.CLOCK_SKEW, near={F.ARTIFACT_STORE_FAILED}, at_asker=True, source=_S3),
    _store(
        C.BUCKET_MISSING,
        E.NO_SUCH_BUCKET,
        near={F.ARTIFACT_STORE_FAILED},
        source=_S3,
    ),
    _store(
        C.POOL_EXHAUSTED,
        F.POOL_EXHAUSTED,
        near={F.CONNECTIONS_NEAR_LIMIT},
        source="SQLAlchemy, QueuePool",
    ),
    # what stands between
    Kind(
        C.HOST_REFUSED,
        frozenset({E.HOST_REFUSED}),
        near=SOFT - {F.NOT_RECOVERED} | {E.FORBIDDEN, F.KEY_FORM_REFUSED, F.ARTIFACT_STORE_FAILED},
        # It is a 403, as a refused key is.
        soft=SOFT | {F.KEY_FORM_REFUSED, F.KEY_REFUSED, F.ARTIFACT_STORE_FAILED},
        hard=HARD | {F.KEY_FORM_REFUSED},
        source="MLflow, --allowed-hosts",
    ),
    _plain(
        C.BODY_LIMIT,
        E.BODY_LIMIT,
        near=ANSWERS | {F.ARTIFACT_STORE_FAILED},
        soft=ANSWERS | {F.ARTIFACT_STORE_FAILED},
        source="RFC 9110, 413",
    ),
    _plain(C.HEADER_LIMIT, E.HEADER_LIMIT, near=ANSWERS, source="RFC 6585, 431"),
    _plain(
        C.RATE_LIMITED,
        E.RATE_LIMITED,
        near={F.KEY_REFUSED, F.UNEXPECTED_STATUS},
        source="RFC 6585, 429",
    ),
    Kind(
        C.WRONG_TARGET_GROUP,
        frozenset({F.WRONG_TARGET_GROUP}),
        near=ANSWERS | {F.NOT_RECOVERED},
        instead=ANSWERS,
        source=_AWS,
    ),
    _plain(
        C.HEALTH_CHECK_PATH,
        F.HEALTH_CHECK_PATH,
        near={*HOP, F.TARGET_UNHEALTHY, F.SERVICE_UNHEALTHY, E.UNAVAILABLE, F.HEALTH_ANSWER_WRONG},
        source=_AWS,
    ),
    _plain(
        C.TARGET_UNHEALTHY,
        F.TARGET_UNHEALTHY,
        near={
            *HOP,
            E.UNAVAILABLE,
            F.UNEXPECTED_STATUS,
            F.SERVICE_UNHEALTHY,
            F.NOT_RECOVERED,
            F.HEALTH_ANSWER_WRONG,
        },
        source=_AWS,
    ),
    _plain(
        C.REDIRECT_DROPS_AUTH,
        F.REDIRECT_DROPS_AUTH,
        near={F.KEY_REFUSED, E.UNAUTHORIZED, E.REDIRECTED, F.UNEXPECTED_STATUS},
        source=_CONTRACT,
    ),
    # keys
    _plain(
        C.BAD_KEY_ACCEPTED,
        F.BAD_KEY_ACCEPTED,
        near=(*ANSWERS, F.RESET_WITHOUT_KEY, F.STALE_KEY_ACCEPTED),
        source=_CONTRACT,
    ),
    _plain(
        C.PROBE_NEEDS_KEY,
        F.PROBE_NEEDS_KEY,
        near=(SOFT | ANSWERS | {F.HEALTH_ANSWER_WRONG, F.KEY_REFUSED}) - {E.SERVER_ERROR, E.WRONG_FORM},
        source=_CONTRACT,
    ),
    _plain(
        C.KEY_FORM_REFUSED,
        F.KEY_FORM_REFUSED,
        near=(*(SOFT - {E.READ_TIMEOUT}), F.KEY_REFUSED, E.UNAUTHORIZED, E.FORBIDDEN),
        source=_CONTRACT,
    ),
    _plain(
        C.KEY_REFUSED,
        F.KEY_REFUSED,
        near={E.UNAUTHORIZED, F.UNEXPECTED_STATUS, F.PROXY_ERROR},
        source=_CONTRACT,
    ),
    _plain(C.STALE_KEY_ACCEPTED, F.STALE_KEY_ACCEPTED, near={F.UNEXPECTED_STATUS}, source=_CONTRACT),
    _plain(C.RESET_WITHOUT_KEY, F.RESET_WITHOUT_KEY, near={F.UNEXPECTED_STATUS}, source=_CONTRACT),
    _plain(C.SECRET_LEAKED, F.SECRET_LEAKED, F.CALLER_KEY_FORWARDED, source=_CONTRACT),
    # the API's own behaviour
    _plain(
        C.EVENT_LOOP_BLOCKED,
        F.EVENT_LOOP_BLOCKED,
        near=SOFT | REACH,
        source=_CONTRACT,
    ),
    _plain(
        C.BREAKER_CONTRACT,
        F.BREAKER_CONTRACT,
        F.BREAKER_LETS_CALLS_THROUGH,
        near={
            F.BREAKER_STUCK_OPEN,
            F.UNEXPECTED_STATUS,
            F.PROXY_ERROR,
            F.NOT_RECOVERED,
            E.UNAVAILABLE,
            E.BREAKER_OPEN,
        },
        source=_CONTRACT,
    ),
    _plain(
        C.BREAKER_STUCK_OPEN,
        F.BREAKER_STUCK_OPEN,
        near={
            F.UNEXPECTED_STATUS,
            F.PROXY_ERROR,
            F.NOT_RECOVERED,
            E.UNAVAILABLE,
            E.BREAKER_OPEN,
            F.SERVICE_UNHEALTHY,
        },
        source=_CONTRACT,
    ),
    _plain(
        C.CONNECTION_LEAK,
        F.CONNECTION_LEAK,
        near=(*SOFT, F.POOL_EXHAUSTED, F.CONNECTIONS_NEAR_LIMIT, E.CONNECTIONS_EXHAUSTED),
        source="growth with the number of requests",
    ),
    _plain(
        C.OPTIONAL_REQUIRED,
        F.OPTIONAL_REQUIRED,
        near=REACH | SOFT | {F.HEALTH_ANSWER_WRONG},
        soft={F.OPTIONAL_REQUIRED, F.HEALTH_ANSWER_WRONG, F.UNEXPECTED_STATUS, F.SERVICE_UNHEALTHY},
        source=_CONTRACT,
    ),
    # data
    _plain(
        C.ARTIFACT_DAMAGED,
        F.ARTIFACT_DAMAGED,
        near={F.ARTIFACT_STORE_FAILED, F.UNEXPECTED_STATUS},
        soft={F.UNEXPECTED_STATUS, F.PROXY_ERROR},
        source="checksums",
    ),
    Kind(
        C.ARTIFACT_STORE_FAILED,
        frozenset({F.ARTIFACT_STORE_FAILED}),
        near=SOFT,
        soft=SOFT,
        hard=HARD,
        source=_S3,
    ),
    # what is deployed
    _plain(C.TASK_DEFINITION_OLD, F.TASK_DEFINITION_OLD, near={F.COMMIT_UNEXPECTED}, source=_AWS),
    _plain(C.COMMIT_UNEXPECTED, F.COMMIT_UNEXPECTED, source=_CONTRACT),
    _plain(C.CONFIGURATION_DIFFERS, F.CONFIGURATION_DIFFERS, source=_AWS),
    _plain(
        C.MEMORY_GROWTH, F.MEMORY_GROWTH, near={F.TASK_RESTARTED}, source="growth with the number of requests"
    ),
    _plain(C.TASK_RESTARTED, F.TASK_RESTARTED, source=_AWS),
    _plain(C.CERTIFICATE_EXPIRING, F.CERTIFICATE_EXPIRING, source="X.509, notAfter"),
    _plain(C.CONNECTIONS_NEAR_LIMIT, F.CONNECTIONS_NEAR_LIMIT, source=_CONTRACT),
    _plain(C.DATABASE_SCHEMA, F.SCHEMA_DIFFERS, source="MLflow, alembic_version"),
    _plain(C.AWS_CREDENTIALS_REFUSED, F.AWS_CREDENTIALS_REFUSED, F.AWS_PERMISSION_MISSING, source=_AWS),
    # slowness
    Kind(
        C.SLOW_DEPENDENCY,
        frozenset({E.SLOW}),
        near=SLOWER,
        soft=SLOWER | {E.UNAVAILABLE},
        hard=SLOWER | {E.UNAVAILABLE},
        source="latency against its limit",
    ),
    _plain(C.BAD_INSTANCE, F.INSTANCE_DIFFERS, near=SOFT | REACH, source="one against the others"),
    # what says that something is wrong rather than what
    _plain(C.NOT_RECOVERED, F.NOT_RECOVERED, F.AVAILABILITY, near={F.HEALTH_ANSWER_WRONG}, source=_CONTRACT),
    _plain(
        C.HEALTH_ANSWER_WRONG,
        F.HEALTH_ANSWER_WRONG,
        F.HEALTH_CLAIMS_WELL,
        near={F.SERVICE_UNHEALTHY},
        source=_CONTRACT,
    ),
    _plain(C.PROXY_ERROR, F.PROXY_ERROR, near={F.NOT_RECOVERED, F.ERROR_RATE}, source=_CONTRACT),
    _plain(
        C.WRONG_STATUS,
        *(ANSWERS - {F.PROXY_ERROR, E.UNKNOWN, E.STATE}),
        near={F.NOT_RECOVERED, F.ERROR_RATE, F.PROXY_ERROR},
        source=_CONTRACT,
    ),
    _plain(C.ALERT_THRESHOLD, F.ERROR_RATE, source="the contract's alert thresholds"),
)

OF: Mapping[C, Kind] = {kind.cause: kind for kind in reversed(KINDS)}
# They say that something is wrong rather than what.
GENERAL: Set[C] = frozenset(
    {C.UNKNOWN, C.WRONG_STATUS, C.PROXY_ERROR, C.NOT_RECOVERED, C.ALERT_THRESHOLD, C.HEALTH_ANSWER_WRONG}
)

# Which of two questions meets them is for their size, not for their time.
LIMITS: Set[C] = frozenset({C.BODY_LIMIT, C.HEADER_LIMIT})

# A part that is said to be unwell: a cause only where others find it well, or of one instance alone.
UNWELL = _plain(C.HEALTH_ANSWER_WRONG, F.SERVICE_UNHEALTHY, near=SOFT, source="what others find")


def proposed_by(sign: Sign) -> tuple[Kind, ...]:
    """The kinds that a sign, seen at their place, proposes."""
    return tuple(kind for kind in KINDS if sign in kind.own)
