"""Defects in the API's own code."""

from hokusai_sandbox.plan import INSTANCES
from hokusai_sandbox.scenarios.model import Scenario


def _defect(name: str, summary: str, *defects: str) -> Scenario:
    return Scenario(name, summary, defects=defects or (name,))


SCENARIOS = (
    _defect("blocks_on_health", "The health endpoint waits for a dead dependency and blocks the process."),
    _defect("health_500_when_open", "/health answers 500 while the breaker is open."),
    _defect("detailed_health_500", "/health?detailed=true answers 500."),
    _defect("health_always_healthy", "/health says healthy whatever is wrong."),
    _defect("probes_need_key", "Health probes are asked for an API key."),
    _defect("reset_without_key", "The breaker can be reset without a key."),
    _defect("nothing_needs_key", "No request is asked for a key."),
    _defect("key_form_wrong", "The gateway asks the auth service in another form than it expects."),
    _defect("x_api_key_ignored", "The header X-API-Key is not read."),
    _defect("stale_keys", "A revoked key is served from a cache for good."),
    _defect("key_in_logs", "Keys stand in the access log."),
    _defect("forwards_key", "The caller's key is passed on to MLflow."),
    _defect("leaks_connections", "Each health check takes a database connection and keeps it."),
    _defect("leaks_memory", "Each request leaves something in memory."),
    _defect("damages_artifacts", "Artifacts come back with other bytes."),
    _defect("never_reconnects", "A database connection that was lost is never made again."),
    _defect("open_breaker_calls", "Calls reach MLflow while the breaker is open.", "open_lets_calls_through"),
    _defect("breaker_off_by_one", "The breaker opens one failure late.", "breaker_opens_one_late"),
    _defect("breaker_never_half_open", "The breaker never admits a trial call."),
    _defect("breaker_zero_ignored", "A threshold of zero is taken for none given."),
    _defect("breaker_no_growth", "The wait does not grow after the allowed attempts.", "breaker_no_backoff"),
    _defect("breaker_keeps_counts", "A reset leaves the breaker's counts.", "breaker_counts_kept_on_reset"),
    Scenario(
        "one_bad_instance",
        "One API instance of two says that it is unhealthy.",
        defects=(f"health_says_unhealthy@{INSTANCES[1]}",),
    ),
    Scenario(
        "redis_absent",
        "Redis is not deployed, and the code takes that for a failure.",
        defects=("redis_absence_is_failure",),
        redis_deployed=False,
    ),
)
