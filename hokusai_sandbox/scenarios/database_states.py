"""What is wrong inside PostgreSQL."""

from typing import Any

from hokusai_sandbox.scenarios.model import Scenario


def _sql(*statements: str, **more: Any) -> dict[str, Any]:
    return {"do": "sql", "statements": list(statements), **more}


SCENARIOS = (
    Scenario(
        "few_connections_left",
        "The database takes hardly more connections than are open already.",
        postgres={"max_connections": "4", "superuser_reserved_connections": "0"},
    ),
    Scenario(
        "database_superuser",
        "The service's database user is a superuser.",
        changes=(_sql("ALTER ROLE mlflow SUPERUSER"),),
    ),
    Scenario(
        "rights_taken",
        "The service's database user may no longer write.",
        changes=(
            _sql(
                "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM mlflow",
                "REVOKE CREATE ON SCHEMA public FROM mlflow, PUBLIC",
            ),
        ),
    ),
    Scenario(
        "schema_differs",
        "The tables are of another MLflow than the one that runs.",
        changes=(_sql("UPDATE alembic_version SET version_num = '0000deadbeef'"),),
    ),
)
