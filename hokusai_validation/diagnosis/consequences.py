"""What follows from what: which hypothesis another one makes superfluous.

Three ways in which a cause has consequences: in the same component (a rollout that fails leaves too
few tasks), upwards (what stands on it answers worse), and, for the load balancer, downwards (a
service behind a wrong rule looks as if it were at fault)."""

from collections.abc import Mapping, Set

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.report import Cause

# Without the component, or as good as: those who need it can't work.
OUTAGES: Set[Cause] = frozenset(
    {
        Cause.PROCESS_DOWN,
        Cause.NETWORK_CLOSED,
        Cause.NOT_ANSWERING,
        Cause.CONNECTION_RESET,
        Cause.NAME_NOT_RESOLVED,
        Cause.NAME_STALE,
        Cause.SERVICE_BELOW_DESIRED,
        Cause.ROLLOUT_FAILED,
        Cause.DATABASE_NOT_AVAILABLE,
        Cause.WRONG_DATABASE_USER,
        Cause.PASSWORD_REFUSED,
        Cause.SECRET_NEWER_THAN_TASKS,
        Cause.POOL_EXHAUSTED,
        Cause.CONNECTIONS_NEAR_LIMIT,
        Cause.DATABASE_PERMISSIONS,
        Cause.DATABASE_SCHEMA,
        Cause.TLS_FAILED,
        Cause.ARTIFACT_STORE_FAILED,
        Cause.EVENT_LOOP_BLOCKED,
        Cause.BAD_INSTANCE,
    }
)

# What a component shows when something that it stands on is out, whether or not it could do without.
SOFT_EFFECTS: Set[Cause] = frozenset(
    {
        Cause.WRONG_STATUS,
        Cause.PROXY_ERROR,
        Cause.NOT_RECOVERED,
        Cause.ALERT_THRESHOLD,
        Cause.SLOW_DEPENDENCY,
        Cause.BREAKER_STUCK_OPEN,
        Cause.TARGET_UNHEALTHY,
        Cause.UNKNOWN,
    }
)

# What it shows when it can't live without it.
HARD_EFFECTS: Set[Cause] = SOFT_EFFECTS | {
    Cause.PROCESS_DOWN,
    Cause.NOT_ANSWERING,
    Cause.CONNECTION_RESET,
    Cause.SERVICE_BELOW_DESIRED,
    Cause.ROLLOUT_FAILED,
    Cause.TASK_RESTARTED,
    Cause.ARTIFACT_STORE_FAILED,
    Cause.KEY_REFUSED,
    Cause.HEALTH_ANSWER_WRONG,
}

_WEAK: Set[Cause] = SOFT_EFFECTS | {Cause.NOT_ANSWERING, Cause.CONNECTION_RESET}

