"""Faults that people who run such stacks have reported in public, each on the real part."""

from typing import Any

from hokusai_sandbox.plan import INSTANCES, NAMESPACE
from hokusai_sandbox.scenarios.model import Scenario

_TO_INSTANCES = [f"load_balancer->{instance}" for instance in INSTANCES]
_LAST = INSTANCES[-1]
# Only that: what is not named in the file is let in by no rule.
_ENCRYPTED_ONLY = ["host all postgres all scram-sha-256", "hostssl all mlflow all scram-sha-256"]
_AGENT_PASSWORD = "of-the-monitoring-agent"
_S3_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message><RequestId>0A49CE4060975EAC</RequestId></Error>'


def _setting(setting: str, of: str = "ROLE mlflow") -> dict[str, Any]:
    name = setting.split("=")[0].strip()
    return {
        "do": "sql",
        "statements": [f"ALTER {of} SET {setting}"],
        "undo": [f"ALTER {of} RESET {name}"],
        "end_sessions": True,
    }


def _lock(user: str) -> dict[str, Any]:
    statements = ["BEGIN", "LOCK TABLE runs IN ACCESS EXCLUSIVE MODE"]
    return {"do": "session", "user": user, "statements": statements}


def _s3_refuses_writes(code: str, message: str) -> dict[str, Any]:
    body = _S3_ERROR.format(code=code, message=message)
    return {
        "do": "nginx",
        "edges": ["mlflow->artifacts"],
        "location": f"default_type application/xml; if ($request_method = PUT) {{ return 403 '{body}'; }}",
    }


SCENARIOS = (
    Scenario(
        "database_read_only",
        "The database takes no writes: a reader after a failover, or set so.",
        changes=(_setting("default_transaction_read_only = on", "DATABASE mlflow_db"),),
    ),
    Scenario(
        "statements_cancelled",
        "Statements of the service's role are cancelled after 4 ms.",
        changes=(_setting("statement_timeout = '4ms'"),),
    ),
    Scenario(
        "table_locked",
        "Another session holds a lock on MLflow's table of runs.",
        changes=(_lock("postgres"),),
    ),
    Scenario(
        "table_locked_by_own_user",
        "A session of the service's own role, idle in its transaction, holds a lock on the table of runs.",
        changes=(_lock("mlflow"),),
    ),
    Scenario(
        "encryption_required",
        "The database takes encrypted connections of the service's role alone.",
        changes=({"do": "hba", "rules": _ENCRYPTED_ONLY},),
    ),
    Scenario(
        "redis_full",
        "Redis has used up its memory and evicts nothing.",
        changes=({"do": "redis_memory", "share": 0.8},),
    ),
    Scenario(
        "redis_nearly_full",
        "Redis has next to no memory left and evicts nothing.",
        # What clients' buffers take for a moment must not fill it.
        changes=({"do": "redis_memory", "share": 1.06},),
    ),
    Scenario(
        "redis_replica",
        "Redis' address leads to a replica, which takes no writes.",
        changes=(
            {
                "do": "redis",
                "commands": [["REPLICAOF", "127.0.0.1", "9"]],
                "undo": [["REPLICAOF", "NO", "ONE"]],
            },
        ),
    ),
    Scenario(
        "host_refused",
        "MLflow serves its private name alone, and the API asks it by address.",
        mlflow={"MLFLOW_SERVER_ALLOWED_HOSTS": f"mlflow.{NAMESPACE}:*,mlflow.{NAMESPACE}"},
    ),
    Scenario(
        "body_limited",
        "A proxy between the load balancer and the API takes no bodies above 1 MB.",
        changes=({"do": "nginx", "edges": _TO_INSTANCES, "server": "client_max_body_size 1m;"},),
    ),
    Scenario(
        "keep_alive_short",
        "The API's side closes idle connections sooner than the load balancer thinks.",
        changes=(
            {
                "do": "link",
                "edges": _TO_INSTANCES,
                "toxic": {"type": "reset_idle", "stream": "upstream", "attributes": {"idle": 800}},
            },
        ),
    ),
    Scenario(
        "chain_incomplete",
        "The load balancer serves its certificate without the intermediate one.",
        changes=({"do": "certificate", "chain": "leaf"},),
    ),
    Scenario(
        "chain_full",
        "The load balancer's certificate is of an intermediate authority, which it serves: nothing is wrong.",
        changes=({"do": "certificate", "chain": "full"},),
    ),
    Scenario(
        "key_service_denied",
        "MLflow's role lacks the right to the key that the bucket is encrypted with.",
        changes=(
            _s3_refuses_writes(
                "AccessDenied",
                "User: arn:aws:sts::123456789012:assumed-role/mlflow/task is not authorized to perform:"
                " kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/6c1f7a1e"
                " because no identity-based policy allows the kms:GenerateDataKey action",
            ),
        ),
    ),
    Scenario(
        "clock_skewed",
        "MLflow's clock is off: the bucket refuses what it signs.",
        changes=(
            _s3_refuses_writes(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
        ),
    ),
    Scenario(
        "health_check_path",
        "The API's target group asks a path that the API does not serve.",
        changes=({"do": "aws", "state": "health_check_path", "component": "api", "path": "/healthz"},),
    ),
    Scenario(
        "two_versions",
        "One API instance of two runs another commit.",
        api={f"GIT_COMMIT@{_LAST}": "0" * 7 + "c0ffee" + "0" * 27},
    ),
    Scenario(
        "slow_instance",
        "One API instance of two answers 300 ms later than the other, through the load balancer.",
        changes=(
            {
                "do": "link",
                "edges": [f"load_balancer->{_LAST}"],
                "toxic": {"type": "latency", "attributes": {"latency": 300}},
            },
        ),
    ),
    Scenario(
        "name_without_ipv4",
        "MLflow's private name has an IPv6 address alone.",
        changes=({"do": "aws", "state": "name_without_ipv4", "component": "mlflow"},),
    ),
    Scenario(
        "some_unavailable",
        "A proxy between the load balancer and the API answers one request in a hundred with 503.",
        changes=(
            {
                "do": "nginx",
                "edges": _TO_INSTANCES,
                "http": 'split_clients "$request_id" $unavailable { 1% 1; * 0; }',
                "location": "if ($unavailable) { return 503; }",
            },
        ),
    ),
    Scenario(
        "monitoring_agent",
        "A monitoring agent is logged in to the database: nothing is wrong.",
        changes=(
            {
                "do": "sql",
                "statements": [f"CREATE ROLE datadog LOGIN PASSWORD '{_AGENT_PASSWORD}' IN ROLE pg_monitor"],
                "undo": ["DROP ROLE datadog"],
            },
            {
                "do": "session",
                "user": "datadog",
                "password": _AGENT_PASSWORD,
                "statements": ["SELECT count(*) FROM pg_stat_activity"],
            },
        ),
    ),
    Scenario(
        "wrong_in_several_ways",
        "The API wants keys of probes, three of its health paths fail by its own errors, one part never"
        " loads, and MLflow is older than the tables that are known.",
        defects=(
            "probes_need_key",
            "detailed_health_500",
            "status_500",
            "mlflow_health_500_when_open",
            "queue_never_loads",
        ),
        changes=({"do": "sql", "statements": ["UPDATE alembic_version SET version_num = '0000deadbeef'"]},),
    ),
    Scenario(
        "blocks_for_two_minutes",
        "The API's health endpoints block the process for two minutes whenever MLflow is away, and are asked for"
        " a key.",
        defects=("blocks_on_health=120", "probes_need_key"),
    ),
)
