"""Connections to redis, with every wait bounded."""

from typing import Any

from redis.asyncio import Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from hokusai_sandbox.gateway.checks import timed_out

MAX_CONNECTIONS = 200


class _Connection(Connection):
    """uvloop raises RuntimeError, and not an OSError, when it writes to a connection that the peer
    has closed: said as what it is, the command is tried again on a new one."""

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().send_packed_command(*args, **kwargs)
        except RuntimeError as error:
            raise RedisConnectionError(f"The connection is closed: {error}") from error


def connect(url: str, timeout_s: float) -> Redis:
    """A client for a URL, which connects on first use. A broken connection is tried once more at
    once (a kept one may have been reset while it was idle); a time-out is not."""
    return Redis.from_url(
        url,
        connection_class=_Connection,
        decode_responses=True,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        max_connections=MAX_CONNECTIONS,
        protocol=2,  # no HELLO: one round trip less, and older servers know it
        driver_info=None,
    )


async def ping(client: Redis, what: str, timeout_s: float) -> None:
    """Raises TimeoutError, ConnectionRefusedError, ConnectionResetError, or redis' own error."""
    try:
        await client.ping()
    except RedisTimeoutError:
        raise TimeoutError(timed_out(what, timeout_s)) from None
    except RedisConnectionError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, ConnectionRefusedError | ConnectionResetError):
            raise cause from None
        if "refused" in str(error):
            raise ConnectionRefusedError from None
        raise
