"""What AWS knows and does: rollouts, counts, rules, names, secrets."""

from hokusai_sandbox.scenarios.model import Scenario

# A login that nobody else has: it comes up in no other sandbox.
_OTHER_PASSWORD = "changed-by-the-scenario"

_NEW_PASSWORD = {
    "do": "sql",
    "statements": [f"ALTER ROLE mlflow PASSWORD '{_OTHER_PASSWORD}'"],
    "end_sessions": True,
}

SCENARIOS = (
    Scenario(
        "rollout_failed",
        "The last deployment of the API failed; the old tasks run on.",
        aws=({"state": "rollout_failed", "component": "api"},),
    ),
    Scenario(
        "deployment_in_progress",
        "A deployment of the API is in progress: nothing is wrong.",
        aws=({"state": "rollout_in_progress", "component": "api"},),
    ),
    Scenario(
        "task_missing",
        "The API runs one task where two are wanted.",
        aws=({"state": "running_count", "component": "api", "running": 1},),
    ),
    Scenario(
        "task_restarted",
        "A task of the API was killed for memory and replaced.",
        aws=({"state": "task_restarted", "component": "api"},),
    ),
    Scenario(
        "target_unhealthy",
        "The load balancer holds one API task for unhealthy.",
        aws=({"state": "target_unhealthy", "component": "api", "count": 1},),
    ),
    Scenario(
        "fix_not_deployed",
        "The fix was merged but not deployed: the running task definition is older than the newest.",
        aws=({"state": "task_definition_old", "component": "api"},),
    ),
    Scenario(
        "configuration_differs",
        "The running API declares another environment than was agreed.",
        aws=(
            {"state": "environment_differs", "component": "api", "name": "ENVIRONMENT", "value": "staging"},
        ),
    ),
    Scenario(
        "wrong_database_user",
        "The API reaches the database as user postgres, not mlflow.",
        aws=(
            {
                "state": "environment_differs",
                "component": "api",
                "name": "DATABASE_USER",
                "value": "postgres",
            },
        ),
        api={"DATABASE_USER": "postgres"},
    ),
    Scenario(
        "secret_rotated",
        "The password was changed after the tasks had started: they keep the old one.",
        aws=({"state": "secret_changed", "password": _OTHER_PASSWORD},),
        changes=(_NEW_PASSWORD,),
    ),
    Scenario(
        "password_changed",
        "The database's password was changed, the secret was not.",
        changes=(_NEW_PASSWORD,),
    ),
    Scenario(
        "name_missing",
        "MLflow's private name has no instance and does not resolve.",
        aws=({"state": "name_missing", "component": "mlflow"},),
    ),
    Scenario(
        "name_stale",
        "MLflow's private name leads to the address of a task that is gone.",
        aws=({"state": "name_stale", "component": "mlflow"},),
    ),
    Scenario(
        "wrong_listener_rule",
        "A listener rule sends /api/mlflow/* to the auth service's target group.",
        aws=({"state": "wrong_listener_rule", "path": "/api/mlflow/*", "component": "auth"},),
    ),
    Scenario(
        "database_stopped",
        "RDS says that the database instance is being stopped.",
        aws=({"state": "rds_status", "status": "stopping"},),
    ),
    Scenario(
        "other_commit",
        "The API runs another commit than the one that was released.",
        api={"GIT_COMMIT": "0" * 7 + "c0ffee" + "0" * 27},
    ),
    Scenario("certificate_expiring", "The certificate expires in nine days.", certificate_days=9),
)