# In one component: a cause, and what of the same component it explains.
SAME: Mapping[Cause, Set[Cause]] = {
    Cause.SECRET_NEWER_THAN_TASKS: _WEAK | {Cause.PASSWORD_REFUSED},
    Cause.WRONG_DATABASE_USER: _WEAK
    | {Cause.PASSWORD_REFUSED, Cause.DATABASE_PERMISSIONS, Cause.CONFIGURATION_DIFFERS},
    Cause.ROLLOUT_FAILED: _WEAK
    | {Cause.SERVICE_BELOW_DESIRED, Cause.PROCESS_DOWN, Cause.TASK_RESTARTED, Cause.COMMIT_UNEXPECTED},
    Cause.SERVICE_BELOW_DESIRED: _WEAK | {Cause.PROCESS_DOWN, Cause.NAME_STALE, Cause.TASK_RESTARTED},
    Cause.DATABASE_NOT_AVAILABLE: _WEAK | {Cause.PROCESS_DOWN, Cause.NETWORK_CLOSED},
    Cause.NAME_STALE: _WEAK | {Cause.PROCESS_DOWN, Cause.NETWORK_CLOSED, Cause.NAME_NOT_RESOLVED},
    Cause.NAME_NOT_RESOLVED: _WEAK,
    Cause.PROCESS_DOWN: _WEAK
    | {Cause.TASK_RESTARTED, Cause.ARTIFACT_STORE_FAILED, Cause.SERVICE_BELOW_DESIRED},
    Cause.NETWORK_CLOSED: _WEAK | {Cause.ARTIFACT_STORE_FAILED},
    Cause.NOT_ANSWERING: _WEAK | {Cause.ARTIFACT_STORE_FAILED},
    Cause.CONNECTION_RESET: SOFT_EFFECTS,
    Cause.TASK_DEFINITION_OLD: frozenset({Cause.COMMIT_UNEXPECTED}),
    Cause.CONNECTIONS_NEAR_LIMIT: _WEAK | {Cause.POOL_EXHAUSTED},
    Cause.CONNECTION_LEAK: _WEAK
    | {Cause.POOL_EXHAUSTED, Cause.CONNECTIONS_NEAR_LIMIT, Cause.HEALTH_ANSWER_WRONG},
    Cause.POOL_EXHAUSTED: _WEAK,
    Cause.EVENT_LOOP_BLOCKED: _WEAK | {Cause.PROCESS_DOWN},
    Cause.BREAKER_CONTRACT: frozenset(
        {Cause.BREAKER_STUCK_OPEN, Cause.WRONG_STATUS, Cause.PROXY_ERROR, Cause.NOT_RECOVERED, Cause.UNKNOWN}
    ),
    Cause.BREAKER_STUCK_OPEN: frozenset(
        {Cause.WRONG_STATUS, Cause.PROXY_ERROR, Cause.NOT_RECOVERED, Cause.UNKNOWN}
    ),
    Cause.BAD_INSTANCE: _WEAK,
    Cause.KEY_FORM_REFUSED: _WEAK | {Cause.KEY_REFUSED, Cause.HEALTH_ANSWER_WRONG},
    Cause.KEY_REFUSED: _WEAK,
    Cause.TLS_FAILED: _WEAK | {Cause.CERTIFICATE_EXPIRING},
    Cause.MEMORY_GROWTH: frozenset({Cause.TASK_RESTARTED, Cause.ALERT_THRESHOLD, Cause.UNKNOWN}),
    Cause.ARTIFACT_DAMAGED: frozenset({Cause.ARTIFACT_STORE_FAILED, Cause.WRONG_STATUS, Cause.UNKNOWN}),
    Cause.ARTIFACT_STORE_FAILED: SOFT_EFFECTS,
    Cause.SLOW_DEPENDENCY: frozenset({Cause.ALERT_THRESHOLD, Cause.NOT_RECOVERED, Cause.UNKNOWN}),
    Cause.WRONG_STATUS: frozenset({Cause.NOT_RECOVERED, Cause.ALERT_THRESHOLD, Cause.UNKNOWN}),
    Cause.PROXY_ERROR: frozenset({Cause.NOT_RECOVERED, Cause.ALERT_THRESHOLD, Cause.UNKNOWN}),
    Cause.TARGET_UNHEALTHY: SOFT_EFFECTS - {Cause.TARGET_UNHEALTHY} | {Cause.HEALTH_ANSWER_WRONG},
    # Where no key is looked at, none is for the reset.
    Cause.BAD_KEY_ACCEPTED: frozenset(
        {Cause.RESET_WITHOUT_KEY, Cause.STALE_KEY_ACCEPTED, Cause.WRONG_STATUS, Cause.UNKNOWN}
    ),
    # A probe that is refused tells nothing, so whoever asked it believes the worst.
    Cause.PROBE_NEEDS_KEY: _WEAK | {Cause.HEALTH_ANSWER_WRONG},
    Cause.OPTIONAL_REQUIRED: _WEAK
    | {Cause.HEALTH_ANSWER_WRONG, Cause.NAME_NOT_RESOLVED, Cause.PROCESS_DOWN, Cause.NETWORK_CLOSED},
}

# What an outage makes of things that can be reached only through what is out.
BEHIND_IT: Set[Cause] = SOFT_EFFECTS - {Cause.TARGET_UNHEALTHY, Cause.BREAKER_STUCK_OPEN}

# To what lies behind it: the load balancer's services, the API's dependencies.
DOWNWARDS: Mapping[Cause, Set[Cause]] = {
    Cause.WRONG_TARGET_GROUP: frozenset(
        {Cause.WRONG_STATUS, Cause.PROXY_ERROR, Cause.NOT_RECOVERED, Cause.ALERT_THRESHOLD, Cause.UNKNOWN}
    ),
    Cause.KEY_FORM_REFUSED: frozenset(
        {Cause.KEY_REFUSED, Cause.WRONG_STATUS, Cause.PROXY_ERROR, Cause.UNKNOWN}
    ),
    Cause.CONNECTION_LEAK: BEHIND_IT
    | {Cause.POOL_EXHAUSTED, Cause.CONNECTIONS_NEAR_LIMIT, Cause.HEALTH_ANSWER_WRONG},
    Cause.PROBE_NEEDS_KEY: BEHIND_IT | {Cause.HEALTH_ANSWER_WRONG},
    Cause.REDIRECT_DROPS_AUTH: frozenset({Cause.KEY_REFUSED, Cause.WRONG_STATUS, Cause.UNKNOWN}),
}


