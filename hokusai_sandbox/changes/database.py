"""Changes of PostgreSQL: statements, sessions that are held open, who is let in."""

from pathlib import Path

import asyncpg

from hokusai_sandbox.changes.ground import LIMIT_S, ChangeFailed, Ground, Undo, Values, text, texts
from hokusai_sandbox.plan import DATABASE_USER

_END_SESSIONS = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{DATABASE_USER}'"


async def sql(ground: Ground, values: Values) -> Undo:
    """Run `statements` as superuser; `undo` takes them back. With `end_sessions` the service's
    sessions are ended, as settings of a role hold for new ones."""
    end = (_END_SESSIONS,) if values.get("end_sessions") else ()
    await _run(ground, (*texts(values, "statements"), *end))
    undo = texts(values, "undo")

    async def back() -> None:
        await _run(ground, (*undo, *end))

    return back


async def session(ground: Ground, values: Values) -> Undo:
    """Log in as `user`, run `statements`, and stay: what they lock stays locked."""
    try:
        connection = await ground.connect(text(values, "user"), text(values, "password", ""))
        for statement in texts(values, "statements"):
            await connection.execute(statement, timeout=LIMIT_S)
    except asyncpg.PostgresError as error:
        raise ChangeFailed(f"The session in the database could not be opened: {error}.") from None

    async def back() -> None:
        connection.terminate()

    return back


async def hba(ground: Ground, values: Values) -> Undo:
    """Replace the rules of who is let in by `rules` (lines of `pg_hba.conf`), and end the service's
    sessions. A rule that lets `postgres` in is needed, or it can't be undone."""
    path = ground.plan.run_folder / "postgres" / "pg_hba.conf"
    before = path.read_text()
    await _reload(ground, path, "\n".join(texts(values, "rules")) + "\n")

    async def back() -> None:
        await _reload(ground, path, before)

    return back


async def _reload(ground: Ground, path: Path, rules: str) -> None:
    _rewrite(path, rules)
    await _run(ground, ("SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)", _END_SESSIONS))


def _rewrite(path: Path, rules: str) -> None:
    path.write_text(rules)  # the file is there already and keeps its owner


async def _run(ground: Ground, statements: tuple[str, ...]) -> None:
    try:
        connection = await ground.connect("postgres")
        try:
            for statement in statements:
                await connection.execute(statement, timeout=LIMIT_S)
        finally:
            await connection.close(timeout=LIMIT_S)
    except asyncpg.PostgresError as error:
        raise ChangeFailed(f"The database did not take the change: {error}.") from None
