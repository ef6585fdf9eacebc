"""What a scenario changes once the processes are there: statements in the database, faults on links."""

import json
from typing import Any

from hokusai_sandbox.plan import DATABASE, LOOPBACK, Plan, proxy_name
from hokusai_sandbox.scenarios import Scenario
from hokusai_sandbox.webclient import fetch
from hokusai_validation.errors import StackDidNotStart


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
    """The scenario's cut links and toxics. Only now: what needs a link to come up has come up, as in
    life, where a way is cut while all runs.

    Raises StackDidNotStart."""
    for edge in scenario.broken_links:
        await _tell_links(plan, scenario, f"/proxies/{proxy_name(edge)}", {"enabled": False})
    for edge, toxic in scenario.toxics:
        await _tell_links(plan, scenario, f"/proxies/{proxy_name(edge)}/toxics", dict(toxic))


async def _tell_links(plan: Plan, scenario: Scenario, path: str, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    try:
        status, answer = await fetch(plan.address("links"), path, method="POST", body=body)
    except (OSError, TimeoutError, ValueError) as error:
        status, answer = 0, str(error).encode()
    if status // 100 != 2:
        raise StackDidNotStart(
            f"Scenario '{scenario.name}' could not put {value} on link {path}: {answer[:200]!r}."
        )
