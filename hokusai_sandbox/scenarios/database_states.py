"""What is wrong inside PostgreSQL."""

from hokusai_sandbox.scenarios.model import Scenario

SCENARIOS = (
    Scenario(
        "few_connections_left",
        "The database takes hardly more connections than are open already.",
        postgres={"max_connections": "4", "superuser_reserved_connections": "0"},
    ),
    Scenario(
        "database_superuser",
        "The service's database user is a superuser.",
        sql=("ALTER ROLE mlflow SUPERUSER",),
    ),
    Scenario(
        "rights_taken",
        "The service's database user may no longer write.",
        sql=(
            "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM mlflow",
            "REVOKE CREATE ON SCHEMA public FROM mlflow, PUBLIC",
        ),
    ),
    Scenario(
        "schema_differs",
        "The tables are of another MLflow than the one that runs.",
        sql=("UPDATE alembic_version SET version_num = '0000deadbeef'",),
    ),
)
