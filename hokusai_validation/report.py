"""What comes out: the verdict, its causes, scores and trend, in one model. `report.json` is this
model, and its JSON Schema is made from it."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

from pydantic import AwareDatetime, Field, JsonValue, model_validator

from hokusai_validation.facts import Fact
from hokusai_validation.observation import Frozen
from hokusai_validation.phase_rows import Trouble
from hokusai_validation.result import Result

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """Of the target as a whole; the exit status for each stands in docs/architecture.md."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    INCONCLUSIVE = "inconclusive"
    UNHEALTHY = "unhealthy"


class Cause(StrEnum):
    """The kinds of cause that are told apart. `unknown` carries the facts and no guess."""

    PROCESS_DOWN = "process_down"  # refused
    NETWORK_CLOSED = "network_closed"  # connect time-outs: a security group
    NOT_ANSWERING = "not_answering"  # accepts and never answers
    UNREACHABLE = "unreachable"  # whoever needs it says that it failed behind it, and not how
    CONNECTION_RESET = "connection_reset"
    NAME_NOT_RESOLVED = "name_not_resolved"
    NAME_STALE = "name_stale"
    WRONG_TARGET_GROUP = "wrong_target_group"
    WRONG_DATABASE_USER = "wrong_database_user"
    PASSWORD_REFUSED = "password_refused"
    SECRET_NEWER_THAN_TASKS = "secret_newer_than_tasks"
    TASK_DEFINITION_OLD = "task_definition_old"
    COMMIT_UNEXPECTED = "commit_unexpected"
    CONFIGURATION_DIFFERS = "configuration_differs"
    SERVICE_BELOW_DESIRED = "service_below_desired"
    ROLLOUT_FAILED = "rollout_failed"
    TARGET_UNHEALTHY = "target_unhealthy"
    TASK_RESTARTED = "task_restarted"
    BREAKER_STUCK_OPEN = "breaker_stuck_open"
    BREAKER_CONTRACT = "breaker_contract"
    EVENT_LOOP_BLOCKED = "event_loop_blocked"
    PROBE_NEEDS_KEY = "probe_needs_key"
    RESET_WITHOUT_KEY = "reset_without_key"
    KEY_FORM_REFUSED = "key_form_refused"
    KEY_REFUSED = "key_refused"
    BAD_KEY_ACCEPTED = "bad_key_accepted"
    STALE_KEY_ACCEPTED = "stale_key_accepted"
    SECRET_LEAKED = "secret_leaked"
    POOL_EXHAUSTED = "pool_exhausted"
    CONNECTION_LEAK = "connection_leak"
    CONNECTIONS_NEAR_LIMIT = "connections_near_limit"
    DATABASE_NOT_AVAILABLE = "database_not_available"
    DATABASE_PERMISSIONS = "database_permissions"
    DATABASE_SCHEMA = "database_schema"
    BAD_INSTANCE = "bad_instance"  # one of several
    CERTIFICATE_EXPIRING = "certificate_expiring"
    TLS_FAILED = "tls_failed"
    REDIRECT_DROPS_AUTH = "redirect_drops_auth"
    ARTIFACT_DAMAGED = "artifact_damaged"
    ARTIFACT_STORE_FAILED = "artifact_store_failed"
    SLOW_DEPENDENCY = "slow_dependency"
    MEMORY_GROWTH = "memory_growth"
    OPTIONAL_REQUIRED = "optional_required"
    HEALTH_ANSWER_WRONG = "health_answer_wrong"
    WRONG_STATUS = "wrong_status"  # answers with another status or form than promised
    PROXY_ERROR = "proxy_error"
    ALERT_THRESHOLD = "alert_threshold"
    NOT_RECOVERED = "not_recovered"
    AWS_CREDENTIALS_REFUSED = "aws_credentials_refused"
    ANSWERS_NOTHING = "answers_nothing"  # accepts connections and answers nothing, /live included
    PROTOCOL_BROKEN = "protocol_broken"  # answers in bytes that are not the protocol
    AWAY = "away"  # was out for a while and is well since
    INTERMITTENT_ERRORS = "intermittent_errors"  # a share of what is asked goes wrong
    KEEP_ALIVE = "keep_alive"  # the server closes idle connections before its client does
    NAME_WITHOUT_ADDRESS = "name_without_address"
    CHAIN_INCOMPLETE = "chain_incomplete"
    ENCRYPTION_REQUIRED = "encryption_required"
    LOGIN_REFUSED = "login_refused"  # not for the password: no rule for it, or no right to log in
    READ_ONLY = "read_only"
    REPLICA = "replica"
    STATEMENT_TIMEOUT = "statement_timeout"
    BLOCKED = "blocked"  # waits for a lock that another session holds
    CONNECTIONS_EXHAUSTED = "connections_exhausted"
    NO_SUCH_DATABASE = "no_such_database"
    STORE_FULL = "store_full"
    STORE_NEARLY_FULL = "store_nearly_full"
    COMMAND_REFUSED = "command_refused"  # redis' user may not do it
    HOST_REFUSED = "host_refused"
    BODY_LIMIT = "body_limit"
    HEADER_LIMIT = "header_limit"
    RATE_LIMITED = "rate_limited"
    ACCESS_DENIED = "access_denied"  # the artifact store refuses the role
    KEY_SERVICE_DENIED = "key_service_denied"
    BUCKET_MISSING = "bucket_missing"
    CLOCK_SKEW = "clock_skew"
    HEALTH_CHECK_PATH = "health_check_path"
    VERSION_MIX = "version_mix"  # one of several runs another version
    SLOW_INSTANCE = "slow_instance"  # one of several is slower
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How sure a finding is."""

    CERTAIN = "certain"  # its own sign was seen, nothing speaks against it, nothing else fits
    LIKELY = "likely"
    POSSIBLE = "possible"


class Duty(StrEnum):
    """When a cause holds."""

    ALWAYS = "always"
    SHARE = "share"  # of what is asked
    ONCE = "once"  # it began, and is over


class Priority(StrEnum):
    """P0 now … P3 when there is time."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Reference(Frozen):
    """Where something that speaks for or against a finding was seen: the row's test, what was asked
    (`operation`, where known), the component, the sign (an error class or a kind of fact; `ok`), how
    often, first and last."""

    test: str
    operation: str = ""
    component: str
    instance: str | None = None
    sign: str
    count: int = 1
    first: AwareDatetime
    last: AwareDatetime


