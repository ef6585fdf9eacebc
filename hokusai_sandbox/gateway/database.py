"""PostgreSQL: a small pool that heals by itself."""

import asyncio
from typing import Any

import asyncpg

from hokusai_sandbox.gateway.checks import CONNECT_SHARE, connect_timed_out, timed_out
from hokusai_sandbox.gateway.settings import Settings


async def _nothing_to_reset(_connection: asyncpg.Connection) -> None:
    """Our statements leave no session state, and a reset would be one more wait on a dead link."""


class NotAccepted(TimeoutError):
    """Not even the connection was accepted in time."""


class Database:
    """The pool, opened on first use, so that the gateway starts without the database too."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool = None
        self._in_use = 0

    async def open(self) -> None:
        """Make the (empty) pool; connects nowhere yet."""
        settings = self._settings
        self._pool = asyncpg.create_pool(
            host=settings.database_host,
            port=settings.database_port,
            database=settings.database_name,
            user=settings.database_user,
            password=settings.database_password.get_secret_value(),
            min_size=0,
            max_size=settings.db_pool_size,
            timeout=settings.check_timeout_s,
            reset=_nothing_to_reset,
            connect=self._connect,
            ssl=False,
            server_settings={"application_name": f"hokusai-gateway {settings.instance_name}"},
        )
        await self._pool

    async def _connect(self, *arguments: Any, **options: Any) -> asyncpg.Connection:
        """A new connection.

        Raises TimeoutError; NotAccepted when nobody even accepted it."""
        limit_s = self._settings.check_timeout_s * CONNECT_SHARE
        try:
            return await asyncpg.connect(*arguments, **options | {"timeout": limit_s})
        except TimeoutError:
            if await self._accepts():
                raise
            raise NotAccepted(connect_timed_out("postgres", limit_s)) from None

    async def _accepts(self) -> bool:
        """Whether a bare connection is accepted."""
        address = self._settings.database_host, self._settings.database_port
        try:
            async with asyncio.timeout(self._settings.check_timeout_s * (0.85 - CONNECT_SHARE)):
                _, writer = await asyncio.open_connection(*address)
        except (TimeoutError, OSError):
            return False
        writer.close()
        return True

    async def close(self) -> None:
        """Drop every connection without waiting for a dead peer."""
        if self._pool is not None:
            self._pool.terminate()

    @property
    def connections(self) -> int:
        """Open connections."""
        return int(self._pool.get_size()) if self._pool is not None else 0

    @property
    def in_use(self) -> int:
        """Connections that someone holds."""
        return self._in_use

    @property
    def max_connections(self) -> int:
        """The pool's limit."""
        return self._settings.db_pool_size

    async def acquire(self) -> asyncpg.Connection:
        """A connection of the pool, to be given back by `release`.

        Raises TimeoutError when none becomes free or the database does not answer."""
        limit_s = self._settings.check_timeout_s * 0.9  # so that our sentence comes before the caller's
        full = self._in_use >= self.max_connections
        try:
            connection = await self._pool.acquire(timeout=limit_s)
        except NotAccepted as error:
            raise TimeoutError(str(error)) from None
        except TimeoutError:
            what = (
                f"the connection pool ({self._in_use} of {self.max_connections} in use, exhausted)"
                if full
                else "postgres"
            )
            raise TimeoutError(timed_out(what, limit_s)) from None
        self._in_use += 1
        return connection

    async def release(self, connection: asyncpg.Connection) -> None:
        """Give a connection back."""
        self._in_use -= 1
        await self._pool.release(connection)

    async def check(self) -> None:
        """One statement through the pool; raises what went wrong."""
        connection = await self.acquire()
        limit_s = self._settings.check_timeout_s * 0.9
        # The transport is cut before the statement is cancelled: otherwise the driver would open
        # another connection to send a cancel request, and wait on that.
        statement = asyncio.ensure_future(connection.fetchval("select 1"))
        try:
            done, _ = await asyncio.wait({statement}, timeout=limit_s)
            if not done:
                raise TimeoutError(timed_out("postgres", limit_s))
            statement.result()
        finally:
            if not statement.done():
                connection.terminate()
                await asyncio.wait({statement})
                if not statement.cancelled():
                    statement.exception()
            await self.release(connection)
