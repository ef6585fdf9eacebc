"""The vocabulary between tests and diagnosis: what was seen, in terms that a cause can be told from.

A test that fails (or sees something odd while it passes) adds facts to its row; the diagnosis
reads facts, statuses and the target's topology, and nothing else. The kinds follow the kinds of
earlier failure in the service contract.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hokusai_validation.text import Text


class FactKind(StrEnum):
    """One distinguishable thing that can be seen from outside."""

    # reaching a component (component = the one that could not be reached)
    REFUSED = "refused"
    CONNECT_TIMED_OUT = "connect_timed_out"
    READ_TIMED_OUT = "read_timed_out"
    RESET = "reset"
    TLS_FAILED = "tls_failed"
    PROTOCOL_VIOLATED = "protocol_violated"
    NAME_NOT_RESOLVED = "name_not_resolved"
    NAME_STALE = "name_stale"  # resolves, but to an address of no running task
    REDIRECT_DROPS_AUTH = "redirect_drops_auth"
    # AWS state
    SERVICE_BELOW_DESIRED = "service_below_desired"
    ROLLOUT_FAILED = "rollout_failed"
    TASK_RESTARTED = "task_restarted"
    TARGET_UNHEALTHY = "target_unhealthy"
    HEALTH_CHECK_PATH = "health_check_path"  # the target group asks for a path that is not served
    WRONG_TARGET_GROUP = "wrong_target_group"
    TASK_DEFINITION_OLD = "task_definition_old"
    SECRET_NEWER_THAN_TASKS = "secret_newer_than_tasks"
    CONFIGURATION_DIFFERS = "configuration_differs"
    COMMIT_UNEXPECTED = "commit_unexpected"
    DATABASE_NOT_AVAILABLE = "database_not_available"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    # credentials
    WRONG_DATABASE_USER = "wrong_database_user"
    PASSWORD_REFUSED = "password_refused"
    KEY_REFUSED = "key_refused"
    KEY_FORM_REFUSED = "key_form_refused"  # a good key is refused in one or every form
    BAD_KEY_ACCEPTED = "bad_key_accepted"
    STALE_KEY_ACCEPTED = "stale_key_accepted"  # a revoked key still served from a cache
    PROBE_NEEDS_KEY = "probe_needs_key"
    RESET_WITHOUT_KEY = "reset_without_key"
    SECRET_LEAKED = "secret_leaked"
    CALLER_KEY_FORWARDED = "caller_key_forwarded"
    AWS_CREDENTIALS_REFUSED = "aws_credentials_refused"
    AWS_PERMISSION_MISSING = "aws_permission_missing"
    # behaviour
    BREAKER_STUCK_OPEN = "breaker_stuck_open"
    BREAKER_CONTRACT = "breaker_contract"  # the breaker's class does not keep the contract
    BREAKER_LETS_CALLS_THROUGH = "breaker_lets_calls_through"
    EVENT_LOOP_BLOCKED = "event_loop_blocked"  # /live stopped with a dependency
    HEALTH_ANSWER_WRONG = "health_answer_wrong"  # the three views disagree
    HEALTH_CLAIMS_WELL = "health_claims_well"  # of something that others find out
    INSTANCE_DIFFERS = "instance_differs"  # one instance of several behaves otherwise
    SERVICE_UNHEALTHY = "service_unhealthy"  # as the service says of itself
    UNEXPECTED_STATUS = "unexpected_status"
    SCHEMA_MISMATCH = "schema_mismatch"
    PROXY_ERROR = "proxy_error"
    POOL_EXHAUSTED = "pool_exhausted"
    CONNECTION_LEAK = "connection_leak"
    CONNECTIONS_NEAR_LIMIT = "connections_near_limit"
    PERMISSION_MISSING = "permission_missing"  # in the database
    SUPERUSER = "superuser"
    SCHEMA_DIFFERS = "schema_differs"  # the database's tables
    READ_ONLY = "read_only"
    STATEMENT_TIMEOUT = "statement_timeout"  # short
    BLOCKED = "blocked"  # a table is locked by another session
    REPLICA = "replica"
    STORE_FULL = "store_full"
    STORE_NEARLY_FULL = "store_nearly_full"
    ARTIFACT_DAMAGED = "artifact_damaged"
    ARTIFACT_STORE_FAILED = "artifact_store_failed"
    SLOW = "slow"
    ERROR_RATE = "error_rate"
    MEMORY_GROWTH = "memory_growth"
    NOT_RECOVERED = "not_recovered"
    AVAILABILITY = "availability"  # under the limit while a fault was on
    OPTIONAL_REQUIRED = "optional_required"  # an optional component's absence taken for a failure
    LEFTOVERS = "leftovers"


class Fact(BaseModel):
    """One thing seen. `component` is a name of the target's topology; `seen` is short text for a
    person (addresses, statuses, times); `via` is the component or instance it was seen from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FactKind
    component: Text
    via: Text | None = None
    seen: Text = ""
