"""Changes of Redis: commands, and how full it is."""

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from hokusai_sandbox.changes.ground import LIMIT_S, ChangeFailed, ChangeInvalid, Ground, Undo, Values
from hokusai_sandbox.plan import LOOPBACK

FILL_KEY = "sandbox:filling"
MAX_FILL_BYTES = 64 * 1024 * 1024


async def commands(ground: Ground, values: Values) -> Undo:
    """Run `commands`, each a list of words; `undo` takes them back."""
    undo = _lists(values, "undo")
    await _run(ground, _lists(values, "commands"))

    async def back() -> None:
        await _run(ground, undo)

    return back


async def memory(ground: Ground, values: Values) -> Undo:
    """Fill it with `fill_bytes`, then set its limit to `share` of what it uses, with `policy`."""
    share, fill = values.get("share", 1.0), values.get("fill_bytes", 4_000_000)
    if not isinstance(share, int | float) or not isinstance(fill, int) or not 0 <= fill <= MAX_FILL_BYTES:
        raise ChangeInvalid(f"`share` is a number and `fill_bytes` 0 to {MAX_FILL_BYTES}.")
    policy = str(values.get("policy", "noeviction"))
    client = _client(ground)
    try:
        if fill:
            # By its last byte alone: what a client sends takes memory too, until it has been read.
            await client.setrange(FILL_KEY, fill - 1, "x")
        used = int((await client.info("memory"))["used_memory"])
        await client.config_set("maxmemory-policy", policy)
        await client.config_set("maxmemory", int(used * share))
    except RedisError as error:
        raise ChangeFailed(f"Redis did not take the change: {error}.") from None
    finally:
        await client.aclose()

    async def back() -> None:
        await _run(ground, (("CONFIG", "SET", "maxmemory", "0"), ("DEL", FILL_KEY)))

    return back


def _client(ground: Ground) -> Redis:
    return Redis(
        host=LOOPBACK,
        port=ground.plan.ports["redis"],
        password=ground.plan.secrets.redis,
        socket_timeout=LIMIT_S,
        socket_connect_timeout=LIMIT_S,
    )


async def _run(ground: Ground, lines: Sequence[Sequence[str]]) -> None:
    client = _client(ground)
    try:
        for line in lines:
            await client.execute_command(*line)  # type: ignore[no-untyped-call]
    except RedisError as error:
        raise ChangeFailed(f"Redis did not take the change: {error}.") from None
    finally:
        await client.aclose()


def _lists(values: Values, name: str) -> tuple[tuple[str, ...], ...]:
    found = values.get(name, ())
    if isinstance(found, list | tuple):
        commands = [item for item in found if isinstance(item, list | tuple)]
        if len(commands) == len(found):
            return tuple(tuple(str(word) for word in item) for item in commands)
    raise ChangeInvalid(f"A change `{values.get('do')}` takes `{name}` as a list of commands.")
