"""What the benchmark expects: scenario → cause, component, priority. It lies here and not beside the
scenarios, so that no rule can see it."""

from dataclasses import dataclass

from hokusai_validation.report import Cause
from hokusai_validation.result import Category


@dataclass(frozen=True)
class Expected:
    """One cause that must be found. Further causes or components that are as right stand in
    `or_cause` and `or_component`."""

    cause: str
    component: str
    priority: str
    or_cause: tuple[str, ...] = ()
    or_component: tuple[str, ...] = ()

    @property
    def causes(self) -> tuple[str, ...]:
        """All that count."""
        return (self.cause, *self.or_cause)

    @property
    def components(self) -> tuple[str, ...]:
        """All that count."""
        return (self.component, *self.or_component)


# The categories that show everything but what only load or long experiments show.
LIGHT = (
    Category.ENVIRONMENT,
    Category.DISCOVERY,
    Category.INFRASTRUCTURE,
    Category.INTEGRATION,
    Category.FUNCTIONAL,
)
CLEAN_CATEGORIES = (*LIGHT, Category.UNIT)
AT_REST = (Category.ENVIRONMENT, Category.DISCOVERY, Category.INFRASTRUCTURE)
OUTAGE = (*AT_REST, Category.INTEGRATION)
BREAKER = (Category.INFRASTRUCTURE, Category.UNIT, Category.INTEGRATION)
# Where something is out from the start, the long sequences of faults only wait for what can't come.
QUICK = "not TestHealthEndpointScenarios"
HEALTH = (Category.INFRASTRUCTURE, Category.INTEGRATION)
KEYS = (Category.INFRASTRUCTURE, Category.FUNCTIONAL)
DATA = (Category.FUNCTIONAL, Category.INFRASTRUCTURE)
# Of the functional tests, those that have to do with it; pytest's `-k`.
ONLY = {
    OUTAGE: QUICK,
    KEYS: "TestProxyRouting or TestAuthentication or TestKeySafety or TestKeyCache or TestInfrastructure or TestModelRegistration",
    DATA: "TestPool or TestDatabaseLogin or TestPermissions or TestSchema or TestArtifactStore or TestTracking"
    " or TestInfrastructure or TestModelRegistration",
}
LONG = "not TestHealthEndpointScenarios and not TestRegistrationLimits"


@dataclass(frozen=True)
class Case:
    """One scenario (or several, joined by `+`), the categories that show it, and what must come out.
    `may_follow` are causes whose findings beside the expected are no mistake."""

    name: str
    expected: tuple[Expected, ...]
    categories: tuple[Category, ...] = LIGHT
    only: str = ""
    may_follow: tuple[str, ...] = ()
    scenario_name: str = ""

    @property
    def scenario(self) -> str:
        """What the sandbox is started with."""
        return self.scenario_name or self.name


def _case(
    name: str,
    cause: Cause,
    component: str,
    priority: str,
    *,
    categories: tuple[Category, ...] = LIGHT,
    or_component: tuple[str, ...] = (),
    or_cause: tuple[Cause, ...] = (),
) -> Case:
    others = tuple(each.value for each in or_cause)
    only = ONLY.get(categories, "")
    return Case(name, (Expected(cause.value, component, priority, others, or_component),), categories, only)