class Finding(Frozen):
    """A cause, the component at fault, and the results that it explains (test names).

    `edge` is `asker->component` where one asker alone is without it; `instance` the one instance of
    several; `operation` what alone is at fault; `rate` the share that goes wrong; `began_at` and
    `ended_at` when it was first seen after something good, and when something good was first seen after it.

    `impact` is one sentence for a user; `reproduction` commands that can be pasted, secrets as
    variables; `remedy` steps; `effort_h` hours; `key` identifies the same finding across runs."""

    key: str
    cause: Cause
    component: str
    title: str
    priority: Priority
    explains: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
    follows: tuple[str, ...] = ()  # what follows from it, sentence by sentence
    impact: str = ""
    reproduction: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    team: str = ""
    effort_h: float = 1.0
    quick_win: bool = False
    since: AwareDatetime | None = None  # first run of the present unbroken series
    seen_runs: int = 1
    instance: str | None = None
    edge: str | None = None
    operation: str | None = None
    confidence: Confidence = Confidence.LIKELY
    duty: Duty = Duty.ALWAYS
    rate: float | None = None
    began_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    speaks_for: tuple[Reference, ...] = ()
    speaks_against: tuple[Reference, ...] = ()


class NodeState(StrEnum):
    """How a part of the stack came out of a run."""

    WORKING = "working"
    CAUSE = "cause"  # a finding's place
    AFFECTED = "affected"  # its tests failed because of a part below it
    NOT_SEEN = "not seen"  # nothing was executed that would tell
    ABSENT = "not deployed"


class StackNode(Frozen):
    """One part of the stack as the topology declares it, and its state; `findings` are the keys of
    the findings whose place it is, `reached_by` those whose failure reached it."""

    name: str
    depends_on: tuple[str, ...] = ()
    critical: bool = False
    optional: bool = False
    state: NodeState
    findings: tuple[str, ...] = ()
    reached_by: tuple[str, ...] = ()


class Scores(Frozen):
    """Shares between 0 and 1; None where nothing was to be counted."""

    infrastructure_health: float | None
    service_availability: float | None
    execution_completion: float | None
    test_success: float | None
    registration_success: float | None


class CatalogueCounts(Frozen):
    """The 67."""

    total: int
    passed: int
    failed: int
    broken: int
    skipped: int


class Counts(Frozen):
    """Of final attempts."""

    by_status: Mapping[str, int]
    by_category: Mapping[str, Mapping[str, int]]
    catalogue: CatalogueCounts


class ErrorPattern(Frozen):
    """Messages that are the same but for addresses, ids and times."""

    pattern: str
    count: int
    state: str  # new | known | gone
    since: AwareDatetime | None = None


class Change(Frozen):
    """One thing that differs from an earlier run: a score, an availability, a percentile, a test."""

    what: str
    before: float | str | None
    after: float | str | None
    worse: bool
    significant: bool
    test: str = ""  # the statistical test, with p-value
    effect: float | None = None


class TrendPoint(Frozen):
    """One run's scores."""

    run_id: str
    at: AwareDatetime
    verdict: str
    scores: Mapping[str, float | None]