# What a test that puts faults on misjudges when something was out before it began.
MISJUDGED: Set[Cause] = SOFT_EFFECTS | {
    Cause.HEALTH_ANSWER_WRONG,
    Cause.BREAKER_CONTRACT,
    Cause.KEY_REFUSED,
    Cause.NOT_ANSWERING,
    Cause.CONNECTION_RESET,
}


# What tests that put faults on see besides, once something does not come back or says untrue things.
SEQUELS: Mapping[Cause, Set[Cause]] = {
    Cause.NOT_RECOVERED: frozenset({Cause.HEALTH_ANSWER_WRONG, Cause.WRONG_STATUS}),
    Cause.HEALTH_ANSWER_WRONG: frozenset({Cause.BREAKER_CONTRACT}),
}


def explains(cause: Hypothesis, effect: Hypothesis, graph: Graph) -> bool:
    """Whether `effect` need not be a cause of its own once `cause` is there."""
    if cause is effect:
        return False
    if effect.cause is Cause.HEALTH_ANSWER_WRONG and effect.claims_well:
        return False
    if cause.component == effect.component:
        if not effect.steady and effect.cause in SEQUELS.get(cause.cause, frozenset()):
            return cause.cause is Cause.NOT_RECOVERED or len(cause.evidence) > len(effect.evidence)
        if effect.cause is Cause.NOT_RECOVERED and cause.cause in (Cause.WRONG_STATUS, Cause.PROXY_ERROR):
            return cause.steady
        if cause.cause is Cause.TARGET_UNHEALTHY and effect.cause in SAME[Cause.TARGET_UNHEALTHY]:
            # The balancer's own 503; what the service answers itself would rather be the reason.
            return effect.cause is Cause.HEALTH_ANSWER_WRONG or _through_balancer(effect)
        views = effect.cause is Cause.HEALTH_ANSWER_WRONG and cause.cause in OUTAGES
        return views or effect.cause in SAME.get(cause.cause, frozenset())
    if effect.component in graph.above(cause.component):
        return _upwards(cause, effect, graph)
    if effect.component in graph.below(cause.component):
        behind = BEHIND_IT if cause.cause in OUTAGES else frozenset()
        return effect.cause in DOWNWARDS.get(cause.cause, behind)
    return _seen_through(cause, effect, graph)


def _through_balancer(effect: Hypothesis) -> bool:
    return all(each.via == "load_balancer" for each in effect.evidence)


def _seen_through(cause: Hypothesis, effect: Hypothesis, graph: Graph) -> bool:
    """Of a component that has nothing to do with the cause, but was only seen through one that can't
    work without it: what the API says of MLflow while nobody can tell a good key."""
    if cause.cause not in OUTAGES or effect.cause not in BEHIND_IT:
        return False
    return all(each.via is not None and graph.breaks(each.via, cause.component) for each in effect.evidence)


def _upwards(cause: Hypothesis, effect: Hypothesis, graph: Graph) -> bool:
    if cause.cause is Cause.SLOW_DEPENDENCY:
        return effect.cause in (Cause.SLOW_DEPENDENCY, Cause.ALERT_THRESHOLD, Cause.NOT_RECOVERED)
    if cause.cause is Cause.ARTIFACT_DAMAGED:
        return effect.cause in (Cause.WRONG_STATUS, Cause.PROXY_ERROR, Cause.UNKNOWN)
    if cause.cause is Cause.OPTIONAL_REQUIRED:
        return effect.cause in (Cause.OPTIONAL_REQUIRED, Cause.WRONG_STATUS, Cause.HEALTH_ANSWER_WRONG)
    if cause.cause not in OUTAGES:
        return False
    if effect.cause is cause.cause and effect.cause in OUTAGES:
        return True  # the same sign above and below: the lower one is where it comes from
    if effect.cause in MISJUDGED and not effect.steady:
        return True
    hard = graph.breaks(effect.component, cause.component)
    return effect.cause in (HARD_EFFECTS if hard else SOFT_EFFECTS)