CASES: tuple[Case, ...] = (
    _case("rollout_failed", Cause.ROLLOUT_FAILED, "api", "P0", categories=AT_REST),
    _case("task_missing", Cause.SERVICE_BELOW_DESIRED, "api", "P0", categories=AT_REST),
    _case("task_restarted", Cause.TASK_RESTARTED, "api", "P2", categories=AT_REST),
    _case("target_unhealthy", Cause.TARGET_UNHEALTHY, "api", "P1", categories=AT_REST),
    _case("fix_not_deployed", Cause.TASK_DEFINITION_OLD, "api", "P2", categories=AT_REST),
    _case("configuration_differs", Cause.CONFIGURATION_DIFFERS, "api", "P2", categories=AT_REST),
    _case("wrong_database_user", Cause.WRONG_DATABASE_USER, "postgres", "P0", categories=OUTAGE),
    _case(
        "secret_rotated",
        Cause.SECRET_NEWER_THAN_TASKS,
        "postgres",
        "P0",
        or_component=("secrets",),
        categories=OUTAGE,
    ),
    _case("password_changed", Cause.PASSWORD_REFUSED, "postgres", "P0", categories=OUTAGE),
    _case(
        "name_missing",
        Cause.NAME_NOT_RESOLVED,
        "mlflow",
        "P2",
        categories=AT_REST,
        or_component=("service_discovery",),
    ),
    _case(
        "name_stale",
        Cause.NAME_STALE,
        "mlflow",
        "P2",
        categories=AT_REST,
        or_component=("service_discovery",),
    ),
    _case(
        "wrong_listener_rule",
        Cause.WRONG_TARGET_GROUP,
        "load_balancer",
        "P0",
        categories=AT_REST,
        or_component=("api", "mlflow"),
    ),
    _case("database_stopped", Cause.DATABASE_NOT_AVAILABLE, "postgres", "P2", categories=AT_REST),
    _case("other_commit", Cause.COMMIT_UNEXPECTED, "api", "P2", categories=(*AT_REST, Category.INTEGRATION)),
    _case("certificate_expiring", Cause.CERTIFICATE_EXPIRING, "load_balancer", "P2", categories=AT_REST),
    _case("mlflow_down", Cause.PROCESS_DOWN, "mlflow", "P1", categories=OUTAGE),
    _case("auth_down", Cause.PROCESS_DOWN, "auth", "P0", categories=OUTAGE),
    _case("redis_down", Cause.PROCESS_DOWN, "redis", "P2", categories=OUTAGE),
    _case("mlflow_closed_off", Cause.NETWORK_CLOSED, "mlflow", "P1", categories=OUTAGE),
    _case("postgres_closed_off", Cause.NETWORK_CLOSED, "postgres", "P0", categories=OUTAGE),
    _case("mlflow_hangs", Cause.NOT_ANSWERING, "mlflow", "P1", categories=OUTAGE),
    _case("auth_resets", Cause.CONNECTION_RESET, "auth", "P0", categories=OUTAGE),
    _case("mlflow_slow", Cause.SLOW_DEPENDENCY, "mlflow", "P1", categories=OUTAGE),
    _case("one_instance_cut_off", Cause.BAD_INSTANCE, "api", "P1", categories=OUTAGE),
    _case("blocks_on_health", Cause.EVENT_LOOP_BLOCKED, "api", "P1", categories=HEALTH),
    _case("health_500_when_open", Cause.WRONG_STATUS, "api", "P1", categories=HEALTH),
    _case("detailed_health_500", Cause.WRONG_STATUS, "api", "P1", categories=HEALTH),
    _case("health_always_healthy", Cause.HEALTH_ANSWER_WRONG, "api", "P1", categories=HEALTH),
    _case("probes_need_key", Cause.PROBE_NEEDS_KEY, "api", "P1", categories=OUTAGE),
    _case("reset_without_key", Cause.RESET_WITHOUT_KEY, "api", "P1", categories=KEYS),
    _case("nothing_needs_key", Cause.BAD_KEY_ACCEPTED, "api", "P0", categories=KEYS),
    _case("key_form_wrong", Cause.KEY_FORM_REFUSED, "api", "P0", or_component=("auth",), categories=KEYS),
    _case("x_api_key_ignored", Cause.KEY_FORM_REFUSED, "api", "P0", categories=KEYS),
    _case("stale_keys", Cause.STALE_KEY_ACCEPTED, "api", "P2", categories=KEYS, or_component=("redis",)),
    _case("key_in_logs", Cause.SECRET_LEAKED, "api", "P0", categories=KEYS),
    _case("forwards_key", Cause.SECRET_LEAKED, "api", "P0", categories=KEYS),
    _case(
        "leaks_connections", Cause.CONNECTION_LEAK, "api", "P2", or_component=("postgres",), categories=DATA
    ),
    _case(
        "leaks_memory", Cause.MEMORY_GROWTH, "api", "P2", categories=(Category.INFRASTRUCTURE, Category.LOAD)
    ),
    _case(
        "damages_artifacts",
        Cause.ARTIFACT_DAMAGED,
        "artifacts",
        "P1",
        or_component=("api", "mlflow"),
        categories=DATA,
    ),
    _case(
        "never_reconnects", Cause.NOT_RECOVERED, "api", "P1", categories=HEALTH, or_component=("postgres",)
    ),
    _case("open_breaker_calls", Cause.BREAKER_CONTRACT, "api", "P1", categories=BREAKER),
    _case("breaker_off_by_one", Cause.BREAKER_CONTRACT, "api", "P1", categories=BREAKER),
    _case("breaker_never_half_open", Cause.BREAKER_CONTRACT, "api", "P1", categories=BREAKER),
    _case("breaker_zero_ignored", Cause.BREAKER_CONTRACT, "api", "P1", categories=BREAKER),
    _case("breaker_no_growth", Cause.BREAKER_CONTRACT, "api", "P1", categories=BREAKER),
    _case("breaker_keeps_counts", Cause.BREAKER_CONTRACT, "api", "P1", categories=BREAKER),
    _case("one_bad_instance", Cause.BAD_INSTANCE, "api", "P1", categories=OUTAGE),
    _case("redis_absent", Cause.OPTIONAL_REQUIRED, "redis", "P1", or_component=("api",), categories=OUTAGE),
    _case("few_connections_left", Cause.CONNECTIONS_NEAR_LIMIT, "postgres", "P2", categories=OUTAGE),
    _case("database_superuser", Cause.DATABASE_PERMISSIONS, "postgres", "P1", categories=DATA),
    _case("rights_taken", Cause.DATABASE_PERMISSIONS, "postgres", "P1", categories=DATA),
    _case(
        "stored_artifacts_damaged",
        Cause.ARTIFACT_DAMAGED,
        "artifacts",
        "P1",
        categories=DATA,
        or_component=("mlflow",),
    ),
    _case(
        "redirect_drops_auth",
        Cause.REDIRECT_DROPS_AUTH,
        "load_balancer",
        "P1",
        categories=AT_REST,
    ),
    _case("mlflow_database_cut", Cause.PROCESS_DOWN, "postgres", "P1", categories=OUTAGE),
    _case(
        "artifact_store_cut",
        Cause.PROCESS_DOWN,
        "artifacts",
        "P1",
        or_cause=(Cause.ARTIFACT_STORE_FAILED,),
        categories=DATA,
    ),
    _case(
        "no_targets",
        Cause.TARGET_UNHEALTHY,
        "auth",
        "P1",
        categories=OUTAGE,
        or_component=("load_balancer",),
        or_cause=(Cause.WRONG_TARGET_GROUP,),
    ),
    _case("schema_differs", Cause.DATABASE_SCHEMA, "postgres", "P2", categories=DATA),
)

_BY_NAME = {case.name: case for case in CASES}


def _pair(one: str, other: str) -> Case:
    """Both defects in one sandbox, and both causes expected."""
    first, second = _BY_NAME[one], _BY_NAME[other]
    categories = tuple(each for each in Category if each in (*first.categories, *second.categories))
    only = first.only if first.only == second.only else LONG
    return Case(f"{one}+{other}", first.expected + second.expected, categories, only)


PAIRS: tuple[Case, ...] = (
    _pair("rollout_failed", "redis_down"),
    _pair("mlflow_down", "probes_need_key"),
    _pair("auth_down", "certificate_expiring"),
    _pair("redis_down", "breaker_off_by_one"),
    _pair("mlflow_closed_off", "database_superuser"),
    _pair("fix_not_deployed", "blocks_on_health"),
    _pair("name_stale", "reset_without_key"),
    _pair("damages_artifacts", "certificate_expiring"),
    _pair("key_form_wrong", "mlflow_down"),
    _pair("password_changed", "redis_down"),
    _pair("task_restarted", "stale_keys"),
    _pair("one_bad_instance", "schema_differs"),
)