class Trend(Frozen):
    """Against the past. `outcomes` gives each test's last 20 statuses, oldest first; `availability`
    each service's share of runs in which it was healthy; `percentiles` each endpoint's latencies and
    `recovery_s` each experiment's recovery times, run by run as the points are (None: not measured)."""

    points: tuple[TrendPoint, ...] = ()
    availability: Mapping[str, float] = Field(default_factory=dict)
    percentiles: Mapping[str, Mapping[str, tuple[float | None, ...]]] = Field(default_factory=dict)
    recovery_s: Mapping[str, tuple[float | None, ...]] = Field(default_factory=dict)
    previous_run_id: str | None = None
    last_good_run_id: str | None = None
    against_previous: tuple[Change, ...] = ()
    against_last_good: tuple[Change, ...] = ()
    outcomes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    flaky_rate: float | None = None
    patterns: tuple[ErrorPattern, ...] = ()


class PhaseSource(Frozen):
    """Which run a phase's rows are from."""

    phase: str
    run_id: str | None
    finished_at: AwareDatetime | None = None
    stale: bool = False  # older than the newest deployment
    duration_s: float | None = None
    target_hash: str | None = None  # of the effective target that its run began with
    troubles: tuple[Trouble, ...] = ()  # what went wrong on the rows' way, through no fault of the target's


class Deployment(Frozen):
    """What of one component runs: as ECS and the service itself say."""

    component: str
    task_definition: str | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    deployed_at: AwareDatetime | None = None
    secret_versions: Mapping[str, str] = Field(default_factory=dict)


class Provenance(Frozen):
    """What was deployed at the start, whether that changed until the end, and which rows are whose."""

    deployments: tuple[Deployment, ...] = ()
    changed_during_run: tuple[str, ...] = ()
    phases: tuple[PhaseSource, ...] = ()
    expected_commit: str | None = None
    package_version: str = ""
    versions: Mapping[str, str] = Field(default_factory=dict)


class Performance(Frozen):
    """Of one load test's or endpoint's run; latencies in ms, None where the samples don't carry them.
    `histogram` is an encoded HdrHistogram (V2, base64)."""

    test: str
    endpoint: str
    model: str  # open | closed
    requests: int
    rate_per_s: float | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    error_rate: float = 0.0
    errors: Mapping[str, int] = Field(default_factory=dict)
    histogram: str | None = None
    curve: tuple[tuple[float, float], ...] = ()  # (percentile 0 to 100, latency in ms), for the picture
    series: tuple[Mapping[str, float], ...] = ()  # one entry a second: `t_s`, and numbers with units


class Waived(Frozen):
    """A waiver of the target file that covered failed tests: `what` it accepts, to the end of the day
    `until` (UTC)."""

    what: str
    tests: tuple[str, ...]
    reason: str
    owner: str
    until: date


class CoveredTest(Frozen):
    """One test of a requirement and how its last attempt ended; `no row` when it gave none."""

    id: str
    test: str
    status: str
    critical: bool


class Requirement(Frozen):
    """One of FR1 to FR5. `counts` is by status."""

    requirement: str
    says: str
    tests: tuple[CoveredTest, ...]
    counts: Mapping[str, int]


class Endpoint(Frozen):
    """One endpoint of the contract. `seen` is how often each promised status was answered (0: never);
    `others` the statuses that nobody promised."""

    method: str
    path: str
    seen: Mapping[str, int]
    others: Mapping[str, int] = Field(default_factory=dict)

    @property
    def exercised(self) -> bool:
        """Whether it answered at all."""
        return any(self.seen.values()) or bool(self.others)


class Coverage(Frozen):
    """Of one set of rows. Answers count where a test put them into its evidence."""

    requirements: tuple[Requirement, ...]
    endpoints: tuple[Endpoint, ...]
    promised_statuses: int
    seen_statuses: int


class Reason(Frozen):
    """A sentence that a verdict rests on, and the tests that it speaks of (by name)."""

    text: str
    tests: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_a_sentence(cls, given: object) -> object:
        """Reports of earlier versions have the sentence alone, its tests within."""
        return {"text": given} if isinstance(given, str) else given


class LeftBehind(Frozen):
    """Something of ours that is still in the target, with the command that removes it; where it was not seen
    there, it may be, and the command finds it."""

    what: str
    command: str = ""
    seen: bool = True


class Report(Frozen):
    """The whole outcome of a run."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    target: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    verdict: Verdict
    headline: str
    reasons: tuple[Reason, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    scores: Scores
    counts: Counts
    results: tuple[Result, ...]
    findings: tuple[Finding, ...] = ()
    stack: tuple[StackNode, ...] = ()
    performance: tuple[Performance, ...] = ()
    coverage: Coverage | None = None
    waived: tuple[Waived, ...] = ()
    notices: tuple[str, ...] = ()  # of the target file: what in it does not hold
    trend: Trend = Trend()
    provenance: Provenance = Provenance()
    evidence: Mapping[str, JsonValue] = Field(default_factory=dict)
