"""One question asked of a target and what came back: the unit that causes are told from.

Recorded where the question is asked (`resources/`), passed or failed, so that no test has to
remember. No field that the diagnosis reads is free text: what a target wrote was classified when it
came in. Names follow OpenTelemetry's semantic conventions 1.37 where those have one (`error.type`,
`server.address`, `db.response.status_code`); ours are the rest.
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hokusai_validation.text import Text

SCHEMA_VERSION = 1
# Of one run; beyond, what passed is folded into samples.
RUN_LIMIT = 20_000
RUN_LIMIT_BYTES = 20_000_000


class Kind(StrEnum):
    """What kind of question it is; see `operations/`."""

    CONNECT = "connect"
    READ = "read"
    WRITE = "write"
    PROBE = "probe"  # asks for no work: liveness, versions, what a part says of itself


class Outcome(StrEnum):
    """What became of the question."""

    OK = "ok"
    ERROR = "error"  # refused, broken off, or answered with an error
    TIMEOUT = "timeout"
    UNEXPECTED = "unexpected"  # a good answer that is not what was promised


class ErrorClass(StrEnum):
    """The kinds of error that are told apart, whoever's words they came in."""

    # the connection
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    UNREACHABLE = "unreachable"
    READ_TIMEOUT = "read_timeout"
    RESET = "reset"
    CLOSED_EARLY = "closed_early"  # the answer ended before it was whole
    PROTOCOL = "protocol"  # not the protocol that was spoken
    TOO_LARGE = "too_large"
    # names
    NAME_NOT_FOUND = "name_not_found"
    NAME_WITHOUT_ADDRESS = "name_without_address"  # it exists, without an address of the family asked
    NAME_SERVER_FAILED = "name_server_failed"
    # TLS
    TLS_UNTRUSTED = "tls_untrusted"  # no way to a known root: self-signed, or a foreign one
    TLS_CHAIN_INCOMPLETE = "tls_chain_incomplete"  # an intermediate is not served
    TLS_EXPIRED = "tls_expired"
    TLS_NAME = "tls_name"
    TLS_HANDSHAKE = "tls_handshake"
    TLS_REQUIRED = "tls_required"  # the server refuses unencrypted connections
    # who asks
    LOGIN_REFUSED = "login_refused"  # wrong password, unknown user, or no rule for it
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    HOST_REFUSED = "host_refused"  # the server does not serve this host name
    CLOCK_SKEW = "clock_skew"
    # limits
    RATE_LIMITED = "rate_limited"
    BODY_LIMIT = "body_limit"
    HEADER_LIMIT = "header_limit"
    CONNECTIONS_EXHAUSTED = "connections_exhausted"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    # the state of a store
    READ_ONLY = "read_only"  # a standby, or set so
    REPLICA = "replica"  # a replica that takes no writes
    STARTING = "starting"
    SHUTTING_DOWN = "shutting_down"
    STATEMENT_TIMEOUT = "statement_timeout"
    CANCELLED = "cancelled"  # by a person or a program, not by a limit
    LOCK_TIMEOUT = "lock_timeout"
    BLOCKED = "blocked"  # waits for a lock that another session holds
    DEADLOCK = "deadlock"
    SERIALIZATION = "serialization"
    PERMISSION = "permission"  # of the database's or redis' user
    NO_SUCH_DATABASE = "no_such_database"
    NO_SUCH_TABLE = "no_such_table"
    CONSTRAINT = "constraint"
    NO_SUCH_BUCKET = "no_such_bucket"
    KEY_SERVICE_DENIED = "key_service_denied"  # the right to the encryption key is missing
    # what HTTP says
    NOT_FOUND = "not_found"
    METHOD = "method"
    CONFLICT = "conflict"
    BAD_REQUEST = "bad_request"
    REDIRECTED = "redirected"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway_timeout"
    BREAKER_OPEN = "breaker_open"  # a circuit breaker keeps the call back: of failures before it
    # what was promised
    WRONG_FORM = "wrong_form"  # a field missing, of another type, not JSON
    WRONG_VALUE = "wrong_value"
    SLOW = "slow"
    STATE = "state"  # a thing that was read is in another state than it should be
    UNKNOWN = "unknown"


# Programs of our own that are dialled as well: what they answer says nothing of the target.
OURS = frozenset({"links", "control", "failpoints", "notify"})


class Frozen(BaseModel):
    """Base of everything below."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Edge(Frozen):
    """From who asks to who is asked. `optional`: the asker may do without it (a cached key, a last
    known state), so that it can be blamed for a bad answer, and a good one is no witness of it."""

    source: str
    to: str
    protocol: str = "tcp"
    optional: bool = False


class Native(Frozen):
    """The error as its own system names it: `("postgresql", "25006")`, `("redis", "READONLY")`,
    `("errno", "ECONNREFUSED")`, `("http", "413")`, `("s3", "AccessDenied")`. An error that a component
    repeats keeps the system whose error it is: in an answer of the API's, `("postgresql", "08001")`
    with `refused` is a database that the tracking server behind it could not connect to."""

    system: str
    code: Text


class Samples(Frozen):
    """Several questions folded into one observation."""

    n: int
    errors: int = 0
    first: AwareDatetime
    last: AwareDatetime


class Observation(Frozen):
    """One question, or several like it (`samples`).

    `operation` is a name of the table of operations (`health`, `proxy.search`, `sql.write`);
    `asker` who asked: `validation`, or the component whose own words are repeated;
    `dialled` the component that was connected to, `instance` which one of several where known;
    `path` the edges that the question had to pass, fixed before it was asked;
    `answered_by` the component whose answer came back, where that can be told;
    `subject` what a reading of an outside witness (AWS, a health answer) is about;
    `expected` the expectation that was not met, by name; `faults_on` the faults of ours that were on."""

    id: str
    operation: str
    kind: Kind = Kind.READ
    asker: str = "validation"
    dialled: str
    host: Text = ""
    port: int | None = None
    instance: Text | None = None
    path: tuple[Edge, ...] = ()
    answered_by: Text | None = None
    subject: Text | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime
    mono_start_s: float = 0.0
    outcome: Outcome
    error_class: ErrorClass | None = None
    native: Native | None = None
    status: int | None = None
    expected: Text | None = None
    numbers: dict[str, float] = Field(default_factory=dict)
    faults_on: tuple[str, ...] = ()
    samples: Samples | None = None
    trace_id: str | None = None
    span_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the answer was a good one."""
        return self.outcome is Outcome.OK

    @property
    def ours(self) -> bool:
        """Whether it was asked of a program of our own, not of the target."""
        return self.dialled in OURS

    @property
    def count(self) -> int:
        """How many questions it stands for."""
        return self.samples.n if self.samples else 1

    @property
    def failures(self) -> int:
        """How many of them went wrong."""
        if self.samples is not None:
            return self.samples.errors
        return 0 if self.ok else 1
