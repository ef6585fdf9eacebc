"""Deliberately wrong variants of the gateway, as data: what each is called, what is wrong, which
sentence of the contract it breaks. `GATEWAY_DEFECTS` switches them on by name, separated by commas;
`NAME@INSTANCE` on one instance only, `NAME=SECONDS` sets how slow a slow one is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hokusai_sandbox.gateway.breaker_mutants import MUTANTS
from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox.gateway.wiring import Wiring
from hokusai_sandbox.gateway.wrong import authentication as keys
from hokusai_sandbox.gateway.wrong import health, proxy, service

Change = Callable[[Settings], Settings]


@dataclass(frozen=True)
class Defect:
    """One wrong variant. `parts` are the parts of the wiring and what plays them wrongly;
    `settings` changes what the gateway was told."""

    name: str
    contract: str
    parts: tuple[tuple[str, type[Any]], ...] = ()
    settings: Change | None = None

    @property
    def says(self) -> str:
        """What is wrong, in a sentence."""
        wrong = self.parts[0][1] if self.parts else self.settings
        return " ".join((wrong.__doc__ or "").split())

    def apply(self, wiring: Wiring, value: float | None = None) -> None:
        """Put it into a wiring. `value` is the delay in seconds of one that has a delay.

        Raises ValueError for a value that it does not take."""
        if value is not None and not any(hasattr(wrong, "delay_s") for _, wrong in self.parts):
            raise ValueError(f"GATEWAY_DEFECTS: {self.name} takes no value.")
        for part, wrong in self.parts:
            if value is not None:
                wrong = type(wrong.__name__, (wrong,), {"delay_s": value})
            wiring.replace(part, wrong)
        if self.settings is not None:
            wiring.settings.append(self.settings)


_HEALTH = "GET /health: always 200; status and services say what is."
_DETAILED = "GET /health?detailed=true: system_info.cpu_percent and memory_percent, <name>_details."
_READY = "GET /ready: postgres is critical, mlflow is not: OPEN → not passed, degraded_mode true, status 200."
_HALF_OPEN = "GET /ready: HALF_OPEN → passed with recovering true."
_LIVE = "GET /live: 200, depends on nothing: it answers, fast, whatever else is down."
_LOOP = "The event loop must never block."
_VERSION = "GET /version: version, build_date, git_commit, api_version."
_METRICS = "GET /metrics: mlflow_connection_status (1/0) and mlflow_circuit_breaker_state (0, 1, 2)."
_FALLBACK = "Where no Prometheus client is there, JSON with four fields."
_MLFLOW = "GET /health/mlflow: 200, 503 when OPEN with can_retry_in_seconds, 500 when the check broke."
_RESET = "POST /health/mlflow/reset: 200 and the breaker is CLOSED; 500 with detail when it failed."
_STATUS = "GET /health/status: overall_health, services, mlflow.status, mlflow.circuit_breaker."
_PROXY = "ANY /api/mlflow/{path}: proxied to MLflow's REST API."
_KEY_STRIPPED = "The caller's key is stripped; the user goes on as X-Hokusai-User-Id, X-Hokusai-API-Key-Id."
_OPEN = "OPEN → 503 with Retry-After, without a connection to MLflow."
_GATEWAY = "MLflow unreachable → 502; slower than the proxy's time-out → 504."
_HTML = "MLflow's HTML 404 → JSON RESOURCE_NOT_FOUND."
_COUNTED = "Connection failures, time-outs and 5xx are failures; any other answer is a success."
_OPEN_PATHS = "Probes and scrapers carry no key; changing state always needs a key."
_FORMS = "Accepted: Authorization: Bearer, Authorization: ApiKey, X-API-Key (header names in any case)."
_CASE = "RFC 7235: the scheme is case-insensitive."
_QUERY = "Query strings never carry keys: they end up in access logs."
_LEAK = "Keys never appear in an answer, a redirect or a log line."
_ASKED = "POST /api/v1/keys/validate with the key as bearer token and service_id (platform) in the body."
_CACHE = "A valid answer is cached in redis for 300 s; without redis every request asks."
_BAD_KEY = "No key → 401 API key required; a bad key → 401, never 5xx."
_USAGE = "Usage is reported, and a failure of that report never fails the request."
_LIMIT = "X-RateLimit-Limit, -Remaining, -Reset on answers, 429 with Retry-After past it."
_ZONE = "timestamp: ISO 8601, with time zone."
_DISABLED = "A disabled service does not count; redis is optional."
_LOAD = "Alert thresholds: p99 > 1 s on health endpoints; error rate > 1 %."


def _one(name: str, contract: str, part: str, wrong: type[Any]) -> Defect:
    return Defect(name, contract, ((part, wrong),))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


_ALL = (
    _one("blocks_on_health", _LOOP, "health", health.BlocksOnHealth),
    _one("waits_for_mlflow", _LOOP, "health", health.WaitsForMlflow),
    Defect("checks_without_timeout", _LOOP, settings=service.without_check_timeouts),
    Defect("impatient_checks", _HEALTH, settings=service.impatient),
    _one("detailed_health_500", _DETAILED, "health", health.DetailedFails),
    _one("no_system_info", _DETAILED, "health", health.NoSystemInfo),
    _one("no_degradation_reason", _DETAILED, "health", health.NoReason),
    _one("health_500_when_open", _HEALTH, "health", health.FailsWhenOpen),
    _one("health_always_healthy", _HEALTH, "health", health.SaysHealthy),
    _one("health_says_unhealthy", _HEALTH, "health", health.SaysUnhealthy),
    _one("health_flaps", _HEALTH, "health", health.Flaps),
    _one("open_breaker_hidden", _HEALTH, "gateway", service.OpenHidden),
    _one("slow_while_mlflow_down", _HEALTH, "health", health.SlowWhileMlflowIsDown),
    _one("naive_timestamps", _ZONE, "health", health.NaiveTimestamps),
    _one("ready_needs_mlflow", _READY, "health", health.MlflowCritical),
    _one("ready_ignores_postgres", _READY, "health", health.ReadyIgnoresPostgres),
    _one("never_degraded_mode", _READY, "health", health.NeverDegradedMode),
    _one("half_open_not_ready", _HALF_OPEN, "health", health.HalfOpenNotReady),
    _one("live_needs_postgres", _LIVE, "health", health.LiveNeedsPostgres),
    _one("live_needs_psutil", _LIVE, "health", health.LiveNeedsPsutil),
    _one("uptime_stands_still", _LIVE, "health", health.UptimeStands),
    _one("version_incomplete", _VERSION, "health", health.VersionIncomplete),
    Defect("commit_unknown", _VERSION, settings=service.commit_unknown),
    _one("metrics_disagree", _METRICS, "metrics", service.MetricsDisagree),
    _one("metrics_missing", _METRICS, "metrics", service.NoMlflowMetrics),
    _one("metrics_fallback_incomplete", _FALLBACK, "metrics", service.FallbackIncomplete),
    _one("mlflow_health_incomplete", _MLFLOW, "health", health.MlflowHealthWrong),
    _one("mlflow_health_500_when_open", _MLFLOW, "health", health.MlflowHealth500),
    _one("mlflow_health_no_retry_time", _MLFLOW, "health", health.RetryTimeMissing),
    _one("mlflow_check_error_hidden", _MLFLOW, "health", health.CheckErrorHidden),
    _one("reset_does_nothing", _RESET, "health", health.ResetDoesNothing),
    _one("reset_error_hidden", _RESET, "health", health.ResetErrorHidden),
    _one("status_disagrees", _STATUS, "health", health.StatusDisagrees),
    _one("status_not_found", _STATUS, "health", health.StatusNotFound),
    _one("status_500", _STATUS, "health", health.StatusFails),
    _one("queue_never_loads", _HEALTH, "health", health.QueueNeverLoads),
    _one(
        "leaks_connections",
        "Pool filled to its size, released and reused.",
        "health",
        health.LeaksConnections,
    ),
    _one("leaks_memory", "Memory grows by less than 1 MB per 1,000 requests.", "edge", service.LeaksMemory),
    _one(
        "never_reconnects",
        "Postgres restored → healthy, no restart needed.",
        "database",
        service.NeverReconnects,
    ),
    _one("redis_required", _DISABLED, "gateway", service.RedisRequired),
    Defect(
        "redis_absence_is_failure",
        _DISABLED,
        (("gateway", service.RedisRequired),),
        service.without_redis,
    ),
    _one("no_instance_name", "Each instance says which it is.", "edge", service.NoInstanceName),
    _one("slow", _LOAD, "edge", service.Slow),
    _one("slows_down", _LOAD, "edge", service.SlowsDown),
    _one("refuses_many", _LOAD, "edge", service.RefusesMany),
    _one("fails_sometimes", _LOAD, "authenticator", keys.FailsSometimes),
    _one("probes_need_key", _OPEN_PATHS, "authenticator", keys.ProbesNeedKey),
    _one("reset_without_key", _OPEN_PATHS, "authenticator", keys.ResetWithoutKey),
    _one("nothing_needs_key", _OPEN_PATHS, "authenticator", keys.NothingNeedsKey),
    _one("bearer_case_sensitive", _CASE, "authenticator", keys.BearerCaseSensitive),
    _one("two_spaces_refused", _CASE, "authenticator", keys.TwoSpacesRefused),
    _one("scheme_not_needed", _FORMS, "authenticator", keys.SchemeNotNeeded),
    _one("x_api_key_ignored", _FORMS, "authenticator", keys.KeyHeaderIgnored),
    _one("apikey_scheme_ignored", _FORMS, "authenticator", keys.ApiKeySchemeIgnored),
    _one("key_in_query_accepted", _QUERY, "authenticator", keys.KeyInQuery),
    _one("key_in_query_forwarded", _QUERY, "proxy", proxy.KeyInQueryForwarded),
    Defect("key_in_logs", _LEAK, (("edge", service.LogsKeys), ("log", service.UnmaskedLog))),
    _one("key_in_answer", _LEAK, "authenticator", keys.KeyInAnswer),
    _one("key_in_redirect", _LEAK, "authenticator", keys.KeyInRedirect),
    _one("key_form_wrong", _ASKED, "auth", keys.KeyFormWrong),
    _one("service_id_wrong", _ASKED, "auth", keys.ServiceIdWrong),
    _one("cache_not_used", _CACHE, "cache", keys.CacheNotUsed),
    _one("cache_never_expires", _CACHE, "cache", keys.CacheForGood),
    _one("stale_keys", _CACHE, "authenticator", keys.StaleKeys),
    _one("keys_need_redis", _CACHE, "cache", keys.RedisNeeded),
    _one("bad_key_500", _BAD_KEY, "authenticator", keys.BadKey500),
    _one("bad_key_403", _BAD_KEY, "authenticator", keys.BadKey403),
    _one("usage_failure_fails", _USAGE, "authenticator", keys.UsageFailureFails),
    _one("limit_ignored", _LIMIT, "authenticator", keys.LimitIgnored),
    _one("limit_without_retry_after", _LIMIT, "authenticator", keys.LimitWithoutRetryAfter),
    _one("no_limit_headers", _LIMIT, "authenticator", keys.NoLimitHeaders),
    _one("forwards_key", _KEY_STRIPPED, "proxy", proxy.ForwardsKey),
    _one("no_user_headers", _KEY_STRIPPED, "proxy", proxy.NoUserHeaders),
    _one("trusts_callers_headers", _KEY_STRIPPED, "proxy", proxy.TrustsCallersHeaders),
    _one("html_404_passed_on", _HTML, "proxy", proxy.HtmlPassedOn),
    _one("prefix_kept", _PROXY, "proxy", proxy.PrefixKept),
    _one("damages_artifacts", _PROXY, "proxy", proxy.DamagesArtifacts),
    _one("slow_proxy", _PROXY, "proxy", proxy.SlowProxy),
    _one("unreachable_500", _GATEWAY, "proxy", proxy.Unreachable500),
    _one("timeout_500", _GATEWAY, "proxy", proxy.Timeout500),
    _one("no_proxy_timeout", _GATEWAY, "proxy", proxy.NoTimeout),
    _one("open_500", _OPEN, "proxy", proxy.Open500),
    _one("open_without_retry_after", _OPEN, "proxy", proxy.OpenWithoutRetryAfter),
    _one("open_lets_calls_through", _OPEN, "proxy", proxy.LetsCallsThrough),
    _one("calls_not_counted", _COUNTED, "mlflow", proxy.NotCounted),
    _one("counts_4xx", _COUNTED, "proxy", proxy.Counts4xx),
    _one(
        "queue_failure_fails",
        "The queue's link cut → service operational, registration works.",
        "proxy",
        proxy.QueueFailureFails,
    ),
    *(_one(f"breaker_{_snake(name)}", item.CONTRACT, "breaker", item) for name, item in MUTANTS.items()),
)

DEFECTS: Mapping[str, Defect] = {item.name: item for item in _ALL}


def table() -> str:
    """All of them as a Markdown table."""
    rows = [f"| `{item.name}` | {item.says} | {item.contract} |" for item in DEFECTS.values()]
    return "\n".join(("| defect | what is wrong | what it breaks |", "| --- | --- | --- |", *rows)) + "\n"


def wire(wanted: tuple[str, ...]) -> Wiring:
    """The wiring with these defects, each `NAME` or `NAME=SECONDS`.

    Raises ValueError for one that is not known or takes no value."""
    wiring = Wiring()
    for item in wanted:
        name, _, text = item.partition("=")
        defect = DEFECTS.get(name.strip())
        if defect is None:
            raise ValueError(
                f"GATEWAY_DEFECTS names {name.strip()!r}, which is not known; known are:"
                f" {', '.join(sorted(DEFECTS))}."
            )
        try:
            value = float(text) if text else None
        except ValueError:
            raise ValueError(f"GATEWAY_DEFECTS: {text!r} after {name}= is no number of seconds.") from None
        defect.apply(wiring, value)
    return wiring
