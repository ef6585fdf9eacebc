"""What a scenario changes once the processes are there: statements in the database, faults on links."""

import json

from hokusai_validation.errors import StackDidNotStart
from hokusai_validation.sandbox.plan import DATABASE, LOOPBACK, Plan, proxy_name
from hokusai_validation.sandbox.scenarios import Scenario
from hokusai_validation.sandbox.webclient import fetch


async def apply_sql(plan: Plan, scenario: Scenario) -> None:
    """The scenario's statements, as superuser.

    Raises StackDidNotStart."""
    if not scenario.sql:
        return
    import asyncpg

    connection = await asyncpg.connect(
        host=LOOPBACK,
        port=plan.ports["postgres"],
        user="postgres",
        password=plan.secrets.postgres,
        database=DATABASE,
        timeout=5.0,
    )
    try:
        for statement in scenario.sql:
            await connection.execute(statement, timeout=10.0)
    except (TimeoutError, asyncpg.PostgresError, OSError) as error:
        raise StackDidNotStart(
            f"Scenario '{scenario.name}' could not change the database: {error}."
        ) from None
    finally:
        await connection.close()


async def apply_links(plan: Plan, scenario: Scenario) -> None:
    """The scenario's toxics.

    Raises StackDidNotStart."""
    for edge, toxic in scenario.toxics:
        path = f"/proxies/{proxy_name(edge)}/toxics"
        try:
            status, body = await fetch(
                plan.address("links"), path, method="POST", body=json.dumps(dict(toxic)).encode()
            )
        except (OSError, TimeoutError, ValueError) as error:
            status, body = 0, str(error).encode()
        if status // 100 != 2:
            raise StackDidNotStart(
                f"Scenario '{scenario.name}' could not put {dict(toxic)} on {edge}: {body[:200]!r}."
            )
